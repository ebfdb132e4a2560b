"""Where windows lie in the parts of a data set, from counts of rows alone: workers need no rows from each other.

A first pass counts the rows of each series in each part, and keeps the last ones in a file. From the counts follows
which rows every part carries over to the next: as `tsae.jobs.continuation` computes them from the rows themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import check_increasing
from tsae.jobs.continuation import DAMAGED, Carry
from tsae.jobs.errors import InputError
from tsae.jobs.parts import Part, checksum
from tsae.jobs.places import Place, replaced
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_reader import read_rows


@dataclass(frozen=True, eq=False)
class PartCounts:
    """Rows of each series in one part.

    Attributes
    ----------
    file : Path or StoredPath
        Holds the last rows of each series: as many as can be carried over to the next part.
    names : list of str
    n_rows : int64 ndarray of shape (n_series,)
    since_gap : int64 ndarray of shape (n_series,)
        Rows after the last gap within the part; -1 without a gap.
    first, last : ndarray of shape (n_series,) or None
        Times; None where rows are numbered.
    """

    file: Place
    names: list[str]
    n_rows: np.ndarray
    since_gap: np.ndarray
    first: np.ndarray | None
    last: np.ndarray | None


@dataclass(frozen=True)
class CountTask:
    """A part to be counted; `sums`: its size and checksum, if they are known."""

    part: Part
    spec: WindowSpec
    folder: Place
    sums: dict[str, Any] | None


@dataclass(frozen=True)
class CountResult:
    """Size, checksum and counts of a part, or why it cannot be used."""

    name: str
    sums: dict[str, Any] = field(default_factory=dict)
    counts: PartCounts | None = None
    error: str | None = None


def sum_part(part: Part) -> CountResult:
    """Compute the checksum of a part, in a worker."""
    try:
        return CountResult(part.name, checksum(part.path))
    except OSError as error:
        return CountResult(part.name, error=f"{part.name} cannot be read: {error.strerror or error}")


def count_part(task: CountTask) -> CountResult:
    """Count the rows of a part, in a worker; what an earlier run has counted is read from its file."""
    found = CountResult(task.part.name, task.sums) if task.sums else sum_part(task.part)
    if found.error:
        return found
    key = json.dumps([found.sums["sha256"], task.part.name, task.spec.as_dict()])
    file = task.folder / f"tail-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        counts = _load_counts(file)
        if counts is None:
            rows = read_rows(task.part.path, task.spec.columns, name=task.part.name).series
            counts = _count_rows(rows, task.spec, file)
    except (InputError, ValueError) as error:
        return CountResult(task.part.name, found.sums, error=str(error))
    return CountResult(task.part.name, found.sums, counts)


def most_carried(spec: WindowSpec) -> int:
    """Return how many rows of a series a part can carry over, at most."""
    return 2 * spec.width + spec.stride


def _count_rows(rows: GroupedSeries, spec: WindowSpec, file: Place) -> PartCounts:
    """Count the rows of each series, and write the last ones to a file."""
    begins, ends = rows.offsets[:-1], rows.offsets[1:]
    n_rows = ends - begins
    since_gap = np.full(len(n_rows), -1)
    if rows.times is not None and len(rows.values) > 1:
        after = spec.rows_after_gaps(rows)
        last_gap = np.full(len(n_rows), -1)
        last_gap[rows.codes_at(after)] = after  # ascending: the last one of each series remains
        since_gap = np.where(last_gap < 0, -1, ends - last_gap)
    kept = np.minimum(n_rows, most_carried(spec))
    tail = np.repeat(ends - np.cumsum(kept), kept) + np.arange(kept.sum())
    times = None if rows.times is None else rows.times.to_numpy()
    counts = {
        "names": np.array(rows.names, dtype=str),
        "n_rows": n_rows,
        "since_gap": since_gap,
        "kept": kept,
        "values": rows.values[tail],
        **({} if times is None else {"times": times[tail], "first": times[begins], "last": times[ends - 1]}),
    }
    with replaced(file) as target:
        np.savez(target, allow_pickle=False, **counts)
    return _counts_of(file, counts)


def _load_counts(file: Place) -> PartCounts | None:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            return _counts_of(file, stored)
    except DAMAGED:  # not there, or damaged: counted again
        return None


def _counts_of(file: Place, stored: Any) -> PartCounts:
    return PartCounts(
        file, stored["names"].tolist(), stored["n_rows"], stored["since_gap"], stored.get("first"), stored.get("last")
    )


# -- what is carried ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """The last rows of some series in one file: those of series `codes[i]`, `counts[i]` rows up to number `ends[i]`."""

    file: Place
    codes: list[int]
    names: list[str]
    counts: list[int]
    ends: list[int]


@dataclass(frozen=True)
class CarryPlan:
    """Which rows are carried into a part, and in which files they are.

    Attributes
    ----------
    pieces : list of Piece
        In the order of the parts.
    names : list of str
        Of the series, in the order of their first rows.
    n_final : list of int
        How many of the carried rows of each series had their final scores.
    channels : list of str
    """

    pieces: list[Piece]
    names: list[str]
    n_final: list[int]
    channels: list[str]

    def read(self) -> Carry:
        """Read the rows, in a worker."""
        if not self.names:
            return Carry.empty()
        read = [_read_piece(piece) for piece in self.pieces]
        codes = np.concatenate([np.repeat(piece.codes, piece.counts) for piece in self.pieces])
        order = np.argsort(codes, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(self.names)))])
        rows = GroupedSeries(
            np.concatenate([values for values, _ in read])[order], offsets, pd.Index(self.names, dtype=object),
            self.channels, pd.Index(np.concatenate([times for _, times in read])[order]),
        )  # fmt: skip
        return Carry.of(rows, np.array(self.n_final, dtype=np.int64))


def _read_piece(piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    """Values and times of the rows of a piece; rows that are numbered get their numbers."""
    with piece.file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        kept = stored["kept"] if "kept" in stored else np.diff(stored["offsets"])  # otherwise a file of a `Carry`
        ends = dict(zip(stored["names"].tolist(), np.cumsum(kept).tolist(), strict=True))
        values = stored["values"]
        times = stored.get("times")
    spans = [(ends[name] - n, ends[name]) for name, n in zip(piece.names, piece.counts, strict=True)]
    rows = np.concatenate([np.arange(begin, end) for begin, end in spans])
    if times is None:
        numbers = [np.arange(end - n, end) for n, end in zip(piece.counts, piece.ends, strict=True)]
        return values[rows], np.concatenate(numbers)
    return values[rows], times[rows]


@dataclass
class _Series:
    """What one series carries over after the parts so far, and where these rows are: (number of the part, rows)."""

    code: int
    n_rows: int = 0
    n_carried: int = 0
    n_final: int = 0
    last: Any = None
    places: list[tuple[int, int]] = field(default_factory=list)


class Grid:
    """The windows of a data set, as far as the parts have been added; computed from counts of rows.

    Parameters
    ----------
    spec : WindowSpec
    channels : list of str
    """

    def __init__(self, spec: WindowSpec, channels: list[str]):
        self.spec, self.channels = spec, channels
        self._series: dict[str, _Series] = {}
        self._files: list[Place] = []
        self._ends: list[dict[str, int]] = []  # number of the row after the last one of each series, of each part

    def start(self, carry: Carry, file: Place) -> None:
        """Start with the rows that earlier parts carry over, which are in a file of their own."""
        rows = carry.rows
        assert rows is not None
        assert rows.times is not None
        self._files, self._ends = [file], [{}]
        last = rows.times[rows.offsets[1:] - 1].to_numpy()
        is_numbered = self.spec.columns.time is None
        for code, (name, n) in enumerate(zip(rows.names, np.diff(rows.offsets).tolist(), strict=True)):
            n_rows = int(last[code]) + 1 if is_numbered else n
            time = None if is_numbered else last[code]
            self._series[name] = _Series(code, n_rows, n, int(carry.n_final[code]), time, [(0, n)])
            self._ends[0][name] = n_rows

    def end(self) -> None:
        """End all series, as before a part that cannot be used."""
        self._series, self._files, self._ends = {}, [], []

    def plan(self) -> CarryPlan:
        """Return what the parts so far carry into the next one."""
        pieces: dict[int, Piece] = {}
        for name, series in self._series.items():
            for number, n in series.places:
                piece = pieces.setdefault(number, Piece(self._files[number], [], [], [], []))
                piece.codes.append(series.code)
                piece.names.append(name)
                piece.counts.append(n)
                piece.ends.append(self._ends[number][name])
        n_final = [series.n_final for series in self._series.values()]
        return CarryPlan([pieces[number] for number in sorted(pieces)], list(self._series), n_final, self.channels)

    def add(self, counts: PartCounts) -> None:
        """Add the next part.

        Raises
        ------
        ValueError
            If its first row of a series is not later than the last one so far.
        """
        is_gap = self._gaps_before(counts)
        number = len(self._files)
        self._files.append(counts.file)
        self._ends.append({})
        for position, name in enumerate(counts.names):
            series = self._series.setdefault(name, _Series(len(self._series)))
            n, since_gap = int(counts.n_rows[position]), int(counts.since_gap[position])
            before = 0 if name in is_gap else series.n_carried
            length = before + n if since_gap < 0 else since_gap  # of the last stretch without a gap
            series.n_carried, series.n_final = self._carried(length)
            series.n_rows += n
            series.last = None if counts.last is None else counts.last[position]
            series.places = _last_places([*series.places, (number, n)], series.n_carried)
            self._ends[number][name] = series.n_rows

    def _carried(self, length: int) -> tuple[int, int]:
        """Rows that a stretch of so many rows carries over, and how many of them are final: see `continue_series`."""
        width, stride = self.spec.width, self.spec.stride
        n_windows = max((length - width) // stride + 1, 0)
        next_window = n_windows * stride
        covering = -(-(next_window - width + 1) // stride) * stride
        keep = min(max(covering, 0), max(next_window - stride, 0))
        return length - keep, min(next_window, length) - keep

    def _gaps_before(self, counts: PartCounts) -> set[str]:
        """Series with a gap between their last row so far and the first of a part."""
        known = [(position, name) for position, name in enumerate(counts.names) if name in self._series]
        if counts.first is None or not known:
            return set()
        known.sort(key=lambda item: self._series[item[1]].code)  # the order in which messages name them elsewhere
        pairs = np.empty(2 * len(known), counts.first.dtype)
        pairs[::2] = [self._series[name].last for _, name in known]
        pairs[1::2] = counts.first[[position for position, _ in known]]
        times, names = pd.Index(pairs), pd.Index([name for _, name in known], dtype=object)
        both = GroupedSeries(np.zeros((len(pairs), 1)), np.arange(0, len(pairs) + 1, 2), names, [""], times)
        check_increasing(both)
        return {known[row // 2][1] for row in self.spec.rows_after_gaps(both).tolist()}


def _last_places(places: Sequence[tuple[int, int]], n_rows: int) -> list[tuple[int, int]]:
    """Return where the last so many rows are."""
    found: list[tuple[int, int]] = []
    for number, n in reversed(places):
        if n_rows <= 0:
            break
        found.append((number, min(n, n_rows)))
        n_rows -= n
    return found[::-1]
