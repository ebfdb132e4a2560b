"""Scores of a series as its rows come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.data.cutting import make_windows


class TimelineStream:
    """Feeds one series to a fitted `AnomalyDetector`, and gives each timestamp its score when it is complete.

    Made by `AnomalyDetector.stream`. A timestamp is complete when the last window that covers it is: with
    windows of ``width`` steps that begin every ``stride`` steps, up to ``width - 1`` steps after it. It
    holds the rows of one window and the errors of the timestamps that are not complete, whatever the length
    of the series.

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

    def __init__(self, detector: Any, width: int, stride: int, series: Any, max_gap: Any):
        self._detector = detector
        self._width = width
        self._stride = stride
        self._series = series
        self._max_gap = max_gap
        self._n_seen = 0
        self._with_times: bool | None = None
        self._finished = False
        self._begin_stretch()

    def _begin_stretch(self) -> None:
        """Start afresh: windows never cross what lies before."""
        shape = (0, len(self._detector.decoders_), self._detector.n_channels_)
        self._rows = np.empty((0, self._detector.n_channels_))
        self._times: list = []
        self._sums, self._counts = np.zeros(shape), np.zeros(shape, dtype=np.int32)
        self._next_window = 0  # first row, within what is held, of the next window

    def push(self, rows: Any, times: Any = None) -> pd.DataFrame:
        """Take in new rows.

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
        self._n_seen += len(rows)
        done = []
        for begin, end in self._stretches(times):
            if begin > 0 or self._is_gap(times[0]):
                done.append(self._complete(len(self._rows)))
                self._begin_stretch()
            self._hold(rows[begin:end], times[begin:end])
            done.append(self._advance())
        return pd.concat(done, ignore_index=True) if done else self._frame(0)

    def finish(self) -> pd.DataFrame:
        """End the series: the remaining timestamps, scored by the windows that are complete; NaN without
        any."""
        if self._finished:
            raise ValueError("the stream is finished already")
        self._finished = True
        return self._complete(len(self._rows))

    # -- input
    # -------------------------------------------------------------------------------------------------

    def _check_rows(self, rows: Any) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim == 1 and self._detector.n_channels_ == 1:
            rows = rows[:, np.newaxis]
        if rows.ndim != 2 or rows.shape[1] != self._detector.n_channels_:
            raise ValueError(f"rows has shape {rows.shape}; expected (n_rows, {self._detector.n_channels_})")
        infinite = np.argwhere(np.isinf(rows))
        if len(infinite):
            row, channel = infinite[0]
            raise ValueError(
                f"rows holds {rows[row, channel]} in row {self._n_seen + row} of the stream, channel {channel}; "
                "infinity is not allowed, NaN is a missing value"
            )
        return rows

    def _check_times(self, rows: np.ndarray, times: Any) -> list:
        if self._with_times is None and len(rows):
            self._with_times = times is not None
        if len(rows) and self._with_times != (times is not None):
            raise ValueError(
                f"times must be given {'always' if self._with_times else 'never or from the first rows on'}"
            )
        if times is None:
            return list(range(self._n_seen, self._n_seen + len(rows)))
        times = list(pd.Index(times))
        if len(times) != len(rows):
            raise ValueError(f"times has {len(times)} entries for {len(rows)} rows")
        before = self._times[-1:]
        for earlier, later in zip(before + times[:-1], times if before else times[1:], strict=True):
            if not later > earlier:
                raise ValueError(f"times must increase; {later} comes after {earlier}")
        return times

    def _is_gap(self, time: Any) -> bool:
        return bool(self._with_times and self._max_gap is not None and self._times) and (
            time - self._times[-1] > self._max_gap
        )

    def _stretches(self, times: list) -> list[tuple[int, int]]:
        """Parts of the new rows without a gap inside."""
        if not times:
            return []
        cuts = []
        if self._with_times and self._max_gap is not None:
            cuts = [i for i in range(1, len(times)) if times[i] - times[i - 1] > self._max_gap]
        return list(zip([0, *cuts], [*cuts, len(times)], strict=True))

    # -- windows
    # -----------------------------------------------------------------------------------------------

    def _hold(self, rows: np.ndarray, times: list) -> None:
        self._rows = np.concatenate([self._rows, rows])
        self._times = self._times + times
        grow = ((0, len(rows)), (0, 0), (0, 0))
        self._sums, self._counts = np.pad(self._sums, grow), np.pad(self._counts, grow)

    def _advance(self) -> pd.DataFrame:
        """Score the windows that are complete, and give out the timestamps that no later one covers."""
        n_windows = (len(self._rows) - self._next_window - self._width) // self._stride + 1
        if n_windows <= 0:
            return self._complete(0)
        windows = make_windows(self._rows[self._next_window :], self._width, self._stride)
        first_row = self._next_window
        windows = windows[windows.observed]
        for positions, errors in self._detector._step_errors(windows):
            rows = first_row + windows[positions].starts[:, np.newaxis] + np.arange(self._width)
            known = ~np.isnan(errors)
            np.add.at(self._sums, rows, np.where(known, errors, 0.0))
            np.add.at(self._counts, rows, known)
        self._next_window += n_windows * self._stride
        return self._complete(min(self._next_window, len(self._rows)))

    def _complete(self, n_rows: int) -> pd.DataFrame:
        """Give out the first rows that are held, and let go of them."""
        done = self._frame(n_rows)
        self._rows, self._times = self._rows[n_rows:], self._times[n_rows:]
        self._sums, self._counts = self._sums[n_rows:], self._counts[n_rows:]
        self._next_window -= n_rows
        return done

    def _frame(self, n_rows: int) -> pd.DataFrame:
        with np.errstate(invalid="ignore"):
            errors = self._sums[:n_rows] / self._counts[:n_rows]
        head = pd.DataFrame(
            {"series": pd.Series([self._series] * n_rows), "time": pd.Index(self._times[:n_rows])},
        )
        return self._detector._timeline_of(head, errors)
