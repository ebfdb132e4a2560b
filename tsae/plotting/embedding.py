"""`EmbeddingDisplay`: features in a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.drawing import OTHER_COLOR, class_look, one_axes

MOST_CLASSES = 20  # that have a colour and a name; of more the commonest
LONG_LEGEND = 10  # entries, from which on it stands beside the points


class EmbeddingDisplay:
    """Features of windows in the plane of their first two principal components.

    Parameters
    ----------
    embedding : ndarray of shape (n_windows, 2)
        One point per window.
    labels : array-like of shape (n_windows,), default=None
        One colour per class, and a legend; of more than 20 classes the 19 commonest have one, the others are grey. A
        colour scale for floats.
    explained_variance_ratio : sequence of two floats, default=None
        Shown in the labels of the axes.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    ax_ : matplotlib Axes
        Set by `plot`.

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
                f"labels has shape {self.labels.shape}; expected one label per window, ({len(self.embedding)},)"
            )
        self.explained_variance_ratio = explained_variance_ratio

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None, **scatter_kw: Any
    ) -> EmbeddingDisplay:
        """Encode windows, standardise the features, and draw their first two principal components.

        Parameters
        ----------
        estimator : LSTMAutoencoder or AnomalyDetector
            Fitted.
        X : Windows, array, table or list of arrays
            Windows, as the estimator takes them.
        y : array-like of shape (n_windows,), default=None
            Labels for the colours.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **scatter_kw : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from tsae import LSTMAutoencoder
        >>> X = np.sin(np.arange(160.0)).reshape(20, 8)
        >>> autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1).fit(X)
        >>> EmbeddingDisplay.from_estimator(autoencoder, X).embedding.shape
        (20, 2)
        """
        features = getattr(estimator, "autoencoder_", estimator).transform(X)
        return cls.from_features(features, y, ax=ax, **scatter_kw)

    @classmethod
    def from_features(cls, features: Any, y: Any = None, *, ax: Any = None, **scatter_kw: Any) -> EmbeddingDisplay:
        """Standardise features and draw their first two principal components.

        Parameters
        ----------
        features : array-like of shape (n_windows, n_features)
            At least two windows and two features.
        y : array-like of shape (n_windows,), default=None
            Labels for the colours.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **scatter_kw : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay
            Drawn.

        Examples
        --------
        >>> import numpy as np
        >>> EmbeddingDisplay.from_features(np.eye(4)).embedding.shape
        (4, 2)
        """
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
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **scatter_kw : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay
            Itself, with the attributes that name what was drawn.
        """
        classes = None if self.labels is None or self.labels.dtype.kind == "f" else np.unique(self.labels)
        is_long = classes is not None and len(classes) > LONG_LEGEND
        self.figure_, self.ax_ = one_axes(ax, (9.0, 4.8) if is_long else None)
        options = {"s": 12, "alpha": 0.8} | scatter_kw
        x, y = self.embedding.T
        if self.labels is None:
            self.ax_.scatter(x, y, **options)
        elif classes is None:
            self.figure_.colorbar(self.ax_.scatter(x, y, c=self.labels, **options), ax=self.ax_)
        else:
            self._plot_classes(x, y, options)
        shares = self.explained_variance_ratio
        for axis, name in ((0, "x"), (1, "y")):
            share = "" if shares is None else f" ({shares[axis]:.0%})"
            self.ax_.set(**{f"{name}label": f"principal component {axis + 1}{share}"})
        return self

    def _plot_classes(self, x: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> None:
        labels = np.asarray(self.labels)
        counts = pd.Series(labels).value_counts()
        named = counts.index[: MOST_CLASSES if len(counts) <= MOST_CLASSES else MOST_CLASSES - 1]
        named = [label for label in np.unique(labels) if label in set(named)]
        others = ~np.isin(labels, named)
        if others.any():  # first, so that they lie below
            label = f"{len(counts) - len(named)} others"
            self.ax_.scatter(x[others], y[others], label=label, **{"color": OTHER_COLOR} | options)
        for number, label in enumerate(named):
            own = labels == label
            self.ax_.scatter(x[own], y[own], label=str(label), **class_look(number) | options)
        handles, texts = self.ax_.get_legend_handles_labels()
        if others.any():  # last in the legend
            handles, texts = [*handles[1:], handles[0]], [*texts[1:], texts[0]]
        place: dict[str, Any] = {"loc": "best"}
        if len(texts) > LONG_LEGEND:
            place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "ncols": 2}
        self.ax_.legend(handles, texts, **place)
