"""Arrays of other toolkits, which have channels before time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.data.series import as_array


def from_channels_first(X: Any) -> np.ndarray | list[np.ndarray]:
    """Move channels after time: from the layout of aeon and sktime to that of tsae.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, n_timesteps), or list of ndarray
        The arrays of a list are of shape (n_channels, n_timesteps_i).

    Returns
    -------
    ndarray of shape (n_windows, n_timesteps, n_channels), or list of ndarray
        The arrays of a list are of shape (n_timesteps_i, n_channels).

    Raises
    ------
    ValueError
        For other shapes.

    Examples
    --------
    >>> from_channels_first(np.zeros((10, 3, 50))).shape
    (10, 50, 3)
    """
    if isinstance(X, (list, tuple)):
        parts = [as_array(part, f"X[{position}]") for position, part in enumerate(X)]
        for position, part in enumerate(parts):
            if part.ndim != 2:
                raise ValueError(f"X[{position}] has shape {part.shape}; expected (n_channels, n_timesteps)")
        return [np.ascontiguousarray(part.T) for part in parts]
    X = as_array(X, "X")
    if X.ndim != 3:
        raise ValueError(f"X has shape {X.shape}; expected (n_windows, n_channels, n_timesteps)")
    return np.ascontiguousarray(X.transpose(0, 2, 1))
