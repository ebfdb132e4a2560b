"""Scaling of channels, in float64 and before anything is rounded to float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tsae.data.inspection import warn_of_markers
from tsae.data.series import number_channels
from tsae.storable import storable

BLOCK_ROWS = 1 << 18  # rows that `fit` converts to float64 at once
# Scaled values are held within these bounds, so that squares of errors and gradients are numbers in float32.
MOST_SCALED, MOST_UNSCALED = 1e8, 1e15
ROW_STEPS, BLOCK_VALUES = 256, 1 << 14  # most steps per row of `transform`, values that it scales at once


@storable
class ChannelScaler:
    """Brings each channel to mean 0 and standard deviation 1 over the rows that it was fitted on.

    A channel that is constant there is only shifted. NaN is left out of the statistics and stays NaN.

    Attributes
    ----------
    mean_, scale_ : float64 ndarray of shape (n_channels,)
        Subtracted from, and divided into, each channel.

    Examples
    --------
    >>> scaler = ChannelScaler().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler.transform(np.array([[1.0, 6.0]]))
    array([[-1.,  1.]], dtype=float32)
    """

    mean_: np.ndarray
    scale_: np.ndarray

    def fit(
        self, values: np.ndarray, used: np.ndarray | None = None, names: Sequence[str] | None = None
    ) -> ChannelScaler:
        """Compute mean and standard deviation of each channel.

        Parameters
        ----------
        values : float ndarray of shape (n_rows, n_channels)
            NaN is a missing value.
        used : bool ndarray of shape (n_rows,), default=None
            Which rows to use; None: all.
        names : sequence of str, default=None
            Names of the channels, for warnings; None: their numbers.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If a few equal values, as of a marker of missing values, make up most of the spread of a channel.
        """
        blocks = [slice(first, first + BLOCK_ROWS) for first in range(0, len(values), BLOCK_ROWS)]

        def mean_of(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            sums = np.zeros((2, values.shape[1]))
            for block in blocks:
                rows = values[block] if used is None else values[block][used[block]]
                rows = function(rows.astype(np.float64))
                sums += np.nansum(rows, axis=0), np.count_nonzero(~np.isnan(rows), axis=0)
            return np.asarray(sums[0] / np.maximum(sums[1], 1))

        self.mean_ = mean_of(lambda rows: rows)
        self.scale_ = np.sqrt(mean_of(lambda rows: np.square(rows - self.mean_)))
        # Rounding leaves a constant channel a spread of a few units in the last place of its mean.
        is_constant = self.scale_ <= 10 * np.finfo(values.dtype).eps * np.abs(self.mean_)
        self.scale_[is_constant] = 1.0
        names = names or number_channels(values.shape[1])
        for channel in np.flatnonzero(~is_constant):
            column = values[:, channel : channel + 1]
            warn_of_markers(column if used is None else column[used], names[channel : channel + 1], stacklevel=4)
        return self

    @classmethod
    def identity(cls, n_channels: int) -> ChannelScaler:
        """Make a scaler that changes nothing.

        Parameters
        ----------
        n_channels : int
            Number of channels.

        Returns
        -------
        ChannelScaler
            With means of 0 and scales of 1.
        """
        scaler = cls()
        scaler.mean_, scaler.scale_ = np.zeros(n_channels), np.ones(n_channels)
        return scaler

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scale values.

        Parameters
        ----------
        values : float ndarray of shape (..., n_channels)
            In the units of the data.

        Returns
        -------
        float32 ndarray of the same shape
            Held within 1e8 standard deviations (1e15 where the scaler changes nothing): what lies beyond is as far
            away as a network can tell.
        """
        if not self.mean_.any() and (self.scale_ == 1.0).all():
            return _within(values, MOST_UNSCALED).astype(np.float32, copy=False)
        scaled = np.empty(values.shape, np.float32)
        # Many steps per row, and few rows at a time: long inner loops, and float64 intermediates that stay in cache.
        n_channels, n_steps = len(self.mean_), values.size // max(1, len(self.mean_))
        steps_each = next((k for k in range(min(n_steps, ROW_STEPS), 1, -1) if n_steps % k == 0), 1)
        mean, scale = np.tile(self.mean_, steps_each), np.tile(self.scale_, steps_each)
        source, target = (part.reshape(-1, steps_each * n_channels) for part in (values, scaled))
        rows = max(1, BLOCK_VALUES // max(1, source.shape[1]))
        between = np.empty((rows, source.shape[1]))
        for first in range(0, len(source), rows):
            part = source[first : first + rows]
            np.subtract(part, mean, out=between[: len(part)])
            np.divide(between[: len(part)], scale, out=between[: len(part)])
            np.clip(
                between[: len(part)], -MOST_SCALED, MOST_SCALED, out=target[first : first + rows], casting="same_kind"
            )
        return scaled

    def inverse_transform(self, values: np.ndarray) -> np.ndarray:
        """Undo `transform`.

        Parameters
        ----------
        values : float ndarray of shape (..., n_channels)
            Scaled values.

        Returns
        -------
        float32 ndarray of the same shape
        """
        return np.asarray(values * self.scale_ + self.mean_, dtype=np.float32)


def _within(values: np.ndarray, most: float) -> np.ndarray:
    """Return values, or a copy of them that is held within -most and most where some are not."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.vdot(values, values))  # one fast pass, which sees NaN and infinity
    if np.isfinite(squares) and squares <= most**2 or not (np.abs(values) > most).any():
        return values
    return np.clip(values, -most, most)
