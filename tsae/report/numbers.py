"""Times and values as plain numbers, and long series thinned to what a screen can show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.data.times import as_clock_times, read_times


class TimeAxis:
    """Timestamps as numbers for the plots: seconds since 1970 on the clock for dates, seconds for durations.

    Parameters
    ----------
    times : Series
        Datetimes (with or without a time zone), periods, timedeltas or numbers.
    """

    def __init__(self, times: pd.Series):
        read = read_times(times, "the timeline's column 'time'")
        self.is_time = isinstance(read, (pd.DatetimeIndex, pd.PeriodIndex))
        self.is_span = isinstance(read, pd.TimedeltaIndex)
        self.numbers = self.of(read)

    def of(self, times: Any) -> np.ndarray:
        """Return times of the kind of this axis as float64."""
        index = as_clock_times(pd.Index(times))
        if self.is_time:
            index = index.tz_localize(None) if index.tz is not None else index
            return index.to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9
        return np.asarray(index.total_seconds() if self.is_span else index, dtype=np.float64)


def number(value: Any, digits: int = 5) -> float | None:
    """Round to so many digits; None for what is not finite, as JSON has no NaN. Whole numbers are short, as int."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def numbers(values: np.ndarray, digits: int = 5) -> list[float | None]:
    """Round each value as `number` does."""
    return [number(value, digits) for value in np.asarray(values, dtype=np.float64).tolist()]


def thin(n: int, n_points: int) -> tuple[np.ndarray, int]:
    """Choose up to `n_points` of n rows, in pairs.

    Returns
    -------
    positions : int64 ndarray
    group : int
        Number of rows that each pair represents; 1 if all rows are chosen.

    Examples
    --------
    >>> thin(10, 4)
    (array([0, 2, 5, 7]), 5)
    """
    if n <= n_points:
        return np.arange(n), 1
    group = int(np.ceil(n / (n_points // 2)))
    begins = np.arange(0, n, group)
    return np.stack([begins, np.minimum(begins + group // 2, n - 1)], axis=1).ravel(), group


def extremes(values: np.ndarray, group: int, *, highest_only: bool = False) -> np.ndarray:
    """Compute the lowest and the highest value of each group of rows (or the highest twice).

    Returns
    -------
    ndarray
        Two entries per group.

    Examples
    --------
    >>> extremes(np.array([1.0, 5.0, 2.0, 7.0, 0.0]), 3)
    array([1., 5., 0., 7.])
    """
    if group == 1:
        return values
    missing = -len(values) % group
    stretches = np.concatenate([values, np.full(missing, np.nan)]).reshape(-1, group)
    highest = np.fmax.reduce(stretches, axis=1)
    lowest = highest if highest_only else np.fmin.reduce(stretches, axis=1)
    return np.stack([lowest, highest], axis=1).ravel()


def runs(marks: np.ndarray) -> np.ndarray:
    """First rows and rows after the last of the stretches of True, int64 of shape (n, 2)."""
    return np.flatnonzero(np.diff(marks, prepend=False, append=False)).reshape(-1, 2)
