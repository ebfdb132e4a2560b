"""Results of windows, aligned to timestamps: each timestamp combines the results of the windows that cover it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import as_array, as_float
from tsae.data.windows import Windows

CHUNK = 1 << 21  # values that are handled at once


def to_timeline(
    windows: Windows, values: np.ndarray, how: str = "mean", *, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Combine the results of windows at each timestamp.

    Parameters
    ----------
    windows : Windows
        The windows that the results belong to.
    values : ndarray of shape (n_windows,), (n_windows, width) or (n_windows, width, k)
        One result per window (which counts for each of its steps), one per step, or k per step. NaN is ignored,
        as is what lies beyond the end of a shorter window.
    how : {"mean", "median", "max"}, default="mean"
        How the results of all windows that cover a timestamp are combined.
    columns : sequence of str, default=None
        Names of the k results. None: "value" for a single one, the names of the channels if there is one per
        channel, else "value_0" and so on.

    Returns
    -------
    DataFrame
        One row per row of the series that the windows were cut from, in their order: `series`, `time` (the step
        number where there are no times), and the results, NaN where no window has one.

    Raises
    ------
    ValueError
        If the shape of `values`, `how` or the number of `columns` is not allowed.

    Notes
    -----
    The result at a timestamp depends on the windows that cover it, and on nothing else: neither on the length of
    its series nor on other windows. `Timeline` gives the same result from batches.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(5.0), width=2, stride=2)
    >>> to_timeline(windows, np.array([1.0, 3.0]))
       series  time  value
    0       0     0    1.0
    1       0     1    1.0
    2       0     2    3.0
    3       0     3    3.0
    4       0     4    NaN
    """
    values = as_array(values, "values")
    timeline = Timeline(windows, how, columns=columns)
    _check_shape(values, len(windows), windows.width)
    order = np.argsort(windows.starts, kind="stable")
    n_at_once = max(1, CHUNK // (windows.width * _count_results(values)))
    for begin in range(0, max(1, len(windows)), n_at_once):
        positions = order[begin : begin + n_at_once]
        timeline.add(positions, values[positions])
    return timeline.result()


class Timeline:
    """Combine results that come in batches, as `to_timeline`, in memory of the size of the series.

    Parameters
    ----------
    windows : Windows
        The windows that the results belong to.
    how : {"mean", "median", "max"}, default="mean"
        As in `to_timeline`. For the median, batches must come in the order of the windows' starts.
    columns : sequence of str, default=None
        As in `to_timeline`.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(4.0), width=2)
    >>> timeline = Timeline(windows, how="max")
    >>> timeline.add([0, 1], np.array([5.0, 1.0]))
    >>> timeline.add([2], np.array([2.0]))
    >>> timeline.result()["value"].tolist()
    [5.0, 5.0, 2.0, 2.0]
    """

    def __init__(self, windows: Windows, how: str = "mean", *, columns: Sequence[str] | None = None):
        if how not in _REDUCERS:
            raise ValueError(f"how={how!r}; allowed are {', '.join(map(repr, _REDUCERS))}")
        self.windows = windows
        self.how = how
        self.columns = columns
        self._names: list[str] = []
        self._reducer: Any = None

    def add(self, positions: Any, values: np.ndarray) -> None:
        """Add the results of some windows.

        Parameters
        ----------
        positions : int array of shape (b,)
            Which windows.
        values : ndarray of shape (b,), (b, width) or (b, width, k)
            Their results, as in `to_timeline`.
        """
        chosen, values = self.windows[positions], as_float(as_array(values, "values"), "values")
        _check_shape(values, len(chosen), self.windows.width)
        k = _count_results(values)
        if self._reducer is None:
            self._names = self._name_columns(values, k)
            self._reducer = _REDUCERS[self.how](len(self.windows.values), k)
        elif k != len(self._names):
            raise ValueError(f"values has {k} results per step, those added before have {len(self._names)}")

        if values.ndim == 1:
            values = values[:, np.newaxis]  # the same result for every step
        values = np.broadcast_to(values.reshape(*values.shape[:2], k), (len(values), self.windows.width, k))
        if self.windows.is_ragged:
            inside = np.arange(self.windows.width) < chosen.lengths[:, np.newaxis]
            values = np.where(inside[:, :, np.newaxis], values, np.nan)
        self._reducer.add(chosen.starts, values)

    def result(self) -> pd.DataFrame:
        """Return the timeline of all that was added.

        Returns
        -------
        DataFrame
            As `to_timeline` returns it.
        """
        if self._reducer is None:
            raise ValueError("nothing was added to the timeline")
        rows = np.arange(len(self.windows.values))
        grouped = self.windows.grouped
        table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows)})
        results = pd.DataFrame(self._reducer.result(), columns=self._names, copy=False)
        return pd.concat([table, results], axis=1)

    def _name_columns(self, values: np.ndarray, k: int) -> list[str]:
        if self.columns is not None:
            if len(self.columns) != k:
                raise ValueError(f"columns={self.columns!r}, but values has {k} results per step")
            return list(self.columns)
        if values.ndim < 3:
            return ["value"]
        if k == self.windows.n_channels:
            return self.windows.channel_names
        return [f"value_{number}" for number in range(k)]


def _check_shape(values: np.ndarray, n_windows: int, width: int) -> None:
    allowed = (n_windows, width)
    if not 1 <= values.ndim <= 3 or values.shape[:2] != allowed[: min(values.ndim, 2)]:
        raise ValueError(
            f"values has shape {values.shape}; allowed are ({n_windows},), {allowed} and ({n_windows}, {width}, k)"
        )


def _count_results(values: np.ndarray) -> int:
    """Return the number of results per step."""
    return values.shape[2] if values.ndim == 3 else 1


class _Mean:
    """Sums and counts, for each row of the series."""

    def __init__(self, n_rows: int, k: int):
        self.sums = np.zeros((n_rows, k))
        self.counts = np.zeros((n_rows, k), dtype=np.int32)

    def add(self, starts: np.ndarray, values: np.ndarray) -> None:
        cells, results = _flatten(starts, values)
        np.add.at(self.sums.ravel(), cells, results)
        np.add.at(self.counts.ravel(), cells, np.ones(len(cells), dtype=np.int32))

    def result(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.sums / self.counts  # 0 / 0 is NaN: no window has a result


class _Max:
    """The largest result so far, for each row of the series."""

    def __init__(self, n_rows: int, k: int):
        self.largest = np.full((n_rows, k), -np.inf)

    def add(self, starts: np.ndarray, values: np.ndarray) -> None:
        np.maximum.at(self.largest.ravel(), *_flatten(starts, values))

    def result(self) -> np.ndarray:
        return np.where(self.largest == -np.inf, np.nan, self.largest)


def _flatten(starts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells (row * k + column) of all results that are not NaN, and these results."""
    _, width, k = values.shape
    first_cells = (starts * k)[:, np.newaxis]
    cells = (first_cells + np.arange(width * k)).ravel()
    results = values.reshape(-1).astype(np.float64)
    missing = np.isnan(results)
    return (cells[~missing], results[~missing]) if missing.any() else (cells, results)


class _Median:
    """Holds the windows that may share rows with later ones; computes the medians of the rows before those."""

    def __init__(self, n_rows: int, k: int):
        self.medians = np.full((n_rows, k), np.nan)
        self.held: list[np.ndarray] = []  # starts, ends and values, in the order of the starts
        self.settled = 0  # rows before this one have all their results

    def add(self, starts: np.ndarray, values: np.ndarray) -> None:
        if len(starts) == 0:
            return
        if np.any(np.diff(starts, prepend=self.settled) < 0):
            raise ValueError("for how='median', windows must be added in the order of their starts")
        added = [starts, starts + values.shape[1], values]  # ragged windows end with NaN
        if self.held:
            self._settle(starts[0])
            reaches_on = self.held[1] > starts[0]
            added = [np.concatenate([old[reaches_on], new]) for old, new in zip(self.held, added, strict=True)]
        self.held, self.settled = added, starts[0]

    def result(self) -> np.ndarray:
        if self.held:
            self._settle(len(self.medians))
        return self.medians

    def _settle(self, until: int) -> None:
        """Compute the medians of the rows from `settled` to `until`, by sorting the results of each row."""
        starts, ends, values = self.held
        n_rows = max(1, CHUNK // values[0].size)
        for begin in range(self.settled, min(until, ends[-1]), n_rows):
            rows = np.arange(begin, min(begin + n_rows, until))
            first, last = np.searchsorted(ends, rows, "right"), np.searchsorted(starts, rows, "right")
            most = (last - first).max()
            if most == 0:
                continue
            covering = first[:, np.newaxis] + np.arange(most)
            outside = covering >= last[:, np.newaxis]
            covering[outside] = 0
            steps = np.where(outside, 0, rows[:, np.newaxis] - starts[covering])
            results = values[covering, steps]  # (n_rows, most, k)
            results[outside] = np.nan
            results.sort(axis=1)  # NaN goes last
            counts = np.sum(~np.isnan(results), axis=1, keepdims=True)
            low = np.take_along_axis(results, np.maximum(counts - 1, 0) // 2, axis=1)[:, 0]
            high = np.take_along_axis(results, np.minimum(counts // 2, most - 1), axis=1)[:, 0]
            self.medians[rows] = (low.astype(np.float64) + high) / 2


_REDUCERS = {"mean": _Mean, "median": _Median, "max": _Max}
