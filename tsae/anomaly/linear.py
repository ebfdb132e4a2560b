"""The score of windows that a linear autoencoder, principal components of their values, reproduces badly."""

from __future__ import annotations

import numpy as np

from tsae.anomaly.rebuilding import RebuildingErrors
from tsae.anomaly.scores import MAX_COMPONENTS, score_method

_SEED = 0  # of the randomised decomposition: it changes the last digits alone


@score_method("linear")
class LinearErrors(RebuildingErrors):
    """Squared errors of the projection of windows on principal components of training windows, on a logarithmic scale.

    There are up to 64 components, a tenth of the values of a window. It reads the level of values, which features
    read beside the scale of each window tell less of.

    Attributes
    ----------
    center_ : ndarray of shape (n_timesteps * n_channels,)
    components_ : ndarray of shape (n_components, n_timesteps * n_channels)

    References
    ----------
    Jackson, Mudholkar, "Control procedures for residuals associated with principal component analysis"
    (Technometrics, 1979), section 2.
    """

    def learn(self, flat: np.ndarray) -> None:
        """Compute the principal components.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)
        """
        from sklearn.decomposition import PCA

        n_components = max(1, min(MAX_COMPONENTS, flat.shape[1] // 10, len(flat) - 1))
        found = PCA(n_components, svd_solver="randomized", random_state=_SEED).fit(flat)
        self.center_, self.components_ = found.mean_, found.components_

    def rebuilt(self, flat: np.ndarray) -> np.ndarray:
        """Project on the components.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)

        Returns
        -------
        float64 array of the same shape
        """
        return np.asarray((flat - self.center_) @ self.components_.T @ self.components_ + self.center_)
