"""The job `features`: a data set in, features out, one row per window."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.data.windows import Windows
from tsae.jobs.continuation import PartWindows
from tsae.jobs.export import export
from tsae.jobs.job import Job
from tsae.jobs.manifest import Manifest
from tsae.jobs.models import autoencoder_of
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_writer import Append, with_zone
from tsae.jobs.work import Written

BATCH_BYTES = 64 << 20  # of features held in memory before they are written


def run_features(job: Job) -> Manifest:
    """Export the features of a data set: tables with `series`, `start`, `end` and one column per feature.

    `start` and `end` are the first and last timestamps of a window. The features of a window without any observed
    value are NaN. See `tsae.jobs.export.export` for errors and for how a job is continued.
    """
    return export(job, write_features)


def write_features(estimator: Any, part: PartWindows, spec: WindowSpec, append: Append) -> Written:
    """Compute the features of the new windows of a part and write them in batches; return the numbers of windows."""
    autoencoder = autoencoder_of(estimator)
    names = list(autoencoder.get_feature_names_out())
    windows = part.windows[part.new]
    batch_size = max(1024, BATCH_BYTES // (4 * len(names)))
    for first in range(0, max(1, len(windows)), batch_size):
        batch = windows[first : first + batch_size]
        index = with_zone(batch.index, spec.columns, "start", "end")
        append(index, features_of(autoencoder, batch, len(names)), names)
    return Written(len(windows), int(windows.observed.sum()) if len(windows) else 0)


def features_of(autoencoder: Any, windows: Windows, n_features: int) -> np.ndarray:
    """Compute features of shape (n_windows, n_features), float32; NaN for windows without any observed value."""
    observed = windows.observed
    if len(windows) and observed.all():
        return np.asarray(autoencoder.transform(windows))
    features = np.full((len(windows), n_features), np.nan, np.float32)
    if observed.any():
        features[observed] = autoencoder.transform(windows[observed])
    return features
