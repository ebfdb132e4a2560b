"""The highest scores of a timeline as a given number of events, without a level."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsae.anomaly.tolerance import largest_first


def flag_highest(timeline: pd.DataFrame, n_events: int, *, gap: int, min_length: int) -> np.ndarray:
    """Flag the timestamps from the highest score downwards, until they form a number of events.

    Parameters
    ----------
    timeline : DataFrame
        As from `AnomalyDetector.score_timeline`.
    n_events : int
        Where there never are so many, since events grow together, the largest number that there is.
    gap, min_length : int
        What an event is: see `tsae.anomaly.events.find_events`.

    Returns
    -------
    bool ndarray of shape (n_rows,)
    """
    score = timeline["score"].to_numpy()
    known = np.flatnonzero(~np.isnan(score))
    order = known[largest_first(score[known])]
    groups = _GrowingEvents(_cells(timeline["series"], gap), gap, min_length)
    most, n_flagged = 0, 0
    for number, row in enumerate(order.tolist(), start=1):
        groups.add(row)
        if groups.n_events > most:
            most, n_flagged = groups.n_events, number
        if most == n_events:
            break
    flagged = np.zeros(len(score), dtype=bool)
    flagged[order[:n_flagged]] = True
    return flagged


def _cells(series: pd.Series, gap: int) -> np.ndarray:
    """Number the cells of gap + 1 rows that each row lies in; one is left out between two series."""
    codes = pd.factorize(series)[0]
    rows = np.arange(len(codes))
    first = np.maximum.accumulate(np.where(np.diff(codes, prepend=codes[:1] - 1) != 0, rows, 0))
    begins = np.flatnonzero(rows == first)
    n_cells = -(-np.diff(np.r_[begins, len(codes)]) // (gap + 1)) + 1
    offsets = np.cumsum(n_cells) - n_cells
    return np.asarray((rows - first) // (gap + 1) + offsets[np.searchsorted(begins, first)] + 1)


class _GrowingEvents:
    """Counts events while rows are flagged one by one.

    Flagged rows of a cell belong to one event, whatever lies between them, and those of neighbouring cells do where
    the last of one and the first of the other are close enough: a union-find over cells.
    """

    def __init__(self, cells: np.ndarray, gap: int, min_length: int) -> None:
        self._cells, self._reach, self._min_length = cells.tolist(), gap + 1, min_length
        n_cells = int(cells.max(initial=0)) + 2
        self._parent = list(range(n_cells))
        self._length = [0] * n_cells
        self._first: list[int | None] = [None] * n_cells
        self._last = [0] * n_cells
        self.n_events = 0

    def add(self, row: int) -> None:
        """Flag a row."""
        cell = self._cells[row]
        root = self._root(cell)
        self.n_events -= self._length[root] >= self._min_length
        self._length[root] += 1
        first = self._first[cell]
        self._first[cell] = row if first is None else min(first, row)
        self._last[cell] = row if first is None else max(self._last[cell], row)
        for left in (cell - 1, cell):
            begin = self._first[left + 1]
            if self._first[left] is not None and begin is not None and begin - self._last[left] <= self._reach:
                root = self._join(root, self._root(left if left < cell else left + 1))
        self.n_events += self._length[root] >= self._min_length

    def _join(self, root: int, other: int) -> int:
        if root != other:
            self.n_events -= self._length[other] >= self._min_length
            self._parent[other] = root
            self._length[root] += self._length[other]
        return root

    def _root(self, cell: int) -> int:
        while self._parent[cell] != cell:
            self._parent[cell] = self._parent[self._parent[cell]]
            cell = self._parent[cell]
        return cell
