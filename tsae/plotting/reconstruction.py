"""`ReconstructionDisplay`: a window and its reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import CONTRIBUTION
from tsae.data.series import as_array
from tsae.data.times import as_clock_times
from tsae.data.windows import Windows
from tsae.drawing import CLASS_COLORS, DATA_COLOR, RECONSTRUCTION_COLOR, label_dates, legend_above, panels


class ReconstructionDisplay:
    """A window and its reconstruction, with one panel per channel, and below what the score is made of.

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
    contributions : ndarray of shape (n_timesteps, n_channels), default=None
        What each channel adds to the score of each step; NaN where nothing is known. None: no panel for it.
    score_name : str, default="score"
        Label of that panel.
    title : str, default=""
        Above the first panel.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    axes_ : ndarray of matplotlib Axes, of shape (n_channels,)
        Those of the channels. Set by `plot`.
    score_ax_ : matplotlib Axes or None
        That of the contributions. Set by `plot`.

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
        contributions: Any = None,
        score_name: str = "score",
        title: str = "",
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
        self.contributions = None if contributions is None else _as_steps(contributions, "contributions")
        if self.contributions is not None and self.contributions.shape != self.values.shape:
            raise ValueError(
                f"contributions has shape {self.contributions.shape}, values {self.values.shape}; they must be the same"
            )
        self.score_name, self.title = score_name, title

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
        """Reconstruct one window and draw it, with what its score is made of.

        For a detector these are the contributions of the channels to the scores of the window's steps, as
        `AnomalyDetector.score_timeline` gives them for this window alone; for an autoencoder the squared errors in
        units of the channels' training variance, whose mean `score_samples` returns with a minus sign.

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
            One per channel, and one for the score if it is to be drawn; or a single Axes for one channel. None: a new
            figure.
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
        autoencoder = getattr(estimator, "autoencoder_", estimator)
        one = X.iloc[[window]] if isinstance(X, pd.DataFrame) else X[window : window + 1 or None]
        reconstruction = autoencoder.reconstruct(one, decoder=decoder)[0]
        values = as_array(one, "X")[0].astype(np.float64).reshape(reconstruction.shape)
        names = list(getattr(one, "channel_names", None) or getattr(estimator, "channel_names_", None) or [])
        position = window if window >= 0 else len(X) + window
        times, title = None, f"window {position}"
        if isinstance(one, Windows):
            (start,) = one.starts
            times = one.grouped.times_at(np.arange(start, start + len(values)))
            title = f"series {one.grouped.names_at(one.starts)[0]}, window {position}"
        contributions, score_name = _contributions(estimator, autoencoder, one, values, reconstruction)
        return cls(
            values, reconstruction, channel_names=names, times=times, contributions=contributions,
            score_name=score_name, title=title,
        ).plot(ax=ax, **line_kw)  # fmt: skip

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
        wants_score = self.contributions is not None and (ax is None or np.size(ax) == n_channels + 1)
        self.figure_, axes_of_all = panels(ax, n_channels + wants_score)
        self.axes_, self.score_ax_ = axes_of_all[:n_channels], axes_of_all[-1] if wants_score else None
        for axes, data, reconstruction, name in zip(
            self.axes_, self.values.T, self.reconstruction.T, self.channel_names, strict=True
        ):
            axes.plot(self.times, data, **{"color": DATA_COLOR, "label": "data"} | line_kw)
            options = {"color": RECONSTRUCTION_COLOR, "label": "reconstruction"} | line_kw
            axes.plot(self.times, reconstruction, **options)
            axes.set_ylabel(name)
        legend_above(self.axes_[0])
        self.axes_[0].set_title(self.title, loc="left", fontsize="medium")
        if self.score_ax_ is not None:
            self._plot_contributions(self.score_ax_)
        label_dates(axes_of_all[-1], self.times)
        axes_of_all[-1].set_xlabel("step" if np.issubdtype(np.asarray(self.times).dtype, np.integer) else "time")
        return self

    def _plot_contributions(self, axes: Any) -> None:
        """Stack what the channels add to the score: the largest in all at the bottom, those beyond seven together."""
        assert self.contributions is not None
        known = np.nan_to_num(np.maximum(self.contributions, 0))
        order = np.argsort(-known.sum(axis=0), kind="stable")
        shown = order if len(order) <= len(CLASS_COLORS) else order[: len(CLASS_COLORS) - 1]
        parts, names = [known[:, channel] for channel in shown], [self.channel_names[channel] for channel in shown]
        if len(shown) < len(order):
            parts.append(known[:, order[len(shown) :]].sum(axis=1))
            names.append(f"{len(order) - len(shown)} others")
        axes.stackplot(self.times, *parts, labels=names, colors=CLASS_COLORS[: len(parts)], alpha=0.8)
        axes.set_ylabel(self.score_name)
        total = known.sum()
        for panel, own in zip(self.axes_, known.sum(axis=0), strict=True):
            if total > 0 and len(names) > 1:
                text = f"{own / total:.0%} of\nthe {self.score_name}"
                panel.text(1.01, 0.5, text, transform=panel.transAxes, va="center", fontsize="small", color="0.3")
        axes.margins(x=self.axes_[0].margins()[0])
        if len(names) > 1:
            legend_above(axes)


def _contributions(
    estimator: Any, autoencoder: Any, one: Any, values: np.ndarray, reconstruction: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """What each channel adds to the score of each step, (n_timesteps, n_channels), and the name of the score."""
    if hasattr(estimator, "score_timeline"):
        timeline = estimator.score_timeline(one.compact() if isinstance(one, Windows) else one)
        names = [column for column in timeline.columns if str(column).startswith(CONTRIBUTION)]
        return timeline[names].to_numpy()[: len(values)], "score"
    scaler = getattr(autoencoder, "scaler_", None)
    if scaler is None:
        return None, ""
    return ((values - reconstruction) / scaler.scale_) ** 2, "squared error"


def _as_steps(values: Any, name: str) -> np.ndarray:
    steps = as_array(values, name).astype(np.float64)
    steps = steps[:, np.newaxis] if steps.ndim == 1 else steps
    if steps.ndim != 2:
        raise ValueError(f"{name} has shape {steps.shape}; expected (n_timesteps, n_channels)")
    return steps
