"""Scores of windows, as scikit-learn's outlier detectors give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.calibration import choose_alpha, find_threshold
from tsae.anomaly.combination import Combination, series_names, window_means
from tsae.anomaly.residuals import total
from tsae.anomaly.thresholds import Calibrator
from tsae.estimators.reading import WindowReader


class WindowScores(WindowReader):
    """The part of `AnomalyDetector` that scores whole windows."""

    alpha: float | str
    autoencoder_: Any
    combination_: Combination
    window_threshold_: Calibrator

    @property
    def window_alpha_(self) -> float:
        """The level of `predict`: `alpha`, or what "auto" chose; NaN where there is none."""
        return choose_alpha(self.window_threshold_, self.alpha)

    @property
    def smallest_window_alpha_(self) -> float:
        """Smallest `alpha` that `predict` can use; NaN where there is none."""
        return self.window_threshold_.smallest_alpha_

    def contributions(self, X: Any) -> np.ndarray:
        """Return what each channel adds to the anomaly score of each window.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_channels), float64
            Not negative; rows sum to ``-score_samples``. NaN for a channel without any value in the window.
        """
        windows, combination = self._read_fitted(X), self.combination_
        means = window_means(combination, self.autoencoder_, windows)
        return combination.contributions(combination.by_window(means), series_names(windows))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the score of each window: the higher, the more normal.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,), float64
        """
        return -total(self.contributions(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``: negative for anomalies.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,), float64

        Raises
        ------
        ValueError
            If the held-out windows, which overlap, are too few for `alpha`; the message contains the number needed.
        """
        check_is_fitted(self)
        # Raises, with the reason, where offset_ is NaN.
        threshold = find_threshold(self.window_threshold_, self.window_alpha_, "windows")
        return self.score_samples(X) + threshold

    def predict(self, X: Any) -> np.ndarray:
        """Return +1 for normal windows and -1 for anomalies.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,), int

        Raises
        ------
        ValueError
            As `decision_function`.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def pvalues(self, X: Any) -> np.ndarray:
        """Return the p-value of each window: the share of normal windows that score at least as high.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,), float64
            In [0, 1]; NaN where nothing is known.
        """
        return self.window_threshold_.pvalues(-self.score_samples(X))
