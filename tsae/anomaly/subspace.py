"""The score of windows whose features lie outside the subspace of those of training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.anomaly.residuals import contributions, error_scale
from tsae.anomaly.scores import MAX_COMPONENTS, Score, score_method
from tsae.data.splitting import evenly_spaced
from tsae.data.windows import Windows
from tsae.estimators.projection import standardisation

MAX_ENCODED = 20_000  # training windows that a subspace is computed from


@score_method("subspace")
class SubspaceResidual(Score):
    """Distance of an encoded window from the subspace that the encoded training windows lie in.

    Features are standardised, and the principal components are those of at most 20,000 training windows: a tenth as
    many as there are features, at most 64. The score is the length of what lies outside, over its typical length on
    held-out windows. It belongs to a window as a whole, so that its steps and channels share it equally, unless there
    are scores that tell channels apart.

    Attributes
    ----------
    encoder_ : fitted estimator or None
        What encodes windows; None: the autoencoder of the detector.
    mean_, inverse_std_ : ndarrays of shape (n_features,)
        0 in `inverse_std_` where a feature was constant.
    components_ : ndarray of shape (n_components, n_features)

    References
    ----------
    Jackson, Mudholkar, "Control procedures for residuals associated with principal component analysis"
    (Technometrics, 1979), section 2 (the residual as a score).
    """

    by_channel = False

    def __init__(self, encoder: Any = None) -> None:
        self.encoder_ = encoder

    @property
    def n_values(self) -> int:
        """One: that of the window."""
        return 1

    def fit(self, autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]) -> SubspaceResidual:
        """Compute the subspace of encoded training windows.

        Parameters
        ----------
        autoencoder : fitted estimator with ``transform``
        windows : Windows
        decoders : tuple of str or None

        Returns
        -------
        self
        """
        super().fit(autoencoder, windows, decoders)
        features = self._encoded(autoencoder, windows[evenly_spaced(len(windows), MAX_ENCODED)])
        n, d = features.shape
        self.mean_, self.inverse_std_ = standardisation(features)
        standardised = (features - self.mean_) * self.inverse_std_
        vectors = np.linalg.eigh(standardised.T @ standardised / n)[1]
        n_components = max(1, min(MAX_COMPONENTS, d // 10, n - 1))
        self.components_ = np.ascontiguousarray(vectors[:, ::-1][:, :n_components].T)
        return self

    def values(self, autoencoder: Any, windows: Windows, shown: Windows) -> np.ndarray:
        """Return the length of the residual of each window, at every step and channel with a value.

        Parameters
        ----------
        autoencoder : fitted estimator with ``transform``
        windows : Windows
        shown : Windows
            As in `Score.values`.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, 1, n_channels), float64
        """
        standardised = (self._encoded(autoencoder, shown) - self.mean_) * self.inverse_std_
        residual = standardised - standardised @ self.components_.T @ self.components_
        length = np.sqrt(np.square(residual).sum(axis=1))
        missing = np.isnan(windows.gather())
        return np.where(missing, np.nan, length[:, np.newaxis, np.newaxis])[:, :, np.newaxis]

    def smooth(self, values: np.ndarray, n_steps: int | None) -> np.ndarray:  # noqa: ARG002
        """Return the values as they are: all steps of a window have the same one.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_timesteps, 1, n_channels)
        n_steps : int or None

        Returns
        -------
        ndarray of the same shape
        """
        return values

    def fit_scale(self, values: np.ndarray, floor: np.ndarray) -> SubspaceResidual:
        """Measure the typical length on held-out normal data.

        Parameters
        ----------
        values : ndarray of shape (n, 1, n_channels)
        floor : ndarray of shape (n_channels,)
            Has no influence.

        Returns
        -------
        self
        """
        self.scale_ = error_scale(values, np.full(floor.shape, 1e-3))
        return self

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Return the relative length, shared equally among the channels.

        Parameters
        ----------
        values : ndarray of shape (..., 1, n_channels)

        Returns
        -------
        ndarray of shape (..., n_channels)
        """
        return contributions(values, self.scale_)

    def _encoded(self, autoencoder: Any, windows: Windows) -> np.ndarray:
        encoder = autoencoder if self.encoder_ is None else self.encoder_
        return np.asarray(encoder.transform(windows), dtype=np.float64)
