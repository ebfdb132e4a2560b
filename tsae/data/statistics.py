"""Statistics of channels, of rows that are seen a chunk at a time and need not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from tsae.data.inspection import FEW, MIN_ROWS, those_that_dominate
from tsae.data.series import row_blocks


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean, and sum of squared distances from the mean, of the entries of each channel."""

    n: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    def __add__(self, other: Moments) -> Moments:
        """Combine the moments of two sets of entries (Chan et al., 1983, section 2)."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1)
        distance = other.mean - self.mean
        return Moments(
            n, self.mean + share * distance, self.spread + other.spread + share * self.n * np.square(distance)
        )


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Statistics of each channel; those of two sets of rows can be added.

    The lowest and the highest value are counted apart from the rest, since markers of missing values are among them,
    and would otherwise drown the rest in rounding errors.

    Attributes
    ----------
    n_rows : int
    low, high : float64 ndarray of shape (n_channels,)
        Lowest and highest value; NaN without any.
    n_low, n_high : int64 ndarray of shape (n_channels,)
        How often they occur; where all values are equal, `n_high` is 0.
    rest : Moments
        Of all other values.
    is_flag : bool ndarray of shape (n_channels,)
        Whether no other values than 0 and 1 occur.

    References
    ----------
    Chan, Golub, LeVeque (1983). Algorithms for computing the sample variance: analysis and recommendations. The
    American Statistician 37(3).

    Examples
    --------
    >>> one = ChannelStatistics.of(np.array([[1.0], [2.0], [np.nan]]))
    >>> both = one + ChannelStatistics.of(np.array([[3.0], [6.0]]))
    >>> both.n_rows, both.mean.tolist(), both.scale.round(3).tolist()
    (5, [3.0], [1.871])
    """

    n_rows: int
    low: np.ndarray
    high: np.ndarray
    n_low: np.ndarray
    n_high: np.ndarray
    rest: Moments
    is_flag: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> ChannelStatistics:
        """Compute the statistics of rows.

        Parameters
        ----------
        values : float ndarray of shape (n_rows, n_channels)
            NaN is a missing value.

        Returns
        -------
        ChannelStatistics
        """
        return reduce(cls.__add__, (cls._of_block(values[block]) for block in row_blocks(values) or [slice(0)]))

    @classmethod
    def _of_block(cls, values: np.ndarray) -> ChannelStatistics:
        values = np.asarray(values, dtype=np.float64)
        nothing = np.full(values.shape[1], np.nan)
        low = np.fmin.reduce(values, axis=0) if len(values) else nothing
        high = np.fmax.reduce(values, axis=0) if len(values) else nothing
        is_low, is_high = values == low, values == high
        n_low, n_high = is_low.sum(axis=0), np.where(low == high, 0, is_high.sum(axis=0))
        others = ~(is_low | is_high | np.isnan(values))
        n = others.sum(axis=0)
        mean = np.where(others, values, 0.0).sum(axis=0) / np.maximum(n, 1)
        spread = np.square(np.where(others, values - mean, 0.0)).sum(axis=0)
        is_flag = ((values == 0) | (values == 1) | np.isnan(values)).all(axis=0)
        return cls(len(values), low, high, n_low, n_high, Moments(n, mean, spread), is_flag)

    def __add__(self, other: ChannelStatistics) -> ChannelStatistics:
        """Return the statistics of the rows of both."""
        low, high = np.fmin(self.low, other.low), np.fmax(self.high, other.high)
        n_low, n_high, rest = np.zeros_like(self.n_low), np.zeros_like(self.n_high), self.rest + other.rest
        for part in (self, other):
            for value, count in ((part.low, part.n_low), (part.high, part.n_high)):
                is_low, is_high = value == low, value == high
                n_low = n_low + np.where(is_low, count, 0)
                n_high = n_high + np.where(is_high & ~is_low, count, 0)
                rest = rest + _repeated(value, np.where(is_low | is_high, 0, count))
        return ChannelStatistics(
            self.n_rows + other.n_rows, low, high, n_low, n_high, rest, self.is_flag & other.is_flag
        )

    @property
    def all(self) -> Moments:
        """Moments of all values."""
        return self.rest + _repeated(self.low, self.n_low) + _repeated(self.high, self.n_high)

    @property
    def mean(self) -> np.ndarray:
        """Mean of each channel, float64 of shape (n_channels,)."""
        return self.all.mean

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation of each channel, float64 of shape (n_channels,)."""
        moments = self.all
        return np.asarray(np.sqrt(moments.spread / np.maximum(moments.n, 1)))

    def dominating_values(self, channel: int) -> list[tuple[float, int]]:
        """Find extremes that dominate the spread, as `tsae.data.inspection.dominating_values` does.

        Parameters
        ----------
        channel : int

        Returns
        -------
        list of (float, int)
            Value and number of entries.
        """
        n = int(self.all.n[channel])
        if n < MIN_ROWS:
            return []
        rest = Moments(self.rest.n[channel], self.rest.mean[channel], self.rest.spread[channel])
        extremes = []
        for value, count in ((self.low, self.n_low), (self.high, self.n_high)):
            found = float(value[channel]), int(count[channel])
            if 0 < found[1] <= FEW * n:
                extremes.append(found)
            else:
                rest = rest + _repeated(value[channel], count[channel])
        if not extremes or not rest.n:
            return []
        return those_that_dominate(extremes, int(rest.n), float(rest.mean), float(rest.spread))


def _repeated(value: np.ndarray, count: np.ndarray) -> Moments:
    """Moments of one value that occurs so many times."""
    return Moments(count, np.where(count > 0, value, 0.0), np.zeros(np.shape(count)))
