"""Series that run across the parts of a data set: what is carried from part to part.

Windows lie on a grid: every `stride` rows from the first row of a series, and anew after each gap in time. To cut the
same windows from parts as from one big file, the rows from the last whole window's start on are carried over to the
next part, and the windows found in them again are told apart from new ones by their end. Scores of timestamps need
a little more: a timestamp is final once no later window can cover it, and all windows that cover one that is not
final are among the carried rows.

Parts are taken in order, so in every series the rows of a part must come after those of the parts before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import check_increasing, find_gaps
from tsae.data.windows import Layout, Windows
from tsae.io.archive import replacing


@dataclass(frozen=True)
class Grid:
    """Where windows lie. `max_gap` is a number or duration, infinity for none."""

    width: int
    stride: int
    max_gap: Any


@dataclass(frozen=True)
class Carry:
    """What the parts so far leave to the next one.

    Attributes
    ----------
    rows : GroupedSeries or None
        Of each series, fewer than ``2 * width + stride`` last rows; None before the first part.
    n_final : int64 ndarray, one entry a series
        How many of the carried rows had their final scores.
    digest : str
        The same for the same content.
    """

    rows: GroupedSeries | None
    n_final: np.ndarray
    digest: str

    @classmethod
    def empty(cls) -> Carry:
        return cls(None, np.zeros(0, dtype=np.int64), "empty")

    @classmethod
    def of(cls, rows: GroupedSeries, n_final: np.ndarray) -> Carry:
        digest = hashlib.sha256()
        for array in _arrays(rows, n_final).values():
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return cls(rows, n_final, digest.hexdigest()[:32])

    def save(self, path: Path) -> None:
        """Write the carry to a file, whole or not at all."""
        assert self.rows is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **_arrays(self.rows, self.n_final))

    @classmethod
    def load(cls, path: Path) -> Carry:
        with np.load(path, allow_pickle=False) as stored:
            rows = GroupedSeries(
                stored["values"], stored["offsets"], pd.Index(stored["names"].astype(object)),
                stored["channels"].tolist(), pd.Index(stored["times"]),
            )  # fmt: skip
            return cls.of(rows, stored["n_final"])


@dataclass(frozen=True)
class Piece:
    """A part of the data set, with what it needs from the parts before.

    Attributes
    ----------
    windows : Windows
        All windows of carried and new rows; there may be none.
    fresh : int64 ndarray
        Positions of the windows that end in this part.
    final : bool ndarray, one entry a row of ``windows.values``
        Rows whose scores become final with this part.
    """

    windows: Windows
    fresh: np.ndarray
    final: np.ndarray

    @property
    def covering(self) -> np.ndarray:
        """Positions of the windows that say anything of the rows in `final`."""
        n_before = np.concatenate([[0], np.cumsum(self.final)])
        starts = self.windows.starts
        return np.flatnonzero(n_before[starts + self.windows.width] > n_before[starts])


def advance(carry: Carry, new: GroupedSeries, grid: Grid, *, last: bool) -> tuple[Piece, Carry]:
    """Continue the carried series with new rows.

    Parameters
    ----------
    carry : Carry
    new : GroupedSeries
        The rows of the next part. Without times, rows are numbered on from those before.
    grid : Grid
    last : bool
        Whether this is the last part: all rows are final then.

    Returns
    -------
    Piece, Carry

    Raises
    ------
    ValueError
        If a new row is not later than the last one of its series.

    Examples
    --------
    >>> from tsae.data.series import series_from_arrays
    >>> grid = Grid(width=3, stride=2, max_gap=np.inf)
    >>> carry, starts = Carry.empty(), []
    >>> for rows in np.split(np.arange(8.0), [4, 5]):
    ...     piece, carry = advance(carry, series_from_arrays(rows), grid, last=False)
    ...     starts.append(piece.windows[piece.fresh].index["start"].tolist())
    >>> starts
    [[0], [2], [4]]
    """
    rows, n_carried, n_final = _join(carry, new)
    windows, begins, counts = cut(rows, grid)
    is_new = windows.starts + grid.width > (rows.offsets[:-1] + n_carried)[windows.series]
    ends = rows.offsets[1:]
    stretch = np.searchsorted(begins, ends) - 1  # the last stretch of each series
    next_window = begins[stretch] + counts[stretch] * grid.stride
    settled = np.minimum(next_window, ends)  # rows before this one are in no later window
    final = _between(rows.offsets[:-1] + n_final, ends if last else settled, len(rows.values))

    # The first window that covers a row which is not settled, and the last whole window, which shows the grid.
    covering = -(-(counts[stretch] * grid.stride - grid.width + 1) // grid.stride) * grid.stride
    keep = np.minimum(begins[stretch] + np.maximum(covering, 0), np.maximum(next_window - grid.stride, begins[stretch]))
    return Piece(windows, np.flatnonzero(is_new), final), Carry.of(_keep(rows, keep), settled - keep)


def cut(rows: GroupedSeries, grid: Grid) -> tuple[Windows, np.ndarray, np.ndarray]:
    """Windows over series, of which there may be none; where each stretch without a gap begins, and its windows."""
    _, _, after_gaps = find_gaps(rows, grid.max_gap)
    bounds = np.union1d(rows.offsets, after_gaps)
    begins, n_rows = bounds[:-1], np.diff(bounds)
    counts = np.maximum((n_rows - grid.width) // grid.stride + 1, 0)
    layout = Layout.of_counts(begins[counts > 0], counts[counts > 0], grid.stride)
    return Windows(rows, layout, grid.width, max_gap=grid.max_gap), begins, counts


def lay_end_to_end(tables: Sequence[GroupedSeries]) -> tuple[GroupedSeries, np.ndarray]:
    """Join the rows of several tables, series by series; also the order into which their rows, end to end, come.

    Raises
    ------
    ValueError
        If the times of a series do not increase.
    """
    names = pd.Index(np.concatenate([table.names for table in tables])).unique()
    codes = np.concatenate([np.repeat(names.get_indexer(t.names), np.diff(t.offsets)) for t in tables])
    order = np.argsort(codes, kind="stable")
    times = None
    if tables[0].times is not None:
        times = tables[0].times.append([table.times for table in tables[1:]]).take(order)
    joined = GroupedSeries(
        np.concatenate([table.values for table in tables])[order],
        np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))]),
        names,
        tables[0].channel_names,
        times,
    )
    check_increasing(joined)
    return joined, order


def _join(carry: Carry, new: GroupedSeries) -> tuple[GroupedSeries, np.ndarray, np.ndarray]:
    """Carried and new rows, series by series, and of each series how many rows are carried and final."""
    if new.times is None:
        new = replace(new, times=_number_rows(new, carry.rows))
    old = carry.rows
    if old is None:
        nothing = np.zeros(len(new.names), dtype=np.int64)
        return new, nothing, nothing
    rows, _ = lay_end_to_end([old, new])
    n_carried, n_final = np.zeros((2, len(rows.names)), dtype=np.int64)
    n_carried[: len(old.names)], n_final[: len(old.names)] = np.diff(old.offsets), carry.n_final
    return rows, n_carried, n_final


def _number_rows(new: GroupedSeries, old: GroupedSeries | None) -> pd.Index:
    """Step numbers for rows without times; they go on from the last carried row of their series."""
    rows = np.arange(len(new.values))
    steps = new.times_at(rows).to_numpy()
    if old is None:
        return pd.Index(steps)
    assert old.times is not None
    last = pd.Series(old.times[old.offsets[1:] - 1], index=old.names).reindex(new.names, fill_value=-1)
    return pd.Index(steps + last.to_numpy()[new.codes_at(rows)] + 1)


def _keep(rows: GroupedSeries, begins: np.ndarray) -> GroupedSeries:
    """Of each series the rows from `begins` on."""
    assert rows.times is not None
    kept = _between(begins, rows.offsets[1:], len(rows.values))
    offsets = np.concatenate([[0], np.cumsum(rows.offsets[1:] - begins)])
    return replace(rows, values=rows.values[kept], offsets=offsets, times=rows.times[kept])


def _between(begins: np.ndarray, ends: np.ndarray, n_rows: int) -> np.ndarray:
    """A mask of rows from begins[i] up to ends[i], for ranges that do not overlap."""
    edges = np.zeros(n_rows + 1, dtype=np.int64)
    np.add.at(edges, begins, 1)
    np.add.at(edges, ends, -1)
    return np.cumsum(edges[:-1]) > 0


def _arrays(rows: GroupedSeries, n_final: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "values": rows.values,
        "offsets": rows.offsets,
        "names": np.array(rows.names, dtype=str),
        "channels": np.array(rows.channel_names, dtype=str),
        "times": rows.times.to_numpy(),  # type: ignore[union-attr]
        "n_final": n_final,
    }
