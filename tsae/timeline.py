"""Results of windows, back on the clock: every timestamp sums up what the windows that cover it say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsae.windows import Windows

CHUNK = 1 << 21  # contributions that are handled at once


def to_timeline(
    windows: Windows, values: np.ndarray, how: str = "mean", *, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Sum up the results of windows at each timestamp.

    Parameters
    ----------
    windows : Windows
    values : ndarray of shape (n_windows,), (n_windows, width) or (n_windows, width, k)
        A result a window (which counts for each of its steps), a step, or k a step. NaN says nothing, as does
        what lies beyond the end of a shorter window.
    how : {"mean", "median", "max"}, default="mean"
        How the results of all windows that cover a timestamp become one.
    columns : sequence of k str, default=None
        Names of the results. None: "value" where there is one, the channels' names where there is one a
        channel, else "value_0" and so on.

    Returns
    -------
    DataFrame
        One row for every row of the series that the windows were cut from, in their order: `series`, `time`
        (the step number where there are no times), and the results, NaN where no window says anything.

    Notes
    -----
    A timestamp's result depends on the windows that cover it, and on nothing else: not on the length of its
    series, nor on the windows beside them. `Timeline` gives the same result from a stream of batches.

    Examples
    --------
    >>> from tsae.windows import make_windows
    >>> windows = make_windows(np.arange(5.0), width=2, stride=2)
    >>> to_timeline(windows, np.array([1.0, 3.0]))
       series  time  value
    0       0     0    1.0
    1       0     1    1.0
    2       0     2    3.0
    3       0     3    3.0
    4       0     4    NaN
    """
    values = np.asarray(values)
    timeline = Timeline(windows, how, columns=columns)
    timeline.check_shape(values, len(windows))
    order = np.argsort(windows.starts, kind="stable") if how == "median" else np.arange(len(windows))
    n_at_once = max(1, CHUNK // (windows.width * timeline.count_columns(values)))
    for begin in range(0, len(windows), n_at_once):
        positions = order[begin : begin + n_at_once]
        timeline.add(positions, values[positions])
    return timeline.result()


class Timeline:
    """`to_timeline` for results that come in batches, in memory of the size of the series.

    Parameters
    ----------
    windows : Windows
    how : {"mean", "median", "max"}, default="mean"
        For the median, batches must come in the order of the windows' starts.
    columns : sequence of str, default=None
        As in `to_timeline`.

    Examples
    --------
    >>> from tsae.windows import make_windows
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
        self._reducer: _Mean | _Max | _Median | None = None

    def add(self, positions: Any, values: np.ndarray) -> None:
        """Take in the results of some windows.

        Parameters
        ----------
        positions : int array of shape (b,)
            Which windows.
        values : ndarray of shape (b,), (b, width) or (b, width, k)
            Their results, as in `to_timeline`.
        """
        chosen, values = self.windows[positions], np.asarray(values)
        self.check_shape(values, len(chosen))
        k = self.count_columns(values)
        if self._reducer is None:
            self.columns = self._name_columns(values, k)
            self._reducer = _REDUCERS[self.how](len(self.windows.values) * k)
        elif k != len(self.columns):
            raise ValueError(f"values has {k} results a step, those added before {len(self.columns)}")

        values = values.reshape(len(values), -1, k)  # a result a window has one step, which stands for all
        steps = np.arange(self.windows.width)
        rows = chosen.starts[:, np.newaxis] + steps
        cells = rows[:, :, np.newaxis] * k + np.arange(k)
        values = np.broadcast_to(values, cells.shape)
        says = ~np.isnan(values)
        if self.windows.is_ragged:
            says &= (steps < chosen.lengths[:, np.newaxis])[:, :, np.newaxis]
        self._reducer.add(cells[says], values[says], settled=chosen.starts.min(initial=0) * k)

    def result(self) -> pd.DataFrame:
        """The timeline of all that was added, as `to_timeline` returns it."""
        if self._reducer is None:
            raise ValueError("nothing was added to the timeline")
        rows = np.arange(len(self.windows.values))
        grouped = self.windows._grouped
        table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows)})
        results = self._reducer.result().reshape(len(rows), -1)
        return pd.concat([table, pd.DataFrame(results, columns=self.columns)], axis=1)

    def check_shape(self, values: np.ndarray, n_windows: int) -> None:
        allowed = (n_windows, self.windows.width)
        if not 1 <= values.ndim <= 3 or values.shape[:2] != allowed[: min(values.ndim, 2)]:
            raise ValueError(
                f"values has shape {values.shape}; allowed are ({n_windows},), {allowed} and "
                f"({n_windows}, {self.windows.width}, k)"
            )

    def count_columns(self, values: np.ndarray) -> int:
        return values.shape[2] if values.ndim == 3 else 1

    def _name_columns(self, values: np.ndarray, k: int) -> list[str]:
        if self.columns is not None:
            if len(self.columns) != k:
                raise ValueError(f"columns={self.columns!r}, but values has {k} results a step")
            return list(self.columns)
        if values.ndim < 3:
            return ["value"]
        if k == self.windows.n_channels:
            return self.windows.channel_names
        return [f"value_{number}" for number in range(k)]


class _Mean:
    def __init__(self, n_cells: int):
        self.sums = np.zeros(n_cells)
        self.counts = np.zeros(n_cells, dtype=np.int32)

    def add(self, cells: np.ndarray, values: np.ndarray, settled: int) -> None:
        np.add.at(self.sums, cells, values.astype(np.float64, copy=False))
        np.add.at(self.counts, cells, 1)

    def result(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.sums / self.counts  # 0 / 0 = NaN where no window says anything


class _Max:
    def __init__(self, n_cells: int):
        self.largest = np.full(n_cells, -np.inf)

    def add(self, cells: np.ndarray, values: np.ndarray, settled: int) -> None:
        np.maximum.at(self.largest, cells, values.astype(np.float64, copy=False))

    def result(self) -> np.ndarray:
        return np.where(self.largest == -np.inf, np.nan, self.largest)


class _Median:
    """Keeps what has been said of cells that later windows may still cover, and settles the others."""

    def __init__(self, n_cells: int):
        self.medians = np.full(n_cells, np.nan)
        self.cells = np.empty(0, dtype=np.int64)
        self.values = np.empty(0)
        self.settled = 0

    def add(self, cells: np.ndarray, values: np.ndarray, settled: int) -> None:
        """All cells before `settled` have heard everything."""
        if settled < self.settled:
            raise ValueError("for how='median', windows must be added in the order of their starts")
        self._settle(settled)
        self.cells = np.concatenate([self.cells, cells])
        self.values = np.concatenate([self.values, values])

    def result(self) -> np.ndarray:
        self._settle(len(self.medians))
        return self.medians

    def _settle(self, settled: int) -> None:
        self.settled = settled
        ready = self.cells < settled
        cells, values = self.cells[ready], self.values[ready]
        self.cells, self.values = self.cells[~ready], self.values[~ready]
        order = np.lexsort((values, cells))
        cells, values = cells[order], values[order]
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        counts = np.diff(first, append=len(cells))
        self.medians[cells[first]] = (values[first + (counts - 1) // 2] + values[first + counts // 2]) / 2


_REDUCERS = {"mean": _Mean, "median": _Median, "max": _Max}
