"""Plots, by scikit-learn's Display convention: made from data or from an estimator, drawn by ``plot``.

Each display keeps what it drew: ``figure_``, and ``ax_`` (one Axes) or ``axes_`` (an array of them).
matplotlib is imported when something is drawn; ``pip install "tsae[plot]"`` brings it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SAID, SEEN, FLAGGED = "C1", "C0", "C3"


class ReconstructionDisplay:
    """A window, and what an autoencoder makes of it: one panel a channel.

    Parameters
    ----------
    values, reconstruction : ndarray of shape (n_timesteps, n_channels)
        In the units of the data; NaN where missing, or where the decoder says nothing.
    channel_names : list of str, default=None
    times : sequence of length n_timesteps, default=None
        None: step numbers.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure and ndarray of its Axes, after `plot`

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
        self.times = np.arange(n_timesteps) if times is None else times

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
        """Rebuild one window and draw it.

        Parameters
        ----------
        estimator : fitted LSTMAutoencoder or AnomalyDetector
        X : anything that the estimator takes
        window : int, default=0
            Which of the windows.
        decoder : str, default=None
            As in ``reconstruct``.
        ax : Axes, or sequence of one Axes a channel, default=None
        **line_kw : passed to ``Axes.plot``
        """
        estimator = getattr(estimator, "autoencoder_", estimator)
        one = X.iloc[[window]] if isinstance(X, pd.DataFrame) else X[window : window + 1 or None]
        reconstruction = estimator.reconstruct(one, decoder=decoder)[0]
        values = np.asarray(one, dtype=np.float64)[0].reshape(reconstruction.shape)
        names = getattr(one, "channel_names", None)
        return cls(values, reconstruction, channel_names=names).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> ReconstructionDisplay:
        """Draw; see `from_estimator`."""
        n_channels = self.values.shape[1]
        self.figure_, self.axes_ = _panels(ax, n_channels)
        for axes, seen, said, name in zip(
            self.axes_, self.values.T, self.reconstruction.T, self.channel_names, strict=True
        ):
            axes.plot(self.times, seen, color=SEEN, label="data", **line_kw)
            axes.plot(self.times, said, color=SAID, label="reconstruction", **line_kw)
            axes.set_ylabel(name)
        self.axes_[0].legend(loc="best")
        self.axes_[-1].set_xlabel("step" if np.issubdtype(np.asarray(self.times).dtype, np.integer) else "time")
        return self


class HistoryDisplay:
    """Losses by epoch.

    Parameters
    ----------
    history : DataFrame
        `epoch`, `loss`, and `val_loss` where there is one: ``history_`` of an autoencoder.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes, after `plot`

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.3]})
    >>> HistoryDisplay(history).plot().ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, history: pd.DataFrame):
        missing = {"epoch", "loss"} - set(history.columns)
        if missing:
            raise ValueError(f"history has no column {sorted(missing)[0]!r}; it has {list(history.columns)}")
        self.history = history

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **line_kw: Any) -> HistoryDisplay:
        """Draw the history of a fitted estimator (of an `AnomalyDetector`: of its autoencoder).

        Parameters
        ----------
        estimator : fitted estimator with ``history_``, or with an ``autoencoder_`` that has one
        ax : Axes, default=None
        **line_kw : passed to ``Axes.plot``
        """
        return cls(getattr(estimator, "autoencoder_", estimator).history_).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> HistoryDisplay:
        """Draw; see `from_estimator`."""
        self.figure_, self.ax_ = _one(ax)
        for column, label in (("loss", "training"), ("val_loss", "validation")):
            if column in self.history:
                self.ax_.plot(self.history["epoch"], self.history[column], label=label, **line_kw)
        if (self.history["loss"] > 0).all():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.ax_.legend(loc="best")
        return self


class TimelineDisplay:
    """Anomaly scores over time, with the threshold and the events.

    Parameters
    ----------
    timeline : DataFrame
        Of one series: `time`, `score`, as `AnomalyDetector.score_timeline` gives them.
    events : DataFrame, default=None
        `start`, `end`, as `AnomalyDetector.events` gives them.
    threshold : float, default=None

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes, after `plot`

    Examples
    --------
    >>> import pandas as pd
    >>> timeline = pd.DataFrame({"series": 0, "time": [0, 1, 2], "score": [1.0, 9.0, 1.0]})
    >>> TimelineDisplay(timeline, threshold=4.0).plot().ax_.get_ylabel()
    'anomaly score'
    """

    def __init__(self, timeline: pd.DataFrame, events: pd.DataFrame | None = None, *, threshold: float | None = None):
        missing = {"time", "score"} - set(timeline.columns)
        if missing:
            raise ValueError(f"timeline has no column {sorted(missing)[0]!r}; it has {list(timeline.columns)}")
        if "series" in timeline and timeline["series"].nunique() > 1:
            raise ValueError(
                f"timeline holds {timeline['series'].nunique()} series; a plot shows one, for example "
                "timeline[timeline['series'] == name]"
            )
        self.timeline = timeline
        self.events = events
        self.threshold = threshold

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, series: Any = None, ax: Any = None, **line_kw: Any
    ) -> TimelineDisplay:
        """Score a series and draw it.

        Parameters
        ----------
        estimator : fitted AnomalyDetector
        X : Windows, or the DataFrame that ``score_timeline`` gave
        series : label, default=None
            Which series; None: the first.
        ax : Axes, default=None
        **line_kw : passed to ``Axes.plot``
        """
        timeline = X if isinstance(X, pd.DataFrame) and "score" in X else estimator.score_timeline(X)
        events = estimator.events(timeline)
        chosen = timeline["series"].iloc[0] if series is None else series
        own = timeline[timeline["series"] == chosen]
        if own.empty:
            raise ValueError(f"series={series!r} is not there; choose from {list(timeline['series'].unique()[:10])}")
        threshold = estimator.timeline_threshold_.threshold(estimator.alpha)
        return cls(own, events[events["series"] == chosen], threshold=threshold).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> TimelineDisplay:
        """Draw; see `from_estimator`."""
        self.figure_, self.ax_ = _one(ax, (10, 3))
        time, score = self.timeline["time"].to_numpy(), self.timeline["score"].to_numpy()
        self.ax_.plot(time, score, **{"color": SEEN, "linewidth": 0.8} | line_kw)
        if self.threshold is not None:
            self.ax_.axhline(self.threshold, color="0.4", linestyle="--", linewidth=0.8, label="threshold")
        if self.events is not None:
            for number, (start, end) in enumerate(zip(self.events["start"], self.events["end"], strict=True)):
                label = "event" if number == 0 else None
                self.ax_.axvspan(start, end, color=FLAGGED, alpha=0.3, linewidth=1, label=label)
        if (score[~np.isnan(score)] > 0).all():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="time", ylabel="anomaly score")
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend(loc="best")
        return self


class EmbeddingDisplay:
    """Features of windows in the plane of their first two principal components.

    Parameters
    ----------
    embedding : ndarray of shape (n_windows, 2)
    labels : array-like of shape (n_windows,), default=None
        Classes are coloured; numbers of more than 20 values are shown by a colour scale.
    explained_variance_ratio : sequence of two floats, default=None
        For the labels of the axes.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes, after `plot`

    Examples
    --------
    >>> import numpy as np
    >>> EmbeddingDisplay(np.eye(3)[:, :2], labels=["a", "b", "a"]).plot().ax_.get_xlabel()
    'principal component 1'
    """

    def __init__(self, embedding: np.ndarray, *, labels: Any = None, explained_variance_ratio: Any = None):
        self.embedding = np.asarray(embedding)
        if self.embedding.ndim != 2 or self.embedding.shape[1] != 2:
            raise ValueError(f"embedding has shape {self.embedding.shape}; expected (n_windows, 2)")
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and self.labels.shape != (len(self.embedding),):
            raise ValueError(
                f"labels has shape {self.labels.shape}; expected one label a window, ({len(self.embedding)},)"
            )
        self.explained_variance_ratio = explained_variance_ratio

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None, **scatter_kw: Any
    ) -> EmbeddingDisplay:
        """Encode windows, standardise the features, and draw their first two principal components.

        Parameters
        ----------
        estimator : fitted LSTMAutoencoder or AnomalyDetector
        X : anything that the estimator takes
        y : array-like of shape (n_windows,), default=None
            Labels for the colours.
        ax : Axes, default=None
        **scatter_kw : passed to ``Axes.scatter``
        """
        features = getattr(estimator, "autoencoder_", estimator).transform(X)
        return cls.from_features(features, y, ax=ax, **scatter_kw)

    @classmethod
    def from_features(cls, features: Any, y: Any = None, *, ax: Any = None, **scatter_kw: Any) -> EmbeddingDisplay:
        """As `from_estimator`, of features (n_windows, n_features), at least two of each."""
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or min(features.shape) < 2:
            raise ValueError(f"features has shape {features.shape}; a plane needs at least 2 windows and 2 features")
        pca = PCA(2, random_state=0)
        embedding = pca.fit_transform(StandardScaler().fit_transform(features))
        display = cls(embedding, labels=y, explained_variance_ratio=pca.explained_variance_ratio_)
        return display.plot(ax=ax, **scatter_kw)

    def plot(self, ax: Any = None, **scatter_kw: Any) -> EmbeddingDisplay:
        """Draw; see `from_estimator`."""
        self.figure_, self.ax_ = _one(ax)
        options = {"s": 12, "alpha": 0.8} | scatter_kw
        x, y = self.embedding.T
        if self.labels is None:
            self.ax_.scatter(x, y, **options)
        elif self.labels.dtype.kind == "f" or len(np.unique(self.labels)) > 20:
            codes = self.labels if self.labels.dtype.kind in "fiub" else np.unique(self.labels, return_inverse=True)[1]
            self.figure_.colorbar(self.ax_.scatter(x, y, c=codes, **options), ax=self.ax_)
        else:
            for label in np.unique(self.labels):
                own = self.labels == label
                self.ax_.scatter(x[own], y[own], label=str(label), **options)
            self.ax_.legend(loc="best")
        shares = self.explained_variance_ratio
        for axis, name in ((0, "x"), (1, "y")):
            share = "" if shares is None else f" ({shares[axis]:.0%})"
            self.ax_.set(**{f"{name}label": f"principal component {axis + 1}{share}"})
        return self


def _as_steps(values: Any, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    values = values[:, np.newaxis] if values.ndim == 1 else values
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {values.shape}; expected (n_timesteps, n_channels)")
    return values


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "tsae[plot]"') from error
    return matplotlib.pyplot


def _one(ax: Any, size: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """The given Axes and its Figure, or new ones."""
    if ax is not None:
        return ax.figure, ax
    return _pyplot().subplots(figsize=size, layout="constrained")


def _panels(ax: Any, n: int) -> tuple[Any, np.ndarray]:
    """Axes for n panels, above one another unless they are given."""
    if ax is None:
        size = (8, min(1.2 + 1.5 * n, 40))
        figure, axes = _pyplot().subplots(n, 1, sharex=True, squeeze=False, figsize=size, layout="constrained")
        return figure, axes[:, 0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object))
    if axes.shape != (n,):
        raise ValueError(f"ax holds {axes.size} Axes; {n} are needed, one a channel")
    return axes[0].figure, axes
