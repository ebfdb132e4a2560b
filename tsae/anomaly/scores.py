"""The ways to score windows: one class each, registered by name in `SCORES`.

==================  =============================================================================================
score               what it is
==================  =============================================================================================
`RelativeErrors`    squared errors of the decoders over their typical size, mean over the channels
`LogErrors`         the same on a logarithmic scale: one channel that is far out does not hide the others
`SubspaceResidual`  how far the encoded window lies outside the subspace of the encoded training windows
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
MAX_ENCODED = 20_000  # training windows that a subspace is computed from


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
    >>> @score_method("largest_error")  # doctest: +SKIP
    ... class LargestError(Score):
    ...     ...
    """

    def register(cls: S) -> S:
        SCORES[name] = storable(cls)
        cls.name = name
        return cls

    return register


def evenly_spaced(windows: Windows, at_most: int) -> Windows:
    """Return evenly spaced windows, at most so many.

    Parameters
    ----------
    windows : Windows
    at_most : int

    Returns
    -------
    Windows
    """
    return windows[np.linspace(0, len(windows) - 1, min(at_most, len(windows))).astype(np.int64)]


class Score(ABC):
    """Base of the scores.

    Attributes
    ----------
    name : str
        Its name in `SCORES`.
    by_channel : bool
        Whether contributions tell channels apart. Where they do not, those of the other scores share them out.
    decoders_ : tuple of str or None
        The decoders of the detector.
    scale_ : ndarray of shape (n_values, n_channels)
        Typical values on held-out normal data.
    """

    name = ""
    by_channel = True
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
        features = self._encoded(autoencoder, evenly_spaced(windows, MAX_ENCODED))
        n, d = features.shape
        self.mean_, std = features.mean(axis=0), features.std(axis=0)
        varies = std > 1e-6 * np.maximum(np.abs(self.mean_), 1e-3)
        self.inverse_std_ = np.divide(1.0, std, out=np.zeros(d), where=varies)
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
