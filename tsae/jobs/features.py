"""The job `features`: a data set in, one row of features a window out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.data.windows import Windows
from tsae.jobs.continuation import Piece
from tsae.jobs.export import Job, export
from tsae.jobs.manifest import Manifest
from tsae.jobs.models import Reading, autoencoder_of
from tsae.jobs.tables import Append, with_zone

BYTES_AT_ONCE = 64 << 20  # of features that are held before they are written


def run_features(job: Job) -> Manifest:
    """Export the features of a data set: tables with `series`, `start`, `end` and a column a feature.

    `start` and `end` are the first and last timestamps of a window. A window without any observed value has NaN for
    features. See `tsae.jobs.export.export` for errors and for how a job is continued.
    """
    return export(job, write_features)


def write_features(estimator: Any, piece: Piece, reading: Reading, append: Append) -> int:
    """Compute the features of a part's windows and write them in batches; return the number of windows."""
    autoencoder = autoencoder_of(estimator)
    names = list(autoencoder.get_feature_names_out())
    windows = piece.windows[piece.fresh]
    n_at_once = max(1024, BYTES_AT_ONCE // (4 * len(names)))
    for first in range(0, max(1, len(windows)), n_at_once):
        batch = windows[first : first + n_at_once]
        index = with_zone(batch.index, reading.columns, "start", "end")
        append(index, features_of(autoencoder, batch, len(names)), names)
    return len(windows)


def features_of(autoencoder: Any, windows: Windows, n_features: int) -> np.ndarray:
    """Features of shape (n_windows, n_features), float32; NaN for windows in which nothing was observed."""
    observed = windows.observed
    if len(windows) and observed.all():
        return autoencoder.transform(windows)
    features = np.full((len(windows), n_features), np.nan, np.float32)
    if observed.any():
        features[observed] = autoencoder.transform(windows[observed])
    return features
