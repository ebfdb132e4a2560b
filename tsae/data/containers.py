"""Whatever a user hands an estimator as X, turned into checked `Windows`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.frames import is_table, read_table
from tsae.data.series import GroupedSeries, as_float, first_infinite, lay_end_to_end, number_channels
from tsae.data.windows import Layout, Windows


def as_windows(X: Any, *, name: str = "X", n_timesteps: int | None = None, n_channels: int | None = None) -> Windows:
    """Accept X in any of the layouts that estimators take, and check it.

    Parameters
    ----------
    X : Windows, ndarray, DataFrame or list of ndarray
        Windows as they are; an array of shape (n_windows, n_timesteps, n_channels), or, of one channel,
        (n_windows, n_timesteps); a table with a row a window and a column a step; or, for windows of
        different lengths, a list of arrays of shape (n_timesteps_i, n_channels) or (n_timesteps_i,). NaN is a
        missing value.
    name : str, default="X"
        How errors call it.
    n_timesteps, n_channels : int, default=None
        What a fitted estimator expects.

    Returns
    -------
    Windows
        Shares memory with X where X is a C-contiguous float32 or float64 array.

    Raises
    ------
    ValueError, TypeError
        Naming the window, step and channel at fault.

    Examples
    --------
    >>> as_windows(np.zeros((5, 20))).shape
    (5, 20, 1)
    >>> ragged = as_windows([np.zeros((3, 2)), np.zeros((5, 2))])
    >>> ragged.shape, ragged.lengths.tolist()
    ((2, 5, 2), [3, 5])
    """
    if isinstance(X, Windows):
        windows = X
    elif isinstance(X, (list, tuple)):
        windows = _from_list(X, name)
    else:
        windows = _from_array(X, name)
    if len(windows) == 0:
        raise ValueError(f"Found {name} with 0 sample(s) (shape={windows.shape}): there are no windows")
    _check_expected(windows, name, n_timesteps, n_channels)
    _refuse_unobserved(windows, name)
    return windows


def _from_array(X: Any, name: str) -> Windows:
    if hasattr(X, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix; sparse data are not supported, pass {name}.toarray()")
    if is_table(X) and hasattr(X, "columns"):
        X = read_table(X.reset_index(drop=True) if isinstance(X, pd.DataFrame) else X).values
    X = np.asarray(X)
    if X.ndim not in (2, 3):
        raise ValueError(
            f"Expected 2D or 3D array, got {X.ndim}D array instead: {name} has shape {X.shape}, allowed are "
            "(n_windows, n_timesteps) and (n_windows, n_timesteps, n_channels). Reshape your data, for "
            f"example with {name}.reshape(1, -1) for a single window, or cut series with make_windows"
        )
    for axis, word in enumerate(("feature(s)", "channel(s)")[: X.ndim - 1], start=1):
        if X.shape[axis] == 0:
            raise ValueError(f"{name} has 0 {word} (shape={X.shape}) while a minimum of 1 is required.")
    X = as_float(X, name)
    if X.ndim == 2:
        X = X[:, :, np.newaxis]
    n_windows, n_timesteps, n_channels = X.shape
    _check_axis_order(X.shape, name)
    values, offsets = X.reshape(n_windows * n_timesteps, n_channels), np.arange(n_windows + 1) * n_timesteps
    _refuse_infinite(values, offsets, name)
    return _one_window_per_series(values, offsets, is_ragged=False)


def _from_list(X: Any, name: str) -> Windows:
    if not X:
        raise ValueError(f"Found {name} with 0 sample(s): the list is empty")
    if np.ndim(X[0]) == 0:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} is a list of single values. Reshape your data: "
            "a list holds one array of shape (n_timesteps,) or (n_timesteps, n_channels) per window"
        )
    values, offsets = lay_end_to_end(X, [f"{name}[{position}]" for position in range(len(X))])
    lengths = np.diff(offsets)
    if not lengths.all():
        raise ValueError(f"{name}[{np.flatnonzero(lengths == 0)[0]}] has no steps")
    _refuse_infinite(values, offsets, name)
    return _one_window_per_series(values, offsets, is_ragged=bool(np.any(lengths != lengths[0])))


def _one_window_per_series(values: np.ndarray, offsets: np.ndarray, is_ragged: bool) -> Windows:
    n_windows, n_channels = len(offsets) - 1, values.shape[1]
    width = int(np.diff(offsets).max(initial=0))
    grouped = GroupedSeries(values, offsets, pd.RangeIndex(n_windows), number_channels(n_channels))
    layout = Layout.of_counts(offsets[:-1], np.ones(n_windows, dtype=np.int64), stride=width)
    return Windows(grouped, layout, width, is_ragged=is_ragged)


def _check_axis_order(shape: tuple[int, int, int], name: str) -> None:
    """Few steps of many channels look like another toolkit's (n_windows, n_channels, n_timesteps)."""
    n_windows, n_timesteps, n_channels = shape
    if n_timesteps >= n_channels or n_channels < 20:
        return
    message = (
        f"{name} has shape {shape}: {n_timesteps} steps of {n_channels} channels each. If it is "
        f"(n_windows, n_channels, n_timesteps), as in aeon and sktime, turn it: from_channels_first({name})"
    )
    if n_timesteps < 10 and n_channels >= 10 * n_timesteps:
        raise ValueError(f"{message}. If not, pass make_windows(list({name}), width={n_timesteps})")
    warnings.warn(message, UserWarning, stacklevel=4)


def _refuse_infinite(values: np.ndarray, offsets: np.ndarray, name: str) -> None:
    found = first_infinite(values)
    if found is None:
        return
    row, channel = found
    window = int(np.searchsorted(offsets, row, side="right")) - 1
    raise ValueError(
        f"{name} holds {values[found]} in window {window}, step {row - offsets[window]}, channel {channel}; "
        "infinity is not allowed, NaN is a missing value"
    )


def _check_expected(windows: Windows, name: str, n_timesteps: int | None, n_channels: int | None) -> None:
    if n_channels is not None and windows.n_channels != n_channels:
        raise ValueError(f"{name} has {windows.n_channels} channels, but {n_channels} are expected")
    if n_timesteps is not None and (windows.is_ragged or windows.width != n_timesteps):
        found = f"windows of up to {windows.width}" if windows.is_ragged else f"{windows.width}"
        raise ValueError(f"{name} has {found} steps, but {n_timesteps} are expected")


def _refuse_unobserved(windows: Windows, name: str) -> None:
    observed = windows.observed
    if observed.all():
        return
    missing = np.flatnonzero(~observed)
    raise ValueError(
        f"{name} has {len(missing)} window(s) without any value, the first of them window {missing[0]}, which "
        f"starts at {windows.describe_start(missing[0])}; leave them out: Windows have a mask for that, "
        "windows[windows.observed]"
    )
