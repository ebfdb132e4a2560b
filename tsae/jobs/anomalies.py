"""The job `anomalies`: a data set in, a score for every timestamp and a table of events out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsae.jobs.continuation import Piece
from tsae.jobs.errors import JobError
from tsae.jobs.export import Job, export
from tsae.jobs.manifest import DONE, Manifest
from tsae.jobs.models import Reading
from tsae.jobs.tables import Append, read_table, with_zone, write_table

EVENTS = "events.csv"
_NO_ROWS = pd.DataFrame({"series": [], "time": [], "score": [], "p_value": []})


@dataclass(frozen=True)
class EventRule:
    """Which timestamps make an event; None leaves it to the detector. See `tsae.AnomalyDetector.events`."""

    alpha: float | None = None
    gap: int | None = None
    min_length: int = 1

    def options(self) -> dict:
        return {"alpha": self.alpha, "gap": self.gap, "min_length": self.min_length}


def run_anomalies(job: Job, rule: EventRule) -> Manifest:
    """Score a data set and list its events.

    Writes a timeline (`series`, `time`, `score`, `p_value` and a contribution a channel; one row a timestamp) and
    ``events.csv``. See `tsae.jobs.export.export` for errors and for how a job is continued.
    """
    detector = job.model.estimator
    check_detector(detector, job.model.path)
    _refuse_alpha(detector, rule)
    manifest = export(job, write_timeline)
    timelines = (read_table(job.output / part.output) for part in manifest.records.values() if part.status == DONE)
    write_events(find_events(detector, timelines, rule), job)
    return manifest


def check_detector(estimator: Any, path: Any) -> None:
    if not hasattr(estimator, "score_timeline"):
        raise JobError(
            f"{path} holds a {type(estimator).__name__}, which scores no timelines; train with --task anomalies"
        )


def _refuse_alpha(detector: Any, rule: EventRule) -> None:
    """Before any work: too few calibration scores for alpha."""
    try:
        detector.events(_NO_ROWS, **rule.options())
    except ValueError as error:
        raise JobError(f"no events can be told apart with this model: {error}") from error


# -- scores ------------------------------------------------------------------------------------------------------


def write_timeline(detector: Any, piece: Piece, reading: Reading, append: Append) -> int:
    """Score the timestamps that are final with this part, and write them; return their number."""
    table = timeline_of(detector, piece)
    append(with_zone(table, reading.columns, "time"))
    return len(table)


def timeline_of(detector: Any, piece: Piece) -> pd.DataFrame:
    """Rows of `AnomalyDetector.score_timeline`; NaN for timestamps that no window covers."""
    windows = piece.windows[piece.covering]
    if len(windows):
        return detector.score_timeline(windows)[piece.final].reset_index(drop=True)
    rows = np.flatnonzero(piece.final)
    grouped = piece.windows.grouped
    table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows)})
    names = ["score", "p_value", *(f"contribution_{channel}" for channel in detector.channel_names_)]
    return table.assign(**dict.fromkeys(names, np.full(len(rows), np.nan)))


# -- events ------------------------------------------------------------------------------------------------------


def find_events(detector: Any, timelines: Iterable[pd.DataFrame], rule: EventRule) -> pd.DataFrame:
    """Events of a timeline that comes in pieces, as of the whole.

    Of each series, only the rows since the beginning of an event that may still go on are held.
    """
    alpha = detector.alpha if rule.alpha is None else rule.alpha
    gap = (detector.n_timesteps_ or 0) // 2 if rule.gap is None else rule.gap
    held: dict[str, pd.DataFrame] = {}
    found = []
    for timeline in timelines:
        for series, rows in timeline.groupby("series", sort=False):
            rows = pd.concat([held.pop(series), rows], ignore_index=True) if series in held else rows
            closed = _rows_before_open_event(rows["p_value"].to_numpy() <= alpha, gap)
            found.append(detector.events(rows.iloc[:closed], **rule.options()))
            if closed < len(rows):
                held[series] = rows.iloc[closed:]
    found += [detector.events(rows, **rule.options()) for rows in held.values()]
    filled = [events for events in found if len(events)]
    events = pd.concat(filled, ignore_index=True) if filled else detector.events(_NO_ROWS, **rule.options())
    return events.sort_values(["series", "start"], kind="stable", ignore_index=True)


def _rows_before_open_event(flagged: np.ndarray, gap: int) -> int:
    """How many rows belong to no event that more rows could make longer."""
    at = np.flatnonzero(flagged)
    if not len(at) or len(flagged) - at[-1] > gap + 1:
        return len(flagged)
    breaks = np.flatnonzero(np.diff(at) > gap + 1)
    return int(at[breaks[-1] + 1] if len(breaks) else at[0])


def write_events(events: pd.DataFrame, job: Job) -> None:
    table = events.assign(channels=[" ".join(channels) for channels in events["channels"]])
    write_table(with_zone(table, job.reading.columns, "start", "end", "peak"), job.output / EVENTS)
