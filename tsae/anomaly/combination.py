"""Several scores as one, made comparable by their distribution on held-out normal data."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.dependence import max_windows_per_row
from tsae.anomaly.residuals import clipped, mean_steps, position_chunks, total
from tsae.anomaly.scores import Score
from tsae.anomaly.series_scales import SeriesScales, in_text
from tsae.data.windows import Windows
from tsae.storable import storable

UPPER_SHARE = 0.1
# The median is at least so large (scores are about 1 on normal data), the upper tenth at least so many times the
# median: scores that hardly vary on normal data are not blown up.
LEAST_MEDIAN, LEAST_RATIO = 1e-2, 1.2


@storable
class Combination:
    r"""The root mean square of several scores, each on the scale of -log10 of its p-value.

    A single score stays as it is. Several are made comparable on held-out normal data: a score ``s`` counts as

    .. math:: -\log_{10} p(s), \quad p(s) = \frac{1}{1 + (s / m)^\beta}

    a log-logistic law, where ``m`` is the median of normal scores and :math:`\beta` such that p is 0.1 at their upper
    tenth. So 1 is reached by a tenth of normal timestamps, and 2 by a hundredth where the tail is like that. It is
    continuous, and keeps its order beyond the highest normal score, where empirical p-values are all the same.
    In the root mean square a score that alone is high counts for more than in the mean (Fisher's combination), and
    several that agree for more than in the maximum. It is not a p-value itself: calibration turns it into one.

    Parameters
    ----------
    scores : tuple of Score
        Fitted on training windows.
    series_scales : SeriesScales or None
        How single series differ from all; None: they are not told apart.

    Attributes
    ----------
    levels_ : list of [float, float]
        Median and upper tenth of each score on held-out normal data.

    References
    ----------
    Fisher, *Statistical Methods for Research Workers* (4th edition, 1932), section 21.1 (sums of log p-values).
    """

    series_scales: SeriesScales | None = None  # of objects in model files that were written without

    def __init__(self, scores: tuple[Score, ...], series_scales: SeriesScales | None = None) -> None:
        self.scores = scores
        self.series_scales = series_scales

    @property
    def n_values(self) -> int:
        """How many values the scores have for each step and channel."""
        return sum(score.n_values for score in self.scores)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores."""
        return tuple(score.name for score in self.scores)

    def chunks(self, autoencoder: Any, windows: Windows, series: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of windows and their values, a bounded number at a time.

        Parameters
        ----------
        autoencoder : fitted estimator
        windows : Windows
        series : label or None
            The series that they are of. None: as the windows tell.

        Yields
        ------
        positions : int ndarray of shape (n,)
        values : ndarray of shape (n, n_timesteps, n_values, n_channels)
        """
        shown = clipped(autoencoder, windows)
        for positions in position_chunks(windows):
            chunk = windows[positions]
            values = _joined([score.values(autoencoder, chunk, shown[positions]) for score in self.scores])
            yield positions, self.relative_to_series(chunk, values, series)

    def by_step(self, values: np.ndarray, smoothing: int | None) -> np.ndarray:
        """Return values of steps as they are averaged over windows.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_timesteps, n_values, n_channels)
        smoothing : int or None
            Number of nearest steps that are averaged; None: what each score does by itself.

        Returns
        -------
        ndarray of the same shape
        """
        pairs = zip(self.scores, self._split(values), strict=True)
        return _joined([score.scaled(score.smooth(part, smoothing)) for score, part in pairs])

    def by_window(self, means: np.ndarray) -> np.ndarray:
        """Return values of whole windows from their means over the steps.

        Parameters
        ----------
        means : ndarray of shape (n_windows, n_values, n_channels)

        Returns
        -------
        ndarray of the same shape
        """
        return _joined([score.scaled(part) for score, part in zip(self.scores, self._split(means), strict=True)])

    def fit_scales(self, means: np.ndarray, floor: np.ndarray) -> Combination:
        """Measure the typical size of values on held-out normal windows.

        Parameters
        ----------
        means : ndarray of shape (n_windows, n_values, n_channels)
            Means of values over the steps.
        floor : ndarray of shape (n_channels,)
            Smallest error that matters in each channel, in its units.

        Returns
        -------
        self
        """
        for score, part in zip(self.scores, self._split(means), strict=True):
            score.fit_scale(part, floor)
        return self

    def fit_series(self, windows: Windows, means: np.ndarray, floor: np.ndarray) -> Combination:
        """Measure the typical size of values on normal windows of each series.

        Parameters
        ----------
        windows : Windows
            With the ids of their series.
        means : ndarray of shape (n_windows, n_values, n_channels)
            Means of their values over the steps, not divided by anything.
        floor : ndarray of shape (n_channels,)
            As in `fit_scales`.

        Returns
        -------
        self
        """
        if self.series_scales is None:
            self.series_scales = SeriesScales.empty(self.n_values, windows.n_channels)
        names, overlap = in_text(series_names(windows)), max_windows_per_row(windows)
        of_all = np.concatenate([score.scale_ for score in self.scores])
        for name in dict.fromkeys(names.tolist()):
            own_means = means[names == name]
            parts = zip(self.scores, self._split(own_means), strict=True)
            own = np.concatenate([copy(score).fit_scale(part, floor).scale_ for score, part in parts])
            known = ~np.isnan(own_means).all(axis=0)
            ratio = np.log(np.where(known, own / of_all, 1.0))
            self.series_scales.add(name, max(1.0, len(own_means) / overlap), ratio)
        return self

    def fit_series_levels(self, series: np.ndarray, values: np.ndarray, *, upper: float | None = None) -> Combination:
        """Measure the upper tenth of the scores of normal timestamps of each series.

        Parameters
        ----------
        series : array of shape (n_rows,)
            Their ids.
        values : ndarray of shape (n_rows, n_values, n_channels)
            As from `by_step`, averaged over windows.
        upper : float or None
            The upper tenth of all series. None: that of these timestamps.

        Returns
        -------
        self
        """
        assert self.series_scales is not None
        names = in_text(series)
        scores = total(self.contributions(values))
        known = ~np.isnan(scores)
        names, scores = names[known], scores[known]
        self.upper_ = float(np.quantile(scores, 1 - UPPER_SHARE)) if upper is None else upper
        for name in dict.fromkeys(names.tolist()):
            own = np.quantile(scores[names == name], 1 - UPPER_SHARE)
            ratio = np.log(max(own, LEAST_MEDIAN) / max(self.upper_, LEAST_MEDIAN))
            self.series_scales.set_level(name, float(ratio))
        return self

    def relative_to_series(self, windows: Windows, values: np.ndarray, series: Any = None) -> np.ndarray:
        """Return values over what is usual in their series, against all series.

        Parameters
        ----------
        windows : Windows
        values : ndarray of shape (n_windows, ..., n_values, n_channels)
        series : label or None
            The series that they are of. None: as the windows tell.

        Returns
        -------
        ndarray of the same shape
        """
        if self.series_scales is None:
            return values
        names = series_names(windows) if series is None else [series] * len(windows)
        factors = self.series_scales.factors(names)
        return np.asarray(values / factors.reshape(len(factors), *[1] * (values.ndim - 3), *factors.shape[1:]))

    def fit_levels(self, values: np.ndarray) -> Combination:
        """Measure the scores of held-out normal timestamps.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_values, n_channels)
            As from `by_step`, averaged over windows.

        Returns
        -------
        self
        """
        levels = []
        for share in self._shares(values):
            known = total(share)
            known = known[~np.isnan(known)]
            median, upper = np.quantile(known, [0.5, 1 - UPPER_SHARE]) if known.size else (1.0, 1.0)
            median = max(median, LEAST_MEDIAN)
            levels.append([float(median), float(max(upper, LEAST_RATIO * median))])
        self.levels_ = levels
        return self

    def parts(self, values: np.ndarray, series: Any = None) -> np.ndarray:
        """Return each score by itself; their root mean square is the combined one.

        Parameters
        ----------
        values : ndarray of shape (..., n_values, n_channels)
            As from `by_step` or `by_window`, or means of them.
        series : sequence of length n or None
            The series of each, where `values` has three dimensions; None: none in particular.

        Returns
        -------
        ndarray of shape (..., n_scores)
            NaN where nothing is known.
        """
        parts = [self._comparable(number, total(part)) for number, part in enumerate(self._shares(values))]
        return np.stack(parts, -1) / self._levels_of(series)

    def contributions(self, values: np.ndarray, series: Any = None) -> np.ndarray:
        """Return what each channel adds to the combined score.

        Each score counts by its square, and is shared out among channels in the proportion of its own contributions;
        one that does not tell channels apart, in that of the others: of those that do not mix channels, if there are
        such.

        Parameters
        ----------
        values : ndarray of shape (..., n_values, n_channels)
        series : sequence of length n or None
            As in `parts`.

        Returns
        -------
        ndarray of shape (..., n_channels)
            Not negative; NaN for unknown channels.
        """
        return self._shared(values) / self._levels_of(series)

    def _levels_of(self, series: Any) -> Any:
        """What scores of rows or windows of series are divided by."""
        if self.series_scales is None or series is None:
            return 1.0
        return self.series_scales.levels(series)[:, np.newaxis]

    def _shared(self, values: np.ndarray) -> np.ndarray:
        shares = self._shares(values)
        if len(shares) == 1:
            return shares[0]
        parts, known = self.parts(values), np.stack([~np.isnan(share) for share in shares])
        told = self.telling_channels_apart()
        proportions = [_proportions(share) for share in shares]
        summed = np.sum([np.nan_to_num(proportions[number]) for number in told], axis=0)
        common = _proportions(np.where(known.any(axis=0), summed, np.nan))
        squared, added = np.square(np.nan_to_num(parts)), np.zeros(shares[0].shape)
        for number, score in enumerate(self.scores):
            proportion = proportions[number] if score.by_channel else common
            added += np.nan_to_num(squared[..., number, np.newaxis] * proportion)
        n_known = known.any(axis=-1).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            combined = np.sqrt(squared.sum(axis=-1) / n_known)
            of_channel = np.where(combined[..., np.newaxis] > 0, added / (n_known * combined)[..., np.newaxis], 0.0)
        return np.asarray(np.where(known.any(axis=0), of_channel, np.nan))

    def check(self, decoders: tuple[str | None, ...], n_channels: int) -> None:
        """Refuse scores from a file that do not belong together.

        Parameters
        ----------
        decoders : tuple of str or None
            Those of the detector.
        n_channels : int

        Raises
        ------
        ValueError
        """
        if type(self.scores) is not tuple or not self.scores or not all(isinstance(s, Score) for s in self.scores):
            raise ValueError(f"scores={self.scores!r} is not a tuple of scores")
        for score in self.scores:
            if score.decoders_ != decoders:
                raise ValueError(f"the score {score.name!r} is that of the decoders {score.decoders_}, not {decoders}")
            if score.scale_.shape != (score.n_values, n_channels):
                raise ValueError(f"scale_ has shape {score.scale_.shape}, not {(score.n_values, n_channels)}")
        levels = np.asarray(self.levels_, dtype=np.float64)
        if levels.shape != (len(self.scores), 2) or not (levels > 0).all():
            raise ValueError(f"levels_={self.levels_!r} are not two positive numbers for each of the scores")
        if self.series_scales is not None:
            self.series_scales.check(self.n_values, n_channels)

    def arrays(self) -> list[np.ndarray]:
        """Return all numbers that turn values into scores, for checksums."""
        scales = self.series_scales
        own = [] if scales is None else [scales.counts_, scales.log_ratios_, scales.log_levels_]
        return [np.asarray(self.levels_), *(score.scale_ for score in self.scores), *own]

    def telling_channels_apart(self) -> list[int]:
        """Which scores share out those that do not tell channels apart."""
        by_channel = [number for number, score in enumerate(self.scores) if score.by_channel]
        unmixed = [number for number in by_channel if not self.scores[number].mixes_channels]
        return unmixed or by_channel or list(range(len(self.scores)))

    def _shares(self, values: np.ndarray) -> list[np.ndarray]:
        return [score.contributions(part) for score, part in zip(self.scores, self._split(values), strict=True)]

    def _split(self, values: np.ndarray) -> list[np.ndarray]:
        """The values of each score."""
        ends = np.cumsum([score.n_values for score in self.scores])
        return np.split(values, ends[:-1], axis=-2)

    def _comparable(self, number: int, score: np.ndarray) -> np.ndarray:
        if len(self.scores) == 1:
            return score
        median, upper = np.log(self.levels_[number])
        beta = np.log(1 / UPPER_SHARE - 1) / (upper - median)
        relative = np.log(np.maximum(score, np.finfo(np.float64).tiny)) - median
        with np.errstate(invalid="ignore"):  # NaN is unknown
            return np.asarray(np.logaddexp(0, beta * relative) / np.log(10))


def series_names(windows: Windows) -> pd.Index:
    """The id of each window's series."""
    return windows.grouped.names_at(windows.starts)


def _proportions(shares: np.ndarray) -> np.ndarray:
    """Shares of channels as parts of 1; equal ones where all are 0."""
    known = ~np.isnan(shares)
    sums = np.where(known, shares, 0.0).sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums > 0, shares / sums, np.where(known, 1.0, np.nan) / known.sum(axis=-1, keepdims=True))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


def window_means(combination: Combination, autoencoder: Any, windows: Windows) -> np.ndarray:
    """Return values averaged over the steps of each window, (n_windows, n_values, n_channels)."""
    found = np.empty((len(windows), combination.n_values, windows.n_channels))
    for positions, values in combination.chunks(autoencoder, windows):
        found[positions] = mean_steps(values)
    return found
