"""The ways to score windows: one class each, registered by name in `SCORES`.

==================  =============================================================================================
score               what it is
==================  =============================================================================================
`RelativeErrors`    squared errors of the decoders over their typical size, mean over the channels
`LogErrors`         the same on a logarithmic scale: one channel that is far out does not hide the others
`SubspaceResidual`  how far the encoded window lies outside the subspace of the encoded training windows
                    (`tsae.anomaly.subspace`)
`NeighborErrors`    as `LogErrors`, of the nearest training window instead of decoders (`tsae.anomaly.neighbors`)
`LinearErrors`      as `LogErrors`, of principal components of the values instead of decoders (`tsae.anomaly.linear`)
==================  =============================================================================================

Each gives values for every step and channel of a window, which are averaged over all windows that cover a timestamp,
and turns the averages into contributions of channels that add up to the score. To add one, write a subclass of `Score`
with the decorator `score_method`; `AnomalyDetector(scores=...)` then takes its name, and model files hold it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tsae.anomaly.residuals import contributions, error_scale, mean_steps, smooth_steps, squared_errors
from tsae.data.windows import Windows
from tsae.storable import storable

# The scores by the name that `AnomalyDetector(scores=...)` takes.
SCORES: dict[str, type[Score]] = {}

S = TypeVar("S", bound="type[Score]")

MAX_COMPONENTS = 64


def score_method(name: str) -> Callable[[S], S]:
    """Register a `Score` under a name, and for model files; a class decorator.

    Parameters
    ----------
    name : str
        What `AnomalyDetector` takes in ``scores``.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> from tsae.anomaly.subspace import SubspaceResidual  # a class below ``@score_method("subspace")``
    >>> SCORES["subspace"] is SubspaceResidual
    True
    """

    def register(cls: S) -> S:
        SCORES[name] = storable(cls)
        cls.name = name
        return cls

    return register


class Score(ABC):
    """Base of the scores.

    Attributes
    ----------
    name : str
        Its name in `SCORES`.
    by_channel : bool
        Whether contributions tell channels apart. Where they do not, those of the other scores share them out.
    mixes_channels : bool
        Whether what is computed for one channel also depends on the values of others, as in a network: a fault in one
        then shows in others, too. Where there are scores that do not mix channels, those share out what a score that
        does not tell them apart has found.
    decoders_ : tuple of str or None
        The decoders of the detector.
    scale_ : ndarray of shape (n_values, n_channels)
        Typical values on held-out normal data.
    """

    name = ""
    by_channel = True
    mixes_channels = True
    decoders_: tuple[str | None, ...]
    scale_: np.ndarray

    @property
    @abstractmethod
    def n_values(self) -> int:
        """How many values there are for each step and channel."""

    def fit(self, autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]) -> Score:  # noqa: ARG002
        """Learn from the windows that the autoencoder was trained on.

        Parameters
        ----------
        autoencoder : fitted estimator
        windows : Windows
        decoders : tuple of str or None
            Its decoders.

        Returns
        -------
        self
        """
        self.decoders_ = decoders
        return self

    @abstractmethod
    def values(self, autoencoder: Any, windows: Windows, shown: Windows) -> np.ndarray:
        """Return the values of windows.

        Parameters
        ----------
        autoencoder : fitted estimator
        windows : Windows
        shown : Windows
            The same, without values that the autoencoder cannot compute with (`tsae.anomaly.residuals.clipped`).

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_values, n_channels), float64
            Not negative; NaN where nothing is known.
        """

    def smooth(self, values: np.ndarray, n_steps: int | None) -> np.ndarray:
        """Average values over the nearest steps of the same window.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_timesteps, n_values, n_channels)
        n_steps : int or None
            Number of steps; None: the whole window.

        Returns
        -------
        ndarray of the same shape
        """
        if n_steps is not None:
            return smooth_steps(values, n_steps)
        return np.where(np.isnan(values), np.nan, mean_steps(values)[:, np.newaxis])

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values on the scale on which they are averaged over windows; by default as they are.

        Parameters
        ----------
        values : ndarray of shape (..., n_values, n_channels)
            Smoothed.

        Returns
        -------
        ndarray of the same shape
        """
        return values

    def fit_scale(self, values: np.ndarray, floor: np.ndarray) -> Score:
        """Measure the typical size of values on held-out normal windows.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_values, n_channels)
            Means over the steps of each window.
        floor : ndarray of shape (n_channels,)
            Smallest error that matters in each channel, in its units.

        Returns
        -------
        self
        """
        self.scale_ = error_scale(values, floor)
        return self

    @abstractmethod
    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Return what each channel adds to the score.

        Parameters
        ----------
        values : ndarray of shape (..., n_values, n_channels)
            As from `scaled`, or means of them.

        Returns
        -------
        ndarray of shape (..., n_channels)
            NaN for unknown channels.
        """


@score_method("relative_errors")
class RelativeErrors(Score):
    """Squared errors of the decoders over their typical size; see `tsae.anomaly.residuals.contributions`.

    Smoothed over a quarter of the window where no number of steps is given.

    Examples
    --------
    >>> score = RelativeErrors().fit(None, None, ("reconstruction",))
    >>> score.scale_ = np.array([[2.0, 4.0]])
    >>> score.contributions(np.array([[4.0, 4.0]]))
    array([1. , 0.5])
    """

    @property
    def n_values(self) -> int:
        """One value for each decoder."""
        return len(self.decoders_)

    def values(self, autoencoder: Any, windows: Windows, shown: Windows) -> np.ndarray:
        """Return the squared error of every decoder.

        Parameters
        ----------
        autoencoder : fitted estimator with ``reconstruct(X, decoder)``
        windows : Windows
        shown : Windows
            As in `Score.values`.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels), float64
        """
        return squared_errors(autoencoder, windows, shown, self.decoders_)

    def smooth(self, values: np.ndarray, n_steps: int | None) -> np.ndarray:
        """Average errors over the nearest steps; None: a quarter of the window.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels)
        n_steps : int or None

        Returns
        -------
        ndarray of the same shape
        """
        return smooth_steps(values, n_steps)

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Return the relative error of each channel, over the number of channels.

        Parameters
        ----------
        values : ndarray of shape (..., n_decoders, n_channels)

        Returns
        -------
        ndarray of shape (..., n_channels)
        """
        return contributions(values, self.scale_)


@score_method("errors")
class LogErrors(RelativeErrors):
    """Squared errors of the decoders on a logarithmic scale: log(1 + error over its typical size).

    A channel whose normal level has moved, or that was almost constant in training, can have errors of thousands of
    times the typical one. In a mean of relative errors it hides all others; here it counts for a few of them. In the
    same way a window that is far out does not raise the timestamps at its ends to the height of its middle.

    Examples
    --------
    >>> score = LogErrors().fit(None, None, ("reconstruction",))
    >>> score.scale_ = np.array([[2.0, 4.0]])
    >>> score.contributions(score.scaled(np.array([[4.0, 4e6]]))).round(2)
    array([0.55, 6.91])
    """

    def smooth(self, values: np.ndarray, n_steps: int | None) -> np.ndarray:
        """Average errors over the nearest steps; None: the whole window.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels)
        n_steps : int or None

        Returns
        -------
        ndarray of the same shape
        """
        return Score.smooth(self, values, n_steps)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of one plus relative errors.

        Parameters
        ----------
        values : ndarray of shape (..., n_decoders, n_channels)

        Returns
        -------
        ndarray of the same shape
        """
        with np.errstate(over="ignore"):
            return np.log1p(np.minimum(values / self.scale_, np.finfo(np.float64).max))

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over the decoders of each channel, over the number of channels.

        Parameters
        ----------
        values : ndarray of shape (..., n_decoders, n_channels)
            As from `scaled`, or means of them.

        Returns
        -------
        ndarray of shape (..., n_channels)
        """
        return contributions(values, np.ones_like(self.scale_))
