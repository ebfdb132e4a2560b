"""The job `reconstruct`: a data set in, its reconstruction by a decoder out, one row per timestamp."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.residuals import position_chunks
from tsae.data.timeline import Timeline
from tsae.data.windows import Windows
from tsae.jobs.continuation import PartWindows
from tsae.jobs.errors import JobError
from tsae.jobs.export import export
from tsae.jobs.job import Job
from tsae.jobs.manifest import Manifest
from tsae.jobs.models import decoding_model_of
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_writer import Append, with_zone
from tsae.jobs.work import Written


def run_reconstruct(job: Job, decoder: str | None = None) -> Manifest:
    """Reconstruct a data set: tables with `series`, `time`, and two columns per channel.

    ``value_<channel>`` is as measured, ``reconstruction_<channel>`` the mean over the windows that cover the
    timestamp; NaN where there is none. See `tsae.jobs.export.export` for errors and for how a job is continued.

    Parameters
    ----------
    job : Job
        Of kind "reconstruction".
    decoder : str or None
        As of `LSTMAutoencoder.reconstruct`.

    Returns
    -------
    Manifest
    """
    autoencoder = decoding_model_of(job.model.estimator, job.model.path)
    if decoder is not None and decoder not in autoencoder.decoders_:
        raise JobError(f"{job.model.path} has no decoder {decoder!r}; it has {', '.join(autoencoder.decoders_)}")
    name = decoder or autoencoder.decoders_[0]
    return export(job, partial(write_reconstruction, decoder=name))


def write_reconstruction(
    estimator: Any, part: PartWindows, spec: WindowSpec, append: Append, *, decoder: str
) -> Written:
    """Reconstruct the timestamps that become final with this part, and write them; return their numbers."""
    autoencoder = getattr(estimator, "autoencoder_", estimator)
    grouped, rows = part.windows.grouped, np.flatnonzero(part.final)
    table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows)})
    found = reconstruct_rows(autoencoder, part.windows[part.covering], decoder)[rows]
    names = spec.columns.values or tuple(grouped.channel_names)
    columns = np.stack([grouped.values[rows], found], axis=2).reshape(len(rows), -1)
    titles = [f"{kind}_{name}" for name in names for kind in ("value", "reconstruction")]
    append(with_zone(table, spec.columns, "time"), columns, titles)
    return Written(len(rows), int((~np.isnan(found)).any(axis=1).sum()))


def reconstruct_rows(autoencoder: Any, windows: Windows, decoder: str) -> np.ndarray:
    """Reconstruct every row of the series of `windows`: float64 (n_rows, n_channels), NaN where no window has it."""
    windows = windows[windows.observed]
    if not len(windows):
        return np.full(windows.values.shape, np.nan)
    timeline = Timeline(windows)
    for positions in position_chunks(windows):
        timeline.add(positions, autoencoder.reconstruct(windows[positions], decoder))
    return np.asarray(timeline.result().iloc[:, 2:], dtype=np.float64)
