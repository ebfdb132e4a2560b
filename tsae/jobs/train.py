"""The job `train`: a data set in, a model file out."""

from __future__ import annotations

import inspect
import logging
import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.description import describe_series
from tsae.data.inspection import MarkerWarning, describe_markers, find_labels
from tsae.data.series import GroupedSeries
from tsae.data.times import find_gaps, inferred_max_gaps
from tsae.data.windows import Windows
from tsae.estimators.augmentation import Augmentation
from tsae.estimators.decoding import DecoderOptions
from tsae.jobs.coverage import median_step
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.logs import log_event
from tsae.jobs.models import load_tensorflow, save_model
from tsae.jobs.outputs import check_target
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns, WindowSpec

# Parameters that are objects with parameters of their own, which "--set decoder_options__attention=dot" reaches.
_OPTIONS: dict[str, Any] = {"decoder_options": DecoderOptions, "augmentation": Augmentation}


@dataclass(frozen=True)
class Training:
    """Settings of the job `train`.

    Attributes
    ----------
    columns : Columns
    width : int or "auto"
        Of the windows; "auto": as `tsae.describe` suggests.
    stride : int
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
    width: int | str
    stride: int = 1
    task: str = "features"
    max_gap: str | float | None = None
    before: str | None = None
    label_column: str | None = None
    autoencoder: dict[str, Any] = field(default_factory=dict)
    detector: dict[str, Any] = field(default_factory=dict)


def train(source: str, target: Path, training: Training, *, overwrite: bool = False) -> Any:
    """Train on a data set, which is read into memory, and write a model file.

    Parameters
    ----------
    source : str
        As of `tsae.jobs.parts.list_parts`.
    target : Path
        The model file.
    training : Training
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    LSTMAutoencoder or AnomalyDetector
        Fitted.

    Raises
    ------
    JobError
        For input, parameters or a target that are not allowed, before training.
    """
    _check_parameters(training)
    check_target(target, "the model", overwrite=overwrite)
    if target.exists() and any(part.path.samefile(target) for part in list_parts(source)):
        raise JobError(f"the model {target} would replace the input")
    windows, chosen, spec = read_windows(source, training)
    windows = windows[chosen]
    log_event(
        f"training on {len(windows):,} windows of {windows.width} steps, channels {', '.join(windows.channel_names)}"
    )
    estimator = make_estimator(training, len(windows))
    load_tensorflow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MarkerWarning)  # `_warn_of_markers` named the option for it
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
        known = list(inspect.signature(estimator).parameters)
        if estimator is LSTMAutoencoder:
            known += [f"{name}__{each.name}" for name, kind in _OPTIONS.items() for each in fields(kind)]
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
    for name, kind in _OPTIONS.items():
        if getattr(autoencoder, name) is None and any(key.startswith(f"{name}__") for key in settings):
            autoencoder.set_params(**{name: kind()})
    return autoencoder.set_params(**settings)


def read_windows(source: str, training: Training) -> tuple[Windows, np.ndarray, WindowSpec]:
    """Return all windows of a data set, a mask of those to train on, and their specification."""
    extra = [] if training.label_column is None else [training.label_column]
    data = read_dataset(source, training.columns, extra)
    if not training.columns.values:
        _warn_of_labels(data.series)
    _warn_of_markers(data.series)
    try:
        max_gap, origin, _ = find_gaps(data.series, training.max_gap)
        by_series = inferred_max_gaps(data.series) if training.max_gap is None and origin else {}
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    if data.columns.time is not None:
        log_event(f"a time step longer than {max_gap} ends a window ({origin})")
    step = None if data.series.times is None else median_step(data.series.times, data.series.offsets)
    width = training.width
    if isinstance(width, str):
        width = describe_series(data.series).width
        log_event(f"width={width}, as tsae describe suggests")
    spec = WindowSpec(
        data.columns, width, training.stride, None if max_gap in (None, np.inf) else _plain(max_gap), step,
        {name: _plain(gap) for name, gap in by_series.items()},
    )  # fmt: skip
    windows = spec.cut(data.series)
    _report_short(windows, spec, origin)

    chosen = windows.observed
    if training.before is not None:
        chosen &= _is_before(windows, training.before, data.columns)
    if training.label_column is not None:
        chosen &= ~windows.touching(data.labels(training.label_column))
    if not chosen.any():
        raise InputError(f"{source}: none of {len(windows)} windows is left to train on")
    return windows, chosen, spec


def _plain(max_gap: Any) -> str | float:
    return str(max_gap) if isinstance(max_gap, pd.Timedelta) else max_gap


def _warn_of_labels(series: GroupedSeries) -> None:
    """Warn of channels that were not asked for by name and look like labels."""
    labels, flags = find_labels(series)
    for name in dict.fromkeys([*flags, *labels]):
        _warn(
            f"column {name!r} {'holds only 0 and 1' if name in flags else 'is named like a label'} and is taken as a "
            "channel; if it marks anomalies, use --label-column, otherwise name the channels with --value-columns",
            column=name,
        )


def _warn_of_markers(series: GroupedSeries) -> None:
    """Warn of few equal values that make up most of the spread of a channel."""
    message, markers = describe_markers(series.values, series.channel_names)
    if message:
        option = f"--missing-values={','.join(f'{marker:.9g}' for marker in markers)}"
        _warn(f"{message}: if this marks missing values, use {option}")


def _report_short(windows: Windows, spec: WindowSpec, origin: str) -> None:
    """Warn of series and rows that no window covers; refuse a data set without any window."""
    series, layout = windows.grouped, windows.layout
    lengths, stretches = np.diff(series.offsets), np.diff(layout.begins, append=len(series.values))
    n_steps, n_gaps = len(series.values) - len(lengths), len(stretches) - len(lengths)
    why = ""
    if n_gaps:
        why = (
            f". Windows end at {n_gaps / n_steps:.0%} of the time steps, which are longer than max_gap={spec.max_gap} "
            f"({origin}); the median step is {spec.step}. Try a longer --max-gap, or a smaller --width"
        )
    n_without = len(lengths) - len(np.unique(windows.series))
    if n_without == len(lengths):
        raise InputError(
            f"width={spec.width}, but no series has as many rows without a gap; the longest of {len(lengths)} has "
            f"{lengths.max()} rows in all, {stretches.max()} without a gap{why}"
        )
    if n_without:
        _warn(f"{n_without} of {len(lengths)} series are shorter than width={spec.width} and are left out{why}")
    n_left_out = stretches[layout.counts == 0].sum()
    if n_left_out > 0.5 * len(series.values):
        _warn(f"{n_left_out:,} of {len(series.values):,} rows lie in stretches shorter than width={spec.width}{why}")


def _warn(message: str, **fields: Any) -> None:
    log_event(f"warning: {message}", level=logging.WARNING, event="warning", **fields)


def _is_before(windows: Windows, before: str, columns: Columns) -> np.ndarray:
    """Mask of the windows that end before a time."""
    is_dated = columns.time_kind in ("datetime", "utc")
    try:
        limit = pd.to_datetime(before, format="ISO8601") if is_dated else float(before)
    except ValueError as error:
        allowed = "a time in ISO 8601, such as 2024-02-03" if is_dated else "a number"
        raise JobError(f"--before {before} is not {allowed}") from error
    if isinstance(limit, pd.Timestamp) and limit.tz is not None:
        if columns.time_kind == "datetime":
            raise JobError(f"--before {before} has a time zone, but the times of the input have none")
        limit = limit.tz_convert("UTC").tz_localize(None)
    elif columns.time_kind == "utc":
        log_event(f"--before {before} is taken as UTC")
    return np.asarray(windows.index["end"] < limit)
