"""`HistoryDisplay`: losses by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.drawing import DATA_COLOR, RECONSTRUCTION_COLOR, one_axes

FEW_EPOCHS = 30  # each of which has a marker; a line of one point would not be seen


class HistoryDisplay:
    """Training and validation loss by epoch.

    Parameters
    ----------
    history : DataFrame
        Columns `epoch`, `loss` and, optionally, `val_loss`, as ``history_`` of an autoencoder.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    ax_ : matplotlib Axes
        Set by `plot`.

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
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``history_``, or AnomalyDetector
            Fitted; of a detector the history of its autoencoder is drawn.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        HistoryDisplay
            Drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from tsae import LSTMAutoencoder
        >>> autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=2).fit(np.eye(20))
        >>> HistoryDisplay.from_estimator(autoencoder).ax_.get_ylabel()
        'loss'
        """
        return cls(getattr(estimator, "autoencoder_", estimator).history_).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> HistoryDisplay:
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        HistoryDisplay
            Itself, with the attributes that name what was drawn.
        """
        self.figure_, self.ax_ = one_axes(ax)
        losses = (("loss", "training", DATA_COLOR), ("val_loss", "validation", RECONSTRUCTION_COLOR))
        for column, label, color in losses:
            if column in self.history:
                looks = {"color": color, "marker": "o" if len(self.history) <= FEW_EPOCHS else None, "markersize": 4}
                self.ax_.plot(self.history["epoch"], self.history[column], label=label, **looks | line_kw)
        self.ax_.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        drawn = self.history[[column for column, _, _ in losses if column in self.history]].to_numpy(dtype=float)
        if len(drawn) > 1 and (drawn[~np.isnan(drawn)] > 0).all():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.ax_.legend(loc="best")
        return self
