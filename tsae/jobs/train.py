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
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.logs import log_event
from tsae.jobs.models import load_tensorflow, save_model
from tsae.jobs.spec import Columns, WindowSpec

TASKS = ("features", "anomalies")


@dataclass(frozen=True)
class Training:
    """Settings of the job `train`.

    Attributes
    ----------
    columns : Columns
    width, stride : int
        Of the windows.
    task : {"features", "anomalies"}
        "features": an `LSTMAutoencoder`; "anomalies": an `AnomalyDetector`, whose autoencoder also computes features.
    max_gap : str, float or None
        Longest time step within a window; None: inferred, see `tsae.make_windows`.
    before : str or None
        Train on windows that end before this time.
    label_column : str or None
        Rows in which this column is neither 0 nor empty are known anomalies; windows that contain any are left out.
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
    """Train on a data set, which is read into memory, and write a model file.

    Returns
    -------
    LSTMAutoencoder or AnomalyDetector
        Fitted.

    Raises
    ------
    JobError
        For input or parameters that are not allowed.
    """
    _check_parameters(training)
    windows, chosen, spec = read_windows(source, training)
    windows = windows[chosen]
    log_event(
        f"training on {len(windows):,} windows of {windows.width} steps, channels {', '.join(windows.channel_names)}"
    )
    estimator = make_estimator(training, len(windows))
    load_tensorflow()
    try:
        estimator.fit(windows)
    except ValueError as error:
        raise JobError(str(error)) from error
    save_model(estimator, spec, target)
    log_event(f"wrote {target}", event="end", model=str(target))
    return estimator


def _check_parameters(training: Training) -> None:
    from tsae.anomaly.detector import AnomalyDetector
    from tsae.estimators.autoencoder import LSTMAutoencoder

    if training.task == "features" and training.detector:
        raise JobError(f"{', '.join(training.detector)}: for --task anomalies only")
    for estimator, parameters in ((LSTMAutoencoder, training.autoencoder), (AnomalyDetector, training.detector)):
        known = inspect.signature(estimator).parameters
        for name in parameters:
            if name not in known:
                raise JobError(f"{estimator.__name__} has no parameter {name!r}; it has {', '.join(known)}")


def make_estimator(training: Training, n_windows: int) -> Any:
    """Return the estimator for a number of windows, not fitted."""
    from tsae.anomaly.detector import AnomalyDetector
    from tsae.estimators.autoencoder import LSTMAutoencoder

    if training.task == "features":
        return _with_settings(LSTMAutoencoder(), training.autoencoder)
    from tsae.anomaly.defaults import default_autoencoder

    autoencoder = _with_settings(default_autoencoder(n_windows), training.autoencoder)
    return AnomalyDetector(autoencoder, **training.detector)


def _with_settings(autoencoder: Any, settings: dict[str, Any]) -> Any:
    """Set parameters, also those of nested objects ("decoder_options__attention") where the default is None."""
    from tsae.estimators.augmentation import Augmentation
    from tsae.estimators.decoding import DecoderOptions

    for name, kind in (("decoder_options", DecoderOptions), ("augmentation", Augmentation)):
        if getattr(autoencoder, name) is None and any(key.startswith(f"{name}__") for key in settings):
            autoencoder.set_params(**{name: kind()})
    return autoencoder.set_params(**settings)


def read_windows(source: str, training: Training) -> tuple[Windows, np.ndarray, WindowSpec]:
    """Return all windows of a data set, a mask of those to train on, and their specification."""
    extra = [] if training.label_column is None else [training.label_column]
    data = read_dataset(source, training.columns, extra)
    try:
        max_gap, origin, _ = find_gaps(data.series, training.max_gap)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    if data.columns.time is not None:
        log_event(f"a time step longer than {max_gap} ends a window ({origin})")
    max_gap = str(max_gap) if isinstance(max_gap, pd.Timedelta) else max_gap
    spec = WindowSpec(data.columns, training.width, training.stride, None if max_gap in (None, np.inf) else max_gap)
    windows = Windows.cut(data.series, spec.width, spec.stride, max_gap=spec.longest_step)
    _report_short(data.series, windows, training.width)

    chosen = windows.observed
    if training.before is not None:
        chosen &= _is_before(windows, training.before, data.columns)
    if training.label_column is not None:
        chosen &= ~windows.touching(data.labels(training.label_column))
    if not chosen.any():
        raise InputError(f"{source}: none of {len(windows)} windows is left to train on")
    return windows, chosen, spec


def _report_short(series: GroupedSeries, windows: Windows, width: int) -> None:
    lengths = np.diff(series.offsets)
    n_without = len(lengths) - len(np.unique(windows.series))
    if n_without == len(lengths):
        raise InputError(
            f"width={width}, but no series has as many rows without a gap; the longest of {len(lengths)} has "
            f"{lengths.max()} rows in all"
        )
    if n_without:
        log_event(
            f"{n_without} of {len(lengths)} series are shorter than width={width} and are left out", event="warning"
        )


def _is_before(windows: Windows, before: str, columns: Columns) -> np.ndarray:
    """Mask of the windows that end before a time."""
    try:
        if columns.time_kind in ("datetime", "utc"):
            limit = pd.Timestamp(before)
            limit = limit if limit.tz is None else limit.tz_convert("UTC").tz_localize(None)
        else:
            limit = float(before)
    except ValueError as error:
        raise JobError(f"--before {before}: {error}") from error
    return np.asarray(windows.index["end"] < limit)
