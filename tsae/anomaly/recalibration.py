"""New normal data for a fitted detector, without training."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.combination import series_names, window_means
from tsae.anomaly.residuals import mean_steps, rounding_floor, total
from tsae.anomaly.scoring import RowValues
from tsae.anomaly.thresholds import THRESHOLDS, Calibrator
from tsae.anomaly.timeline_scores import TimelineScores
from tsae.anomaly.window_scores import WindowScores
from tsae.data.windows import Windows

NORMAL = "normal"  # the mark of an event that was a false alarm


class Recalibration(WindowScores, TimelineScores):
    """The part of `AnomalyDetector` that takes new normal data into its calibration."""

    threshold: str
    calibration: str
    calibration_scores_: np.ndarray

    def _set_offset(self) -> None:
        raise NotImplementedError

    def recalibrate(self, X: Any, *, events: pd.DataFrame | None = None) -> Recalibration:
        """Take new normal data into the calibration; the network and the scores stay as they are.

        Their scores are added to those of the data that `fit` held out, so that p-values and thresholds follow. With
        ``calibration="series"`` the scale of each series follows, too, and a series that was never seen gets its own.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `fit`: normal data, or, with `events`, data that contain these.
        events : DataFrame or None, default=None
            False alarms: columns `series`, `start` and `end`, as `events` gives. Where there is a column `mark`, as in
            the marks that a report page saves, those marked "normal" alone. Only timestamps within them, and windows
            that contain such, are then taken; scales of series stay as they are. None: all of X is normal.

        Returns
        -------
        self
            If there is an error, it is unchanged.

        Raises
        ------
        ValueError
            If nothing is left to calibrate on: no window, or no timestamp of X within the events.

        Examples
        --------
        >>> import numpy as np
        >>> from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
        >>> series = np.sin(np.arange(600) / 5)
        >>> small = LSTMAutoencoder(units=4, bidirectional=False, epochs=1)
        >>> detector = AnomalyDetector(small, alpha=0.2, random_state=0).fit(make_windows(series[:300], width=20))
        >>> before = detector.timeline_threshold_.n_scores_
        >>> detector.recalibrate(make_windows(series[300:], width=20)).timeline_threshold_.n_scores_ - before
        300
        """
        check_is_fitted(self)
        windows = self._read_fitted(X)
        marked = None if events is None else _rows_within(windows, events)
        combination = deepcopy(self.combination_)
        if combination.series_scales is not None and marked is None:
            bare = copy(combination)
            bare.series_scales = None
            combination.fit_series(windows, window_means(bare, self.autoencoder_, windows), rounding_floor(windows))
        rows = RowValues(windows, combination.n_values)
        means = np.empty((len(windows), combination.n_values, windows.n_channels))
        for positions, values in combination.chunks(self.autoencoder_, windows):
            rows.add(positions, combination.by_step(values, self.smoothing))
            means[positions] = mean_steps(values)
        head, row_values = rows.result()
        if combination.series_scales is not None and marked is None:
            combination.fit_series_levels(head["series"].to_numpy(), row_values, upper=combination.upper_)
        by_row = total(combination.contributions(row_values, head["series"]))
        by_window = total(combination.contributions(combination.by_window(means), series_names(windows)))
        if marked is not None:
            by_row, by_window = by_row[marked], by_window[windows.touching(marked)]
        timeline = self._with(self.timeline_threshold_, by_row)
        self.combination_, self.window_threshold_ = combination, self._with(self.window_threshold_, by_window)
        self.timeline_threshold_ = timeline
        self.calibration_scores_ = np.concatenate([self.calibration_scores_, by_row[~np.isnan(by_row)]])
        self._set_offset()
        return self

    def _with(self, calibrator: Calibrator, scores: np.ndarray) -> Calibrator:
        """A calibrator on more scores."""
        if np.isnan(scores).all():
            raise ValueError("X has no window with a value to calibrate on")
        return THRESHOLDS[self.threshold](calibrator.block_length).fit(np.concatenate([calibrator.scores_, scores]))


def _rows_within(windows: Windows, events: pd.DataFrame) -> np.ndarray:
    """Tell which rows of the series lie in events that are normal."""
    missing = {"series", "start", "end"} - set(events.columns)
    if missing:
        raise ValueError(f"events has no column {', '.join(sorted(missing))}; it has {list(events.columns)}")
    if "mark" in events:
        events = events[events["mark"] == NORMAL]
    within = np.zeros(len(windows.values), dtype=bool)
    for event in events.itertuples():
        try:
            within[windows.grouped.rows_between(event.series, event.start, event.end)] = True
        except TypeError as error:
            kind = windows.grouped.times_at(np.arange(1)).dtype
            raise ValueError(
                f"events has start={event.start!r} and end={event.end!r}; the times of X are {kind}"
            ) from error
    if not within.any():
        raise ValueError(
            f"no timestamp of X lies within the {len(events)} normal event(s); are they of other series or times?"
        )
    return within
