"""`AnomalyDetector`: from the errors of an autoencoder to calibrated, explained events."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.calibration import (
    check_alpha_or_auto,
    check_enough,
    choose_alpha,
    find_threshold,
    normal_windows,
    split_windows,
    warn_of_alpha,
)
from tsae.anomaly.defaults import default_autoencoder
from tsae.anomaly.dependence import estimate_block_length, max_windows_per_row
from tsae.anomaly.events import check_timeline, find_events, is_timeline
from tsae.anomaly.false_discovery import benjamini_hochberg
from tsae.anomaly.ranking import flag_highest
from tsae.anomaly.residuals import (
    check_magnitude,
    contributions,
    error_chunks,
    error_scale,
    mean_steps,
    rounding_floor,
    smooth_steps,
    total,
)
from tsae.anomaly.scoring import RowErrors, TimestampScorer
from tsae.anomaly.stream import TimelineStream
from tsae.anomaly.thresholds import THRESHOLDS
from tsae.anomaly.window_scores import WindowScores
from tsae.data.windows import Windows
from tsae.estimators.base import TrainableModel
from tsae.estimators.validation import check_choice, check_number, draw_seed
from tsae.io.state import Saveable
from tsae.storable import storable


@storable
class AnomalyDetector(OutlierMixin, Saveable, WindowScores):
    """Anomaly scores with p-values, from the errors of an autoencoder trained on normal windows.

    `fit` trains the autoencoder on one part of the windows and calibrates on the rest, which are held out: the
    typical squared error of each channel, and the distribution of scores. A score is the mean over channels
    (and decoders) of squared error divided by typical squared error. It is about 1 on normal data, and the
    contributions of the channels add up to it.

    For windows there are `score_samples`, `decision_function` and `predict`, as in scikit-learn's outlier
    detectors. For series there are `score_timeline`, `events` and `stream`.

    Parameters
    ----------
    autoencoder : LSTMAutoencoder or None, default=None
        Cloned and trained by `fit`. None: `tsae.anomaly.defaults.default_autoencoder`. A fitted one wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is, and ``calibration_fraction=1.0`` is allowed. Any
        estimator with ``reconstruct(X, decoder)`` will do.
    threshold : str, default="conformal"
        How scores of held-out normal data become p-values and a threshold: a name in
        `tsae.anomaly.thresholds.THRESHOLDS` ("conformal", "quantile" or "pot").
    alpha : float or "auto", default="auto"
        Share of normal windows, or timestamps, that may be flagged, in (0, 1). "auto": 0.02, or the smallest that
        the held-out scores support where they are too few for 0.02; `fit` then warns. It is read when `predict`
        and `events` are called, so that ``set_params(alpha=...)`` needs no new fit.
    smoothing : int or None, default=None
        Number of steps of a window over which timelines average squared errors. None: a quarter of the window.
    calibration_fraction : float, default=0.2
        Share of the windows to calibrate on. Where windows overlap, these are the last in time of each series,
        and windows that share rows with them are not trained on; otherwise a random draw.
    block_length : int or None, default=None
        Number of neighbouring scores that count as one when they are dependent. None: estimated (see
        `tsae.anomaly.dependence.estimate_block_length`); for windows, at least the number that share a row.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default=None
        For the draw of calibration windows, and for an autoencoder that has no random state of its own.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.
    decoders_ : tuple of str or None
        Names of the decoders whose errors are combined.
    error_scale_ : ndarray of shape (n_decoders, n_channels)
        Typical squared error on held-out normal data, in squared units of each channel.
    window_threshold_, timeline_threshold_ : Calibrator
        Fitted on the scores of windows and of timestamps: see `tsae.anomaly.thresholds`.
    alpha_, window_alpha_ : float
        The level of `events` and of `predict`: `alpha`, or what "auto" chose; NaN where no level can be used.
    smallest_alpha_, smallest_window_alpha_ : float
        The smallest `alpha` that `events` and `predict` can use, given the number of held-out scores.
    offset_ : float
        ``decision_function = score_samples - offset_``, for the `alpha` of `fit`; NaN where `predict` has to refuse it.
    calibration_scores_ : ndarray of shape (n_calibration_rows,)
        The timeline's scores of the held-out rows, in row order.
    channel_names_ : list of str
    n_features_in_, n_channels_ : int
        Number of columns or channels of X.
    n_timesteps_ : int or None
        Steps per window; None where lengths differ.

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
        alpha: float | str = "auto",
        smoothing: int | None = None,
        calibration_fraction: float = 0.2,
        block_length: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.threshold = threshold
        self.alpha = alpha
        self.smoothing = smoothing
        self.calibration_fraction = calibration_fraction
        self.block_length = block_length
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, anomalies: Any = None) -> AnomalyDetector:  # noqa: ARG002
        """Train on normal windows, and calibrate on held-out ones.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            Arrays have shape (n_windows, n_timesteps, n_channels) or (n_windows, n_timesteps), those of a list
            (n_timesteps_i, n_channels).
        y : None
            Ignored.
        anomalies : bool array of shape (n_windows,) or (n_rows,), default=None
            Known anomalies, one entry per window, or per row of the series that X was cut from
            (``len(X.values)``). Windows with any are used neither for training nor for calibration.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For arguments that are not allowed, and, before training, when the held-out windows are certainly too
            few for `alpha`; the message contains the number needed.

        Warns
        -----
        UserWarning
            If there are too few held-out scores for `alpha`, or for 0.02 with "auto"; the message contains the
            smallest `alpha` that can be used.
        """
        self._check_parameters()
        windows = self._read(X, reset=True)
        self.channel_names_ = list(windows.channel_names)
        self._max_gap, self._stride = windows.max_gap, windows.stride
        windows = normal_windows(windows, X if isinstance(X, Windows) else windows, anomalies)
        check_magnitude(windows)
        training, calibration = split_windows(windows, self.calibration_fraction, self.random_state)
        check_enough(self.threshold, self.block_length or 1, self.alpha, calibration, len(windows))
        self.autoencoder_ = self._train(training)
        self.decoders_ = tuple(getattr(self.autoencoder_, "decoders_", (None,)))
        self._calibrate(calibration)
        warn_of_alpha(self.timeline_threshold_, self.window_threshold_, self.alpha)
        return self

    def _check_parameters(self) -> None:
        check_choice("threshold", self.threshold, THRESHOLDS)
        check_alpha_or_auto(self.alpha)
        check_number("smoothing", self.smoothing, 1, integer=True, none=True)
        check_number("calibration_fraction", self.calibration_fraction, 0, 1, open_low=True)
        check_number("block_length", self.block_length, 1, integer=True, none=True)
        if self.calibration_fraction == 1 and not isinstance(self.autoencoder, FrozenEstimator):
            raise ValueError(
                "calibration_fraction=1 is not allowed: it leaves nothing to train on; it is for an autoencoder "
                "that is fitted already, FrozenEstimator(autoencoder)"
            )
        if isinstance(self.autoencoder, TrainableModel):
            self.autoencoder._check_parameters()  # noqa: SLF001, an estimator of this package

    def _check_restored(self) -> None:
        """Refuse attributes from a file that do not belong together."""
        self._check_parameters()
        if not hasattr(self, "autoencoder_"):
            return
        autoencoder = getattr(self.autoencoder_, "estimator", self.autoencoder_)
        if not isinstance(autoencoder, TrainableModel) or autoencoder.n_channels_ != self.n_channels_:
            raise ValueError(f"autoencoder_ is not a fitted autoencoder of {self.n_channels_} channels")
        if self.error_scale_.shape != (len(self.decoders_), self.n_channels_):
            raise ValueError(f"error_scale_ has shape {self.error_scale_.shape}, not (n_decoders, n_channels)")
        if len(self.channel_names_) != self.n_channels_:
            raise ValueError(f"channel_names_ has {len(self.channel_names_)} names for {self.n_channels_} channels")
        for calibrator in (self.timeline_threshold_, self.window_threshold_):
            if not isinstance(calibrator, THRESHOLDS[self.threshold]) or calibrator.scores_.ndim != 1:
                raise ValueError(f"the calibrators are not those of threshold={self.threshold!r}")

    def _train(self, training: Windows) -> Any:
        given = self.autoencoder
        autoencoder = default_autoencoder(len(training)) if given is None else clone(given)
        if "random_state" in autoencoder.get_params(deep=False) and autoencoder.random_state is None:
            autoencoder.set_params(random_state=draw_seed(self.random_state))
        return autoencoder.fit(training, None)  # FrozenEstimator requires a y

    def _calibrate(self, calibration: Windows) -> None:
        """Measure, on windows that were not trained on, how large errors and scores are on normal data."""
        by_window = np.empty((len(calibration), len(self.decoders_), self.n_channels_))
        rows = RowErrors(calibration, len(self.decoders_))
        for positions, errors in error_chunks(self.autoencoder_, calibration, self.decoders_):
            by_window[positions] = mean_steps(errors)
            rows.add(positions, smooth_steps(errors, self.smoothing))
        head, by_row = rows.result()
        self.error_scale_ = error_scale(by_row, rounding_floor(calibration))

        scores = total(contributions(by_row, self.error_scale_))
        known = ~np.isnan(scores)
        series = pd.factorize(head["series"])[0]
        self.calibration_scores_ = scores[known]
        block_length = self.block_length or estimate_block_length(scores[known], series[known])
        self.timeline_threshold_ = THRESHOLDS[self.threshold](block_length).fit(scores)

        scores = total(contributions(by_window, self.error_scale_))
        estimated = max(max_windows_per_row(calibration), estimate_block_length(scores, calibration.series))
        self.window_threshold_ = THRESHOLDS[self.threshold](self.block_length or estimated).fit(scores)
        alpha = self.window_alpha_
        enough = alpha > 0 and self.window_threshold_.n_scores_ >= self.window_threshold_.required(alpha)
        self.offset_ = -self.window_threshold_.threshold(alpha) if enough else np.nan

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
            that cover it; higher is more anomalous), `p_value`, and one column ``contribution_<channel>`` per
            channel, which add up to the score. NaN where nothing is known.

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
        rows, scorer = RowErrors(windows, len(self.decoders_)), self._scorer()
        observed = np.flatnonzero(windows.observed)
        for positions, errors in scorer.errors(windows[observed]):
            rows.add(observed[positions], errors)
        return scorer.table(*rows.result())

    def _scorer(self) -> TimestampScorer:
        return TimestampScorer(
            self.autoencoder_, self.decoders_, self.channel_names_, self.smoothing, self.error_scale_,
            self.timeline_threshold_,
        )  # fmt: skip

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
            the peak, uncorrected), `channels` (a tuple of names, largest contribution first).

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
        timeline = check_timeline(X, self.channel_names_) if is_timeline(X) else self.score_timeline(X)
        gap = (self.n_timesteps_ or 0) // 2 if gap is None else int(gap)
        if top is not None:
            flagged = flag_highest(timeline, int(top), gap=gap, min_length=int(min_length))
        else:
            p = timeline["p_value"].to_numpy()
            flagged = (benjamini_hochberg(p) if correction == "fdr" else p) <= alpha
        events = find_events(timeline, flagged, gap=gap, min_length=int(min_length), n_channels=int(n_channels))
        if top is not None:
            events = events.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        return events

    def stream(self, *, stride: int | None = None, series: Any = 0, max_jump: Any = None) -> TimelineStream:
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
        return TimelineStream(self._scorer(), width, int(stride or self._stride), series, self._max_gap, max_jump)

    def restore_stream(self, path: str | os.PathLike[str] | BinaryIO) -> TimelineStream:
        """Continue a stream whose state was written by `TimelineStream.save`, in this process or another.

        Parameters
        ----------
        path : path-like or binary file that can seek

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
        return TimelineStream.restore(path, self._scorer(), width, self._max_gap)

    def _stream_width(self) -> int:
        check_is_fitted(self)
        if self.n_timesteps_ is None:
            raise ValueError("a detector fitted on windows of different lengths has no window to stream with")
        return self.n_timesteps_

    def __sklearn_is_fitted__(self) -> bool:
        return "timeline_threshold_" in self.__dict__
