"""A linear stand-in for the network."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator


class LinearAutoencoder(BaseEstimator):
    """Projects windows on their principal components: an autoencoder in a millisecond."""

    decoders_ = ("reconstruction",)

    def __init__(self, n_components=3):
        self.n_components = n_components

    def fit(self, X, y=None):
        flat = self._flat(X)
        self.mean_, self.std_ = flat.mean(axis=0), flat.std(axis=0)
        self.std_[self.std_ <= 1e-12 * np.abs(self.mean_)] = 1
        self.components_ = np.linalg.svd((flat - self.mean_) / self.std_, full_matrices=False)[2][: self.n_components]
        self.n_trained_ = len(flat)
        return self

    def reconstruct(self, X, decoder=None):
        assert decoder in (None, *self.decoders_)
        scaled = (self._flat(X) - self.mean_) / self.std_
        rebuilt = scaled @ self.components_.T @ self.components_ * self.std_ + self.mean_
        return rebuilt.reshape(np.shape(X))

    def _flat(self, X):
        X = np.asarray(X)
        return np.nan_to_num(X).reshape(len(X), -1)


class TwoDecoderAutoencoder(LinearAutoencoder):
    """With a second decoder, which has no output for a window's first step."""

    decoders_ = ("reconstruction", "prediction")

    def reconstruct(self, X, decoder=None):
        output = super().reconstruct(X, decoder)
        if decoder == "prediction":
            output = output * 0.9
            output[:, 0] = np.nan
        return output


class ShakenAutoencoder(LinearAutoencoder):
    """Its errors are off by up to a share `shake` of themselves, as by rounding."""

    shake = 0.0

    def reconstruct(self, X, decoder=None):
        X = np.asarray(X)
        factors = 1 + self.shake * np.random.default_rng(0).uniform(-1, 1, size=X.shape)
        return X - (X - super().reconstruct(X, decoder)) * factors


class LinearEncoder(LinearAutoencoder):
    """With features: the values of a window, scaled, and their squares."""

    def transform(self, X):
        scaled = (self._flat(X) - self.mean_) / self.std_
        return np.hstack([scaled, scaled**2])
