"""The job `train`: a data set in, a model file out."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import find_gaps
from tsae.data.windows import Windows
from tsae.jobs.continuation import cut
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.models import Reading, load_tensorflow, save_model
from tsae.jobs.progress import say
from tsae.jobs.tables import Columns

TASKS = ("features", "anomalies")


@dataclass(frozen=True)
class Training:
    """What to train, and on what.

    Attributes
    ----------
    columns : Columns
    width, stride : int
        Of the windows.
    task : {"features", "anomalies"}
        "features": an `LSTMAutoencoder`; "anomalies": an `AnomalyDetector`, whose autoencoder makes features too.
    max_gap : str, float or None
        Longest step of time within a window; None: inferred, see `tsae.make_windows`.
    before : str or None
        Train on rows before this time only.
    label_column : str or None
        Rows where this column is neither 0 nor empty are known anomalies; windows with any are left out.
    autoencoder, detector : dict
        Parameters of the estimators.
    """

    columns: Columns
    width: int
    stride: int = 1
    task: str = "features"
    max_gap: str | float | None = None
    before: str | None = None
    label_column: str | None = None
    autoencoder: dict[str, Any] = field(default_factory=dict)
    detector: dict[str, Any] = field(default_factory=dict)


def train(source: str, target: Path, training: Training) -> Any:
    """Train on a data set, which is read into memory as a whole, and write a model file.

    Returns
    -------
    LSTMAutoencoder or AnomalyDetector
        Fitted.

    Raises
    ------
    JobError
        For input or parameters that are not allowed, before training starts.
    """
    _check_parameters(training)
    windows, chosen, reading = read_windows(source, training)
    windows = windows[chosen]
    say(f"training on {len(windows):,} windows of {windows.width} steps, channels {', '.join(windows.channel_names)}")
    estimator = make_estimator(training, len(windows))
    load_tensorflow()
    try:
        estimator.fit(windows)
    except ValueError as error:
        raise JobError(str(error)) from error
    save_model(estimator, reading, target)
    say(f"wrote {target}", event="end", model=str(target))
    return estimator


def _check_parameters(training: Training) -> None:
    from tsae import AnomalyDetector, LSTMAutoencoder

    if training.task == "features" and training.detector:
        raise JobError(f"{', '.join(training.detector)}: for --task anomalies only")
    for estimator, parameters in ((LSTMAutoencoder, training.autoencoder), (AnomalyDetector, training.detector)):
        known = inspect.signature(estimator).parameters
        for name in parameters:
            if name not in known:
                raise JobError(f"{estimator.__name__} has no parameter {name!r}; it has {', '.join(known)}")


def make_estimator(training: Training, n_windows: int) -> Any:
    """The estimator for so many windows, not fitted."""
    from tsae import AnomalyDetector, LSTMAutoencoder

    if training.task == "features":
        return LSTMAutoencoder(**training.autoencoder)
    from tsae.anomaly.defaults import default_autoencoder

    autoencoder = default_autoencoder(n_windows).set_params(**training.autoencoder)
    return AnomalyDetector(autoencoder, **training.detector)


def read_windows(source: str, training: Training) -> tuple[Windows, np.ndarray, Reading]:
    """All windows of a data set, which of them to train on, and how tables were read."""
    extra = [] if training.label_column is None else [training.label_column]
    data = read_dataset(source, training.columns, extra)
    try:
        max_gap, origin, _ = find_gaps(data.series, training.max_gap)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    if data.columns.time is not None:
        say(f"a step of time longer than {max_gap} ends a window ({origin})")
    max_gap = str(max_gap) if isinstance(max_gap, pd.Timedelta) else max_gap
    reading = Reading(data.columns, training.width, training.stride, None if max_gap in (None, np.inf) else max_gap)
    windows, _, _ = cut(data.series, reading.grid)
    _report_short(data.series, windows, training.width)

    chosen = windows.observed
    if training.before is not None:
        chosen &= _is_before(windows, training.before, data.columns)
    if training.label_column is not None:
        chosen &= ~_touched(windows, data.marks(training.label_column))
    if not chosen.any():
        raise InputError(f"{source}: none of {len(windows)} windows is left to train on")
    return windows, chosen, reading


def _report_short(series: GroupedSeries, windows: Windows, width: int) -> None:
    lengths = np.diff(series.offsets)
    n_without = len(lengths) - len(np.unique(windows.series))
    if n_without == len(lengths):
        raise InputError(
            f"width={width}, but no series has so many rows without a gap; the longest of {len(lengths)} has "
            f"{lengths.max()} rows in all"
        )
    if n_without:
        say(f"{n_without} of {len(lengths)} series are shorter than width={width} and are left out", event="warning")


def _is_before(windows: Windows, before: str, columns: Columns) -> np.ndarray:
    """Windows that end before a time."""
    ends = windows.index["end"]
    try:
        if columns.time_kind in ("datetime", "utc"):
            limit = pd.Timestamp(before)
            return (ends < (limit if limit.tz is None else limit.tz_convert("UTC").tz_localize(None))).to_numpy()
        return (ends < float(before)).to_numpy()
    except ValueError as error:
        raise JobError(f"--before {before}: {error}") from error


def _touched(windows: Windows, marks: np.ndarray) -> np.ndarray:
    """Windows that hold a marked row."""
    marked_before = np.concatenate([[0], np.cumsum(marks)])
    starts = windows.starts
    return marked_before[starts + windows.width] > marked_before[starts]
