"""Base of the scores that rebuild a window from those of training, without a network."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from tsae.anomaly.residuals import LARGEST_ERROR
from tsae.anomaly.scores import LogErrors
from tsae.data.splitting import evenly_spaced
from tsae.data.windows import Windows

MAX_WINDOWS = 2_000  # training windows that are learned from


class RebuildingErrors(LogErrors):
    """Squared errors of windows that are rebuilt from those of training, on a logarithmic scale.

    Channels are standardised over the training windows, and a window is one vector. Missing values are taken to be
    the channel's mean. A subclass learns from such vectors (`learn`) and rebuilds others (`rebuilt`).

    Attributes
    ----------
    mean_, std_ : ndarrays of shape (n_channels,)
        1 in `std_` where a channel was constant.
    """

    mixes_channels = False  # but for the choice of what is compared with
    mean_: np.ndarray
    std_: np.ndarray

    @property
    def n_values(self) -> int:
        """One."""
        return 1

    @abstractmethod
    def learn(self, flat: np.ndarray) -> None:
        """Learn from training windows.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)
            Standardised; at most 2,000 windows.
        """

    @abstractmethod
    def rebuilt(self, flat: np.ndarray) -> np.ndarray:
        """Rebuild windows.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)
            Standardised.

        Returns
        -------
        float64 array of the same shape
        """

    def fit(self, autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]) -> RebuildingErrors:
        """Learn from training windows.

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
        super().fit(autoencoder, windows, decoders)
        if windows.is_ragged:
            raise ValueError(f"the score {self.name!r} needs windows of one length; leave it out of scores")
        values = windows[evenly_spaced(len(windows), MAX_WINDOWS)].gather().astype(np.float64)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=(0, 1)), 1)
        self.mean_ = np.where(known, values, 0).sum(axis=(0, 1)) / count
        std = np.sqrt(np.where(known, np.square(values - self.mean_), 0).sum(axis=(0, 1)) / count)
        self.std_ = np.where(std > 1e-9 * np.abs(self.mean_), std, 1.0)
        self.learn(self._standardised(values))
        return self

    def values(self, autoencoder: Any, windows: Windows, shown: Windows) -> np.ndarray:  # noqa: ARG002
        """Return the squared error of the rebuilt window.

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
        rebuilt = self.rebuilt(self._standardised(shown.gather().astype(np.float64))).reshape(given.shape)
        with np.errstate(over="ignore"):
            error = np.clip(given - (rebuilt * self.std_ + self.mean_), -LARGEST_ERROR, LARGEST_ERROR)
        return np.square(error)[:, :, np.newaxis]

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        scaled = (values - self.mean_) / self.std_
        return np.where(np.isnan(scaled), 0.0, scaled).reshape(len(values), -1)
