"""From windows to scored timestamps: what timelines and streams share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.residuals import contributions, error_chunks, smooth_steps, total
from tsae.anomaly.thresholds import Calibrator
from tsae.data.timeline import Timeline
from tsae.data.windows import Windows

# Columns of a timeline that hold the contribution of a channel begin with this.
CONTRIBUTION = "contribution_"


class RowErrors:
    """Mean error at every row of the series, over all windows that cover it.

    Parameters
    ----------
    windows : Windows
        At least one.
    n_decoders : int
    """

    def __init__(self, windows: Windows, n_decoders: int) -> None:
        self._shape = (n_decoders, windows.n_channels)
        self._timeline = Timeline(windows)
        # An unknown error, so that there is a result even if nothing else is added.
        self.add(np.array([0]), np.full((1, windows.width, *self._shape), np.nan))

    def add(self, positions: np.ndarray, errors: np.ndarray) -> None:
        """Add the errors (n, n_timesteps, n_decoders, n_channels) of the windows at ``positions``."""
        self._timeline.add(positions, errors.reshape(*errors.shape[:2], -1))

    def result(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return `series` and `time` of the rows, and their errors (n_rows, n_decoders, n_channels)."""
        table = self._timeline.result()
        return table.iloc[:, :2], table.iloc[:, 2:].to_numpy().reshape(-1, *self._shape)


@dataclass(frozen=True)
class TimestampScorer:
    """Scores timestamps by the errors of the windows that cover them.

    Parameters
    ----------
    autoencoder : fitted estimator with ``reconstruct(X, decoder)``
    decoders : tuple of str or None
    channel_names : list of str
    smoothing : int or None
        See `tsae.anomaly.residuals.smooth_steps`.
    error_scale : ndarray of shape (n_decoders, n_channels)
    calibrator : fitted Calibrator of timestamps
    """

    autoencoder: Any
    decoders: tuple[str | None, ...]
    channel_names: list[str]
    smoothing: int | None
    error_scale: np.ndarray
    calibrator: Calibrator

    def errors(self, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions and smoothed squared errors (n, n_timesteps, n_decoders, n_channels) of windows."""
        for positions, errors in error_chunks(self.autoencoder, windows, self.decoders):
            yield positions, smooth_steps(errors, self.smoothing)

    def table(self, head: pd.DataFrame, errors: np.ndarray) -> pd.DataFrame:
        """Return the rows of `AnomalyDetector.score_timeline` for mean errors (n_rows, n_decoders, n_channels)."""
        parts = contributions(errors, self.error_scale)
        score = total(parts)
        columns = pd.DataFrame(parts, columns=[CONTRIBUTION + name for name in self.channel_names])
        return pd.concat([head.assign(score=score, p_value=self.calibrator.pvalues(score)), columns], axis=1)
