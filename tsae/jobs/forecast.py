"""The job `forecast`: a data set in, what comes after its windows out, as one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import times_after
from tsae.data.windows import Windows
from tsae.jobs.continuation import Carry, continue_series
from tsae.jobs.errors import InputError, JobError, listed
from tsae.jobs.logs import log_event, log_warning
from tsae.jobs.models import ModelFile, decoding_model_of
from tsae.jobs.outputs import check_table_target
from tsae.jobs.parts import list_parts
from tsae.jobs.places import Place
from tsae.jobs.progress import job_progress
from tsae.jobs.spec import WindowSpec
from tsae.jobs.stores import without_secrets
from tsae.jobs.table_reader import read_rows
from tsae.jobs.table_writer import result_writer, with_zone

BATCH_WINDOWS = 1024  # whose forecasts are held before they are written


def forecast(
    model: ModelFile, source: str, target: Place, spec: WindowSpec, *, every: bool = False, overwrite: bool = False
) -> int:
    """Forecast what comes after the newest rows of each series, or after every window.

    Parameters
    ----------
    model : ModelFile
        With a horizon.
    source : str
        As of `tsae.jobs.parts.list_parts`; read part by part.
    target : Path or StoredPath
        A .csv or .parquet file: `series`, `end` (last timestamp of the window), `step` (from 1), `time`, and one
        column ``forecast_<channel>`` per channel. NaN after windows without any observed value.
    spec : WindowSpec
        How the tables are read and cut.
    every : bool
        After every window, instead of the newest rows of each series.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    int
        Number of windows.

    Raises
    ------
    JobError
        For a model without a horizon, input or a target that cannot be used.
    """
    parts = list_parts(source)
    check_table_target(target, parts, overwrite=overwrite)
    autoencoder = decoding_model_of(model.estimator, model.path)
    check_horizon(autoencoder, model.path)
    carry, n_windows = Carry.empty(), 0
    n_bytes, shown = sum(part.size for part in parts), without_secrets(source)
    with result_writer(target) as append, job_progress("forecast", len(parts), n_bytes, "read") as advance:
        for part in parts:
            rows = read_rows(part.path, spec.columns, name=part.name).series
            try:
                found, carry = continue_series(carry, rows, spec, last=False)
            except ValueError as error:
                raise InputError(f"{part.name}: {error}") from error
            if every:
                n_windows += _append(append, autoencoder, found.windows[found.new], spec)
            advance(part.size, len(rows.values))
        if carry.rows is None or not len(carry.rows.values):
            raise InputError(f"{shown} has no rows")
        if not every:
            n_windows += _append(append, autoencoder, newest_windows(carry.rows, spec), spec)
        if not n_windows:
            raise InputError(f"{shown}: no series has a window of {spec.width} rows without a gap to forecast from")
    windows = f"{n_windows:,} window{'s' * (n_windows != 1)}"
    log_event(f"forecast after {windows}; wrote {target}", event="end", path=str(target))
    return n_windows


def check_horizon(autoencoder: Any, path: Path) -> None:
    """Refuse an autoencoder that does not predict beyond its windows.

    Raises
    ------
    JobError
    """
    if "prediction" not in autoencoder.decoders_ or not autoencoder.horizon:
        raise JobError(
            f"{path} does not forecast: its decoders are {', '.join(autoencoder.decoders_)}, its horizon is "
            f"{autoencoder.horizon}; train with --decoder prediction --set horizon=N, N steps ahead"
        )


def newest_windows(rows: GroupedSeries, spec: WindowSpec) -> Windows:
    """Return the window of each series that ends with its last row; a warning names the series without one."""
    windows = replace(spec, stride=1).cut(rows)
    windows = windows[windows.starts + spec.width == rows.offsets[windows.series + 1]]
    lost = sorted(set(rows.names.tolist()) - set(windows.index["series"]))
    if lost and len(windows):
        log_warning(
            f"{len(lost)} of {len(rows.names)} series have no forecast ({listed(lost)}): fewer than "
            f"{spec.width} rows since their start or their last gap", series=lost,
        )  # fmt: skip
    return windows


def _append(append: Any, autoencoder: Any, windows: Windows, spec: WindowSpec) -> int:
    names = [f"forecast_{name}" for name in spec.columns.values or windows.channel_names]
    for first in range(0, len(windows), BATCH_WINDOWS):
        batch = windows[first : first + BATCH_WINDOWS]
        values = forecast_of(autoencoder, batch)
        index = with_zone(_index(batch, values.shape[1], spec), spec.columns, "end", "time")
        append(index, values.reshape(-1, len(names)), names)
    return len(windows)


def forecast_of(autoencoder: Any, windows: Windows) -> np.ndarray:
    """Forecast after windows, (n_windows, horizon, n_channels); NaN after windows without any observed value."""
    observed = windows.observed
    values = np.full((len(windows), autoencoder.horizon, windows.n_channels), np.nan, np.float32)
    if observed.any():
        values[observed] = autoencoder.forecast(windows[observed])
    return values


def _index(windows: Windows, horizon: int, spec: WindowSpec) -> pd.DataFrame:
    """`series`, `end`, `step` and `time` of each forecast."""
    head = windows.index[["series", "end"]]
    times = windows.grouped.times
    ahead: list[Any] = []
    for start in windows.starts:
        own = pd.RangeIndex(spec.width) + start if times is None else times[start : start + spec.width]
        ahead += times_after(own, horizon)
    table = head.loc[head.index.repeat(horizon)].reset_index(drop=True)
    time = pd.Series(ahead, dtype=head["end"].dtype if None not in ahead else None)
    if time.dtype.kind not in "mM" and isinstance(times, pd.Index) and times.dtype.kind == "f":
        time = time.astype(np.float64)
    return table.assign(step=np.tile(np.arange(1, horizon + 1), len(windows)), time=time)
