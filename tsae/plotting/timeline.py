"""`TimelineDisplay`: anomaly scores over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.data.times import as_clock_times
from tsae.drawing import DATA_COLOR, EVENT_COLOR, label_dates, one_axes


class TimelineDisplay:
    """Anomaly scores over time, with the threshold and the events.

    Parameters
    ----------
    timeline : DataFrame
        Columns `time` and `score` of one series, as `AnomalyDetector.score_timeline` returns them.
    events : DataFrame, default=None
        Columns `start` and `end`, as `AnomalyDetector.events` returns them.
    threshold : float, default=None
        Drawn as a horizontal line.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    ax_ : matplotlib Axes
        Set by `plot`.

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
        """Score a series and draw its scores.

        Parameters
        ----------
        estimator : AnomalyDetector
            Fitted.
        X : Windows or DataFrame
            Windows to score, or the table that ``score_timeline`` returned.
        series : label, default=None
            Id of the series to draw. None: the first.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        TimelineDisplay
            Drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
        >>> windows = make_windows(np.sin(np.arange(300.0)), width=8)
        >>> autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1)
        >>> detector = AnomalyDetector(autoencoder, alpha=0.2).fit(windows)
        >>> TimelineDisplay.from_estimator(detector, windows).threshold > 0
        True
        """
        timeline = X if isinstance(X, pd.DataFrame) and "score" in X else estimator.score_timeline(X)
        events = estimator.events(timeline)
        chosen = timeline["series"].iloc[0] if series is None else series
        own = timeline[timeline["series"] == chosen]
        if own.empty:
            raise ValueError(f"series={series!r} does not exist; choose from {list(timeline['series'].unique()[:10])}")
        threshold = estimator.timeline_threshold_.threshold(estimator.alpha_)
        return cls(own, events[events["series"] == chosen], threshold=threshold).plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> TimelineDisplay:
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        TimelineDisplay
            Itself, with the attributes that name what was drawn.
        """
        self.figure_, self.ax_ = one_axes(ax, (10, 3))
        time, score = as_clock_times(pd.Index(self.timeline["time"])), self.timeline["score"].to_numpy()
        self.ax_.plot(time, score, **{"color": DATA_COLOR, "linewidth": 0.8} | line_kw)
        if self.threshold is not None:
            self.ax_.axhline(self.threshold, color="0.4", linestyle="--", linewidth=0.8, label="threshold")
        if self.events is not None:
            starts, ends = (as_clock_times(pd.Index(self.events[name])) for name in ("start", "end"))
            for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
                label = "event" if number == 0 else None
                self.ax_.axvspan(start, end, color=EVENT_COLOR, alpha=0.3, linewidth=1, label=label)
        if (score[~np.isnan(score)] > 0).all():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="time", ylabel="anomaly score")
        label_dates(self.ax_, time)
        if "series" in self.timeline and len(self.timeline):
            self.ax_.set_title(f"series {self.timeline['series'].iloc[0]}")
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend(loc="best")
        return self
