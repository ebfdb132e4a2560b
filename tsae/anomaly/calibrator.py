"""What all threshold methods share: their registry, and the calibration on scores of normal data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tsae.anomaly.tolerance import raised
from tsae.estimators.validation import check_number
from tsae.storable import storable

# Rounding guard: alpha * n that is a whole number in exact arithmetic must not fall below it.
ROUNDING = 1e-9

# The methods by the name that `AnomalyDetector(threshold=...)` takes.
THRESHOLDS: dict[str, type[Calibrator]] = {}

C = TypeVar("C", bound="type[Calibrator]")


def threshold_method(name: str) -> Callable[[C], C]:
    """Register a `Calibrator` under a name, and for model files; a class decorator.

    Parameters
    ----------
    name : str
        What `AnomalyDetector` takes as ``threshold``.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> from tsae.anomaly.thresholds import QuantileThreshold  # a class below ``@threshold_method("quantile")``
    >>> THRESHOLDS["quantile"] is QuantileThreshold
    True
    """

    def register(cls: C) -> C:
        THRESHOLDS[name] = storable(cls)
        return cls

    return register


def check_alpha(alpha: Any) -> None:
    """Check a level.

    Parameters
    ----------
    alpha : float
        Share of normal scores that may be called anomalous.

    Raises
    ------
    ValueError
        Unless it is a number above 0 and below 1.

    Examples
    --------
    >>> check_alpha(0.05)
    """
    check_number("alpha", alpha, 0, 1, open_low=True, open_high=True)


class Calibrator(ABC):
    """Base of the threshold methods: the sorted scores, and the refusal of an alpha that they cannot support.

    A method implements `smallest_alpha_`, `required`, `_pvalues` and `_threshold`.

    Parameters
    ----------
    block_length : int, default=1
        Number of neighbouring scores that count as one; `tsae.anomaly.dependence.estimate_block_length` estimates it.

    Attributes
    ----------
    scores_ : ndarray of shape (n_scores,), float64
        The calibration scores, sorted.

    Examples
    --------
    >>> import numpy as np
    >>> THRESHOLDS["conformal"]().fit(np.arange(99.0)).pvalues([98.5])
    array([0.01])
    """

    def __init__(self, block_length: int = 1) -> None:
        check_number("block_length", block_length, 1, integer=True)
        self.block_length = int(block_length)

    def fit(self, scores: ArrayLike) -> Calibrator:
        """Calibrate on the scores of normal data.

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
            If no score is left, one is infinite, or ``scores`` is not one-dimensional.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 1:
            raise ValueError(f"scores must be one-dimensional; got shape {scores.shape}")
        infinite = np.flatnonzero(np.isinf(scores))
        if infinite.size:
            raise ValueError(f"scores must be finite or NaN; got {scores[infinite[0]]} at position {infinite[0]}")
        self.scores_ = np.sort(scores[~np.isnan(scores)])
        if self.n_scores_ == 0:
            raise ValueError("scores has no value to calibrate on: it is empty or all NaN")
        return self

    @property
    def n_scores_(self) -> int:
        """Number of scores that it was fitted on."""
        return self.scores_.size

    @property
    @abstractmethod
    def smallest_alpha_(self) -> float:
        """Smallest level that this calibration supports; NaN if it supports none."""

    @abstractmethod
    def required(self, alpha: float) -> int:
        """Return the number of calibration scores that level ``alpha`` needs.

        Parameters
        ----------
        alpha : float
            Share of normal scores that may be called anomalous, between 0 and 1.

        Returns
        -------
        int
        """

    def pvalues(self, scores: ArrayLike) -> np.ndarray:
        """Return how probable a score at least as large is on normal data.

        Parameters
        ----------
        scores : array-like of shape (n,)

        Returns
        -------
        ndarray of shape (n,), float64
            In [0, 1]; NaN for NaN.
        """
        scores = np.asarray(scores, dtype=np.float64)
        return np.where(np.isnan(scores), np.nan, self._pvalues(scores))

    def threshold(self, alpha: float) -> float:
        """Return the score above which p-values are at most ``alpha``.

        Parameters
        ----------
        alpha : float
            In (0, 1).

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there are too few calibration scores for ``alpha``.
        """
        self._check_enough(alpha)
        return self._threshold(alpha)

    @abstractmethod
    def _pvalues(self, scores: np.ndarray) -> np.ndarray:
        """P-values of scores, of which those of NaN are ignored."""

    @abstractmethod
    def _threshold(self, alpha: float) -> float:
        """Threshold for a level that there are enough scores for."""

    def _n_at_least(self, scores: np.ndarray) -> np.ndarray:
        """How many calibration scores are at least as large as each score, up to rounding."""
        return self.n_scores_ - np.searchsorted(raised(self.scores_), scores, side="left")

    def _exceeded_by(self, n_allowed: int) -> float:
        """Return the smallest threshold that at most ``n_allowed`` calibration scores exceed, up to rounding."""
        return float(raised(self.scores_[self.n_scores_ - 1 - np.clip(n_allowed, 0, self.n_scores_ - 1)]))

    def _check_enough(self, alpha: float) -> None:
        check_alpha(alpha)
        if self.n_scores_ < self.required(alpha):
            raise ValueError(self.shortage(alpha))

    def shortage(self, alpha: float) -> str:
        """Describe how many scores ``alpha`` needs and how many there are, for messages.

        Parameters
        ----------
        alpha : float
            As in `required`.

        Returns
        -------
        str
        """
        grouped = f", counting {self.block_length} neighbouring ones as one" if self.block_length > 1 else ""
        return (
            f"alpha={alpha:g} needs at least {self.required(alpha)} held-out normal scores"
            f"{grouped}; there are {self.n_scores_}"
        )
