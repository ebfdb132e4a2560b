"""How large the values of each series are on normal data, against those of all: one detector for a fleet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.storable import storable

# What the scale of all series counts for, in windows that do not overlap. With one normal window of its own, a series
# is half-way between its own scale and that of all; with twenty it has its own but for a twentieth.
PRIOR_WINDOWS = 1.0


def in_text(series: Any) -> pd.Index:
    """Return ids of series as text, by which they are known.

    Parameters
    ----------
    series : sequence of length n

    Returns
    -------
    pandas.Index of length n
    """
    return pd.Index(series).map(str)


@storable
class SeriesScales:
    r"""Scales of the values of single series, shrunk towards those of all.

    The values of series ``s`` are divided by :math:`(a_s / a)^{w_s}`, where :math:`a` is the typical size of a value
    on held-out normal windows (`tsae.anomaly.residuals.error_scale`), of the series or of all, and
    :math:`w_s = n_s / (n_s + 1)` with :math:`n_s` held-out windows that do not overlap. This is the mean of a normal
    prior and as many observations of the logarithm (empirical Bayes). A series that was never seen has a factor of 1.

    Attributes
    ----------
    names_ : list of str
        The series.
    counts_ : ndarray of shape (n_series,)
        Normal windows that do not overlap, of each.
    log_ratios_ : ndarray of shape (n_series, n_values, n_channels)
        Logarithm of its own size over that of all, before it is shrunk.
    log_levels_ : ndarray of shape (n_series,)
        Logarithm of the upper tenth of the scores that then result, over that of all. Scores are divided by it, shrunk
        in the same way, so that a threshold means the same for each series.

    References
    ----------
    Efron, Morris, "Stein's estimation rule and its competitors" (Journal of the American Statistical Association,
    1973), section 2.

    Examples
    --------
    >>> scales = SeriesScales.empty(1, 1)
    >>> scales.add("a", 1, np.log([[4.0]]))
    >>> scales.factors(["a", "b"]).ravel().tolist()
    [2.0, 1.0]
    """

    names_: list[str]
    counts_: np.ndarray
    log_ratios_: np.ndarray
    log_levels_: np.ndarray

    @classmethod
    def empty(cls, n_values: int, n_channels: int) -> SeriesScales:
        """Return the scales of no series."""
        made = cls()
        made.names_, made.counts_, made.log_levels_ = [], np.zeros(0), np.zeros(0)
        made.log_ratios_ = np.zeros((0, n_values, n_channels))
        return made

    def add(self, name: str, count: float, log_ratio: np.ndarray) -> None:
        """Take in normal windows of a series; of one that is known already, together with those of before.

        Parameters
        ----------
        name : str
        count : float
            How many they are, but for overlap.
        log_ratio : ndarray of shape (n_values, n_channels)
            Logarithm of the typical size of their values over that of all series.
        """
        if name in self.names_:
            at = self.names_.index(name)
            before = self.counts_[at]
            self.log_ratios_[at] = (before * self.log_ratios_[at] + count * log_ratio) / (before + count)
            self.counts_[at] = before + count
        else:
            self.names_ = [*self.names_, name]
            self.counts_ = np.append(self.counts_, count)
            self.log_ratios_ = np.concatenate([self.log_ratios_, log_ratio[np.newaxis]])
            self.log_levels_ = np.append(self.log_levels_, 0.0)

    def set_level(self, name: str, log_level: float) -> None:
        """Set the level of the scores of a series; one that is not known is left out.

        Parameters
        ----------
        name : str
        log_level : float
            See `log_levels_`.
        """
        if name in self.names_:
            self.log_levels_[self.names_.index(name)] = log_level

    def factors(self, series: Any) -> np.ndarray:
        """Return what the values of series are divided by.

        Parameters
        ----------
        series : sequence of length n
            The series of each window.

        Returns
        -------
        ndarray of shape (n, n_values, n_channels)
        """
        return self._of(series, self.log_ratios_)

    def levels(self, series: Any) -> np.ndarray:
        """Return what the scores of series are divided by.

        Parameters
        ----------
        series : sequence of length n
            The series of each row or window.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._of(series, self.log_levels_)

    def _of(self, series: Any, logarithms: np.ndarray) -> np.ndarray:
        weights = self.counts_ / (self.counts_ + PRIOR_WINDOWS)
        shrunk = np.exp(weights.reshape(-1, *[1] * (logarithms.ndim - 1)) * logarithms)
        known = np.concatenate([shrunk, np.ones((1, *logarithms.shape[1:]))])
        return known[pd.Index(self.names_, dtype=object).get_indexer(in_text(series))]  # -1, the last, is unknown

    def check(self, n_values: int, n_channels: int) -> None:
        """Refuse scales from a file that do not belong together.

        Raises
        ------
        ValueError
        """
        n = len(self.names_)
        shapes = self.counts_.shape, self.log_levels_.shape, self.log_ratios_.shape
        if shapes != ((n,), (n,), (n, n_values, n_channels)) or not np.isfinite(self.log_ratios_).all():
            raise ValueError(f"the scales of {n} series are of shapes {shapes}")
