"""From windows to scored timestamps: what timelines and streams share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.combination import Combination
from tsae.anomaly.residuals import total
from tsae.anomaly.thresholds import Calibrator
from tsae.data.timeline import Timeline
from tsae.data.windows import Windows

# Columns of a timeline that hold the contribution of a channel, and one of several scores, begin with these.
CONTRIBUTION = "contribution_"
SINGLE = "score_"


class RowValues:
    """Mean values at every row of the series, over all windows that cover it.

    Parameters
    ----------
    windows : Windows
        At least one.
    n_values : int
        Values for each step and channel.
    """

    def __init__(self, windows: Windows, n_values: int) -> None:
        self._shape = (n_values, windows.n_channels)
        self._timeline = Timeline(windows)
        # An unknown value, so that there is a result even if nothing else is added.
        self.add(np.array([0]), np.full((1, windows.width, *self._shape), np.nan))

    def add(self, positions: np.ndarray, values: np.ndarray) -> None:
        """Add the values (n, n_timesteps, n_values, n_channels) of the windows at ``positions``."""
        self._timeline.add(positions, values.reshape(*values.shape[:2], -1))

    def result(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return `series` and `time` of the rows, and their values (n_rows, n_values, n_channels)."""
        table = self._timeline.result()
        return table.iloc[:, :2], table.iloc[:, 2:].to_numpy().reshape(-1, *self._shape)


@dataclass(frozen=True)
class TimestampScorer:
    """Scores timestamps by the values of the windows that cover them.

    Parameters
    ----------
    autoencoder : fitted estimator
    combination : fitted Combination
    channel_names : list of str
    smoothing : int or None
        See `tsae.anomaly.combination.Combination.by_step`.
    calibrator : fitted Calibrator of timestamps
    """

    autoencoder: Any
    combination: Combination
    channel_names: list[str]
    smoothing: int | None
    calibrator: Calibrator

    def values(self, windows: Windows, series: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions and values (n, n_timesteps, n_values, n_channels) of windows; None: of their own series."""
        for positions, values in self.combination.chunks(self.autoencoder, windows, series):
            yield positions, self.combination.by_step(values, self.smoothing)

    def table(self, head: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
        """Return the rows of `AnomalyDetector.score_timeline` for mean values (n_rows, n_values, n_channels)."""
        shares = self.combination.contributions(values, head["series"])
        score = total(shares)
        head = head.assign(score=score, p_value=self.calibrator.pvalues(score))
        names = single_columns(self.combination.names)
        if names:
            head = head.assign(**dict(zip(names, self.combination.parts(values, head["series"]).T, strict=True)))
        columns = pd.DataFrame(shares, columns=[CONTRIBUTION + name for name in self.channel_names])
        return pd.concat([head, columns], axis=1)


def single_columns(names: tuple[str, ...]) -> list[str]:
    """Return the columns of a timeline that hold scores by themselves; none where there is only one."""
    return [SINGLE + name for name in names] if len(names) > 1 else []
