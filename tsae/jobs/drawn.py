"""The windows drawn so far from a data set that is read part by part, and the files from which drawing goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsae.data.layout import Layout, merge_intervals
from tsae.data.series import GroupedSeries
from tsae.data.windows import Windows
from tsae.jobs.continuation import Carry
from tsae.jobs.errors import InputError
from tsae.jobs.passes import Passes, as_bytes, from_bytes
from tsae.jobs.selection import Selection
from tsae.jobs.spec import WindowSpec


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


@dataclass(frozen=True, eq=False)
class _Run:
    """Rows of consecutive windows: the first one's number in its series, and where in them windows start."""

    series: str
    row: int
    values: np.ndarray
    times: np.ndarray
    starts: np.ndarray


class Drawn:
    """The runs drawn so far."""

    def __init__(self, spec: WindowSpec, limits: Limits, rng: np.random.Generator):
        self.spec, self.limits, self.rng = spec, limits, rng
        self.runs: list[_Run] = []
        self.numbers = np.zeros(0)  # of the runs
        self.ids = np.zeros(0, np.int64)  # of the runs, in the order in which they were drawn
        self.next_id = self.first_of_part = 0
        self.n_rows: dict[str, int] = {}  # of each series so far
        self.windows_of: dict[str, int] = {}
        self.n_windows = self.n_allowed = 0

    def count_rows(self, rows: GroupedSeries) -> None:
        """Add to the rows of each series so far."""
        for name, n in zip(rows.names, np.diff(rows.offsets), strict=True):
            self.n_rows[name] = self.n_rows.get(name, 0) + int(n)

    def add(self, windows: Windows, new: np.ndarray, selection: Selection) -> None:
        """Draw from the new windows of a chunk; the last channel marks the rows with a label."""
        is_labelled = windows.values[:, -1] > 0
        names = windows.channel_names[:-1]
        grouped = replace(windows.grouped, values=windows.values[:, :-1], channel_names=names)
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
        ids = np.concatenate([self.ids, self.next_id + np.arange(len(begins))])
        self.next_id += len(begins)
        kept = self._lowest(
            numbers,
            np.concatenate([[len(r.starts) for r in self.runs], ends - begins]),
            np.concatenate([[len(r.values) for r in self.runs], sizes]),
        )
        n_old = len(self.runs)
        self.runs = [self.runs[number] for number in kept[kept < n_old]]
        for number in kept[kept >= n_old] - n_old:
            self.runs.append(self._run(windows.grouped, starts[begins[number] : ends[number]], sizes[number]))
        self.numbers, self.ids = numbers[kept], ids[kept]

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
        max_gap = replace(self.spec, max_gaps={}).cut(grouped).max_gap  # the longest of all series
        layout = Layout.of_counts(starts, np.ones(len(starts), dtype=np.int64), self.spec.stride)
        windows = Windows(
            grouped, layout, self.spec.width,
            max_gap=max_gap if grouped.times is not None else None, max_gap_origin=origin,
        )  # fmt: skip
        return Sample(windows, self.n_windows, self.n_allowed, self.windows_of)

    # -- files ---------------------------------------------------------------------------------------------------------

    def keep(self, passes: Passes, key: str, carry: Carry) -> None:
        """Write what a part has changed to files: the rows of its runs, and which of the earlier runs remain."""
        passes.keep_carry(carry)
        runs = [run for run, number in zip(self.runs, self.ids, strict=True) if number >= self.first_of_part]
        facts = {
            "carry": carry.digest, "rng": self.rng.bit_generator.state, "n_rows": self.n_rows,
            "windows_of": self.windows_of, "n_windows": self.n_windows, "n_allowed": self.n_allowed,
            "next_id": self.next_id,
        }  # fmt: skip
        nothing = np.zeros((0, len(self.spec.columns.values)))
        passes.keep("draw", key, {
            "facts": as_bytes(facts), "ids": self.ids, "numbers": self.numbers,
            "new_ids": self.ids[self.ids >= self.first_of_part],
            "series": np.array([run.series for run in runs], dtype=str), "row": np.array([run.row for run in runs]),
            "sizes": np.array([len(run.values) for run in runs], np.int64),
            "n_starts": np.array([len(run.starts) for run in runs], np.int64),
            "values": np.concatenate([nothing, *(run.values for run in runs)]),
            "times": np.concatenate([run.times for run in runs]) if runs else nothing[:, 0],
            "starts": np.concatenate([nothing[:0, 0].astype(np.int64), *(run.starts for run in runs)]),
        })  # fmt: skip
        passes.drop_carries(carry)
        self.first_of_part = self.next_id

    def go_on(self, passes: Passes, keys: Sequence[str]) -> tuple[int, Carry]:
        """Take over what earlier parts gave, from their files: how many parts that is, and what they carry over."""
        n_done = next((number for number, key in enumerate(keys) if not passes.has("draw", key)), len(keys))
        last = passes.read("draw", keys[n_done - 1]) if n_done else None
        facts = {} if last is None else from_bytes(last["facts"])
        carry = passes.read_carry(facts["carry"]) if facts else None
        if last is None or carry is None:
            return 0, Carry.empty()
        runs: dict[int, _Run] = {}
        for key in keys[:n_done]:
            file = passes.read("draw", key)
            if file is None:
                return 0, Carry.empty()
            runs.update(_runs_of(file, set(last["ids"].tolist())))
        self.ids, self.numbers, self.runs = last["ids"], last["numbers"], [runs[number] for number in last["ids"]]
        self.rng.bit_generator.state = facts["rng"]
        self.n_rows, self.windows_of = facts["n_rows"], facts["windows_of"]
        self.n_windows, self.n_allowed = facts["n_windows"], facts["n_allowed"]
        self.next_id = self.first_of_part = facts["next_id"]
        return n_done, carry


def _runs_of(file: dict[str, np.ndarray], wanted: set[int]) -> Iterator[tuple[int, _Run]]:
    """Give the runs of a file that `Drawn.keep` wrote, with their numbers, as far as they are wanted."""
    row_ends, start_ends = np.cumsum(file["sizes"]), np.cumsum(file["n_starts"])
    for position, number in enumerate(file["new_ids"].tolist()):
        if number in wanted:
            rows = slice(row_ends[position] - file["sizes"][position], row_ends[position])
            starts = slice(start_ends[position] - file["n_starts"][position], start_ends[position])
            yield number, _Run(
                str(file["series"][position]), int(file["row"][position]), file["values"][rows].copy(),
                file["times"][rows].copy(), file["starts"][starts].copy(),
            )  # fmt: skip
