"""Reports on finished jobs: a page, and how scores and events compare with labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.jobs.anomalies import EVENTS, EventRule, split_channels
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.job import Job
from tsae.jobs.labels import Labels, labels_of
from tsae.jobs.logs import log_event
from tsae.jobs.manifest import DONE, Manifest
from tsae.jobs.outputs import check_target
from tsae.jobs.parts import Part, list_parts
from tsae.jobs.places import Place, local_file
from tsae.jobs.stores import without_secrets
from tsae.jobs.table_files import open_table
from tsae.jobs.table_writer import read_result
from tsae.report.comparison import compare_events, compare_ranges, compare_scores, without_unclear


def lines_of(facts: dict[str, Any], indent: str = "") -> str:
    """Format facts as lines ``name: value``, nested ones indented; what is None or empty is left out.

    Examples
    --------
    >>> print(lines_of({"kind": "LSTMAutoencoder", "summary": {"last_loss": 0.25, "n_epochs": 3}}))
    kind: LSTMAutoencoder
    summary:
      last_loss: 0.25
      n_epochs: 3
    """
    lines = []
    for name, value in facts.items():
        if isinstance(value, (dict, list)) and not value:
            continue
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", lines_of(value, indent + "  ")]
        elif value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"{indent}{name}: {shown:.4g}" if isinstance(value, float) else f"{indent}{name}: {shown}")
    return "\n".join(lines)


def read_parts(output: Place) -> pd.DataFrame:
    """Read everything that a finished job wrote, in the order of the parts."""
    manifest = Manifest(output, {})
    if manifest.read_stored() is None:
        raise JobError(f"{output} holds no output of a job")
    tables = [read_result(output / record.output) for record in manifest.records.values() if record.status == DONE]
    if not tables:
        raise JobError(f"no part of {output} is done")
    filled = [table for table in tables if len(table)]  # in a CSV file, columns without rows have no type
    return pd.concat(filled or tables[:1], ignore_index=True)


# -- input and output together -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoredData:
    """Input and output of a finished job `anomalies`, without the parts that were skipped, read once.

    Attributes
    ----------
    job : Job
    series : GroupedSeries
    timeline : DataFrame
        One row per row of `series`, in their order.
    events : DataFrame
    labels : float ndarray or None
        1 for known anomalies, otherwise 0, NaN where it is unclear; one entry per row of `series`.
    """

    job: Job
    series: GroupedSeries
    timeline: pd.DataFrame
    events: pd.DataFrame
    labels: np.ndarray | None


def check_report(job: Job, label_column: str | None, page: Place | None) -> None:
    """Refuse a report, or a comparison with labels, that will not be possible once the job is finished.

    Raises
    ------
    JobError
        Without a time column, for a page that cannot be written, for parts without the label column, for labels that
        are not numbers, and for a file of marks that cannot be used. Parts that cannot be read at all are left to the
        job.
    """
    if job.spec.columns.time is None:
        raise JobError(
            "reports and comparisons with labels need a time column, to match the input with the scores; without one, "
            "compare the output by tsae evaluate"
        )
    if page is not None:
        check_target(page, "the report")
    labels = Labels.of(label_column)
    if labels is not None and labels.column is not None:
        _check_column(job, labels.column)


def _check_column(job: Job, name: str) -> None:
    """Refuse a column that is missing or holds no numbers."""
    for part in list_parts(job.source):
        try:
            table = open_table(part.path, part.name, job.spec.columns)
        except InputError:
            continue
        table.require([name])
        try:
            column = table.read([name])[name]
        except InputError:
            continue
        try:
            labels_of(column)
        except InputError as error:
            raise InputError(f"{part.name}: {error}") from error


def read_scored(job: Job, label_column: str | None = None) -> ScoredData:
    """Read the input and the output of a finished job, as a whole.

    Raises
    ------
    JobError
        Without a time column, and for labels that cannot be used.
    """
    check_report(job, None, None)
    done = _done_parts(job)
    labels = Labels.of(label_column)
    data = read_dataset(job.source, job.spec.columns, [] if labels is None else labels.extra, done)
    timeline = data.index().merge(_without_zone(read_parts(job.output)), on=["series", "time"], how="left")
    events = _without_zone(read_result(job.output / EVENTS))
    return ScoredData(job, data.series, timeline, events, None if labels is None else data.labels(labels))


def _done_parts(job: Job) -> list[Part]:
    """The parts of the input that were not skipped."""
    manifest = Manifest(job.output, {})
    manifest.read_stored()
    done = {name for name, record in manifest.records.items() if record.status == DONE}
    return [part for part in list_parts(job.source) if part.name in done]


def write_page(scored: ScoredData, rule: EventRule, path: Place) -> None:
    """Write a page on a finished job `anomalies`: see `tsae.write_report`."""
    from tsae.report.page import write_report

    job, detector = scored.job, scored.job.model.estimator
    channels = [split_channels(names) for names in scored.events["channels"].fillna("")]
    with local_file(path) as file:
        write_report(
            file, scored.timeline, scored.events.assign(channels=channels), values=job.spec.cut(scored.series),
            labels=scored.labels, detector=detector, alpha=detector.alpha_ if rule.alpha is None else rule.alpha,
            title=f"Anomalies in {without_secrets(job.source)}", facts={"Model": job.model.model_id},
        )  # fmt: skip
    log_event(f"wrote {path}", event="report", path=str(path))


def compare_with_labels(scored: ScoredData) -> dict[str, Any]:
    """Compare the scores and events of a finished job with the labels in its input.

    Returns
    -------
    dict
        `auc_pr`: area under the precision-recall curve of the scores (average precision); a random score
        reaches `labelled_share`. `vus_pr`, if aeon is installed: volume under the range-wise precision-recall
        surface, mean over series (Paparrizos et al. 2022, VLDB 15(11), section 4). `n_labelled_events` is the number
        of stretches of labels, `n_found` how many of them an event overlaps, `n_events` how many events there are,
        `n_false_events` how many of those overlap no labels. `event_recall` and `range_precision`, if aeon is
        installed: see `compare_ranges`. Where the labels mark no row, only the share and the numbers of events.
        Rows and events whose label is unclear do not count.
    """
    table, events = without_unclear(scored.timeline.assign(label=scored.labels), scored.events)
    counts = compare_events(table, events)
    if not table["label"].any():
        log_event(f"the labels mark no row of {without_secrets(scored.job.source)}: there is nothing to find")
        return {"labelled_share": 0.0, **counts}
    return {**compare_scores(table), **counts, **compare_ranges(table, events)}


def _without_zone(table: pd.DataFrame) -> pd.DataFrame:
    zoned = [name for name in table if isinstance(table[name].dtype, pd.DatetimeTZDtype)]
    return table.assign(**{name: table[name].dt.tz_convert(None) for name in zoned})
