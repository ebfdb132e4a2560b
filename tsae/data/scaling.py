"""Channel scaling, in float64 and before anything is rounded to float32."""

from __future__ import annotations

import numpy as np

from tsae.io.storable import storable

BLOCK_ROWS = 1 << 18
# of `transform`
ROW_STEPS, BLOCK_VALUES = 256, 1 << 14


@storable
class ChannelScaler:
    """Brings each channel to mean 0 and standard deviation 1 over the rows that it was fitted on.

    A channel that stands still there is only shifted. NaN is left out of the statistics and stays NaN.

    Attributes
    ----------
    mean_, scale_ : float64 arrays of shape (n_channels,)

    Examples
    --------
    >>> scaler = ChannelScaler().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler.transform(np.array([[1.0, 6.0]]))
    array([[-1.,  1.]], dtype=float32)
    """

    mean_: np.ndarray
    scale_: np.ndarray

    def fit(self, values: np.ndarray, used: np.ndarray | None = None) -> ChannelScaler:
        """Measure `values`, (n_rows, n_channels), on the rows that the mask `used` names (None: all)."""
        blocks = [slice(first, first + BLOCK_ROWS) for first in range(0, len(values), BLOCK_ROWS)]

        def total(of):
            sums = np.zeros((2, values.shape[1]))
            for block in blocks:
                rows = values[block] if used is None else values[block][used[block]]
                rows = of(rows.astype(np.float64))
                sums += np.nansum(rows, axis=0), np.count_nonzero(~np.isnan(rows), axis=0)
            return sums[0] / np.maximum(sums[1], 1)

        self.mean_ = total(lambda rows: rows)
        self.scale_ = np.sqrt(total(lambda rows: np.square(rows - self.mean_)))
        # Rounding leaves a standing channel a spread of a few units in the last place of its mean.
        still = self.scale_ <= 10 * np.finfo(values.dtype).eps * np.abs(self.mean_)
        self.scale_[still] = 1.0
        return self

    @classmethod
    def identity(cls, n_channels: int) -> ChannelScaler:
        """A scaler that changes nothing."""
        scaler = cls()
        scaler.mean_, scaler.scale_ = np.zeros(n_channels), np.ones(n_channels)
        return scaler

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scale (..., n_channels); float32."""
        if not self.mean_.any() and (self.scale_ == 1.0).all():
            return values.astype(np.float32, copy=False)
        scaled = np.empty(values.shape, np.float32)
        # As rows of many steps each, and few of them at a time: long inner loops, and a float64 in between that
        # stays in the cache.
        n_channels, n_steps = len(self.mean_), values.size // max(1, len(self.mean_))
        steps_each = next((k for k in range(min(n_steps, ROW_STEPS), 1, -1) if n_steps % k == 0), 1)
        mean, scale = np.tile(self.mean_, steps_each), np.tile(self.scale_, steps_each)
        source, target = (part.reshape(-1, steps_each * n_channels) for part in (values, scaled))
        rows = max(1, BLOCK_VALUES // max(1, source.shape[1]))
        between = np.empty((rows, source.shape[1]))
        for first in range(0, len(source), rows):
            part = source[first : first + rows]
            np.subtract(part, mean, out=between[: len(part)])
            np.divide(between[: len(part)], scale, out=target[first : first + rows], casting="same_kind")
        return scaled

    def inverse_transform(self, values: np.ndarray) -> np.ndarray:
        """Undo `transform`; float32."""
        return (values * self.scale_ + self.mean_).astype(np.float32)


def covered_rows(starts: np.ndarray, lengths: np.ndarray, n_rows: int) -> np.ndarray | None:
    """Which of `n_rows` rows lie in any of the windows, as a bool mask; None for all of them."""
    steps = np.zeros(n_rows + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.subtract.at(steps, starts + lengths, 1)
    covered = np.cumsum(steps[:-1], dtype=np.int32) > 0
    return None if covered.all() else covered
