"""Scores of timestamps, events and streams."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.calibration import check_alpha_or_auto, choose_alpha, find_threshold
from tsae.anomaly.combination import Combination
from tsae.anomaly.events import EXTRAPOLATED, check_timeline, find_events, is_timeline
from tsae.anomaly.false_discovery import benjamini_hochberg
from tsae.anomaly.ranking import flag_highest
from tsae.anomaly.scoring import RowValues, TimestampScorer, single_columns
from tsae.anomaly.stream import TimelineStream
from tsae.anomaly.thresholds import Calibrator, extrapolated_pvalues
from tsae.data.windows import Windows
from tsae.estimators.reading import WindowReader
from tsae.estimators.validation import check_choice, check_number


class TimelineScores(WindowReader):
    """The part of `AnomalyDetector` that scores timestamps of series."""

    alpha: float | str
    smoothing: int | None
    autoencoder_: Any
    combination_: Combination
    channel_names_: list[str]
    timeline_threshold_: Calibrator
    _max_gap: Any
    _stride: int

    @property
    def alpha_(self) -> float:
        """The level of `events`: `alpha`, or what "auto" chose; NaN where there is none."""
        return choose_alpha(self.timeline_threshold_, self.alpha)

    @property
    def smallest_alpha_(self) -> float:
        """Smallest `alpha` that `events` can use; NaN where there is none."""
        return self.timeline_threshold_.smallest_alpha_

    def score_timeline(self, X: Any) -> pd.DataFrame:
        """Score every timestamp of the series that the windows were cut from.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`; each window of an array is a series of its own.

        Returns
        -------
        DataFrame
            One row per timestamp, in the order of the series: `series`, `time`, `score` (mean over all windows
            that cover it; higher is more anomalous), `p_value`, one column ``score_<name>`` per score where there
            are several, whose mean is the score, and one column ``contribution_<channel>`` per channel, which add up
            to the score. NaN where nothing is known.

        Notes
        -----
        A row depends only on the windows that cover its timestamp. How windows are batched changes scores by
        rounding, which p-values ignore.
        """
        check_is_fitted(self)
        if isinstance(X, Windows) and len(X):
            self._check_shape(X)
            windows = X
        else:
            windows = self._read(X, reset=False)
        rows, scorer = RowValues(windows, self.combination_.n_values), self._scorer()
        observed = np.flatnonzero(windows.observed)
        for positions, values in scorer.values(windows[observed]):
            rows.add(observed[positions], values)
        return scorer.table(*rows.result())

    def _scorer(self) -> TimestampScorer:
        return TimestampScorer(
            self.autoencoder_, self.combination_, self.channel_names_, self.smoothing, self.timeline_threshold_
        )

    def events(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        top: int | None = None,
        correction: str | None = None,
        gap: int | None = None,
        min_length: int = 1,
        n_channels: int = 3,
    ) -> pd.DataFrame:
        """Merge timestamps whose scores are not normal, or the highest of all, into events.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `score_timeline`, or the DataFrame that it returned.
        alpha : float, "auto" or None, default=None
            Timestamps with a p-value up to this are flagged. None: the detector's `alpha`.
        top : int or None, default=None
            Return so many events, whatever their p-values, and no `alpha` is needed: timestamps are flagged from
            the highest score downwards until there are so many events (or, if there never are, the most that there
            can be).
        correction : {"fdr"} or None, default=None
            None: a share `alpha` of normal timestamps is flagged by chance. "fdr": p-values are adjusted for
            their number (Benjamini, Hochberg), so that a share `alpha` of the flags is by chance; needs many
            calibration scores, or threshold="pot", to find anything.
        gap : int or None, default=None
            Flags with at most this many timestamps between them are one event. None: half a window.
        min_length : int, default=1
            Number of flagged timestamps that an event needs.
        n_channels : int, default=3
            Number of channels to name.

        Returns
        -------
        DataFrame
            One row per event, in the order of the series, or, with `top`, the highest score first: `series`,
            `start`, `end`, `peak` (time of the highest score; of equal ones, the first), `score` and `p_value` (at
            the peak, uncorrected), `extrapolated_p_value` (where the score is above all held-out ones, which share one
            smallest p-value: what a Pareto tail of the held-out scores gives it; NaN elsewhere), `channels` (a tuple of
            names, largest contribution first), and where several scores are combined `raised_by` (the name of the
            largest at the peak). ``attrs["alpha"]`` is the p-value up to which timestamps were flagged: `alpha`; with
            `correction` the largest of those flagged, None if there
            are none; with `top` None.

        Raises
        ------
        ValueError
            If the held-out data are too few for `alpha`; the message contains the number needed. If a timeline is
            not one of this detector's channels, or its rows are not in the order of the series and of time.
        """
        check_is_fitted(self)
        check_choice("correction", correction, ["fdr", None])
        check_number("top", top, 1, integer=True, none=True)
        check_number("gap", gap, 0, integer=True, none=True)
        check_number("min_length", min_length, 1, integer=True)
        check_number("n_channels", n_channels, 1, integer=True)
        if top is None:
            check_alpha_or_auto(self.alpha if alpha is None else alpha)
            alpha = choose_alpha(self.timeline_threshold_, self.alpha if alpha is None else alpha)
            find_threshold(self.timeline_threshold_, alpha, "timestamps")
        elif alpha is not None or correction is not None:
            raise ValueError(f"top={top} ranks by score alone; it does not go with alpha={alpha}, {correction=}")
        singles = single_columns(self.combination_.names)
        timeline = check_timeline(X, self.channel_names_, singles) if is_timeline(X) else self.score_timeline(X)
        gap = (self.n_timesteps_ or 0) // 2 if gap is None else int(gap)
        if top is not None:
            flagged = flag_highest(timeline, int(top), gap=gap, min_length=int(min_length))
        else:
            p = timeline["p_value"].to_numpy()
            flagged = (benjamini_hochberg(p) if correction == "fdr" else p) <= alpha
        events = find_events(timeline, flagged, gap=gap, min_length=int(min_length), n_channels=int(n_channels))
        tail = extrapolated_pvalues(self.timeline_threshold_, events["score"].to_numpy())
        events.insert(events.columns.get_loc("p_value") + 1, EXTRAPOLATED, tail)
        if top is not None:
            events = events.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        events.attrs["alpha"] = _level(timeline["p_value"].to_numpy()[flagged], alpha, correction)
        return events

    def stream(
        self, *, stride: int | None = None, series: Any = 0, max_jump: Any = None, max_gap: Any = None
    ) -> TimelineStream:
        """Score a series as its rows arrive.

        Parameters
        ----------
        stride : int or None, default=None
            Steps from window to window. None: that of the windows the detector was fitted on.
        series : label, default=0
            Value of the column `series`.
        max_jump : number, timedelta, str such as "30D" or None, default=None
            A row whose time is further ahead than this of the row before is an error, and is not taken: a single
            wrong time would make all later ones come too late. None: a year, or 1,000 times ``max_gap`` if that is
            longer; for times that are numbers, 1,000,000 times ``max_gap``. Infinity: any step is allowed.
        max_gap : number, timedelta, str such as "10min" or None, default=None
            A step of time longer than this ends the windows. None: as in the windows the detector was fitted on.

        Returns
        -------
        TimelineStream
            Its ``push(rows, times)`` returns the timestamps that became complete, ``finish()`` the others;
            together they are the rows of `score_timeline` for windows of that stride.

        Raises
        ------
        ValueError
            If the detector was fitted on windows of different lengths.
        """
        check_number("stride", stride, 1, integer=True, none=True)
        width = self._stream_width()
        gap = self._max_gap if max_gap is None else max_gap
        return TimelineStream(self._scorer(), width, int(stride or self._stride), series, gap, max_jump)

    def restore_stream(self, path: str | os.PathLike[str] | BinaryIO, *, max_gap: Any = None) -> TimelineStream:
        """Continue a stream whose state was written by `TimelineStream.save`, in this process or another.

        Parameters
        ----------
        path : path-like or binary file that can seek
        max_gap : number, timedelta, str or None, default=None
            As of `stream`; it is not stored.

        Returns
        -------
        TimelineStream
            It gives what the saved one would have given, to the last bit.

        Raises
        ------
        ModelFileError
            If the file does not hold the state of a stream, or is damaged.
        ValueError
            If the stream was that of another detector.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
        >>> series = np.sin(np.arange(300) / 5)
        >>> small = LSTMAutoencoder(units=2, bidirectional=False, epochs=1)
        >>> detector = AnomalyDetector(small, alpha=0.5, random_state=0).fit(make_windows(series, width=10))
        >>> stream = detector.stream()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "stream.tsae")
        ...     _ = stream.push(series[:25])
        ...     stream.save(path)
        ...     again = detector.restore_stream(path)
        >>> again.push(series[25:40]).equals(stream.push(series[25:40]))
        True
        """
        width = self._stream_width()
        return TimelineStream.restore(path, self._scorer(), width, self._max_gap if max_gap is None else max_gap)

    def _stream_width(self) -> int:
        check_is_fitted(self)
        if self.n_timesteps_ is None:
            raise ValueError("a detector fitted on windows of different lengths has no window to stream with")
        return self.n_timesteps_


def _level(p_values: np.ndarray, alpha: float | None, correction: str | None) -> float | None:
    """The p-value up to which timestamps were flagged, given those that were."""
    if alpha is None or correction is None:
        return alpha
    return float(p_values.max()) if p_values.size else None
