"""`ReconstructionDisplay`: a window and its reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import as_array
from tsae.data.times import as_clock_times
from tsae.drawing import DATA_COLOR, RECONSTRUCTION_COLOR, label_dates, panels


class ReconstructionDisplay:
    """A window and its reconstruction, with one panel per channel.

    Parameters
    ----------
    values : ndarray of shape (n_timesteps, n_channels) or (n_timesteps,)
        In the units of the data; NaN is a missing value.
    reconstruction : ndarray of the same shape
        In the units of the data; NaN where the decoder has no output.
    channel_names : list of str, default=None
        Labels of the panels. None: "channel_0" and so on.
    times : sequence of length n_timesteps, default=None
        Positions on the horizontal axis. None: step numbers.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    axes_ : ndarray of matplotlib Axes, of shape (n_channels,)
        Set by `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> display = ReconstructionDisplay(np.zeros((5, 2)), np.ones((5, 2))).plot()
    >>> display.axes_.shape
    (2,)
    """

    def __init__(
        self,
        values: np.ndarray,
        reconstruction: np.ndarray,
        *,
        channel_names: list[str] | None = None,
        times: Any = None,
    ):
        self.values = _as_steps(values, "values")
        self.reconstruction = _as_steps(reconstruction, "reconstruction")
        if self.values.shape != self.reconstruction.shape:
            raise ValueError(
                f"values has shape {self.values.shape}, reconstruction {self.reconstruction.shape}; "
                "they must be the same"
            )
        n_timesteps, n_channels = self.values.shape
        self.channel_names = list(channel_names or (f"channel_{number}" for number in range(n_channels)))
        self.times = np.arange(n_timesteps) if times is None else as_clock_times(pd.Index(times))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        window: int = 0,
        decoder: str | None = None,
        ax: Any = None,
        **line_kw: Any,
    ) -> ReconstructionDisplay:
        """Reconstruct one window and draw it.

        Parameters
        ----------
        estimator : LSTMAutoencoder or AnomalyDetector
            Fitted.
        X : Windows, array, table or list of arrays
            Windows, as the estimator takes them.
        window : int, default=0
            Position of the window to draw.
        decoder : str, default=None
            As in ``reconstruct``.
        ax : sequence of matplotlib Axes, default=None
            One per channel, or a single Axes for one channel. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        ReconstructionDisplay
            Drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from tsae import LSTMAutoencoder
        >>> X = np.sin(np.arange(160.0)).reshape(20, 8)
        >>> autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1).fit(X)
        >>> ReconstructionDisplay.from_estimator(autoencoder, X, window=3).axes_.shape
        (1,)
        """
        estimator = getattr(estimator, "autoencoder_", estimator)
        one = X.iloc[[window]] if isinstance(X, pd.DataFrame) else X[window : window + 1 or None]
        reconstruction = estimator.reconstruct(one, decoder=decoder)[0]
        values = as_array(one, "X")[0].astype(np.float64).reshape(reconstruction.shape)
        names = getattr(one, "channel_names", None)
        return cls(values, reconstruction, channel_names=names).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> ReconstructionDisplay:
        """Draw the plot.

        Parameters
        ----------
        ax : sequence of matplotlib Axes, default=None
            One per channel, or a single Axes for one channel. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        ReconstructionDisplay
            Itself, with the attributes that name what was drawn.
        """
        n_channels = self.values.shape[1]
        self.figure_, self.axes_ = panels(ax, n_channels)
        for axes, data, reconstruction, name in zip(
            self.axes_, self.values.T, self.reconstruction.T, self.channel_names, strict=True
        ):
            axes.plot(self.times, data, color=DATA_COLOR, label="data", **line_kw)
            axes.plot(self.times, reconstruction, color=RECONSTRUCTION_COLOR, label="reconstruction", **line_kw)
            axes.set_ylabel(name)
        self.axes_[0].legend(loc="best")
        label_dates(self.axes_[-1], self.times)
        self.axes_[-1].set_xlabel("step" if np.issubdtype(np.asarray(self.times).dtype, np.integer) else "time")
        return self


def _as_steps(values: Any, name: str) -> np.ndarray:
    steps = as_array(values, name).astype(np.float64)
    steps = steps[:, np.newaxis] if steps.ndim == 1 else steps
    if steps.ndim != 2:
        raise ValueError(f"{name} has shape {steps.shape}; expected (n_timesteps, n_channels)")
    return steps
