"""The job `train`: a data set in, a model file out."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from tsae.data.inspection import MarkerWarning, describe_markers, find_labels, suspected_labels
from tsae.data.series import GroupedSeries
from tsae.data.series_description import describe_series
from tsae.data.times import find_gaps, inferred_max_gaps
from tsae.data.windows import Windows
from tsae.estimators.augmentation import Augmentation
from tsae.estimators.decoding import DecoderOptions
from tsae.jobs.coverage import median_step
from tsae.jobs.dataset import read_dataset
from tsae.jobs.drawn import Limits
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.labels import Labels
from tsae.jobs.locks import locked
from tsae.jobs.logs import log_event, log_warning
from tsae.jobs.memory import default_memory, fits, release_memory, rows_within, size_text
from tsae.jobs.models import load_tensorflow, save_model
from tsae.jobs.outputs import check_not_input, check_target
from tsae.jobs.parts import Part, list_parts
from tsae.jobs.passes import Passes, remove_passes
from tsae.jobs.sampling import draw_windows, surveyed_spec
from tsae.jobs.selection import Selection
from tsae.jobs.spec import Columns, WindowSpec, plain_gap
from tsae.jobs.stores import without_secrets
from tsae.jobs.survey import Survey, survey
from tsae.jobs.table_reader import channels_of

# Parameters that are objects with parameters of their own, which "--set decoder_options__attention=dot" reaches.
_OPTIONS: dict[str, Any] = {"decoder_options": DecoderOptions, "augmentation": Augmentation}
ASSUMED_WIDTH = 128  # of windows, where the need of memory is estimated before the width is known
RUN_WIDTHS = 4  # windows of a detector are drawn in runs of so many widths


@dataclass(frozen=True)
class Training:
    """Settings of the job `train`.

    Attributes
    ----------
    columns : Columns
    width : int or "auto"
        Of the windows; "auto": as `tsae.describe` suggests.
    stride : int or "auto"
        Of the windows; "auto": as `tsae.describe` suggests.
    task : {"features", "anomalies"}
        "features": an `LSTMAutoencoder`; "anomalies": an `AnomalyDetector`, whose autoencoder also computes features.
    max_gap : str, float or None
        Longest time step within a window; None: inferred, see `tsae.make_windows`.
    before : str or None
        Train on windows that end before this time.
    label_column : str or None
        Rows in which this column is neither 0 nor empty are known anomalies; windows that contain any are left out.
        A name that ends in .csv is a file of marks, as the report page saves it; windows that contain rows marked
        as fault or unclear are left out.
    autoencoder, detector : dict
        Parameters of the estimators.
    memory : int or None
        Bytes that training may use. A data set that needs more is read in two passes, and windows are drawn from it.
        None: a quarter of the memory that is free.
    """

    columns: Columns
    width: int | str
    stride: int | str = 1
    task: str = "features"
    max_gap: str | float | None = None
    before: str | None = None
    label_column: str | None = None
    autoencoder: dict[str, Any] = field(default_factory=dict)
    detector: dict[str, Any] = field(default_factory=dict)
    memory: int | None = None


def train(source: str, target: Path, training: Training, *, overwrite: bool = False) -> Any:
    """Train on a data set, or on windows drawn from it if it does not fit into memory, and write a model file.

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
    if target.exists():
        check_not_input(target, "the model", list_parts(source))
    progress = target.with_name(f"{target.name}.progress")
    windows, spec = training_windows(source, training, progress)
    log_event(
        f"training on {len(windows):,} windows of {windows.width} steps, channels {', '.join(windows.channel_names)}"
    )
    estimator = make_estimator(training, len(windows))
    release_memory()
    load_tensorflow()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("default")
            warnings.simplefilter("ignore", MarkerWarning)  # `_warn_of_markers` named the option for it
            estimator.fit(windows)
    except ValueError as error:
        raise JobError(str(error)) from error
    for warning in warned:
        log_warning(str(warning.message))
    save_model(estimator, spec, target)
    remove_passes(progress)
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

    if set(training.autoencoder) <= {"verbose", "random_state"}:  # its defaults are those of AnomalyDetector()
        return AnomalyDetector(**{**training.autoencoder, **training.detector})
    autoencoder = _with_settings(default_autoencoder(n_windows), training.autoencoder)
    return AnomalyDetector(autoencoder, **training.detector)


def _with_settings(autoencoder: Any, settings: dict[str, Any]) -> Any:
    """Set parameters, also those of nested objects ("decoder_options__attention") where the default is None."""
    for name, kind in _OPTIONS.items():
        if getattr(autoencoder, name) is None and any(key.startswith(f"{name}__") for key in settings):
            autoencoder.set_params(**{name: kind()})
    return autoencoder.set_params(**settings)


def training_windows(source: str, training: Training, progress: Path | None = None) -> tuple[Windows, WindowSpec]:
    """Return the windows to train on: all of a data set, or as many as fit into memory, drawn at random.

    Parameters
    ----------
    source : str
    training : Training
    progress : Path or None
        A folder for what the passes over more data than memory have found, from which the same call continues.

    Returns
    -------
    Windows
    WindowSpec

    Raises
    ------
    JobError
        For input that cannot be used, and if no window is left to train on.
    """
    parts, columns = list_parts(source), training.columns
    labels = Labels.of(training.label_column)
    extra = [] if labels is None else labels.extra
    n_channels = len(channels_of(parts[0], columns, extra))
    width = ASSUMED_WIDTH if isinstance(training.width, str) else training.width
    memory = default_memory(width) if training.memory is None else training.memory
    if not fits(parts, columns, n_channels, width, memory):
        asked = [name for name in ("width", "stride") if isinstance(getattr(training, name), str)]
        if asked:
            raise JobError(
                f"--{asked[0]} auto reads the whole data set, which does not fit into {size_text(memory)}; give "
                "a number of rows, or more --memory"
            )
        if progress is None:
            return _drawn_windows(parts, training, width, memory, None)
        with locked(progress):
            return _drawn_windows(parts, training, width, memory, Passes(progress))
    windows, chosen, spec = read_windows(source, training, parts)
    return windows[chosen], spec


def read_windows(
    source: str, training: Training, parts: list[Part] | None = None
) -> tuple[Windows, np.ndarray, WindowSpec]:
    """Return all windows of a data set, a mask of those to train on, and their specification."""
    labels = Labels.of(training.label_column)
    extra = [] if labels is None else labels.extra
    data = read_dataset(source, training.columns, extra, parts)
    if not training.columns.values:
        _warn_of_labels(*find_labels(data.series))
    _warn_of_markers(data.series)
    try:
        max_gap, origin, _ = find_gaps(data.series, training.max_gap)
        by_series = inferred_max_gaps(data.series) if training.max_gap is None and origin else {}
    except ValueError as error:
        raise InputError(f"{without_secrets(source)}: {error}") from error
    if data.columns.time is not None:
        log_event(f"a time step longer than {max_gap} ends a window ({origin})")
    step = None if data.series.times is None else median_step(data.series.times, data.series.offsets)
    width, stride = _suggested(data.series, training)
    spec = WindowSpec(
        data.columns, width, stride, None if max_gap in (None, np.inf) else plain_gap(max_gap), step,
        {name: plain_gap(gap) for name, gap in by_series.items()},
    )  # fmt: skip
    windows = spec.cut(data.series)
    _report_short(windows, spec, origin)

    known = None if labels is None else data.labels(labels) != 0
    chosen = Selection.of(training.before, labels, data.columns).mask(windows, known)
    if not chosen.any():
        raise InputError(f"{without_secrets(source)}: none of {len(windows)} windows is left to train on")
    return windows, chosen, spec


def _suggested(series: GroupedSeries, training: Training) -> tuple[int, int]:
    """Return width and stride, those that are "auto" as `tsae.describe` suggests."""
    width, stride = training.width, training.stride
    if isinstance(width, str) or isinstance(stride, str):
        described = describe_series(series)
        suggested = {"width": described.width, "stride": described.stride}
        chosen = {name: value for name, value in suggested.items() if isinstance(getattr(training, name), str)}
        log_event(f"{', '.join(f'{k}={v}' for k, v in chosen.items())}, as tsae describe suggests")
        width, stride = chosen.get("width", width), chosen.get("stride", stride)
    return int(width), int(stride)


def _drawn_windows(
    parts: list[Part], training: Training, width: int, memory: int, passes: Passes | None
) -> tuple[Windows, WindowSpec]:
    """Draw windows from a data set that does not fit into memory; both passes find parts that cannot be used."""
    labels = Labels.of(training.label_column)
    extra = [] if labels is None else labels.extra
    found = survey(parts, training.columns, extra, passes)
    if not training.columns.values:
        channels = found.channels
        holds_both = channels.is_flag & (channels.low == 0) & (channels.high == 1)
        _warn_of_labels(*suspected_labels(list(found.columns.values), holds_both.tolist()))
    _warn_of_surveyed_markers(found)
    spec, origin = surveyed_spec(found, width, int(training.stride), training.max_gap)
    if spec.columns.time is not None:
        log_event(f"a time step longer than {spec.max_gap} ends a window ({origin})")
    n_rows = rows_within(memory, len(found.columns.values), width)
    # A detector is calibrated on timestamps that as many windows cover as later on.
    consecutive = -(-RUN_WIDTHS * spec.width // spec.stride) if training.task == "anomalies" else 1
    seed = training.autoencoder.get("random_state", 0)
    selection = Selection.of(training.before, labels, spec.columns)
    sample = draw_windows(
        parts, spec, selection, Limits(None, n_rows, consecutive), np.random.default_rng(seed), origin, passes
    )
    log_event(
        f"drew {len(sample.windows):,} of {sample.n_allowed:,} windows ({len(sample.windows.values):,} of "
        f"{found.n_rows:,} rows) to train within {size_text(memory)}; --memory {size_text(memory)} draws them again",
        event="sample", windows=len(sample.windows), n_windows=sample.n_allowed, memory=memory,
    )  # fmt: skip
    without = len(found.series) - len(sample.windows_of)
    if without:
        log_warning(
            f"{without} of {len(found.series)} series have no stretch of width={spec.width} rows and are left out"
        )
    return sample.windows, spec


def _warn_of_labels(labels: list[str], flags: list[str]) -> None:
    """Warn of channels that were not asked for by name and look like labels."""
    for name in dict.fromkeys([*flags, *labels]):
        log_warning(
            f"column {name!r} {'holds only 0 and 1' if name in flags else 'is named like a label'} and is taken as a "
            "channel; if it marks anomalies, use --label-column, otherwise name the channels with --value-columns",
            column=name,
        )


def _warn_of_markers(series: GroupedSeries) -> None:
    """Warn of few equal values that make up most of the spread of a channel."""
    message, markers = describe_markers(series.values, series.channel_names)
    if message:
        option = f"--missing-values={','.join(f'{marker:.9g}' for marker in markers)}"
        log_warning(f"{message}: if this marks missing values, use {option}")


def _warn_of_surveyed_markers(found: Survey) -> None:
    """Warn of the same where data are not read whole."""
    for channel, name in enumerate(found.columns.values):
        for value, count in found.channels.dominating_values(channel):
            log_warning(
                f"{count:,} of {found.n_rows:,} rows of column {name!r} hold {value:.9g}, which makes up most of its "
                f"spread, so that all else looks constant; if it marks missing values: --missing-values={value:.9g}",
                column=name,
            )


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
        log_warning(f"{n_without} of {len(lengths)} series are shorter than width={spec.width} and are left out{why}")
    n_left_out = stretches[layout.counts == 0].sum()
    if n_left_out > 0.5 * len(series.values):
        log_warning(
            f"{n_left_out:,} of {len(series.values):,} rows lie in stretches shorter than width={spec.width}{why}"
        )
