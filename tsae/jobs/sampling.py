"""Windows drawn from a data set that need not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsae.data.layout import Layout, check_positive_int, merge_intervals
from tsae.data.series import GroupedSeries
from tsae.data.windows import Windows
from tsae.jobs.continuation import Carry, continue_series
from tsae.jobs.errors import InputError
from tsae.jobs.execution import one_ahead
from tsae.jobs.memory import chunk_rows
from tsae.jobs.parts import Part, list_parts
from tsae.jobs.progress import job_progress
from tsae.jobs.selection import Selection
from tsae.jobs.spec import Columns, WindowSpec
from tsae.jobs.survey import Survey, survey
from tsae.jobs.table_reader import Rows, read_chunks


class Limits(NamedTuple):
    """How much to draw: at most so many windows, of so many rows in all (None: any number), in runs of so many."""

    n_windows: int | None
    n_rows: int | None
    consecutive: int = 1


@dataclass(frozen=True)
class Sample:
    """Windows that were drawn, and what they were drawn from.

    Attributes
    ----------
    windows : Windows
        In the order of the series and of time, over the rows that they cover alone.
    n_windows, n_allowed : int
        All windows of the data set, and those of them that could be drawn.
    windows_of : dict of int
        Number of windows of each series.
    """

    windows: Windows
    n_windows: int
    n_allowed: int
    windows_of: dict[str, int]


def sample_windows(
    source: str | os.PathLike[str],
    n_windows: int,
    width: int,
    stride: int = 1,
    *,
    id_column: str | Sequence[str] | None = None,
    time_column: str | None = None,
    value_columns: Sequence[str] = (),
    max_gap: Any = None,
    consecutive: int = 1,
    random_state: int = 0,
) -> Windows:
    """Draw windows from files that need not fit into memory, each window as likely as any other.

    The files are read twice, a chunk at a time: for the usual time step, and to draw. Windows are those that
    `make_windows` would cut from all files joined to one table; series go on from file to file.

    Parameters
    ----------
    source : path-like
        A .csv or .parquet file, a directory of such files, or a pattern such as ``"logs/2024-*.csv"``.
    n_windows : int
        How many windows to draw; where there are fewer, all are taken.
    width : int
        Steps in a window.
    stride : int, default=1
        Steps from the start of a window to the start of the next.
    id_column : str, sequence of str or None, default=None
        The column or columns that tell series apart; None: all rows are one series.
    time_column : str or None, default=None
        Column of timestamps (ISO 8601) or numbers; None: rows are numbered.
    value_columns : sequence of str, default=()
        The channels; none: all other columns.
    max_gap : number, str such as "10min" or None, default=None
        A longer step of time ends a window; None: inferred as in `make_windows`.
    consecutive : int, default=1
        Windows are drawn in runs of so many neighbours, for whatever needs all windows that cover a timestamp.
    random_state : int, default=0
        Seed: the same windows are drawn from the same files.

    Returns
    -------
    Windows
        In the order of the series and of time, with the rows that they cover and no others. Windows without any
        observed value are never drawn.

    Raises
    ------
    JobError
        For files that cannot be used, and if there is no window to draw.
    ValueError
        For numbers that are not allowed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for day in (1, 2):
    ...         rows = pd.DataFrame({"load": np.arange(100.0) + 100 * day})
    ...         rows.to_csv(Path(folder, f"day_{day}.csv"), index=False)
    ...     windows = sample_windows(folder, 5, width=8)
    >>> windows.shape
    (5, 8, 1)
    """
    for name, number in (("n_windows", n_windows), ("width", width), ("stride", stride), ("consecutive", consecutive)):
        check_positive_int(number, name)
    ids = id_column if id_column is None or isinstance(id_column, str) else tuple(id_column)
    parts = list_parts(source)
    found = survey(parts, Columns(ids, time_column, tuple(value_columns)))
    spec, origin = surveyed_spec(found, width, stride, max_gap)
    limits = Limits(n_windows, None, consecutive)
    return draw_windows(parts, spec, Selection(), limits, np.random.default_rng(random_state), origin).windows


def surveyed_spec(found: Survey, width: int, stride: int, max_gap: Any) -> tuple[WindowSpec, str]:
    """Return the windows of a data set, with the gap that was given or is inferred, and where the gap comes from."""
    if found.columns.time is None:
        if max_gap is not None:
            raise InputError(f"max_gap={max_gap!r}, but data has no times; name the time_column")
        return WindowSpec(found.columns, width, stride, None, None), ""
    longest, origin = (max_gap, "given") if max_gap is not None else found.max_gap()
    plain = str(pd.Timedelta(longest)) if isinstance(longest, (str, pd.Timedelta)) else longest
    return WindowSpec(found.columns, width, stride, plain, found.median_step()), origin


def draw_windows(
    parts: Sequence[Part], spec: WindowSpec, selection: Selection, limits: Limits, rng: np.random.Generator,
    origin: str = "",
) -> Sample:  # fmt: skip
    """Draw windows in one pass over the parts of a data set; only the rows of the windows drawn so far are held.

    Every run of consecutive windows gets a random number, and the runs with the lowest numbers are kept.

    Raises
    ------
    InputError
        For a part that cannot be used, times that do not increase, and if there is no window to draw.
    """
    n_rows, drawn, carry = chunk_rows(len(spec.columns.values)), _Drawn(spec, limits, rng), Carry.empty()
    with job_progress("sampling", len(parts), sum(part.size for part in parts), "read") as advance:
        for part in parts:
            n_read = 0
            for rows in one_ahead(read_chunks(part.path, spec.columns, n_rows, name=part.name, extra=selection.extra)):
                n_read += len(rows.series.values)
                try:
                    windows, carry = continue_series(carry, _with_labels(rows, selection), spec, last=False)
                except ValueError as error:
                    raise InputError(
                        f"{part.name}, read after the parts before it in natural order of their names: {error}"
                    ) from error
                drawn.count_rows(rows.series)
                drawn.add(windows.windows, windows.new, selection)
            advance(part.size, n_read)
    return drawn.sample(origin)


def _with_labels(rows: Rows, selection: Selection) -> GroupedSeries:
    """Return the rows with their labels as the last channel, so that they are carried along with the values."""
    series = rows.series
    if selection.labels is None or not len(series.values):
        marks = np.zeros(len(series.values))
    else:
        marks = (selection.labels.of_rows(series, rows.extra) != 0).astype(np.float64)
    return replace(series, values=np.column_stack([series.values, marks]), channel_names=[*series.channel_names, ""])


@dataclass(frozen=True, eq=False)
class _Run:
    """Rows of consecutive windows: the first one's number in its series, and where in them windows start."""

    series: str
    row: int
    values: np.ndarray
    times: np.ndarray
    starts: np.ndarray


class _Drawn:
    """The runs drawn so far."""

    def __init__(self, spec: WindowSpec, limits: Limits, rng: np.random.Generator):
        self.spec, self.limits, self.rng = spec, limits, rng
        self.runs: list[_Run] = []
        self.numbers = np.zeros(0)  # of the runs
        self.n_rows: dict[str, int] = {}  # of each series so far
        self.windows_of: dict[str, int] = {}
        self.n_windows = self.n_allowed = 0
        self.max_gap: Any = None

    def count_rows(self, rows: GroupedSeries) -> None:
        for name, n in zip(rows.names, np.diff(rows.offsets), strict=True):
            self.n_rows[name] = self.n_rows.get(name, 0) + int(n)

    def add(self, windows: Windows, new: np.ndarray, selection: Selection) -> None:
        """Draw from the new windows of a chunk; the last channel marks the rows with a label."""
        is_labelled = windows.values[:, -1] > 0
        names = windows.channel_names[:-1]
        grouped = replace(windows.grouped, values=windows.values[:, :-1], channel_names=names)
        self.max_gap = windows.max_gap
        windows = Windows(grouped, windows.layout, windows.width, max_gap=windows.max_gap)
        for name, n in zip(*np.unique(windows[new].series, return_counts=True), strict=True):
            series = str(grouped.names[name])
            self.windows_of[series] = self.windows_of.get(series, 0) + int(n)
        chosen = new[selection.mask(windows[new], is_labelled)]
        self.n_windows += len(new)
        self.n_allowed += len(chosen)
        if len(chosen):
            self._draw(windows, new, chosen)

    def _draw(self, windows: Windows, new: np.ndarray, chosen: np.ndarray) -> None:
        before = windows.layout.before
        stretch = np.searchsorted(before, chosen, side="right") - 1
        first_new = new[np.searchsorted(new, before[stretch])]
        run = (chosen - first_new) // self.limits.consecutive
        begins = np.flatnonzero(np.diff(stretch, prepend=-1) | np.diff(run, prepend=-1))
        ends = np.append(begins[1:], len(chosen))
        starts = windows.layout.starts_at(chosen)
        sizes = starts[ends - 1] - starts[begins] + windows.width
        numbers = np.concatenate([self.numbers, self.rng.random(len(begins))])
        kept = self._lowest(
            numbers,
            np.concatenate([[len(r.starts) for r in self.runs], ends - begins]),
            np.concatenate([[len(r.values) for r in self.runs], sizes]),
        )
        n_old = len(self.runs)
        self.runs = [self.runs[number] for number in kept[kept < n_old]]
        for number in kept[kept >= n_old] - n_old:
            self.runs.append(self._run(windows.grouped, starts[begins[number] : ends[number]], sizes[number]))
        self.numbers = numbers[kept]

    def _lowest(self, numbers: np.ndarray, n_windows: np.ndarray, n_rows: np.ndarray) -> np.ndarray:
        """Positions of the runs with the lowest numbers, as many as the limits allow, ascending."""
        order = np.argsort(numbers)
        allowed = np.ones(len(order), dtype=bool)
        for counts, most in ((n_windows, self.limits.n_windows), (n_rows, self.limits.n_rows)):
            if most is not None:
                allowed &= np.cumsum(counts[order]) <= most
        return np.sort(order[allowed])

    def _run(self, grouped: GroupedSeries, starts: np.ndarray, n_rows: int) -> _Run:
        assert grouped.times is not None
        first = int(starts[0])
        code = int(grouped.codes_at(starts[:1])[0])
        name = str(grouped.names[code])
        row = self.n_rows[name] - int(grouped.offsets[code + 1] - first)
        rows = slice(first, first + int(n_rows))
        return _Run(name, row, grouped.values[rows].copy(), grouped.times[rows].to_numpy().copy(), starts - first)

    def sample(self, origin: str) -> Sample:
        """Join the runs; rows that several of them share are held once."""
        if not self.runs:
            raise InputError(f"none of {self.n_windows} windows is left to draw from")
        order_of = {name: number for number, name in enumerate(self.n_rows)}
        runs, self.runs = sorted(self.runs, key=lambda run: (order_of[run.series], run.row)), []
        names = list(dict.fromkeys(run.series for run in runs))
        # One numbering of the rows of all series, with a gap after each one, which nothing merges across.
        longest = 1 + max(self.n_rows.values())
        begins = pd.Index(names).get_indexer([run.series for run in runs]) * longest + [run.row for run in runs]
        merged, ends = merge_intervals(begins, begins + np.array([len(run.values) for run in runs]))
        sizes = ends - merged
        places = np.cumsum(sizes) - sizes  # of the merged stretches, in the rows that are held
        stretch = np.searchsorted(merged, begins, side="right") - 1
        at = begins - merged[stretch] + places[stretch]
        values = np.empty((int(sizes.sum()), len(self.spec.columns.values)))
        times = np.empty(len(values), runs[0].times.dtype)
        starts = np.concatenate([run.starts + place for run, place in zip(runs, at, strict=True)])
        for number, place in enumerate(at):
            run = runs[number]
            values[place : place + len(run.values)], times[place : place + len(run.values)] = run.values, run.times
            runs[number] = replace(run, values=values[:0], times=times[:0])  # its memory is free from here on
        offsets = np.append(places[np.searchsorted(merged, np.arange(len(names)) * longest)], len(values))
        grouped = GroupedSeries(
            values, offsets, pd.Index(names, dtype=object), list(self.spec.columns.values),
            None if self.spec.columns.time is None else pd.Index(times),
        )  # fmt: skip
        layout = Layout.of_counts(starts, np.ones(len(starts), dtype=np.int64), self.spec.stride)
        windows = Windows(
            grouped, layout, self.spec.width,
            max_gap=self.max_gap if grouped.times is not None else None, max_gap_origin=origin,
        )  # fmt: skip
        return Sample(windows, self.n_windows, self.n_allowed, self.windows_of)
