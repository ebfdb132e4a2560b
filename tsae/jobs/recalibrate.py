"""The job `recalibrate`: a detector and new normal data in, the detector with another calibration out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tsae.jobs.anomalies import check_detector
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import JobError
from tsae.jobs.labels import Labels
from tsae.jobs.logs import log_event
from tsae.jobs.models import open_model, save_model
from tsae.jobs.outputs import check_target
from tsae.jobs.stores import without_secrets


def recalibrate(model: Path, source: str, target: Path, marks: str | None = None, *, overwrite: bool = False) -> Any:
    """Take new normal data into the calibration of a detector, and write it to a model file.

    Parameters
    ----------
    model : Path
        A detector that `tsae train` wrote.
    source : str
        As of `tsae.jobs.parts.list_parts`; read into memory.
    target : Path
        The new model file.
    marks : str or None
        A file of marks, as a report page saves it: only what is marked "normal" is taken. None: all rows.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    AnomalyDetector

    Raises
    ------
    JobError
        For a model, input, marks or a target that cannot be used.
    """
    check_target(target, "the model", overwrite=overwrite)
    labels = Labels.of(marks)
    if labels is not None and labels.marks is None:
        raise JobError(f"--marks {marks} is not the name of a .csv file")
    file = open_model(model)
    detector = file.estimator
    check_detector(detector, model)
    data = read_dataset(source, file.spec.columns)
    windows = file.spec.cut(data.series)
    before = detector.timeline_threshold_.n_scores_
    try:
        detector.recalibrate(windows, events=None if labels is None else labels.stretches(data.series))
    except ValueError as error:
        raise JobError(f"{without_secrets(source)}: {error}") from error
    save_model(detector, file.spec, target)
    added = detector.timeline_threshold_.n_scores_ - before
    log_event(f"added {added:,} normal timestamps to {before:,}; wrote {target}", event="end", model=str(target))
    return detector
