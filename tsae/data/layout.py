"""Where windows begin: at equal distances within each stretch of a series without a gap."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Layout:
    """Start rows of windows, computed on demand.

    Parameters
    ----------
    begins : int64 ndarray of shape (n_stretches,)
        First row of each stretch.
    before : int64 ndarray of shape (n_stretches + 1,)
        Number of windows in all stretches before each one.
    stride : int
        Rows from one start to the next within a stretch.
    skipped : int64 ndarray of shape (n_stretches,), default=None
        Rows of each stretch before its first window; None: none.

    Examples
    --------
    >>> layout = Layout.of_counts(np.array([0, 10]), np.array([2, 3]), stride=4)
    >>> len(layout), layout.starts_at(np.arange(5)).tolist()
    (5, [0, 4, 10, 14, 18])
    """

    begins: np.ndarray
    before: np.ndarray
    stride: int
    skipped: np.ndarray | None = None

    @classmethod
    def of_counts(
        cls, begins: np.ndarray, counts: np.ndarray, stride: int, skipped: np.ndarray | None = None
    ) -> Layout:
        """Lay out a number of windows over each stretch.

        Parameters
        ----------
        begins : int64 ndarray of shape (n_stretches,)
            First row of each stretch.
        counts : int64 ndarray of shape (n_stretches,)
            Number of windows of each stretch; may be 0.
        stride : int
            Rows from one start to the next within a stretch.
        skipped : int64 ndarray of shape (n_stretches,), default=None
            Rows of each stretch before its first window; None: none.

        Returns
        -------
        Layout
        """
        return cls(begins, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), stride, skipped)

    def __len__(self) -> int:
        return int(self.before[-1])

    @property
    def counts(self) -> np.ndarray:
        """Number of windows in each stretch, int64 of shape (n_stretches,)."""
        return np.diff(self.before)

    def starts_at(self, positions: np.ndarray) -> np.ndarray:
        """Return the first rows of windows.

        Parameters
        ----------
        positions : int64 ndarray of shape (k,)
            Which windows, from 0 to ``len(layout) - 1``.

        Returns
        -------
        int64 ndarray of shape (k,)
        """
        firsts = self.begins if self.skipped is None else self.begins + self.skipped
        if len(firsts) == 1:
            return np.asarray(firsts[0] + positions * self.stride)
        stretch = np.searchsorted(self.before, positions, side="right") - 1
        return np.asarray(firsts[stretch] + (positions - self.before[stretch]) * self.stride)


def covered_rows(starts: np.ndarray, lengths: np.ndarray, n_rows: int) -> np.ndarray | None:
    """Return a mask of the rows (of `n_rows`) that lie in any of the windows; None if all do."""
    steps = np.zeros(n_rows + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.subtract.at(steps, starts + lengths, 1)
    covered = np.cumsum(steps[:-1], dtype=np.int32) > 0
    return None if covered.all() else covered


def merge_intervals(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return begins and ends of the union of intervals, ascending."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    opens = np.ones(len(starts), dtype=bool)
    opens[1:] = starts[1:] > ends[:-1]
    return starts[opens], ends[np.roll(opens, -1)]  # a stretch ends where the next one is about to open


def check_positive_int(value: Any, name: str) -> int:
    """Return `value` as an int, or raise if it is not an integer of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}; it must be an integer of at least 1")
    return int(value)
