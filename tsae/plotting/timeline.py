"""`TimelineDisplay`: anomaly scores over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries, as_array
from tsae.data.times import as_clock_times, find_gaps
from tsae.data.windows import Windows
from tsae.drawing import DATA_COLOR, EVENT_COLOR, LABEL_COLOR, MOST_PANELS, label_dates, legend_above, panels

EVENT_HEIGHT = 0.07  # of the panel, where labels are drawn behind the scores


class TimelineDisplay:
    """Anomaly scores over time, with the threshold, the events and known anomalies: one panel per series.

    Parameters
    ----------
    timeline : DataFrame
        Columns `time` and `score`, and `series` where there are several, as `AnomalyDetector.score_timeline` returns
        them.
    events : DataFrame, default=None
        Columns `start` and `end`, and `series` where there are several, as `AnomalyDetector.events` returns them.
    threshold : float, default=None
        Drawn as a horizontal line.
    labels : array-like of shape (n_rows,), default=None
        Known anomalies, one entry per row of `timeline`: neither 0 nor NaN.
    values : DataFrame or ndarray of shape (n_rows, n_channels), default=None
        Drawn above the scores of each series, one panel per channel.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by `plot`.
    ax_ : matplotlib Axes
        That of the scores of the first series. Set by `plot`.
    axes_ : ndarray of matplotlib Axes
        Series by series: those of the channels, and of the scores. Set by `plot`.

    Examples
    --------
    >>> import pandas as pd
    >>> timeline = pd.DataFrame({"series": 0, "time": [0, 1, 2], "score": [1.0, 9.0, 1.0]})
    >>> TimelineDisplay(timeline, threshold=4.0).plot().ax_.get_ylabel()
    'anomaly score'
    """

    def __init__(
        self,
        timeline: pd.DataFrame,
        events: pd.DataFrame | None = None,
        *,
        threshold: float | None = None,
        labels: Any = None,
        values: Any = None,
    ):
        missing = {"time", "score"} - set(timeline.columns)
        if missing:
            raise ValueError(f"timeline has no column {sorted(missing)[0]!r}; it has {list(timeline.columns)}")
        self.timeline = timeline
        self.events = events
        self.threshold = threshold
        self.labels = None if labels is None else pd.Series(as_array(labels, "labels")).fillna(0).to_numpy() != 0
        self.values = None if values is None else pd.DataFrame(values)
        for name, given in (("labels", self.labels), ("values", self.values)):
            if given is not None and len(given) != len(timeline):
                raise ValueError(f"{name} has {len(given)} rows, timeline {len(timeline)}; they must be the same")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        series: Any = None,
        labels: Any = None,
        channels: bool | Sequence[str] = False,
        ax: Any = None,
        **line_kw: Any,
    ) -> TimelineDisplay:
        """Score series and draw their scores.

        Parameters
        ----------
        estimator : AnomalyDetector
            Fitted.
        X : Windows or DataFrame
            Windows to score, or the table that ``score_timeline`` returned.
        series : label or list of labels, default=None
            Ids of the series to draw. None: the first.
        labels : array-like of shape (n_rows,), default=None
            Known anomalies, one entry per row of ``X.values`` or of the table: neither 0 nor NaN.
        channels : bool or list of str, default=False
            Whether to draw the values of the channels, or of which; only for Windows.
        ax : matplotlib Axes or sequence of them, default=None
            Where to draw: one per panel. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot`` for the scores.

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
        is_scored = isinstance(X, pd.DataFrame) and "score" in X
        if is_scored and channels is not False:
            raise ValueError(f"channels={channels!r} needs Windows; the timeline does not hold the values")
        timeline = X if is_scored else estimator.score_timeline(X)
        if labels is not None and len(labels) != len(timeline):
            raise ValueError(f"labels has {len(labels)} entries, expected one per row, {len(timeline)}")
        events = estimator.events(timeline)
        known = list(timeline["series"].unique())
        wanted = known[:1] if series is None else list(series) if isinstance(series, (list, tuple)) else [series]
        for name in wanted:
            if name not in known:
                raise ValueError(f"series={name!r} does not exist; choose from {known[:10]}")
        own = timeline["series"].isin(wanted).to_numpy()
        display = cls(
            timeline[own], events[events["series"].isin(wanted)],
            threshold=estimator.timeline_threshold_.threshold(estimator.alpha_),
            labels=None if labels is None else as_array(labels, "labels")[own],
            values=None if channels is False else _channels(X, channels)[own],
        )  # fmt: skip
        return display.plot(ax=ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> TimelineDisplay:
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            Where to draw: one per panel. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot`` for the scores.

        Returns
        -------
        TimelineDisplay
            Itself, with the attributes that name what was drawn.

        Raises
        ------
        ValueError
            For more than 30 panels, or another number of Axes.
        """
        groups = list(self._groups())
        n_each = 1 + (0 if self.values is None else self.values.shape[1])
        if len(groups) * n_each > MOST_PANELS:
            raise ValueError(f"{len(groups)} series x {n_each} panels are more than {MOST_PANELS}; choose fewer series")
        what = f"{n_each} for each of {len(groups)} series"
        self.figure_, self.axes_ = panels(ax, len(groups) * n_each, what, width=10)
        self.ax_ = self.axes_[n_each - 1]
        for number, (name, rows) in enumerate(groups):
            own = self.axes_[number * n_each : (number + 1) * n_each]
            self._plot_series(own, name, rows, line_kw, is_alone=len(groups) == 1)
        label_dates(self.axes_[-1], as_clock_times(pd.Index(self.timeline["time"])))
        self.axes_[-1].set_xlabel("time")
        legend_above(self.axes_[0] if n_each == 1 else self.ax_)
        if len(groups) > 1 and ax is None:
            self.figure_.suptitle("anomaly score by series")
        return self

    def _groups(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Each series, and its rows in `timeline`."""
        if "series" not in self.timeline or not len(self.timeline):
            yield None, np.arange(len(self.timeline))
            return
        codes, names = pd.factorize(self.timeline["series"])
        for code, name in enumerate(names):
            yield name, np.flatnonzero(codes == code)

    def _plot_series(
        self, axes: np.ndarray, name: Any, rows: np.ndarray, line_kw: dict[str, Any], *, is_alone: bool
    ) -> None:
        time = as_clock_times(pd.Index(self.timeline["time"].iloc[rows]))
        score = self.timeline["score"].to_numpy()[rows]
        gaps = _gaps(time)
        broken = time if not len(gaps) else time[np.insert(np.arange(len(time)), gaps, gaps)]
        if self.values is not None:
            for panel, channel in zip(axes[:-1], self.values.columns, strict=True):
                values = np.insert(self.values[channel].to_numpy(dtype=np.float64)[rows], gaps, np.nan)
                panel.plot(broken, values, color="0.3", linewidth=0.6)
                panel.set_ylabel(channel)
        looks = {"color": DATA_COLOR, "linewidth": 0.8} | line_kw
        axes[-1].plot(broken, np.insert(score.astype(np.float64), gaps, np.nan), **looks)
        if self.threshold is not None:
            axes[-1].axhline(self.threshold, color="0.4", linestyle="--", linewidth=0.8, label="threshold")
        if (score[~np.isnan(score)] > 0).all():
            axes[-1].set_yscale("log")
        for panel in axes:
            self._mark_labels(panel, time, rows)
            self._mark_events(panel, name)
        axes[-1].set_ylabel("anomaly score" if is_alone or self.values is not None else str(name))
        if name is not None and (is_alone or self.values is not None):
            axes[0].set_title(f"series {name}")

    def _mark_labels(self, panel: Any, time: pd.Index, rows: np.ndarray) -> None:
        if self.labels is None or not self.labels[rows].any():
            return
        panel.fill_between(
            time, 0, 1, where=self.labels[rows], transform=panel.get_xaxis_transform(), color=LABEL_COLOR, alpha=0.4,
            linewidth=1, label="labelled",
        )  # fmt: skip

    def _mark_events(self, panel: Any, name: Any) -> None:
        if self.events is None:
            return
        events = self.events
        if name is not None and "series" in events:
            events = events[events["series"] == name]
        looks: dict[str, Any] = {"alpha": 0.3} if self.labels is None else {"ymax": EVENT_HEIGHT, "zorder": 3}
        starts, ends = (as_clock_times(pd.Index(events[column])) for column in ("start", "end"))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            label = "event" if number == 0 else None
            panel.axvspan(start, end, color=EVENT_COLOR, linewidth=1, label=label, **looks)


def _gaps(time: pd.Index) -> np.ndarray:
    """First rows after a step of time that is longer than what `make_windows` would infer: lines break there."""
    if not (pd.api.types.is_numeric_dtype(time.dtype) or pd.api.types.is_datetime64_any_dtype(time.dtype)):
        return np.array([], dtype=np.int64)  # such as text, which has no steps
    nothing = np.zeros((len(time), 1))
    return find_gaps(GroupedSeries(nothing, np.array([0, len(time)]), pd.RangeIndex(1), [""], time), None)[2]


def _channels(X: Any, channels: bool | Sequence[str]) -> pd.DataFrame:
    """Values of the rows that windows are cut from, of all channels or those named."""
    if not isinstance(X, Windows):
        raise ValueError(f"channels={channels!r} needs Windows; X is {type(X).__name__}")
    values = pd.DataFrame(X.values, columns=X.channel_names)
    if channels is True:
        return values
    names = [channels] if isinstance(channels, (str, bool)) else list(channels)
    if isinstance(channels, str) or any(name not in values for name in names):
        raise ValueError(f"channels={channels!r} must be True or a list of channels; choose from {X.channel_names}")
    return values[names]
