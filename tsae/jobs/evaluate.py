"""The job `evaluate`: scores and events compared with known anomalies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.jobs.anomalies import EVENTS
from tsae.jobs.dataset import Dataset, read_dataset
from tsae.jobs.errors import InputError, JobError, listed
from tsae.jobs.labels import labels_of, read_stretches
from tsae.jobs.logs import log_warning
from tsae.jobs.manifest import NAME as MANIFEST
from tsae.jobs.manifest import Manifest
from tsae.jobs.parts import list_parts
from tsae.jobs.places import Place, folder_of
from tsae.jobs.spec import Columns
from tsae.jobs.stores import without_secrets
from tsae.jobs.table_files import open_table
from tsae.jobs.table_writer import read_result
from tsae.report.comparison import (
    compare_events,
    compare_ranges,
    compare_rows,
    compare_scores,
    labelled_stretches,
    share,
    without_unclear,
)

NUMBERS = {"integer", "float"}  # kinds of times
NO_EVENTS = pd.DataFrame(columns=["series", "start", "end"])
MOST_SERIES = 30  # in the printed table


@dataclass(frozen=True)
class LabelSource:
    """Where known anomalies are written.

    Attributes
    ----------
    file : str or None
        A table of stretches (`start`, `end`), or of rows with a label; None: a column of the scores.
    column : str or None
        Neither 0 nor empty in rows with an anomaly. None: in a table of rows, the only column that is left.
    id, time : str or None
        The columns of series and times in a table of rows; None: "series", if there is one, and "time".
    """

    file: str | None = None
    column: str | None = None
    id: str | tuple[str, ...] | None = None
    time: str | None = None


def evaluate(
    scores: str, labels: LabelSource, events: Path | None = None, threshold: float | None = None
) -> dict[str, Any]:
    """Compare scores and events with known anomalies.

    Parameters
    ----------
    scores : str
        The output directory of `tsae anomalies`, or a table with `time`, `score`, and `series` if there are several.
    labels : LabelSource
    events : Path or None
        A table with `series`, `start` and `end`. None: those of the output directory, if it is one.
    threshold : float or None
        Instead: runs of rows with a higher score are events.

    Returns
    -------
    dict
        `rows`, `scored`, `unclear` (rows with a score whose label is not known, which count nowhere), `labelled_share`,
        and, where there are labelled rows with a score, `auc_pr` and, with aeon, `vus_pr`: see `compare_scores`. Where
        there are events, those of `compare_events`, `event_precision`, `event_recall`, `event_f1`, those of
        `compare_rows`, and, with aeon, `range_precision`. `series` holds the same numbers for each series. None
        stands for a share of nothing.

    Raises
    ------
    JobError
        For tables that cannot be used, and if no label is on a timestamp that has a row of scores.
    """
    if events is not None and threshold is not None:
        raise JobError("--events and --threshold exclude each other")
    data = _read_scores(scores, labels)
    table = data.index().assign(score=data.series.values[:, 0], label=_labels(data, labels))
    n_unclear = int((table["label"].isna() & table["score"].notna()).sum())
    found = _events(scores, table, events, threshold)
    counted, kept = without_unclear(table, NO_EVENTS if found is None else found)
    kept = None if found is None else kept
    if not counted["label"].any():
        log_warning(f"the labels mark no row of {without_secrets(scores)}: there is nothing to find")
    by_series = {
        str(name): measures(rows, None if kept is None else kept[kept["series"] == name])
        for name, rows in counted.groupby("series", sort=False)
    }
    overall = measures(counted, kept, volumes=False)
    volumes = [own["vus_pr"] for own in by_series.values() if "vus_pr" in own]
    if volumes:
        overall["vus_pr"] = float(np.mean(volumes))
    return {"scores": without_secrets(scores), **overall, "unclear": n_unclear, "series": by_series}


def measures(table: pd.DataFrame, events: pd.DataFrame | None, *, volumes: bool = True) -> dict[str, Any]:
    """Compare `series`, `time`, `score` and a bool `label` with events; NaN becomes None."""
    counts = {"rows": len(table), "scored": int(table["score"].notna().sum())}
    found: dict[str, Any] = {**counts, **compare_scores(table, volumes=volumes)}
    if events is not None:
        found |= compare_events(table, events)
        precision = share(found["n_events"] - found["n_false_events"], found["n_events"])
        recall = share(found["n_found"], found["n_labelled_events"])
        found |= {
            "event_precision": precision, "event_recall": recall, "event_f1": _f1(precision, recall),
            **compare_rows(table, events),
        }  # fmt: skip
        ranges = compare_ranges(table, events) if table["label"].any() else {}
        found |= {name: value for name, value in ranges.items() if name == "range_precision"}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()}


def _f1(precision: float, recall: float) -> float:
    """Return the harmonic mean; 0 where nothing was found, NaN where there was nothing to find."""
    if math.isnan(recall):
        return math.nan
    return 2 * precision * recall / (precision + recall) if recall > 0 else 0.0


def table_of(result: dict[str, Any]) -> str:
    """Format what `evaluate` returns: one line per number, then one per series."""
    numbers = {name: value for name, value in result.items() if name not in ("series", "scores")}
    width = max(map(len, numbers))
    lines = [f"{name:{width}}  {_text(value)}" for name, value in numbers.items()]
    if len(result["series"]) > 1:
        series = pd.DataFrame.from_dict(result["series"], orient="index").rename_axis("series").reset_index()
        wanted = ["series", "scored", "labelled_share", "auc_pr", "vus_pr", "n_labelled_events", "n_found", "n_events",
                  "n_false_events"]  # fmt: skip
        shown = series[[name for name in wanted if name in series]].head(MOST_SERIES)
        lines += ["", shown.to_string(index=False, float_format="{:.3f}".format, na_rep="-")]
        if len(series) > MOST_SERIES:
            lines.append(f"... and {len(series) - MOST_SERIES} more series; --json has them all")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


# -- scores and events -------------------------------------------------------------------------------------------------


def _read_scores(scores: str, labels: LabelSource) -> Dataset:
    """Read `series`, `time` and `score`, and the label column if it is among them."""
    source, folder = scores, folder_of(scores)
    if folder is not None and (folder / MANIFEST).exists():
        source = str(folder / "timeline")
        if (Manifest(folder, {}).read_stored() or {}).get("kind") != "timeline":
            raise JobError(f"{scores} is the output of a job, but not of tsae anomalies: it has no scores")
    extra = [labels.column] if labels.file is None and labels.column is not None else []
    return read_dataset(source, _columns(source, None, None, "score"), extra)


def _columns(source: str, id_column: Any, time_column: str | None, value: str | None) -> Columns:
    """Roles of the columns of a table of rows; without times rows are numbered, as in scores of such tables.

    Without `value`, it is the only column that is left.
    """
    table = open_table(list_parts(source)[0].path, without_secrets(source), Columns())
    id_column = id_column or ("series" if "series" in table.columns else None)
    columns = Columns(id_column, time_column or ("time" if "time" in table.columns else None))
    if value is None:
        others = [name for name in table.columns if name not in (*columns.ids, columns.time)]
        if len(others) != 1:
            raise InputError(
                f"{table.name} has the columns {table.columns}; name the one of the labels by --label-column"
            )
        value = others[0]
    table.require([*columns.ids, *([] if columns.time is None else [columns.time]), value])
    return Columns(id_column, columns.time, (value,))


def _events(scores: str, table: pd.DataFrame, path: Place | None, threshold: float | None) -> pd.DataFrame | None:
    """Read events, or make them of the rows above the threshold; None where there are none to be had."""
    if threshold is not None:
        return labelled_stretches(table.assign(label=(table["score"] > threshold).to_numpy()))
    if path is None:
        folder = folder_of(scores)
        path = None if folder is None else folder / EVENTS
        if path is None or not path.exists():
            return None
    elif not path.exists():
        raise JobError(f"there is no file {path} of events")
    try:
        found = read_result(path)
    except ValueError as error:
        raise InputError(f"{path} cannot be read as events: {error}") from error
    if "series" not in found and table["series"].nunique() == 1:
        found = found.assign(series=table["series"].iloc[0])
    for name in ("series", "start", "end"):
        if name not in found:
            raise InputError(f"{path} has no column {name!r}; it has {list(found.columns)}")
    found = found.assign(series=found["series"].astype(str))
    for name in ("start", "end"):
        if isinstance(found[name].dtype, pd.DatetimeTZDtype):
            found[name] = found[name].dt.tz_convert(None)
        if len(found) and (found[name].dtype.kind == "M") != (table["time"].dtype.kind == "M"):
            raise InputError(
                f"{path}: column {name!r} holds {found[name].iloc[0]}, and the scores {table['time'].iloc[0]}"
            )
    return found[["series", "start", "end"]]


# -- labels ------------------------------------------------------------------------------------------------------------


def _labels(data: Dataset, labels: LabelSource) -> np.ndarray:
    """Return the label of each row: 1 for known anomalies, otherwise 0, NaN where it is not known."""
    if labels.file is None:
        if labels.column is None:
            raise JobError("there is nothing to compare with: name a table by --labels, or a column by --label-column")
        return labels_of(data.extra[labels.column]).astype(np.float64)
    names = open_table(list_parts(labels.file)[0].path, without_secrets(labels.file), Columns()).columns
    if {"start", "end"} <= set(names):
        return _labels_of_stretches(data, labels.file)
    return _labels_of_rows(data, labels)


def _labels_of_stretches(data: Dataset, file: str) -> np.ndarray:
    series, shown = data.series, without_secrets(file)
    stretches = read_stretches(Path(file), str(series.names[0]) if len(series.names) == 1 else None)
    found = [len(series.rows_between(*row[:3])) for row in stretches.stretches(series).itertuples(index=False)]
    if found and not any(found):
        raise InputError(f"{shown}: no label is on a timestamp of the scores. {_ranges(data, stretches.marks)}")
    if 0 in found:
        log_warning(f"{found.count(0):,} of {len(found):,} stretches of {shown} are on no timestamp of the scores")
    return stretches.of_rows(series, data.extra)


def _labels_of_rows(data: Dataset, labels: LabelSource) -> np.ndarray:
    assert labels.file is not None
    shown = without_secrets(labels.file)
    known = read_dataset(labels.file, _columns(labels.file, labels.id, labels.time, labels.column))
    if _has_numbers(known.columns) != _has_numbers(data.columns):
        raise InputError(f"{shown}: no label is on a timestamp of the scores. {_ranges(data, known.index())}")
    both = data.index().merge(
        known.index().assign(label=(np.nan_to_num(known.series.values[:, 0]) != 0).astype(np.float64)),
        on=["series", "time"], how="left",
    )  # fmt: skip
    label = both["label"].to_numpy()
    n_found = int((~np.isnan(label)).sum())
    if not n_found:
        raise InputError(f"{shown}: no label is on a timestamp of the scores. {_ranges(data, known.index())}")
    if n_found < len(known.series.values):
        n_lost = len(known.series.values) - n_found
        log_warning(f"{n_lost:,} of {len(known.series.values):,} labels of {shown} are on no timestamp of the scores")
    return label


def _has_numbers(columns: Columns) -> bool:
    return columns.time is None or columns.time_kind in NUMBERS


def _ranges(data: Dataset, labels: pd.DataFrame | None) -> str:
    """Describe what scores and labels are of, for errors."""
    assert labels is not None
    time = "time" if "time" in labels else "start"
    rows = data.index()
    return (
        f"The scores are of series {listed(rows['series'].unique())} from {rows['time'].min()} to "
        f"{rows['time'].max()}, the labels of {listed(labels['series'].unique())} from {labels[time].min()} to "
        f"{labels[time].max()}"
    )
