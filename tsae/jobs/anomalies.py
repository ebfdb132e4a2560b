"""The job `anomalies`: a data set in, one score per timestamp and a table of events out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import single_columns
from tsae.jobs.continuation import PartWindows
from tsae.jobs.errors import JobError
from tsae.jobs.export import export
from tsae.jobs.job import Job
from tsae.jobs.logs import log_event
from tsae.jobs.manifest import DONE, Manifest
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_writer import Append, read_result, with_zone, write_result
from tsae.jobs.work import Written

EVENTS = "events.csv"


@dataclass(frozen=True)
class EventRule:
    """Keyword arguments of `tsae.AnomalyDetector.events`; None leaves the choice to the detector."""

    alpha: float | None = None
    gap: int | None = None
    min_length: int = 1


def run_anomalies(job: Job, rule: EventRule) -> Manifest:
    """Score a data set and list its events.

    Writes a timeline (the columns of `AnomalyDetector.score_timeline`; one row per timestamp) and
    ``events.csv``. See `tsae.jobs.export.export` for errors and for how a job is continued.
    """
    detector = job.model.estimator
    check_detector(detector, job.model.path)
    check_alpha(detector, rule)
    manifest = export(job, write_timeline)
    timelines = (read_result(job.output / part.output) for part in manifest.records.values() if part.status == DONE)
    events = find_events_in_chunks(detector, timelines, rule)
    write_events(events, job)
    log_event(f"{len(events):,} events in {job.output / EVENTS}", event="events", events=len(events))
    return manifest


def check_detector(estimator: Any, path: Path) -> None:
    """Refuse estimators that compute no timelines.

    Raises
    ------
    JobError
    """
    if not hasattr(estimator, "score_timeline"):
        raise JobError(
            f"{path} holds a {type(estimator).__name__}, which scores no timelines; train with --task anomalies"
        )


def check_alpha(detector: Any, rule: EventRule) -> None:
    """Refuse an alpha for which there are too few calibration scores, before any work."""
    try:
        detector.events(_no_rows(detector), **asdict(rule))
    except ValueError as error:
        raise JobError(f"this model cannot detect events: {error}") from error


# -- scores ------------------------------------------------------------------------------------------------------


def write_timeline(detector: Any, part: PartWindows, spec: WindowSpec, append: Append) -> Written:
    """Score the timestamps that become final with this part, and write them; return their numbers."""
    table = timeline_of(detector, part)
    append(with_zone(table, spec.columns, "time"))
    return Written(len(table), int(table["score"].notna().sum()))


def timeline_of(detector: Any, part: PartWindows) -> pd.DataFrame:
    """Compute the rows of `AnomalyDetector.score_timeline`; NaN for timestamps that no window covers."""
    windows = part.windows[part.covering]
    if len(windows):
        return detector.score_timeline(windows)[part.final].reset_index(drop=True)
    rows = np.flatnonzero(part.final)
    grouped = part.windows.grouped
    table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows)})
    names = [*_number_columns(detector), *(f"contribution_{channel}" for channel in detector.channel_names_)]
    return table.assign(**dict.fromkeys(names, np.full(len(rows), np.nan)))


def _number_columns(detector: Any) -> list[str]:
    """Columns of a timeline that hold scores."""
    return ["score", "p_value", *single_columns(detector.combination_.names)]


def _no_rows(detector: Any) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in ("series", "time", *_number_columns(detector))})


# -- events ------------------------------------------------------------------------------------------------------


class EventFinder:
    """Find the events of a timeline that is given in chunks; they are those of the whole timeline.

    Only the rows since the start of an event that may still continue are held, for each series.

    Parameters
    ----------
    detector : fitted AnomalyDetector
    rule : EventRule
    held : DataFrame or None
        Rows that another finder held, as `held_rows` returns them.
    """

    def __init__(self, detector: Any, rule: EventRule, held: pd.DataFrame | None = None) -> None:
        self.detector, self.options = detector, asdict(rule)
        self.alpha = detector.alpha_ if rule.alpha is None else rule.alpha
        self.gap = (detector.n_timesteps_ or 0) // 2 if rule.gap is None else rule.gap
        self._held = {} if held is None else {str(name): rows for name, rows in held.groupby("series", sort=False)}

    def add(self, timeline: pd.DataFrame) -> pd.DataFrame:
        """Take the next rows, and return the events that end before them."""
        found = []
        for series, rows in timeline.groupby("series", sort=False):
            rows = pd.concat([self._held.pop(series), rows], ignore_index=True) if series in self._held else rows
            flagged = rows["p_value"].to_numpy() <= self.alpha
            closed = _rows_before_open_event(flagged, self.gap)
            if flagged[:closed].any():
                found.append(self.detector.events(rows.iloc[:closed], **self.options))
            if closed < len(rows):
                self._held[series] = rows.iloc[closed:]
        return self._joined(found)

    def finish(self) -> pd.DataFrame:
        """Return the events that were still open, at the end of all series."""
        found = [self.detector.events(rows, **self.options) for rows in self._held.values()]
        self._held = {}
        return self._joined(found)

    def held_rows(self) -> pd.DataFrame:
        """Return the rows of events that are still open."""
        return pd.concat(self._held.values(), ignore_index=True) if self._held else _no_rows(self.detector)

    def _joined(self, found: list[pd.DataFrame]) -> pd.DataFrame:
        filled = [events for events in found if len(events)]
        if filled:
            return pd.concat(filled, ignore_index=True)
        return self.detector.events(_no_rows(self.detector), **self.options)


def find_events_in_chunks(detector: Any, timelines: Iterable[pd.DataFrame], rule: EventRule) -> pd.DataFrame:
    """Find the events of a timeline that is given in chunks, in the order of series and time."""
    finder = EventFinder(detector, rule)
    found = [*map(finder.add, timelines), finder.finish()]
    filled = [events for events in found if len(events)]
    events = pd.concat(filled, ignore_index=True) if filled else found[-1]
    return events.sort_values(["series", "start"], kind="stable", ignore_index=True)


def _rows_before_open_event(flagged: np.ndarray, gap: int) -> int:
    """Count the rows before the event that later rows could extend."""
    at = np.flatnonzero(flagged)
    if not len(at) or len(flagged) - at[-1] > gap + 1:
        return len(flagged)
    breaks = np.flatnonzero(np.diff(at) > gap + 1)
    return int(at[breaks[-1] + 1] if len(breaks) else at[0])


def write_events(events: pd.DataFrame, job: Job) -> None:
    """Write the table of events, with the names of channels as one text."""
    table = events.assign(channels=[join_channels(channels) for channels in events["channels"]])
    write_result(with_zone(table, job.spec.columns, "start", "end", "peak"), job.output / EVENTS)


def join_channels(names: Iterable[str]) -> str:
    """Join the names of channels by spaces; a name that holds a space or a quote is put in double quotes.

    Examples
    --------
    >>> join_channels(["oil temp", "load"])
    '"oil temp" load'
    >>> split_channels('"oil temp" load')
    ('oil temp', 'load')
    """
    text = io.StringIO()
    csv.writer(text, delimiter=" ", lineterminator="\n").writerow(names)
    return text.getvalue()[:-1]


def split_channels(text: str) -> tuple[str, ...]:
    """Return the names that `join_channels` joined."""
    return tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=" "), ()))
