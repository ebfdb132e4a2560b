"""The score of windows that a linear autoencoder, principal components of their values, reproduces badly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.anomaly.residuals import LARGEST_ERROR
from tsae.anomaly.scores import MAX_COMPONENTS, LogErrors, evenly_spaced, score_method
from tsae.data.windows import Windows

MAX_WINDOWS = 2_000  # training windows that components are computed from
_SEED = 0  # of the randomised decomposition: it changes the last digits alone


@score_method("linear")
class LinearErrors(LogErrors):
    """Squared errors of the projection of windows on principal components of training windows, on a logarithmic scale.

    Channels are standardised; there are up to 64 components of at most 2,000 windows. It reads the level of values,
    which features read beside the scale of each window tell less of. Missing values are taken to be the channel's mean.

    Attributes
    ----------
    mean_, std_ : ndarrays of shape (n_channels,)
        1 in `std_` where a channel was constant.
    center_ : ndarray of shape (n_timesteps * n_channels,)
    components_ : ndarray of shape (n_components, n_timesteps * n_channels)

    References
    ----------
    Jackson, Mudholkar, "Control procedures for residuals associated with principal component analysis"
    (Technometrics, 1979), section 2.
    """

    @property
    def n_values(self) -> int:
        """One."""
        return 1

    def fit(self, autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]) -> LinearErrors:
        """Compute the principal components of training windows.

        Parameters
        ----------
        autoencoder : fitted estimator
            Not used.
        windows : Windows
        decoders : tuple of str or None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the windows have different lengths.
        """
        from sklearn.decomposition import PCA

        super().fit(autoencoder, windows, decoders)
        if windows.is_ragged:
            raise ValueError("the score 'linear' needs windows of one length; leave it out of scores")
        values = evenly_spaced(windows, MAX_WINDOWS).gather().astype(np.float64)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=(0, 1)), 1)
        self.mean_ = np.where(known, values, 0).sum(axis=(0, 1)) / count
        std = np.sqrt(np.where(known, np.square(values - self.mean_), 0).sum(axis=(0, 1)) / count)
        self.std_ = np.where(std > 1e-9 * np.abs(self.mean_), std, 1.0)
        flat = self._standardised(values)
        n_components = max(1, min(MAX_COMPONENTS, flat.shape[1] // 10, len(flat) - 1))
        found = PCA(n_components, svd_solver="randomized", random_state=_SEED).fit(flat)
        self.center_, self.components_ = found.mean_, found.components_
        return self

    def values(self, autoencoder: Any, windows: Windows, shown: Windows) -> np.ndarray:  # noqa: ARG002
        """Return the squared error of the projection.

        Parameters
        ----------
        autoencoder : fitted estimator
            Not used.
        windows : Windows
        shown : Windows
            As in `Score.values`.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, 1, n_channels), float64
        """
        given = windows.gather().astype(np.float64)
        flat = self._standardised(shown.gather().astype(np.float64)) - self.center_
        rebuilt = (flat @ self.components_.T @ self.components_ + self.center_).reshape(given.shape)
        with np.errstate(over="ignore"):
            error = np.clip(given - (rebuilt * self.std_ + self.mean_), -LARGEST_ERROR, LARGEST_ERROR)
        return np.square(error)[:, :, np.newaxis]

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        scaled = (values - self.mean_) / self.std_
        return np.where(np.isnan(scaled), 0.0, scaled).reshape(len(values), -1)
