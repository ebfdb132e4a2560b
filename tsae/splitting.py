"""Splits of windows in which nothing that is tested was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.windows import Windows


def holdout(windows: Windows, fraction: float, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    """Choose windows to validate on, so that they share no row with those that are trained on.

    Where windows share rows, the last windows in time of every series are held out, and windows that reach into
    them are left out of both parts. Otherwise windows are drawn at random.

    Parameters
    ----------
    windows : Windows
    fraction : float in (0, 1)
        Share of the windows to hold out.
    rng : numpy.random.Generator or numpy.random.RandomState
        Used for the random draw alone.

    Returns
    -------
    train_positions, validation_positions : int64 ndarrays, ascending

    Raises
    ------
    ValueError
        If either part would be empty.

    Examples
    --------
    >>> from tsae.windows import make_windows
    >>> windows = make_windows(np.arange(12.0), width=3)
    >>> train, validation = holdout(windows, 0.2, np.random.default_rng(0))
    >>> train, validation
    (array([0, 1, 2, 3, 4, 5]), array([8, 9]))
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction!r}; it must lie between 0 and 1")
    n_windows = len(windows)
    if windows.overlapping():
        train, validation = _last_in_time(windows, fraction)
    else:
        order = rng.permutation(n_windows)
        n_validation = min(max(1, round(fraction * n_windows)), n_windows - 1)
        validation, train = np.sort(order[:n_validation]), np.sort(order[n_validation:])
    for part, positions in (("training", train), ("validation", validation)):
        if len(positions) == 0:
            raise ValueError(
                f"holding out {fraction} of {n_windows} window(s) of width {windows.width} leaves none for {part}, "
                "since windows that share rows may not be in both parts; use longer series or narrower windows, or "
                "train without validation"
            )
    return train, validation


def _last_in_time(windows: Windows, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    starts = windows.starts
    order = np.argsort(starts, kind="stable")  # by series, and by time within a series
    _, first, counts = np.unique(windows.series[order], return_index=True, return_counts=True)
    # cumulative rounding: the shares of many short series add up to the fraction
    until = np.floor(fraction * np.cumsum(counts) + 0.5).astype(np.int64)
    held_out = np.diff(until, prepend=0)
    boundary = np.repeat(first + counts - held_out, counts)
    rank = np.arange(len(order))
    is_validation = rank >= boundary

    first_held_out = np.append(starts[order], np.iinfo(np.int64).max)[boundary]
    no_validation = np.repeat(held_out == 0, counts)
    is_train = no_validation | (starts[order] + windows.lengths[order] <= first_held_out)
    return np.sort(order[is_train]), np.sort(order[is_validation])
