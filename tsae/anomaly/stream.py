"""Scores of a series as its rows arrive."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import TimestampScorer
from tsae.data.cutting import make_windows


class TimelineStream:
    """Feed one series to a fitted `AnomalyDetector`, and get each timestamp's score when it is complete.

    Made by `AnomalyDetector.stream`. A timestamp is complete when the last window that covers it is: with
    windows of ``width`` steps that begin every ``stride`` steps, up to ``width - 1`` steps after it. The stream
    holds the rows of one window and the errors of the timestamps that are not complete, whatever the length
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

    def __init__(self, scorer: TimestampScorer, width: int, stride: int, series: Any, max_gap: Any) -> None:
        self._scorer = scorer
        self._width = width
        self._stride = stride
        self._series = series
        self._max_gap = max_gap
        self._n_channels = len(scorer.channel_names)
        self._n_seen = 0
        self._with_times: bool | None = None
        self._last_time: list[Any] = []  # of the last row, where there is one
        self._finished = False
        self._start_segment()

    def _start_segment(self) -> None:
        """Forget the rows before a gap: windows never cross it."""
        shape = (0, len(self._scorer.decoders), self._n_channels)
        self._rows = np.empty((0, self._n_channels))
        self._times: list[Any] = []
        self._sums, self._counts = np.zeros(shape), np.zeros(shape, dtype=np.int32)
        self._next_window = 0  # first row of the next window, counted from the first row held

    def push(self, rows: Any, times: Any = None) -> pd.DataFrame:
        """Add new rows.

        Parameters
        ----------
        rows : array-like of shape (n_rows, n_channels), or (n_rows,) where there is one channel
            NaN is a missing value.
        times : sequence of n_rows timestamps, optional
            Increasing. A step longer than the detector's ``max_gap`` ends the windows, as in `make_windows`.
            Without times, rows are numbered from 0.

        Returns
        -------
        DataFrame
            The timestamps that are now complete, with the columns of `AnomalyDetector.score_timeline`.

        Raises
        ------
        ValueError
            For rows of the wrong shape or with an infinite value, times that do not increase, and after
            `finish`.
        """
        if self._finished:
            raise ValueError("the stream is finished; start a new one with AnomalyDetector.stream()")
        rows = self._check_rows(rows)
        times = self._check_times(rows, times)
        bounds = [0, *self._after_gaps(times), len(rows)]
        self._n_seen += len(rows)
        self._last_time = times[-1:] or self._last_time
        done = []
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if number > 0:
                done.append(self._complete(len(self._rows)))
                self._start_segment()
            self._hold(rows[begin:end], times[begin:end])
            done.append(self._advance())
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
        if self._finished:
            raise ValueError("the stream is finished already")
        self._finished = True
        return self._complete(len(self._rows))

    def _check_rows(self, rows: Any) -> np.ndarray:
        values: np.ndarray = np.asarray(rows, dtype=np.float64)
        if values.ndim == 1 and self._n_channels == 1:
            values = values[:, np.newaxis]
        if values.ndim != 2 or values.shape[1] != self._n_channels:
            raise ValueError(f"rows has shape {values.shape}; expected (n_rows, {self._n_channels})")
        infinite = np.argwhere(np.isinf(values))
        if len(infinite):
            row, channel = infinite[0]
            raise ValueError(
                f"rows holds {values[row, channel]} in row {self._n_seen + row} of the stream, channel {channel}; "
                "infinity is not allowed, NaN is a missing value"
            )
        return values

    def _check_times(self, rows: np.ndarray, times: Any) -> list[Any]:
        if self._with_times is None and len(rows):
            self._with_times = times is not None
        if len(rows) and self._with_times != (times is not None):
            raise ValueError(
                f"times must be given {'always' if self._with_times else 'never or from the first rows on'}"
            )
        if times is None:
            return list(range(self._n_seen, self._n_seen + len(rows)))
        given: list[Any] = list(pd.Index(times))
        if len(given) != len(rows):
            raise ValueError(f"times has {len(given)} entries for {len(rows)} rows")
        for earlier, later in pairwise(self._last_time + given):
            if not later > earlier:
                raise ValueError(f"times must increase; {later} comes after {earlier}")
        return given

    def _after_gaps(self, times: list[Any]) -> list[int]:
        """Positions of the new rows that come after a gap."""
        if not self._with_times or self._max_gap is None:
            return []
        n_before = len(self._last_time)
        steps = enumerate(pairwise(self._last_time + times), start=1 - n_before)
        return [position for position, (earlier, later) in steps if later - earlier > self._max_gap]

    def _hold(self, rows: np.ndarray, times: list[Any]) -> None:
        self._rows = np.concatenate([self._rows, rows])
        self._times = self._times + times
        grow = ((0, len(rows)), (0, 0), (0, 0))
        self._sums, self._counts = np.pad(self._sums, grow), np.pad(self._counts, grow)

    def _advance(self) -> pd.DataFrame:
        """Score the windows that are complete; return the timestamps that no later window covers."""
        n_windows = (len(self._rows) - self._next_window - self._width) // self._stride + 1
        if n_windows <= 0:
            return self._complete(0)
        windows = make_windows(self._rows[self._next_window :], self._width, self._stride)
        first_row = self._next_window
        windows = windows[windows.observed]
        for positions, errors in self._scorer.errors(windows):
            rows = first_row + windows[positions].starts[:, np.newaxis] + np.arange(self._width)
            known = ~np.isnan(errors)
            np.add.at(self._sums, rows, np.where(known, errors, 0.0))
            np.add.at(self._counts, rows, known)
        self._next_window += n_windows * self._stride
        return self._complete(min(self._next_window, len(self._rows)))

    def _complete(self, n_rows: int) -> pd.DataFrame:
        """Return the first rows that are held, and drop them."""
        done = self._frame(n_rows)
        self._rows, self._times = self._rows[n_rows:], self._times[n_rows:]
        self._sums, self._counts = self._sums[n_rows:], self._counts[n_rows:]
        self._next_window -= n_rows
        return done

    def _frame(self, n_rows: int) -> pd.DataFrame:
        with np.errstate(invalid="ignore"):
            errors = self._sums[:n_rows] / self._counts[:n_rows]
        head = pd.DataFrame({"series": pd.Series([self._series] * n_rows), "time": pd.Index(self._times[:n_rows])})
        return self._scorer.table(head, errors)
