"""Series that continue from part to part of a data set: which rows the next part needs.

Windows start every `stride` rows from the first row of a series, and again after each gap in time. To get the same
windows from parts as from one big file, the rows from the start of the last complete window on are carried over to
the next part; windows that are found in them again are recognised by their end. Scores of timestamps need a little
more: a timestamp is final once no later window can cover it, and all windows that cover a timestamp that is not final
lie in the carried rows.

Parts are taken in order, so the rows of a series in one part must come after its rows in the parts before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import check_increasing
from tsae.data.windows import Windows
from tsae.jobs.places import Place, replaced
from tsae.jobs.spec import WindowSpec

DAMAGED = (OSError, ValueError, KeyError, BadZipFile)  # what reading a file of arrays that is not whole may raise


@dataclass(frozen=True)
class Carry:
    """Rows that the parts so far leave to the next one.

    Attributes
    ----------
    rows : GroupedSeries or None
        The last rows of each series, fewer than ``2 * width + stride``; None before the first part.
    n_final : int64 ndarray
        How many of the carried rows had their final scores, one entry per series.
    digest : str
        Equal for equal content.
    """

    rows: GroupedSeries | None
    n_final: np.ndarray
    digest: str

    @classmethod
    def empty(cls) -> Carry:
        """Return the carry before the first part."""
        return cls(None, np.zeros(0, dtype=np.int64), "empty")

    @classmethod
    def of(cls, rows: GroupedSeries, n_final: np.ndarray) -> Carry:
        """Return a carry with its digest."""
        digest = hashlib.sha256()
        for array in _arrays(rows, n_final).values():
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return cls(rows, n_final, digest.hexdigest()[:32])

    def save(self, path: Place) -> None:
        """Write the carry to a file, whole or not at all."""
        assert self.rows is not None
        with replaced(path) as file:
            np.savez(file, allow_pickle=False, **_arrays(self.rows, self.n_final))

    @classmethod
    def load(cls, path: Place) -> Carry:
        """Read a carry that `save` wrote."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            rows = GroupedSeries(
                stored["values"], stored["offsets"], pd.Index(stored["names"].astype(object)),
                stored["channels"].tolist(), pd.Index(stored["times"]),
            )  # fmt: skip
            return cls.of(rows, stored["n_final"])


@dataclass(frozen=True)
class PartWindows:
    """Windows of one part of a data set, and of the rows carried over from the parts before.

    Attributes
    ----------
    windows : Windows
        All windows of carried and new rows; there may be none.
    new : int64 ndarray
        Positions of the windows that end in this part.
    final : bool ndarray
        Rows whose scores become final with this part, one entry per row of ``windows.values``.
    """

    windows: Windows
    new: np.ndarray
    final: np.ndarray

    @property
    def covering(self) -> np.ndarray:
        """Positions of the windows that cover any of the rows in `final`."""
        return np.flatnonzero(self.windows.touching(self.final))


def continue_series(carry: Carry, new: GroupedSeries, spec: WindowSpec, *, last: bool) -> tuple[PartWindows, Carry]:
    """Append the rows of a part to the carried rows, and cut them into windows.

    Parameters
    ----------
    carry : Carry
    new : GroupedSeries
        The rows of the next part. Without times, the numbering of the rows goes on.
    spec : WindowSpec
    last : bool
        Whether this is the last part: all rows are final then.

    Returns
    -------
    PartWindows
        Of this part.
    Carry
        For the next part.

    Raises
    ------
    ValueError
        If a new row is not later than the last one of its series.

    Examples
    --------
    >>> from tsae.data.series import series_from_arrays
    >>> from tsae.jobs.spec import Columns
    >>> spec = WindowSpec(Columns(), width=3, stride=2)
    >>> carry, starts = Carry.empty(), []
    >>> for rows in np.split(np.arange(8.0), [4, 5]):
    ...     part, carry = continue_series(carry, series_from_arrays(rows), spec, last=False)
    ...     starts.append(part.windows[part.new].index["start"].tolist())
    >>> starts
    [[0], [2], [4]]
    """
    rows, n_carried, n_final = _join(carry, new)
    windows = spec.cut(rows)
    begins, counts = windows.layout.begins, windows.layout.counts
    width, stride = spec.width, spec.stride
    is_new = windows.starts + width > (rows.offsets[:-1] + n_carried)[windows.series]
    ends = rows.offsets[1:]
    stretch = np.searchsorted(begins, ends) - 1  # the last stretch without a gap of each series
    next_window = begins[stretch] + counts[stretch] * stride
    settled = np.minimum(next_window, ends)  # no later window covers a row before this one
    final = _between(rows.offsets[:-1] + n_final, ends if last else settled, len(rows.values))

    # Kept from the first window that covers a row that is not settled, or from the last complete window, which
    # defines where the next one starts.
    covering = -(-(counts[stretch] * stride - width + 1) // stride) * stride
    keep = np.minimum(begins[stretch] + np.maximum(covering, 0), np.maximum(next_window - stride, begins[stretch]))
    return PartWindows(windows, np.flatnonzero(is_new), final), Carry.of(_keep(rows, keep), settled - keep)


def concatenate_series(tables: Sequence[GroupedSeries]) -> tuple[GroupedSeries, np.ndarray]:
    """Concatenate tables series by series.

    Returns
    -------
    series : GroupedSeries
    order : int64 ndarray
        ``np.concatenate`` of the tables' rows, taken in this order, gives the rows of `series`.

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
    """Carried and new rows, series by series; how many rows of each series are carried, and how many are final."""
    if new.times is None:
        new = replace(new, times=_number_rows(new, carry.rows))
    old = carry.rows
    if old is None or not len(old.values):
        nothing = np.zeros(len(new.names), dtype=np.int64)
        return new, nothing, nothing
    rows, _ = concatenate_series([old, new]) if len(new.values) else (old, None)
    n_carried, n_final = np.zeros((2, len(rows.names)), dtype=np.int64)
    n_carried[: len(old.names)], n_final[: len(old.names)] = np.diff(old.offsets), carry.n_final
    return rows, n_carried, n_final


def _number_rows(new: GroupedSeries, old: GroupedSeries | None) -> pd.Index:
    """Row numbers as times; they continue from the last carried row of each series."""
    rows = np.arange(len(new.values))
    steps = new.times_at(rows).to_numpy()
    if old is None:
        return pd.Index(steps)
    assert old.times is not None
    last = pd.Series(old.times[old.offsets[1:] - 1], index=old.names).reindex(new.names, fill_value=-1)
    return pd.Index(steps + last.to_numpy()[new.codes_at(rows)] + 1)


def _keep(rows: GroupedSeries, begins: np.ndarray) -> GroupedSeries:
    """Keep the rows of each series from `begins` on."""
    assert rows.times is not None
    kept = _between(begins, rows.offsets[1:], len(rows.values))
    offsets = np.concatenate([[0], np.cumsum(rows.offsets[1:] - begins)])
    return replace(rows, values=rows.values[kept], offsets=offsets, times=rows.times[kept])


def _between(begins: np.ndarray, ends: np.ndarray, n_rows: int) -> np.ndarray:
    """Mask of the rows in the ranges from begins[i] up to ends[i], which do not overlap."""
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
