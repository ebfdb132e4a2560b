"""One pass over a data set that need not fit into memory: channels, rows and time steps of its series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.gaps import GAP_IN_STEPS, MIN_STEPS, has_several_rates, usual_step
from tsae.data.series import GroupedSeries
from tsae.data.statistics import ChannelStatistics, Moments
from tsae.data.times import inferred_max_gap, length_of_time, time_differences, time_numbers
from tsae.jobs.errors import InputError
from tsae.jobs.execution import Execution
from tsae.jobs.memory import chunk_rows
from tsae.jobs.parts import Part
from tsae.jobs.passes import Passes
from tsae.jobs.progress import job_progress
from tsae.jobs.spec import Columns, plain_step
from tsae.jobs.table_reader import Rows, read_chunks

MOST_DISTINCT = 4096  # steps of a series that are told apart; of more, three digits are kept


@dataclass(frozen=True, eq=False)
class Steps:
    """How often each time step occurs, ascending; in the unit of `tsae.data.times.time_numbers`."""

    steps: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, steps: np.ndarray, counts: np.ndarray | None = None) -> Steps:
        """Count steps, those that are not positive left out; `counts`: how often each entry occurs."""
        counts = np.ones(len(steps), np.int64) if counts is None else counts
        counts, steps = counts[steps > 0], steps[steps > 0]
        distinct, which = np.unique(steps, return_inverse=True)
        if len(distinct) > MOST_DISTINCT:
            digits = 10.0 ** (np.floor(np.log10(steps)) - 2)
            distinct, which = np.unique(np.round(steps / digits) * digits, return_inverse=True)
        return cls(distinct, np.bincount(which, counts, len(distinct)).astype(np.int64))

    @classmethod
    def total(cls, several: Sequence[Steps]) -> Steps:
        """Add counts."""
        nothing = np.zeros(0)
        return cls.of(
            np.concatenate([nothing, *(each.steps for each in several)]),
            np.concatenate([nothing, *(each.counts for each in several)]).astype(np.int64),
        )

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def median(self) -> float:
        """Median step; of an even number, the mean of the two in the middle."""
        until, n = np.cumsum(self.counts), len(self)
        middle = self.steps[np.searchsorted(until, [(n - 1) // 2, n // 2], side="right")]
        return float(middle.mean())


@dataclass(frozen=True, eq=False)
class SeriesSurvey:
    """Rows of one series: how many, the first and the last time as numbers, and the steps between them."""

    n_rows: int
    first: Any
    last: Any
    steps: Steps

    def __add__(self, later: SeriesSurvey) -> SeriesSurvey:
        """Return the survey of these rows and later ones of the same series."""
        between = Steps.of(time_differences(np.atleast_1d(self.last), np.atleast_1d(later.first)))
        steps = Steps.total([self.steps, later.steps, between])
        return SeriesSurvey(self.n_rows + later.n_rows, self.first, later.last, steps)


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass over all rows finds.

    Attributes
    ----------
    columns : Columns
        As requested, with the channels and the kind of times that were found.
    channels : ChannelStatistics
    series : dict of SeriesSurvey
        By id, in the order of their first rows.
    times : pandas.Index or None
        Without entries; of the type of the times.
    """

    columns: Columns
    channels: ChannelStatistics
    series: dict[str, SeriesSurvey] = field(default_factory=dict)
    times: pd.Index | None = None

    def __add__(self, later: Survey) -> Survey:
        """Return the survey of these rows and those that follow."""
        series = dict(self.series)
        for name, found in later.series.items():
            series[name] = series[name] + found if name in series else found
        return replace(self, channels=self.channels + later.channels, series=series)

    @property
    def n_rows(self) -> int:
        """Rows of all series."""
        return self.channels.n_rows

    def max_gap(self) -> tuple[Any, str]:
        """Infer the longest step that is no gap, as `tsae.make_windows` does; and say where it comes from."""
        own = self._usual_steps()
        if own is not None:
            return inferred_max_gap(float(own.min()), float(own.max()), self.times)
        together = Steps.total([series.steps for series in self.series.values()])
        longest = usual_step(together.steps, together.counts) if len(together) else np.inf
        return inferred_max_gap(longest, longest, self.times)

    def max_gaps(self) -> dict[str, Any]:
        """Infer that of each series, as `tsae.data.times.inferred_max_gaps` does; empty where all have the same."""
        own = self._usual_steps()
        if own is None or self.times is None:
            return {}
        return {
            name: length_of_time(GAP_IN_STEPS * step, self.times) for name, step in zip(self.series, own, strict=True)
        }

    def _usual_steps(self) -> np.ndarray | None:
        """Return the usual step of each series, if they have different sampling rates."""
        own = [series.steps for series in self.series.values()]
        usual = np.array([usual_step(s.steps, s.counts) if len(s) >= MIN_STEPS else np.nan for s in own])
        return np.where(np.isnan(usual), np.nanmax(usual), usual) if has_several_rates(usual) else None

    def median_step(self) -> str | float | None:
        """Return the median time step, as plain value; None without steps."""
        together = Steps.total([series.steps for series in self.series.values()])
        return plain_step(together.median, self.times) if len(together) else None


def survey(parts: Sequence[Part], columns: Columns, extra: Sequence[str] = (), passes: Passes | None = None) -> Survey:
    """Read all parts of a data set once, a chunk at a time and two parts at once.

    Parameters
    ----------
    parts : sequence of Part
    columns : Columns
        The channels and the kind of times of the first part with rows are required of all others.
    extra : sequence of str
        Further columns that must be there.
    passes : Passes or None
        Where the survey of each part is kept, so that a survey that was ended continues.

    Returns
    -------
    Survey

    Raises
    ------
    InputError
        For a part that cannot be used, and if there are no rows.
    """
    columns, times = _settled_columns(parts, columns, extra)
    found: Survey | None = None
    survey_part = partial(_survey_part, columns=columns, extra=list(extra), times=times, passes=passes)
    with job_progress("statistics", len(parts), sum(part.size for part in parts), "read") as advance:
        for part, of_part in zip(parts, Execution().map(survey_part, parts), strict=True):
            found = of_part if found is None else found + of_part
            advance(part.size, of_part.n_rows)
    assert found is not None
    return found


def _settled_columns(parts: Sequence[Part], columns: Columns, extra: Sequence[str]) -> tuple[Columns, pd.Index | None]:
    """Return the columns with the channels and the kind of times that the first rows have, and the type of times."""
    for rows in _all_chunks(parts, columns, extra):
        columns = replace(columns, values=tuple(rows.series.channel_names), time_kind=rows.time_kind)
        if len(rows.series.values):
            return columns, None if rows.series.times is None else rows.series.times[:0]
    raise InputError(f"{parts[0].name} has no rows" if len(parts) == 1 else "no part of the input has rows")


def _all_chunks(parts: Sequence[Part], columns: Columns, extra: Sequence[str]) -> Iterator[Rows]:
    for part in parts:
        yield from read_chunks(part.path, columns, 1000, name=part.name, extra=extra)


def _survey_part(
    part: Part, columns: Columns, extra: list[str], times: pd.Index | None, passes: Passes | None
) -> Survey:
    key = "" if passes is None else passes.key(passes.sum_of(part), part.name, asdict(columns), extra)
    kept = None if passes is None else passes.read("survey", key)
    if passes is not None and kept is not None:
        passes.n_surveyed += 1
        return _from_arrays(kept, columns, times)
    n_rows = chunk_rows(len(columns.values))
    chunks = read_chunks(part.path, columns, n_rows, name=part.name, extra=extra)
    found = reduce(Survey.__add__, (_survey_rows(rows.series, columns, times) for rows in chunks))
    if passes is not None:
        passes.keep("survey", key, _as_arrays(found))
    return found


def _survey_rows(rows: GroupedSeries, columns: Columns, times: pd.Index | None) -> Survey:
    numbers = np.arange(len(rows.values)) if rows.times is None else time_numbers(rows.times)
    steps = time_differences(numbers[:-1], numbers[1:])
    series = {
        name: SeriesSurvey(
            int(end - begin), numbers[begin], numbers[end - 1],
            Steps.of(steps[begin : end - 1] if rows.times is not None else steps[:0]),
        )
        for name, begin, end in zip(rows.names, rows.offsets[:-1], rows.offsets[1:], strict=True)
    }  # fmt: skip
    return Survey(columns, ChannelStatistics.of(rows.values), series, times)


# -- files -------------------------------------------------------------------------------------------------------------


def _as_arrays(found: Survey) -> dict[str, np.ndarray]:
    series, channels = list(found.series.values()), found.channels
    steps = [each.steps for each in series]
    nothing = np.zeros(0)
    return {
        "names": np.array(list(found.series), dtype=str),
        "n_rows": np.array([each.n_rows for each in series], np.int64),
        "first": np.array([each.first for each in series]),
        "last": np.array([each.last for each in series]),
        "n_steps": np.array([len(each.steps) for each in steps], np.int64),
        "steps": np.concatenate([nothing, *(each.steps for each in steps)]),
        "counts": np.concatenate([nothing, *(each.counts for each in steps)]).astype(np.int64),
        "n_channel_rows": np.array(channels.n_rows),
        **{name: getattr(channels, name) for name in _OF_CHANNELS},
        **{f"rest_{name}": getattr(channels.rest, name) for name in _OF_MOMENTS},
    }


_OF_CHANNELS, _OF_MOMENTS = ("low", "high", "n_low", "n_high", "is_flag"), ("n", "mean", "spread")


def _from_arrays(kept: dict[str, np.ndarray], columns: Columns, times: pd.Index | None) -> Survey:
    ends = np.cumsum(kept["n_steps"])
    spans = [slice(end - n, end) for end, n in zip(ends, kept["n_steps"], strict=True)]
    series = {
        name: SeriesSurvey(int(n_rows), first, last, Steps(kept["steps"][span], kept["counts"][span]))
        for name, n_rows, first, last, span in zip(
            kept["names"].tolist(), kept["n_rows"], kept["first"], kept["last"], spans, strict=True
        )
    }
    rest = Moments(*(kept[f"rest_{name}"] for name in _OF_MOMENTS))
    channels = ChannelStatistics(
        n_rows=int(kept["n_channel_rows"]), rest=rest, **{name: kept[name] for name in _OF_CHANNELS}
    )
    return Survey(columns, channels, series, times)
