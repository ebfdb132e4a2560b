r"""From anomaly scores of normal data to thresholds and p-values.

Each method is one class, registered by name in `THRESHOLDS`: ``fit(scores)`` on scores of normal data that no model
was trained on, then ``pvalues(scores)`` and ``threshold(alpha)``. A larger score is more anomalous, and a score is a
false alarm at level ``alpha`` exactly when it is greater than ``threshold(alpha)``. Scores that differ by rounding
alone count as equal (see `tsae.anomaly.tolerance`).

======================  ==================================================  ===================================
calibrator              what it assumes                                     smallest alpha
======================  ==================================================  ===================================
`ConformalThreshold`    new normal scores are exchangeable, in blocks of    ``block_length / (n + block_length)``
                        ``block_length``, with those it was fitted on
`QuantileThreshold`     the same, without the finite-sample correction      ``block_length / n``
`PeaksOverThreshold`    the tail is a generalised Pareto distribution       any, by extrapolation
======================  ==================================================  ===================================

To add a method, write a subclass of `Calibrator` here (or anywhere), with the decorator `threshold_method`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tsae.anomaly.calibrator import ROUNDING, THRESHOLDS, Calibrator, check_alpha, threshold_method
from tsae.anomaly.tolerance import raised
from tsae.estimators.validation import check_number

__all__ = [
    "THRESHOLDS",
    "Calibrator",
    "ConformalThreshold",
    "PeaksOverThreshold",
    "QuantileThreshold",
    "check_alpha",
    "threshold_method",
]


class NoTailError(ValueError):
    """The largest calibration scores are ties, which no Pareto tail fits."""


# Fewer exceedances than this do not determine the shape of a tail.
MIN_PEAKS = 20


@threshold_method("conformal")
class ConformalThreshold(Calibrator):
    r"""Split conformal p-values, block-wise for autocorrelated scores.

    .. math:: p(s) = \frac{b + \#\{i : s_i \ge s\}}{b + n}

    With ``block_length=1`` this is the inductive conformal p-value: for exchangeable scores
    :math:`P(p \le \alpha) \le \alpha`, with equality (up to ties) when :math:`\alpha (n + 1)` is whole.
    Neighbouring scores of a series, and of windows that share rows, rise and fall together, so that ``n`` of
    them hold the evidence of about ``n / b``: taking every b-th score gives nearly independent ones, and
    averaging the p-values of the ``b`` ways to do so gives the formula above. It is never smaller than
    ``b / (n + b)``.

    Parameters
    ----------
    block_length : int, default=1
        Number b of neighbouring scores that count as one; `tsae.anomaly.dependence.estimate_block_length` estimates it.

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
    ValueError: alpha=0.001 needs at least 999 held-out normal scores; there are 99
    """

    @property
    def smallest_alpha_(self) -> float:
        """Smallest possible p-value: ``block_length / (n + block_length)``."""
        return self.block_length / (self.n_scores_ + self.block_length)

    def required(self, alpha: float) -> int:
        """Return ``block_length * (1 / alpha - 1)``, rounded up.

        Parameters
        ----------
        alpha : float
            Share of normal scores that may be called anomalous, between 0 and 1.

        Returns
        -------
        int
        """
        check_alpha(alpha)
        return math.ceil(self.block_length * (1 / alpha - 1) - ROUNDING)

    def _pvalues(self, scores: np.ndarray) -> np.ndarray:
        return (self.block_length + self._n_at_least(scores)) / (self.block_length + self.n_scores_)

    def _threshold(self, alpha: float) -> float:
        return self._exceeded_by(
            math.floor(alpha * (self.n_scores_ + self.block_length) - self.block_length + ROUNDING)
        )


@threshold_method("quantile")
class QuantileThreshold(Calibrator):
    r"""The empirical quantile: a share ``alpha`` of the calibration scores lies above the threshold.

    .. math:: p(s) = \#\{i : s_i \ge s\} / n

    What scikit-learn calls *contamination*. A score above all calibration scores has p-value 0, which is more
    than so many scores can support; `ConformalThreshold` has the correction.

    Parameters
    ----------
    block_length : int, default=1
        Number of neighbouring scores that count as one, in the refusal of too small an ``alpha``.

    Examples
    --------
    >>> import numpy as np
    >>> round(QuantileThreshold().fit(np.arange(100.0)).threshold(0.05), 1)
    94.0
    """

    @property
    def smallest_alpha_(self) -> float:
        """Share of one among the independent scores: ``block_length / n``; NaN where that is 1 or more."""
        share = self.block_length / self.n_scores_
        return share if share < 1 else math.nan

    def required(self, alpha: float) -> int:
        """Return ``block_length / alpha``, rounded up.

        Parameters
        ----------
        alpha : float
            Share of normal scores that may be called anomalous, between 0 and 1.

        Returns
        -------
        int
        """
        check_alpha(alpha)
        return math.ceil(self.block_length / alpha - ROUNDING)

    def _pvalues(self, scores: np.ndarray) -> np.ndarray:
        return self._n_at_least(scores) / self.n_scores_

    def _threshold(self, alpha: float) -> float:
        return self._exceeded_by(math.floor(alpha * self.n_scores_ + ROUNDING))


@threshold_method("pot")
class PeaksOverThreshold(Calibrator):
    r"""Peaks over threshold: a generalised Pareto distribution (GPD) fitted to the upper tail.

    Above a high level ``u`` (the upper ``tail`` share of the scores) the excesses follow a GPD with shape
    :math:`\xi` and scale :math:`\sigma` (Pickands, Balkema, de Haan), fitted by maximum likelihood, so that

    .. math:: p(s) = \frac{n_u}{n} \left(1 + \xi \frac{s - u}{\sigma}\right)^{-1/\xi}, \quad s > u

    and below ``u`` it is the empirical share. It supports an ``alpha`` far smaller than ``1 / n``, at the
    price of an assumption: no finite-sample guarantee. With :math:`\xi < 0` the tail ends, and p is 0 beyond
    its end.

    Parameters
    ----------
    block_length : int, default=1
        Accepted for symmetry. Dependence makes the fit less certain but does not bias it, so it is not used.
    tail : float, default=0.1
        Share of the scores that counts as the tail, in (0, 0.5].

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

    def __init__(self, block_length: int = 1, tail: float = 0.1) -> None:
        super().__init__(block_length)
        check_number("tail", tail, 0, 0.5, open_low=True)
        self.tail = float(tail)

    @property
    def smallest_alpha_(self) -> float:
        """0, since the tail is extrapolated; NaN if there are too few scores to fit it."""
        return 0.0 if self.n_scores_ >= self.required(0.5) else math.nan

    def required(self, alpha: float) -> int:
        """Return the number of scores that leaves `MIN_PEAKS` in the tail, whatever ``alpha``.

        Parameters
        ----------
        alpha : float
            Share of normal scores that may be called anomalous, between 0 and 1.

        Returns
        -------
        int
        """
        check_alpha(alpha)
        return math.ceil(MIN_PEAKS / self.tail - ROUNDING)

    def fit(self, scores: ArrayLike) -> PeaksOverThreshold:
        """Calibrate on the scores of normal data.

        Fewer scores than `required` leave the tail without a fit; `pvalues` and `threshold` then raise.

        Parameters
        ----------
        scores : array-like of shape (n_scores,)
            NaN (unknown) is left out.

        Returns
        -------
        self

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
            raise NoTailError(
                f"PeaksOverThreshold found only {excess.size} scores, or equal ones, above the level "
                f"{self.level_:g}: the largest are ties, which no Pareto tail fits. Use the conformal or "
                "the quantile threshold"
            )
        self.tail_share_ = excess.size / self.n_scores_
        # Fitted in units of the mean excess: the optimiser's start and tolerance then suit every scale.
        unit = excess.mean()
        shape, _, scale = genpareto.fit(excess / unit, _moment_shape(excess / unit), floc=0)
        self.shape_, self.scale_ = float(shape), float(scale * unit)
        return self

    def _pvalues(self, scores: np.ndarray) -> np.ndarray:
        from scipy.stats import genpareto

        self._check_enough(0.5)
        excess = np.maximum(scores - self.level_, 0)
        tail = self.tail_share_ * genpareto.sf(excess, self.shape_, scale=self.scale_)
        return np.where(scores > raised(self.level_), tail, self._n_at_least(scores) / self.n_scores_)

    def _threshold(self, alpha: float) -> float:
        from scipy.stats import genpareto

        if alpha >= self.tail_share_:
            return self._exceeded_by(math.floor(alpha * self.n_scores_ + ROUNDING))
        excess = genpareto.isf(alpha / self.tail_share_, self.shape_, scale=self.scale_)
        return float(max(self.level_ + excess, raised(self.level_)))

    def shortage(self, alpha: float) -> str:
        """Describe how many scores the tail needs and how many there are, for messages.

        Parameters
        ----------
        alpha : float
            Has no influence.

        Returns
        -------
        str
        """
        return (
            f"PeaksOverThreshold needs at least {self.required(alpha)} held-out normal scores, to have "
            f"{MIN_PEAKS} in the upper {self.tail:.0%}; there are {self.n_scores_}"
        )


def extrapolated_pvalues(calibrator: Calibrator, scores: np.ndarray) -> np.ndarray:
    """Return p-values beyond the calibration scores, from a Pareto tail that is fitted to them.

    Above the largest of n calibration scores they say only that a p-value is at most about ``1 / n``. The tail says
    more, at the price of an assumption: see `PeaksOverThreshold`. Where the tail that fits best would end, an
    exponential one is fitted instead, for that no larger score could exist is more than the data say.

    Parameters
    ----------
    calibrator : Calibrator
        Fitted, by any method.
    scores : float ndarray of shape (n,)

    Returns
    -------
    float64 ndarray of shape (n,)
        NaN for scores that are not above all calibration scores, and for all where these are too few, or the largest
        are ties, so that no tail fits.

    Examples
    --------
    >>> import numpy as np
    >>> calibrator = ConformalThreshold().fit(np.random.default_rng(0).exponential(size=5000))
    >>> calibrator.pvalues([5.0, 20.0, 30.0]).round(4)
    array([0.0078, 0.0002, 0.0002])
    >>> inside, far, farther = extrapolated_pvalues(calibrator, np.array([5.0, 20.0, 30.0]))
    >>> print(np.isnan(inside), 1e-3 > far > farther > 0)
    True True
    """
    beyond, found = scores > raised(calibrator.scores_[-1]), np.full(scores.shape, np.nan)
    tail = PeaksOverThreshold()
    if not beyond.any() or calibrator.n_scores_ < tail.required(0.5):
        return found
    try:
        tail.fit(calibrator.scores_)
    except NoTailError:
        return found
    if tail.shape_ < 0:
        tail.shape_, tail.scale_ = 0.0, float((tail.scores_[tail.scores_ > tail.level_] - tail.level_).mean())
    found[beyond] = tail.pvalues(scores[beyond])
    return found


def _moment_shape(excess: np.ndarray) -> float:
    """Shape by the method of moments (Hosking, Wallis 1987), where the likelihood search starts."""
    return float(np.clip(0.5 * (1 - excess.mean() ** 2 / excess.var()), -0.4, 0.9))
