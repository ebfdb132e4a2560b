"""Scores of a series as its rows arrive."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import TimestampScorer
from tsae.anomaly.stream_input import after_gaps, check_jumps, check_times, join_times, read_rows, read_stream_times
from tsae.anomaly.stream_state import StreamState, read_state, save_state
from tsae.data.cutting import make_windows


class TimelineStream:
    """Feed one series to a fitted `AnomalyDetector`, and get each timestamp's score when it is complete.

    Made by `AnomalyDetector.stream`. A timestamp is complete when the last window that covers it is: with
    windows of ``width`` steps that begin every ``stride`` steps, up to ``width - 1`` steps after it. The stream
    holds the rows of one window and the values of the timestamps that are not complete, whatever the length
    of the series.

    Parameters
    ----------
    scorer : TimestampScorer
    width : int
        Steps per window.
    stride : int
        Steps from window to window.
    series : label
        Value of the column `series`.
    max_gap : number, Timedelta or None
        A step of time longer than this ends the windows.
    max_jump : number, timedelta, str or None
        A step of time longer than this is an error; see `AnomalyDetector.stream`.

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
    >>> series = np.sin(np.arange(300) / 5)
    >>> small = LSTMAutoencoder(units=4, bidirectional=False, epochs=1)
    >>> windows = make_windows(series, width=10)
    >>> detector = AnomalyDetector(small, alpha=0.5, random_state=0).fit(windows)
    >>> stream = detector.stream()
    >>> [len(stream.push(rows)) for rows in np.split(series, [5, 12, 100])]
    [0, 3, 88, 200]
    >>> len(stream.finish())
    9
    """

    def __init__(
        self, scorer: TimestampScorer, width: int, stride: int, series: Any, max_gap: Any, max_jump: Any = None
    ) -> None:
        self._scorer = scorer
        self._width = width
        self._stride = stride
        self._series = series
        self._max_gap = max_gap
        self._max_jump = max_jump
        self._state = self._empty_state()

    def _empty_state(self) -> StreamState:
        return StreamState.empty(self._scorer.combination.n_values, len(self._scorer.channel_names))

    def push(self, rows: Any, times: Any = None) -> pd.DataFrame:
        """Add new rows.

        Parameters
        ----------
        rows : array-like or DataFrame of shape (n_rows, n_channels), or (n_rows,) where there is one channel
            NaN is a missing value. The columns of a DataFrame must be named as the detector's channels, if those
            have names, and in their order.
        times : sequence of n_rows timestamps, optional
            Increasing datetimes (of one time zone, or none), periods, timedeltas or numbers. A step longer than the
            detector's ``max_gap`` ends the windows, as in `make_windows`. None: the index of a DataFrame if it holds
            times; otherwise rows are numbered from 0.

        Returns
        -------
        DataFrame
            The timestamps that are now complete, with the columns of `AnomalyDetector.score_timeline`.

        Raises
        ------
        ValueError
            For rows of the wrong shape, of other channels, or with what is infinite or not a number; for times that
            are text, missing, of another kind or time zone than before, do not increase, or jump ahead by more than
            `max_jump`; and after `finish`.

        Notes
        -----
        After any error the stream is as it was before the call: it took none of the rows.
        """
        if self._state.finished:
            raise ValueError("the stream is finished; start a new one with AnomalyDetector.stream()")
        state = replace(self._state)
        values = read_rows(rows, self._scorer.channel_names, state.n_seen)
        new_times, bounds = self._check_times(state, read_stream_times(times, rows, len(values)), len(values))
        state.n_seen += len(values)
        state.last_time = new_times[-1:] if len(values) else state.last_time
        done = []
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if number > 0:
                done.append(self._complete(state, len(state.rows)))
                state = self._after_gap(state)
            _hold(state, values[begin:end], new_times[begin:end])
            done.append(self._advance(state))
        self._state = state
        return pd.concat(done, ignore_index=True)

    def finish(self) -> pd.DataFrame:
        """End the series.

        Returns
        -------
        DataFrame
            The remaining timestamps, scored by the windows that are complete; NaN where there is none.

        Raises
        ------
        ValueError
            If it was called before.
        """
        if self._state.finished:
            raise ValueError("the stream is finished already")
        state = replace(self._state, finished=True)
        done = self._complete(state, len(state.rows))
        self._state = state
        return done

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the state of the stream to a file, from which `AnomalyDetector.restore_stream` continues it.

        The file is of the kind of model files: JSON and plain arrays, with checksums; reading it runs no code. It
        holds the rows of one window at most, and neither the detector nor anything that was scored.

        Parameters
        ----------
        path : path-like or binary file
            An existing file is replaced, all at once; an open file is written to.

        Raises
        ------
        ValueError
            If the times are in a time zone that has no name.
        TypeError
            If the label of the series is neither text nor a number.
        OSError
            If the file cannot be written.
        """
        options = {
            "width": self._width, "stride": self._stride, "series": self._series, "max_jump": self._max_jump,
        }  # fmt: skip
        save_state(path, self._state, self._scorer, options)

    @classmethod
    def restore(
        cls, path: str | os.PathLike[str] | BinaryIO, scorer: TimestampScorer, width: int, max_gap: Any
    ) -> TimelineStream:
        """Continue a stream that was saved; see `AnomalyDetector.restore_stream`.

        Parameters
        ----------
        path : path-like or binary file that can seek
        scorer : TimestampScorer
        width : int
            Steps per window of the detector.
        max_gap : number, Timedelta or None
            As of `TimelineStream`.

        Returns
        -------
        TimelineStream
        """
        state, options = read_state(path, scorer, width)
        stream = cls(scorer, width, options["stride"], options["series"], max_gap, options["max_jump"])
        stream._state = state
        return stream

    def _check_times(self, state: StreamState, times: pd.Index | None, n_rows: int) -> tuple[pd.Index, list[int]]:
        """Times of new rows, and where they fall apart: 0, the first row after each gap, the number of rows."""
        if state.with_times is None and n_rows:
            state.with_times = times is not None
        if n_rows and state.with_times != (times is not None):
            raise ValueError(
                f"times must be given {'always' if state.with_times else 'never or from the first rows on'}"
            )
        if times is None or not n_rows:
            return pd.Index(np.arange(state.n_seen, state.n_seen + n_rows)), [0, n_rows]
        joined = check_times(state.last_time, times, state.n_seen)
        n_before = len(joined) - n_rows
        check_jumps(joined, self._max_jump, self._max_gap, state.n_seen - n_before)
        gaps = after_gaps(joined, self._max_gap) - n_before
        return joined[n_before:], [0, *gaps.tolist(), n_rows]

    def _after_gap(self, state: StreamState) -> StreamState:
        """Forget the rows before a gap: windows never cross it."""
        kept = ("n_seen", "last_time", "with_times")
        return replace(self._empty_state(), **{name: getattr(state, name) for name in kept})

    def _advance(self, state: StreamState) -> pd.DataFrame:
        """Score the windows that are complete; return the timestamps that no later window covers."""
        n_windows = (len(state.rows) - state.next_window - self._width) // self._stride + 1
        if n_windows <= 0:
            return self._complete(state, 0)
        windows = make_windows(state.rows[state.next_window :], self._width, self._stride)
        first_row = state.next_window
        windows = windows[windows.observed]
        for positions, found in self._scorer.values(windows, self._series):
            rows = first_row + windows[positions].starts[:, np.newaxis] + np.arange(self._width)
            known = ~np.isnan(found)
            np.add.at(state.sums, rows, np.where(known, found, 0.0))
            np.add.at(state.counts, rows, known)
        state.next_window += n_windows * self._stride
        return self._complete(state, min(state.next_window, len(state.rows)))

    def _complete(self, state: StreamState, n_rows: int) -> pd.DataFrame:
        """Return the first rows that are held, and drop them."""
        done = self._frame(state, n_rows)
        state.rows, state.times = state.rows[n_rows:], state.times[n_rows:]
        state.sums, state.counts = state.sums[n_rows:], state.counts[n_rows:]
        state.next_window -= n_rows
        return done

    def _frame(self, state: StreamState, n_rows: int) -> pd.DataFrame:
        with np.errstate(invalid="ignore"):
            values = state.sums[:n_rows] / state.counts[:n_rows]
        head = pd.DataFrame({"series": pd.Series([self._series] * n_rows), "time": state.times[:n_rows]})
        return self._scorer.table(head, values)


def _hold(state: StreamState, rows: np.ndarray, times: pd.Index) -> None:
    """Append rows, none of whose windows is scored; arrays are copied, so that errors leave the old ones alone."""
    state.rows = np.concatenate([state.rows, rows])
    state.times = join_times(state.times, times)
    grow = ((0, len(rows)), (0, 0), (0, 0))
    state.sums, state.counts = np.pad(state.sums, grow), np.pad(state.counts, grow)
