"""What jobs tell people at the end: model files in words, and how scores compare with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.anomalies import EVENTS
from pipelines.errors import InputError, JobError
from pipelines.export import Job
from pipelines.manifest import DONE, Manifest
from pipelines.models import open_model
from pipelines.parts import list_parts
from pipelines.tables import read_rows, read_table
from tsae.errors import ModelFileError
from tsae.persistence import read_manifest


def describe_model(path: Path) -> dict[str, Any]:
    """What a model file says of itself, and how it reads tables."""
    try:
        manifest = read_manifest(path)
    except FileNotFoundError as error:
        raise JobError(f"there is no model file {path}") from error
    except (ModelFileError, OSError) as error:
        raise JobError(str(error)) from error
    facts = {key: manifest[key] for key in ("kind", "model_id", "created", "versions", "summary")}
    try:
        facts["reading"] = open_model(path).reading.as_dict()
    except JobError as error:
        facts["reading"] = str(error)
    return {"file": str(path), "bytes": path.stat().st_size, **facts}


def lines_of(facts: dict[str, Any], indent: str = "") -> str:
    """Facts as lines ``name: value``, nested ones indented.

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
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", lines_of(value, indent + "  ")]
        elif value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"{indent}{name}: {shown:.4g}" if isinstance(value, float) else f"{indent}{name}: {shown}")
    return "\n".join(lines)


def read_parts(output: Path) -> pd.DataFrame:
    """All that a finished job wrote, in the order of the parts."""
    manifest = Manifest(output, {})
    if manifest.read_stored() is None:
        raise JobError(f"{output} holds no output of a job")
    tables = [read_table(output / record.output) for record in manifest.records.values() if record.status == DONE]
    if not tables:
        raise JobError(f"no part of {output} is done")
    return pd.concat(tables, ignore_index=True)


# -- labels ------------------------------------------------------------------------------------------------------


def compare_with_labels(job: Job, label_column: str) -> dict[str, Any]:
    """How the scores and events of a finished job compare with the labels in its input.

    Returns
    -------
    dict
        `auc_pr`: area under the precision-recall curve of the scores (average precision); a score without any sense
        reaches `labelled_share`. `vus_pr` where aeon is installed: volume under the range-wise precision-recall
        surface, mean over series (Paparrizos et al. 2022, VLDB 15(11), section 4). `n_labelled_events` is the number
        of stretches of labels, `n_found` how many of them an event overlaps, `n_events` how many events there are,
        `n_false_events` how many of those overlap no labels.
    """
    timeline = read_parts(job.output)
    columns = job.reading.columns
    if columns.time is None:
        raise JobError("--label-column needs a time column to lay labels beside scores")
    labels = []
    for part in list_parts(job.source):
        rows = read_rows(part.path, columns, name=part.name, extra=[label_column])
        at = np.arange(len(rows.series.values))
        numbers = pd.to_numeric(rows.extra[label_column], errors="coerce").fillna(0)
        labels.append(
            pd.DataFrame(
                {
                    "series": rows.series.names_at(at),
                    "time": rows.series.times_at(at),
                    "label": (numbers != 0).to_numpy(),
                }
            )
        )
    if columns.time_kind == "utc":
        timeline = timeline.assign(time=timeline["time"].dt.tz_convert(None))
    table = pd.concat(labels, ignore_index=True).merge(timeline[["series", "time", "score"]], on=["series", "time"])
    table = table.sort_values(["series", "time"], ignore_index=True)
    if not table["label"].any():
        raise InputError(f"column {label_column!r} marks nothing")
    return {**compare_scores(table), **compare_events(table, _read_events(job))}


def _read_events(job: Job) -> pd.DataFrame:
    events = read_table(job.output / EVENTS)
    if job.reading.columns.time_kind == "utc":
        events = events.assign(start=events["start"].dt.tz_convert(None), end=events["end"].dt.tz_convert(None))
    return events


def compare_scores(table: pd.DataFrame) -> dict[str, float]:
    """Measures of scores against labels, from `series`, `time`, `score` and `label` in their order; see above."""
    from sklearn.metrics import average_precision_score

    known = table[table["score"].notna()]
    measures = {
        "labelled_share": float(known["label"].mean()),
        "auc_pr": float(average_precision_score(known["label"], known["score"])),
    }
    try:
        from aeon.benchmarking.metrics.anomaly_detection import range_pr_vus_score
    except ImportError:
        return measures
    volumes = [
        range_pr_vus_score(rows["label"].to_numpy(np.int64), rows["score"].to_numpy(), max_buffer_size=50)
        for _, rows in known.groupby("series")
        if rows["label"].any() and not rows["label"].all()
    ]
    return {**measures, "vus_pr": float(np.mean(volumes))} if volumes else measures


def compare_events(table: pd.DataFrame, events: pd.DataFrame) -> dict[str, int]:
    """How many stretches of labels are found, and how many events are false, from the same table and events."""
    truth = labelled_stretches(table)
    hits = truth.reset_index(names="truth").merge(
        events.reset_index(names="event"), on="series", suffixes=("", "_event")
    )
    hits = hits[(hits["start_event"] <= hits["end"]) & (hits["end_event"] >= hits["start"])]
    return {
        "n_labelled_events": len(truth),
        "n_found": int(hits["truth"].nunique()),
        "n_events": len(events),
        "n_false_events": len(events) - int(hits["event"].nunique()),
    }


def labelled_stretches(table: pd.DataFrame) -> pd.DataFrame:
    """`series`, `start` and `end` of each run of labelled rows of a series."""
    label = table["label"].to_numpy()
    edge = np.diff(label.astype(np.int8), prepend=0) != 0
    edge |= table["series"].ne(table["series"].shift()).to_numpy()
    runs = table.assign(run=np.cumsum(edge))[label].groupby("run", sort=True)
    return runs.agg(series=("series", "first"), start=("time", "first"), end=("time", "last")).reset_index(drop=True)
