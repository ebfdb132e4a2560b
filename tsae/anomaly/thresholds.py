"""From anomaly scores of normal data to thresholds and p-values.

Three calibrators with one interface: ``fit(scores)`` on scores of normal data that no model was trained on,
then ``pvalues(scores)`` and ``threshold(alpha)``. A larger score is more anomalous, and a score is a false
alarm at level ``alpha`` exactly when it is greater than ``threshold(alpha)``. Scores that differ by rounding alone
count as equal (see `tsae.anomaly.tolerance`).

======================  ================================================  ===========================
calibrator              what it assumes                                   smallest alpha
======================  ================================================  ===========================
`ConformalThreshold`    new normal scores are exchangeable, in blocks of  ``block / (n + block)``
                        ``block``, with those it was fitted on
`QuantileThreshold`     the same, without the finite-sample correction    ``block / n``
`PeaksOverThreshold`    the tail is a generalised Pareto distribution     any, by extrapolation
======================  ================================================  ===========================
"""

from __future__ import annotations

import math

import numpy as np

from tsae.anomaly.tolerance import raised
from tsae.io.storable import storable

KINDS = ("conformal", "quantile", "pot")

# Fewer exceedances than this say next to nothing about the shape of a tail.
MIN_PEAKS = 20

# Rounding guard: alpha * n that is a whole number in exact arithmetic must not fall below it.
_ROUNDING = 1e-9


def make_threshold(kind: str, *, block: int = 1) -> _Calibrator:
    """Make an unfitted calibrator by name.

    Parameters
    ----------
    kind : {"conformal", "quantile", "pot"}
    block : int, default=1
        Number of neighbouring scores that count as one (see `ConformalThreshold`).

    Raises
    ------
    ValueError
        If ``kind`` is none of the three, or ``block`` is not a positive integer.

    Examples
    --------
    >>> make_threshold("conformal", block=4).required(0.05)
    76
    """
    if kind == "conformal":
        return ConformalThreshold(block)
    if kind == "quantile":
        return QuantileThreshold(block)
    if kind == "pot":
        return PeaksOverThreshold(block)
    raise ValueError(f"threshold must be one of {', '.join(map(repr, KINDS))}; got {kind!r}")


class _Calibrator:
    """What the calibrators share: the sorted scores, and the refusal of an alpha that they cannot support."""

    def __init__(self, block: int = 1) -> None:
        if isinstance(block, bool) or not isinstance(block, (int, np.integer)) or block < 1:
            raise ValueError(f"block must be an integer >= 1; got {block!r}")
        self.block = int(block)

    def fit(self, scores):
        """Calibrate on the scores of normal data.

        Parameters
        ----------
        scores : array-like of shape (n_scores,)
            NaN (nothing known) is left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no score is left, one is infinite, or ``scores`` is not one-dimensional.
        """
        scores = _known(scores)
        if scores.size == 0:
            raise ValueError("scores has no value to calibrate on: it is empty or all NaN")
        self.scores_ = np.sort(scores)
        return self

    @property
    def n_scores_(self) -> int:
        """Number of scores that it was fitted on."""
        return self.scores_.size

    @property
    def smallest_alpha_(self) -> float:
        """The smallest level that can be asked of this calibration."""
        raise NotImplementedError

    def required(self, alpha: float) -> int:
        """Number of calibration scores without which level ``alpha`` cannot be had."""
        raise NotImplementedError

    def _n_at_least(self, scores) -> np.ndarray:
        """How many calibration scores are at least as large as each score, up to rounding."""
        return self.scores_.size - np.searchsorted(raised(self.scores_), scores, side="left")

    def _exceeded_by(self, n_allowed: int) -> float:
        """The score that, but for rounding, at most ``n_allowed`` calibration scores exceed."""
        return float(raised(self.scores_[self.n_scores_ - 1 - np.clip(n_allowed, 0, self.n_scores_ - 1)]))

    def _refuse(self, alpha: float) -> None:
        alpha = check_alpha(alpha)
        if self.n_scores_ < self.required(alpha):
            raise ValueError(self.shortage(alpha, self.n_scores_))

    def shortage(self, alpha: float, n_scores: int) -> str:
        """Say what is missing when ``n_scores`` are too few for level ``alpha``."""
        grouped = f", counting {self.block} neighbouring ones as one" if self.block > 1 else ""
        return (
            f"alpha={alpha:g} needs at least {self.required(alpha)} held-out normal scores with "
            f"{type(self).__name__}{grouped}; there are {n_scores}"
        )


@storable
class ConformalThreshold(_Calibrator):
    r"""Split conformal p-values, block-wise for autocorrelated scores.

    .. math:: p(s) = \frac{b + \#\{i : s_i \ge s\}}{b + n}

    With ``block=1`` this is the inductive conformal p-value: for exchangeable scores
    :math:`P(p \le \alpha) \le \alpha`, with equality (up to ties) when :math:`\alpha (n + 1)` is whole.
    Neighbouring scores of a series, and of windows that share rows, rise and fall together, so that ``n`` of
    them hold the evidence of about ``n / b``: taking every b-th score gives nearly independent ones, and
    averaging the p-values of the ``b`` ways to do so gives the formula above. It is never smaller than ``b /
    (n + b)``.

    Parameters
    ----------
    block : int, default=1
        Number b of neighbouring scores that count as one; `block_length` estimates it.

    References
    ----------
    Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World* (2005), section 2.2 (p-values) and 4.1
    (inductive form). Chernozhukov, Wuethrich, Zhu, "Exact and robust conformal inference methods for
    predictive machine learning with dependent data" (COLT 2018), section 2.2 (blocks).

    Examples
    --------
    >>> import numpy as np
    >>> calibrator = ConformalThreshold().fit(np.arange(99.0))
    >>> calibrator.pvalues([98.5, 50.0])
    array([0.01, 0.5 ])
    >>> round(calibrator.threshold(0.05), 1)
    94.0
    >>> calibrator.threshold(0.001)
    Traceback (most recent call last):
        ...
    ValueError: alpha=0.001 needs at least 999 held-out normal scores with ConformalThreshold; there are 99
    """

    @property
    def smallest_alpha_(self) -> float:
        """Smallest p-value that can come out: ``block / (n + block)``."""
        return self.block / (self.n_scores_ + self.block)

    def required(self, alpha: float) -> int:
        """``block * (1 / alpha - 1)``, rounded up."""
        return math.ceil(self.block * (1 / check_alpha(alpha) - 1) - _ROUNDING)

    def pvalues(self, scores) -> np.ndarray:
        """P-value of each score, shape (n,), in (0, 1]; NaN for NaN."""
        scores = np.asarray(scores, dtype=np.float64)
        p = (self.block + self._n_at_least(scores)) / (self.block + self.n_scores_)
        return np.where(np.isnan(scores), np.nan, p)

    def threshold(self, alpha: float) -> float:
        """The score above which p-values are at most ``alpha``; ValueError when there are too few scores."""
        self._refuse(alpha)
        allowed = math.floor(alpha * (self.n_scores_ + self.block) - self.block + _ROUNDING)
        return self._exceeded_by(allowed)


@storable
class QuantileThreshold(_Calibrator):
    r"""The empirical quantile: a share ``alpha`` of the calibration scores lies above the threshold.

    .. math:: p(s) = \#\{i : s_i \ge s\} / n

    The plain reading of *contamination*. A score above all calibration scores has p-value 0, which is more
    than so many scores can tell; `ConformalThreshold` has the correction.

    Parameters
    ----------
    block : int, default=1
        Number of neighbouring scores that count as one, in the refusal of too small an ``alpha``.

    Examples
    --------
    >>> import numpy as np
    >>> round(QuantileThreshold().fit(np.arange(100.0)).threshold(0.05), 1)
    94.0
    """

    @property
    def smallest_alpha_(self) -> float:
        """``block / n``: the share that the largest of the independent scores stands for."""
        return self.block / self.n_scores_

    def required(self, alpha: float) -> int:
        """``block / alpha``, rounded up."""
        return math.ceil(self.block / check_alpha(alpha) - _ROUNDING)

    def pvalues(self, scores) -> np.ndarray:
        """Share of calibration scores at least as large, shape (n,), in [0, 1]; NaN for NaN."""
        scores = np.asarray(scores, dtype=np.float64)
        return np.where(np.isnan(scores), np.nan, self._n_at_least(scores) / self.n_scores_)

    def threshold(self, alpha: float) -> float:
        """The score above which a share ``alpha`` lies; ValueError when there are too few scores."""
        self._refuse(alpha)
        allowed = math.floor(alpha * self.n_scores_ + _ROUNDING)
        return self._exceeded_by(allowed)


@storable
class PeaksOverThreshold(_Calibrator):
    r"""Peaks over threshold: a generalised Pareto distribution (GPD) fitted to the upper tail.

    Above a high level ``u`` (the upper ``tail`` share of the scores) the excesses follow a GPD with shape
    :math:`\xi` and scale :math:`\sigma` (Pickands, Balkema, de Haan), fitted by maximum likelihood, so that

    .. math:: p(s) = \frac{n_u}{n} \left(1 + \xi \frac{s - u}{\sigma}\right)^{-1/\xi}, \quad s > u

    and below ``u`` it is the empirical share. It answers for an ``alpha`` far smaller than ``1 / n``, at the
    price of an assumption: no finite-sample guarantee. With :math:`\xi < 0` the tail ends, and p is 0 beyond
    its end.

    Parameters
    ----------
    block : int, default=1
        Accepted for symmetry. Dependence makes the fit less certain but does not bias it, so it is not used.
    tail : float, default=0.1
        Share of the scores that counts as the tail.

    Attributes
    ----------
    level_ : float
        The level u.
    shape_, scale_ : float
        :math:`\xi` and :math:`\sigma`.
    tail_share_ : float
        Share of the scores strictly above u.

    References
    ----------
    Siffer, Fouque, Termier, Largouet, "Anomaly detection in streams with extreme value theory" (KDD 2017),
    section 3.2 (the formula for the threshold) and 3.3 (the fit).

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(0).exponential(size=5000)
    >>> calibrator = PeaksOverThreshold().fit(scores)
    >>> bool(abs(calibrator.threshold(1e-3) - np.log(1000)) < 0.5)
    True
    """

    def __init__(self, block: int = 1, tail: float = 0.1) -> None:
        super().__init__(block)
        if not 0 < tail <= 0.5:
            raise ValueError(f"tail must be in (0, 0.5]; got {tail!r}")
        self.tail = float(tail)

    @property
    def smallest_alpha_(self) -> float:
        """0: the tail is extrapolated."""
        return 0.0

    def required(self, alpha: float) -> int:
        """Scores that leave `MIN_PEAKS` in the tail, whatever ``alpha``."""
        check_alpha(alpha)
        return math.ceil(MIN_PEAKS / self.tail - _ROUNDING)

    def fit(self, scores):
        """Calibrate on the scores of normal data: see the class.

        Of fewer scores than `required` no tail is fitted; `pvalues` and `threshold` then say how many are needed.

        Raises
        ------
        ValueError
            As the other calibrators, and when the largest scores are ties.
        """
        from scipy.stats import genpareto

        super().fit(scores)
        if self.n_scores_ < self.required(0.5):
            return self
        self.level_ = float(np.quantile(self.scores_, 1 - self.tail, method="higher"))
        excess = self.scores_[self.scores_ > self.level_] - self.level_
        if excess.size < MIN_PEAKS // 2 or np.ptp(excess) == 0:
            raise ValueError(
                f"PeaksOverThreshold found only {excess.size} scores, or equal ones, above the level "
                f"{self.level_:g}: the largest are ties, which no Pareto tail fits. Use the conformal or "
                "the quantile threshold"
            )
        self.tail_share_ = excess.size / self.n_scores_
        # Fitted in units of the mean excess: the optimiser's start and tolerance then suit every scale.
        unit = excess.mean()
        shape, _, scale = genpareto.fit(excess / unit, *_moment_start(excess / unit), floc=0)
        self.shape_, self.scale_ = float(shape), float(scale * unit)
        return self

    def shortage(self, alpha: float, n_scores: int) -> str:
        """Say what is missing when there are too few scores for a fit of the tail."""
        return (
            f"PeaksOverThreshold needs at least {self.required(alpha)} held-out normal scores, to have "
            f"{MIN_PEAKS} in the upper {self.tail:.0%}; there are {n_scores}"
        )

    def pvalues(self, scores) -> np.ndarray:
        """P-value of each score, shape (n,), in [0, 1]; NaN for NaN."""
        from scipy.stats import genpareto

        self._refuse(0.5)
        scores = np.asarray(scores, dtype=np.float64)
        excess = np.maximum(scores - self.level_, 0)
        tail = self.tail_share_ * genpareto.sf(excess, self.shape_, scale=self.scale_)
        p = np.where(scores > raised(self.level_), tail, self._n_at_least(scores) / self.n_scores_)
        return np.where(np.isnan(scores), np.nan, p)

    def threshold(self, alpha: float) -> float:
        """The score that the fitted tail exceeds with probability ``alpha``."""
        from scipy.stats import genpareto

        self._refuse(alpha)
        if alpha >= self.tail_share_:
            return self._exceeded_by(math.floor(alpha * self.n_scores_ + _ROUNDING))
        excess = genpareto.isf(alpha / self.tail_share_, self.shape_, scale=self.scale_)
        return float(max(self.level_ + excess, raised(self.level_)))


def benjamini_hochberg(pvalues) -> np.ndarray:
    """Adjusted p-values that hold the false discovery rate over a batch.

    Rejecting where the adjusted value is at most ``alpha`` keeps the expected share of false alarms among
    all alarms at ``alpha``, for independent or positively dependent p-values; conformal p-values of one
    calibration set are positively dependent (Bates et al. 2023).

    Parameters
    ----------
    pvalues : array-like of shape (n,)
        In [0, 1]; NaN (nothing known) takes no part.

    Returns
    -------
    adjusted : ndarray of shape (n,), float64
        NaN where ``pvalues`` is.

    Raises
    ------
    ValueError
        If a p-value lies outside [0, 1], or the array is not one-dimensional.

    References
    ----------
    Benjamini, Hochberg, "Controlling the false discovery rate" (JRSS B, 1995). Bates, Candes, Lei, Romano,
    Sesia, "Testing for outliers with conformal p-values" (Annals of Statistics, 2023), section 2.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.9, float("nan")])
    array([0.03, 0.03, 0.9 ,  nan])
    """
    from scipy.stats import false_discovery_control

    pvalues = np.asarray(pvalues, dtype=np.float64)
    if pvalues.ndim != 1:
        raise ValueError(f"pvalues must be one-dimensional; got shape {pvalues.shape}")
    known = ~np.isnan(pvalues)
    outside = known & ((pvalues < 0) | (pvalues > 1))
    if outside.any():
        position = int(np.flatnonzero(outside)[0])
        raise ValueError(f"pvalues must be in [0, 1]; got {pvalues[position]:g} at position {position}")
    adjusted = np.full(pvalues.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(pvalues[known], method="bh")
    return adjusted


def block_length(scores, series=None) -> int:
    r"""Estimate how many neighbouring scores count as one independent score.

    The integrated autocorrelation time :math:`1 + 2 \sum_k \rho_k` of the ranks of the scores (ranks, for a
    few huge scores would hide the rest), summed up to the first lag that is at least five times the sum so
    far.

    Parameters
    ----------
    scores : array-like of shape (n,)
        In time order within each series; NaN breaks the chain: pairs with one are left out.
    series : array-like of shape (n,), optional
        Which series each score belongs to; scores of different series are taken to be independent.

    Returns
    -------
    block : int, at least 1

    References
    ----------
    Sokal, "Monte Carlo methods in statistical mechanics" (1997), section 3, for the self-consistent window.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=20_000)
    >>> block_length(noise)
    1
    >>> 15 <= block_length(np.convolve(noise, np.ones(20), "valid")) <= 25
    True
    """
    from scipy.stats import rankdata

    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores must be one-dimensional; got shape {scores.shape}")
    known = ~np.isnan(scores)
    if known.sum() < 2 or np.ptp(scores[known]) == 0:
        return 1
    centred = np.zeros(scores.shape)
    centred[known] = rankdata(scores[known])
    centred[known] -= centred[known].mean()
    rho = _autocorrelation(centred, known, _runs(scores.size, series))
    # A lag with no pair to estimate it from ends the sum as a lag of zero would.
    time = 1 + 2 * np.cumsum(np.nan_to_num(rho[1:]))
    lags = np.arange(1, rho.size)
    enough = np.flatnonzero(lags >= 5 * time)
    total = time[enough[0]] if enough.size else (time.max() if time.size else 1.0)
    return max(1, math.ceil(total - 0.5))


def check_alpha(alpha: float) -> float:
    """Return ``alpha`` as a float; ValueError unless it is a number strictly between 0 and 1."""
    number = isinstance(alpha, (int, float, np.integer, np.floating)) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < 1:
        raise ValueError(f"alpha must be a number in (0, 1); got {alpha!r}")
    return float(alpha)


def _known(scores) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores must be one-dimensional; got shape {scores.shape}")
    infinite = np.flatnonzero(np.isinf(scores))
    if infinite.size:
        raise ValueError(f"scores must be finite or NaN; got {scores[infinite[0]]} at position {infinite[0]}")
    return scores[~np.isnan(scores)]


def _moment_start(excess: np.ndarray) -> tuple[float]:
    """Shape by the method of moments (Hosking, Wallis 1987), where the likelihood search starts."""
    mean, variance = excess.mean(), excess.var()
    return (float(np.clip(0.5 * (1 - mean**2 / variance), -0.4, 0.9)),)


def _runs(n: int, series) -> list[slice]:
    """The stretches of consecutive positions that belong to one series."""
    if series is None:
        return [slice(0, n)]
    series = np.asarray(series)
    if series.shape != (n,):
        raise ValueError(f"series must have one entry for each of the {n} scores; got shape {series.shape}")
    edges = np.flatnonzero(series[1:] != series[:-1]) + 1
    bounds = np.r_[0, edges, n]
    return [slice(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def _autocorrelation(centred: np.ndarray, known: np.ndarray, runs: list[slice]) -> np.ndarray:
    """Autocorrelation at lags 0, 1, ... of values centred at 0, over all pairs within a run; NaN: no pair."""
    longest = max(run.stop - run.start for run in runs)
    size = 1 << (2 * longest - 1).bit_length()
    products, pairs, possible = np.zeros(longest), np.zeros(longest), np.zeros(longest)
    for run in runs:
        length = run.stop - run.start
        for total, part in ((products, centred[run]), (pairs, known[run].astype(np.float64))):
            spectrum = np.fft.rfft(part, size)
            total[:length] += np.fft.irfft(spectrum * spectrum.conj(), size)[:length]
        possible[:length] += np.arange(length, 0, -1)
    pairs = np.round(pairs)
    # The mean over the pairs there are, drawn towards 0 at far lags, where even a full series has few.
    covariance = np.where(pairs > 0, products / np.maximum(pairs, 1) * possible / possible[0], np.nan)
    return covariance / covariance[0]
