"""`AnomalyDetector`: from what an autoencoder cannot rebuild to calibrated, explained events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.dependence import estimate_block_length
from tsae.anomaly.events import find_events
from tsae.anomaly.false_discovery import benjamini_hochberg
from tsae.anomaly.residuals import (
    chunks,
    contributions,
    error_scale,
    mean_steps,
    rounding_floor,
    smooth_steps,
    squared_errors,
    total,
)
from tsae.anomaly.stream import TimelineStream
from tsae.anomaly.thresholds import THRESHOLDS, Calibrator, check_alpha, sufficient_methods
from tsae.data.scaling import covered_rows
from tsae.data.splitting import holdout
from tsae.data.timeline import Timeline
from tsae.data.windows import Windows
from tsae.estimators.base import SequenceEstimator
from tsae.estimators.validation import check_choice, check_number, draw_seed
from tsae.io.state import Saveable
from tsae.io.storable import storable

PREFIX = "contribution_"


@storable
class AnomalyDetector(OutlierMixin, Saveable, BaseEstimator):
    """Anomaly scores with p-values, by the errors of an autoencoder trained on normal windows.

    `fit` trains the autoencoder on one part of the windows and calibrates on the rest, which it has not
    seen: the usual size of each channel's error, and how large a score is usual. A score is the mean over
    channels (and decoders) of squared error by usual squared error, so it is 1 or so on normal data, and the
    contributions of the channels add up to it.

    For windows there are `score_samples`, `decision_function`, `predict` as of any outlier detector of
    scikit-learn. For series there are `score_timeline`, `events` and `stream`.

    Parameters
    ----------
    autoencoder : LSTMAutoencoder or None, default=None
        Cloned and trained by `fit`. None: a default that was chosen for anomaly detection by measurement (see
        docs/anomalies.md). Wrapped in `sklearn.frozen.FrozenEstimator`, a fitted one is used as it is, and
        ``calibration_fraction=1.0`` is allowed. Any estimator with ``reconstruct(X, decoder)`` will do.
    threshold : {"conformal", "quantile", "pot"}, default="conformal"
        How scores of held-out normal data become p-values and a threshold: see `tsae.anomaly.thresholds`.
    alpha : float, default=0.02
        Share of normal windows, or timestamps, that may be called anomalous.
    smoothing : int or None, default=None
        Timelines average squared errors over so many steps of a window. None: a quarter of the window.
    calibration_fraction : float, default=0.2
        Share of the windows to calibrate on. Where windows overlap, the last in time of each series, and
        windows that share rows with them are not trained on; otherwise a random draw.
    block_length : int or None, default=None
        Number of neighbouring scores that count as one when they are dependent. None: estimated (see
        `tsae.anomaly.thresholds.estimate_block_length`), for windows at least the number of windows that share a row.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default=None
        For the draw of calibration windows, and for an autoencoder that has no random state of its own.

    Attributes
    ----------
    autoencoder_ : the fitted autoencoder
    decoders_ : tuple
        Names of the decoders whose errors are combined.
    error_scale_ : ndarray of shape (n_decoders, n_channels)
        Usual squared error, in squared units of each channel.
    window_threshold_, timeline_threshold_ : fitted calibrators of `tsae.anomaly.thresholds`
    offset_ : float
        ``decision_function = score_samples - offset_``; NaN where `predict` has to refuse `alpha`.
    calibration_scores_ : ndarray of shape (n_calibration_rows,)
        The timeline's scores of the held-out rows, in row order.
    channel_names_ : list of str
    n_features_in_, n_timesteps_, n_channels_ : as of LSTMAutoencoder

    References
    ----------
    Malhotra et al. (2016). LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection. arXiv:1607.00148
    Wong, Liu, Berti-Equille, Veeramachaneni (2022). AER: Auto-Encoder with Regression for Time Series Anomaly
    Detection. arXiv:2212.13558

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
    >>> series = np.sin(np.arange(600) / 5)
    >>> small = LSTMAutoencoder(units=4, bidirectional=False, epochs=2)
    >>> detector = AnomalyDetector(small, alpha=0.2, random_state=0).fit(make_windows(series, width=20))
    >>> series[300:310] += 8
    >>> events = detector.events(make_windows(series, width=20))
    >>> worst = events.loc[events["score"].idxmax()]
    >>> print(295 <= worst["peak"] <= 315, *worst["channels"])
    True channel_0
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        threshold: str = "conformal",
        alpha: float = 0.02,
        smoothing: int | None = None,
        calibration_fraction: float = 0.2,
        block_length: int | None = None,
        random_state: Any = None,
    ):
        self.autoencoder = autoencoder
        self.threshold = threshold
        self.alpha = alpha
        self.smoothing = smoothing
        self.calibration_fraction = calibration_fraction
        self.block_length = block_length
        self.random_state = random_state

    # -- fit
    # ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, anomalies: Any = None) -> AnomalyDetector:
        """Train on normal windows, and calibrate on held-out ones.

        Parameters
        ----------
        X : Windows, ndarray of shape (n_windows, n_timesteps, n_channels) or (n_windows, n_timesteps),
        DataFrame,
            or list of arrays of shape (n_timesteps_i, n_channels)
        y : ignored
        anomalies : bool array of shape (n_windows,) or (n_rows,), default=None
            Known anomalies, by window, or by row of the series that X was cut from (``len(X.values)``).
            Windows with any are used neither for training nor for calibration.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For arguments that are not allowed, and, before anything is trained, when the held-out windows are
            certainly too few for `alpha`: the message says how many are needed.
        """
        self._check_parameters()
        windows = self._read(X, reset=True)
        self.channel_names_ = list(windows.channel_names)
        self._max_gap, self._stride = windows.max_gap, windows.stride
        windows = self._normal_part(windows, anomalies)
        training, calibration = self._split(windows)
        self._check_enough(calibration, len(windows))
        self.autoencoder_ = self._train(training)
        self.decoders_ = tuple(getattr(self.autoencoder_, "decoders_", (None,)))
        self._calibrate(calibration)
        return self

    def _check_parameters(self) -> None:
        check_choice("threshold", self.threshold, THRESHOLDS)
        check_alpha(self.alpha)
        check_number("smoothing", self.smoothing, 1, integer=True, none=True)
        check_number("calibration_fraction", self.calibration_fraction, 0, 1, open_low=True)
        check_number("block_length", self.block_length, 1, integer=True, none=True)
        if self.calibration_fraction == 1 and not self._is_frozen():
            raise ValueError(
                "calibration_fraction=1 is not allowed: it leaves nothing to train on; it is for an autoencoder "
                "that is fitted already, FrozenEstimator(autoencoder)"
            )

    def _check_restored(self) -> None:
        """Refuse attributes from a file that do not belong together."""
        self._check_parameters()
        if not hasattr(self, "autoencoder_"):
            return
        autoencoder = getattr(self.autoencoder_, "estimator", self.autoencoder_)
        if not isinstance(autoencoder, SequenceEstimator) or autoencoder.n_channels_ != self.n_channels_:
            raise ValueError(f"autoencoder_ is not a fitted autoencoder of {self.n_channels_} channels")
        if self.error_scale_.shape != (len(self.decoders_), self.n_channels_):
            raise ValueError(f"error_scale_ has shape {self.error_scale_.shape}, not one entry a decoder and channel")
        if len(self.channel_names_) != self.n_channels_:
            raise ValueError(f"channel_names_ has {len(self.channel_names_)} names for {self.n_channels_} channels")
        for calibrator in (self.timeline_threshold_, self.window_threshold_):
            if not isinstance(calibrator, THRESHOLDS[self.threshold]) or calibrator.scores_.ndim != 1:
                raise ValueError(f"the calibrators are not those of threshold={self.threshold!r}")

    def _is_frozen(self) -> bool:
        from sklearn.frozen import FrozenEstimator

        return isinstance(self.autoencoder, FrozenEstimator)

    _read = SequenceEstimator._read
    _check_shape = SequenceEstimator._check_shape

    def _normal_part(self, windows: Windows, anomalies: Any) -> Windows:
        """The windows without a known anomaly."""
        if anomalies is None:
            return windows
        marks = np.asarray(anomalies)
        n_windows, n_rows = len(windows), len(windows.values)
        if marks.dtype != bool or marks.shape not in ((n_windows,), (n_rows,)):
            raise ValueError(
                f"anomalies is {marks.dtype} of shape {marks.shape}; it must be bool, one entry a window "
                f"({n_windows},) or a row ({n_rows},)"
            )
        if marks.shape == (n_rows,) and n_rows != n_windows:
            marked_before = np.concatenate([[0], np.cumsum(marks)])
            marks = marked_before[windows.starts + windows.lengths] > marked_before[windows.starts]
        if marks.all():
            raise ValueError(f"anomalies marks all of the {n_windows} windows; nothing normal is left to fit on")
        return windows[~marks]

    def _split(self, windows: Windows) -> tuple[Windows, Windows]:
        if self.calibration_fraction == 1:
            return windows, windows
        if len(windows) < 2:
            raise ValueError(f"n_samples = {len(windows)}: AnomalyDetector needs at least 2 windows to hold one out")
        rng = np.random.default_rng(draw_seed(self.random_state))
        training, calibration = holdout(windows, self.calibration_fraction, rng)
        return windows[training], windows[calibration]

    def _check_enough(self, calibration: Windows, n_windows: int) -> None:
        """Refuse, before training, fewer scores than alpha needs even if all of them are independent."""
        block_length = self.block_length or 1
        needed = THRESHOLDS[self.threshold](block_length).required(self.alpha)
        if calibration.overlapping():
            # Timelines are calibrated by row. Whether windows are enough is checked when they are scored.
            available, unit = int(covered_rows_count(calibration)), "rows in held-out windows"
        else:
            available, unit = len(calibration), "held-out windows"
        if available < needed:
            share = available / n_windows
            others = [f" or threshold={name!r}" for name in sufficient_methods(block_length, self.alpha, available)]
            raise ValueError(
                f"threshold={self.threshold!r} with alpha={self.alpha:g} needs at least {needed} {unit}; "
                f"calibration_fraction={self.calibration_fraction:g} of {n_windows} windows gives {available}. "
                f"Fit on at least {int(np.ceil(needed / share))} windows, or choose a larger alpha{''.join(others)}"
            )

    def _train(self, training: Windows) -> Any:
        given = self.autoencoder
        autoencoder = default_autoencoder(len(training)) if given is None else clone(given)
        if "random_state" in autoencoder.get_params(deep=False) and autoencoder.random_state is None:
            autoencoder.set_params(random_state=draw_seed(self.random_state))
        return autoencoder.fit(training, None)  # FrozenEstimator wants a y

    def _calibrate(self, calibration: Windows) -> None:
        """Measure, on windows that were not trained on, how large errors and scores usually are."""
        by_window = np.empty((len(calibration), len(self.decoders_), self.n_channels_))
        timeline = Timeline(calibration, columns=self._error_columns())
        for positions, errors, smooth in self._errors(calibration):
            by_window[positions] = mean_steps(errors)
            timeline.add(positions, smooth.reshape(*smooth.shape[:2], -1))
        table = timeline.result()
        by_row = self._as_errors(table)
        self.error_scale_ = error_scale(by_row, rounding_floor(calibration))

        scores = total(contributions(by_row, self.error_scale_))
        known = ~np.isnan(scores)
        series = pd.factorize(table["series"])[0]
        self.calibration_scores_ = scores[known]
        block_length = self.block_length or estimate_block_length(scores[known], series[known])
        self.timeline_threshold_ = THRESHOLDS[self.threshold](block_length).fit(scores)

        scores = total(contributions(by_window, self.error_scale_))
        block_length = self.block_length or max(
            _n_sharing(calibration), estimate_block_length(scores, calibration.series)
        )
        self.window_threshold_ = THRESHOLDS[self.threshold](block_length).fit(scores)
        enough = self.window_threshold_.n_scores_ >= self.window_threshold_.required(self.alpha)
        self.offset_ = -self.window_threshold_.threshold(self.alpha) if enough else np.nan

    # -- errors
    # ------------------------------------------------------------------------------------------------

    def _errors(self, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Positions, squared errors and smoothed squared errors (n, n_timesteps, n_decoders, n_channels) of
        chunks."""
        n_steps = self.smoothing or max(1, windows.width // 4)
        for positions in chunks(windows):
            errors = squared_errors(self.autoencoder_, windows[positions], self.decoders_)
            yield positions, errors, smooth_steps(errors, n_steps)

    def _error_columns(self) -> list[str]:
        return [f"{decoder}_{name}" for decoder in self.decoders_ for name in self.channel_names_]

    def _as_errors(self, table: pd.DataFrame) -> np.ndarray:
        """(n_rows, n_decoders, n_channels) from the columns of `_error_columns`."""
        return table.iloc[:, 2:].to_numpy().reshape(-1, len(self.decoders_), self.n_channels_)

    # -- windows
    # -----------------------------------------------------------------------------------------------

    def contributions(self, X: Any) -> np.ndarray:
        """What each channel adds to the anomaly score of each window.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_windows, n_channels), float64
            Not negative; the sum of a row is ``-score_samples``. NaN for a channel without any value in the
            window.
        """
        check_is_fitted(self)
        windows = self._read(X, reset=False)
        by_window = np.empty((len(windows), len(self.decoders_), self.n_channels_))
        for positions in chunks(windows):
            errors = squared_errors(self.autoencoder_, windows[positions], self.decoders_)
            by_window[positions] = mean_steps(errors)
        return contributions(by_window, self.error_scale_)

    def score_samples(self, X: Any) -> np.ndarray:
        """Score of each window, (n_windows,) float64: the higher, the more normal; about -1 on normal
        data."""
        return -total(self.contributions(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """``score_samples(X) - offset_``, (n_windows,) float64: negative for anomalies.

        Raises
        ------
        ValueError
            If the held-out windows, which overlap, are too few for `alpha`: the message says how many are
            needed.
        """
        check_is_fitted(self)
        # Refuses, with the reason, where offset_ is NaN.
        offset = self._threshold(self.window_threshold_, self.alpha, "windows")
        return self.score_samples(X) + offset

    def predict(self, X: Any) -> np.ndarray:
        """+1 for normal windows, -1 for anomalies, (n_windows,) int.

        Raises
        ------
        ValueError
            As `decision_function`.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def pvalues(self, X: Any) -> np.ndarray:
        """P-value of each window, (n_windows,) float64: the share of normal windows that look as odd."""
        return self.window_threshold_.pvalues(-self.score_samples(X))

    def _threshold(self, calibrator: Calibrator, alpha: float, unit: str) -> float:
        """The threshold for alpha, or an error with a remedy."""
        try:
            return calibrator.threshold(alpha)
        except ValueError as error:
            others = sufficient_methods(calibrator.block_length, alpha, calibrator.n_scores_)
            raise ValueError(
                f"{error} ({unit} of the calibration part). Fit on more data, or choose a larger alpha "
                f"(at least {calibrator.smallest_alpha_:.2g})" + "".join(f" or threshold={name!r}" for name in others)
            ) from None

    # -- series
    # ------------------------------------------------------------------------------------------------

    def score_timeline(self, X: Any) -> pd.DataFrame:
        """Score every timestamp of the series that the windows were cut from.

        Parameters
        ----------
        X : as in `fit`
            Windows as made by `make_windows`; of an array, each window is a series of its own.

        Returns
        -------
        DataFrame
            One row a timestamp, in the order of the series: `series`, `time`, `score` (mean over all windows
            that cover it; higher is more anomalous), `p_value`, and a column ``contribution_<channel>``
            each, which add up to the score. NaN where nothing is known.

        Notes
        -----
        A timestamp's row depends on the windows that cover it alone, not on the rest of the series nor on how
        windows are batched.
        """
        check_is_fitted(self)
        if isinstance(X, Windows) and len(X):
            self._check_shape(X)
            windows = X
        else:
            windows = self._read(X, reset=False)
        timeline = Timeline(windows, columns=self._error_columns())
        observed = np.flatnonzero(windows.observed)
        # A first word that says nothing, so that there is a timeline even where nothing was observed.
        nothing = np.full((1, windows.width, len(self.decoders_) * self.n_channels_), np.nan)
        timeline.add(np.array([0]), nothing)
        for positions, errors in self._step_errors(windows[observed]):
            timeline.add(observed[positions], errors.reshape(len(errors), *nothing.shape[1:]))
        table = timeline.result()
        return self._timeline_of(table[["series", "time"]], self._as_errors(table))

    def _step_errors(self, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for positions, _, smooth in self._errors(windows):
            yield positions, smooth

    def _timeline_of(self, head: pd.DataFrame, errors: np.ndarray) -> pd.DataFrame:
        """Scores of timestamps from their mean errors (n_rows, n_decoders, n_channels)."""
        parts = contributions(errors, self.error_scale_)
        score = total(parts)
        columns = pd.DataFrame(parts, columns=[PREFIX + name for name in self.channel_names_])
        head = head.assign(score=score, p_value=self.timeline_threshold_.pvalues(score))
        return pd.concat([head, columns], axis=1)

    def events(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        correction: str | None = None,
        gap: int | None = None,
        min_length: int = 1,
        top: int = 3,
    ) -> pd.DataFrame:
        """The stretches of time whose scores are not normal.

        Parameters
        ----------
        X : Windows (as in `score_timeline`), or the DataFrame that `score_timeline` gave
        alpha : float, default=None
            Timestamps with a p-value up to this are flagged. None: the detector's `alpha`.
        correction : {"fdr"} or None, default=None
            None: a share `alpha` of normal timestamps is flagged by chance. "fdr": p-values are adjusted for
            their number (Benjamini, Hochberg), so that a share `alpha` of the flags is by chance; needs many
            calibration scores, or threshold="pot", to find anything.
        gap : int, default=None
            Flags with at most so many timestamps between them are one event. None: half a window.
        min_length : int, default=1
            Flagged timestamps that an event needs.
        top : int, default=3
            Channels to name.

        Returns
        -------
        DataFrame
            One row an event, in the order of the series: `series`, `start`, `end`, `peak` (time of the
            highest score), `score` and `p_value` (at the peak, uncorrected), `channels` (a tuple of names,
            largest contribution first).

        Raises
        ------
        ValueError
            If the held-out data are too few for `alpha`: the message says how many are needed.
        """
        check_is_fitted(self)
        alpha = self.alpha if alpha is None else alpha
        check_alpha(alpha)
        check_choice("correction", correction, ["fdr", None])
        check_number("gap", gap, 0, integer=True, none=True)
        check_number("min_length", min_length, 1, integer=True)
        check_number("top", top, 1, integer=True)
        self._threshold(self.timeline_threshold_, alpha, "timestamps")
        timeline = X if _is_timeline(X) else self.score_timeline(X)
        p = timeline["p_value"].to_numpy()
        p = benjamini_hochberg(p) if correction == "fdr" else p
        if gap is None:
            gap = (self.n_timesteps_ or 0) // 2
        return find_events(timeline, p <= alpha, gap=int(gap), min_length=int(min_length), top=int(top), prefix=PREFIX)

    def stream(self, *, stride: int | None = None, series: Any = 0) -> TimelineStream:
        """Score a series as its rows come in.

        Parameters
        ----------
        stride : int, default=None
            Steps from window to window. None: that of the windows the detector was fitted on.
        series : label, default=0
            What the column `series` says.

        Returns
        -------
        TimelineStream
            Its ``push(rows, times)`` returns the timestamps that became complete, ``finish()`` the others;
            together they are the rows of `score_timeline` for windows of that stride.
        """
        check_is_fitted(self)
        check_number("stride", stride, 1, integer=True, none=True)
        if self.n_timesteps_ is None:
            raise ValueError("a detector fitted on windows of different lengths has no window to stream with")
        return TimelineStream(self, self.n_timesteps_, int(stride or self._stride), series, self._max_gap)

    def __sklearn_is_fitted__(self) -> bool:
        return "timeline_threshold_" in self.__dict__

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def default_autoencoder(n_windows: int) -> Any:
    """The autoencoder of a detector that is given none.

    One bidirectional layer that learns to fill in hidden spans. The number of epochs falls with the number of
    windows, so that training takes about 2,500 steps of 64 windows on large sets, and 100 epochs on small ones.
    """
    from tsae.estimators.autoencoder import LSTMAutoencoder

    batch_size, n_steps = 64, 2500
    epochs = int(np.clip(np.ceil(n_steps * batch_size / n_windows), 5, 100))
    return LSTMAutoencoder(
        units=64,
        decoder="imputation",
        bidirectional=True,
        scale="both",
        differences=False,
        mask_rate=0.3,
        mask_span=10,
        offsets=(),
        batch_size=batch_size,
        learning_rate=2e-3,
        epochs=epochs,
    )


def covered_rows_count(windows: Windows) -> int:
    covered = covered_rows(windows.starts, windows.lengths, len(windows.values))
    return len(windows.values) if covered is None else int(covered.sum())


def _n_sharing(windows: Windows) -> int:
    """How many windows at most share a row."""
    starts = np.sort(windows.starts)
    ends = np.sort(windows.starts + windows.lengths)
    begun = np.arange(1, len(starts) + 1)
    return int((begun - np.searchsorted(ends, starts, side="right")).max())


def _is_timeline(X: Any) -> bool:
    return isinstance(X, pd.DataFrame) and {"series", "time", "score", "p_value"} <= set(X.columns)
