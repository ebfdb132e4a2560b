"""`AnomalyDetector`: from the errors of an autoencoder to calibrated, explained events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin, clone
from sklearn.frozen import FrozenEstimator

from tsae.anomaly.calibration import (
    check_alpha_or_auto,
    check_enough,
    normal_windows,
    split_windows,
    warn_of_alpha,
)
from tsae.anomaly.combination import Combination, series_names, window_means
from tsae.anomaly.defaults import check_scores, choose_scores, default_autoencoder, default_encoder
from tsae.anomaly.dependence import estimate_block_length, max_windows_per_row
from tsae.anomaly.notebook import NotebookView
from tsae.anomaly.rebuilding import RebuildingErrors
from tsae.anomaly.recalibration import Recalibration
from tsae.anomaly.residuals import check_magnitude, rounding_floor, total
from tsae.anomaly.scores import SCORES, RelativeErrors, Score
from tsae.anomaly.scoring import RowValues
from tsae.anomaly.subspace import SubspaceResidual
from tsae.anomaly.thresholds import THRESHOLDS
from tsae.anomaly.trimming import unusual_windows
from tsae.data.windows import Windows
from tsae.estimators.base import TrainableModel
from tsae.estimators.validation import check_choice, check_number, draw_seed
from tsae.io.state import Saveable
from tsae.storable import storable


@storable
class AnomalyDetector(NotebookView, OutlierMixin, Saveable, Recalibration):
    """Anomaly scores with p-values, from an autoencoder trained on normal windows.

    `fit` trains the autoencoder on one part of the windows and calibrates on the rest, which are held out: the
    typical size of each score, and its distribution. By default three scores are combined: how badly the decoders
    reproduce a window, how much it differs from the nearest one of training, and how far the encoded window lies from
    those of training. Each counts on the scale of -log10 of a p-value, so that 1 is reached by a tenth of normal
    timestamps; the score is their root mean square, and the contributions of the channels add up to it.

    For windows there are `score_samples`, `decision_function` and `predict`, as in scikit-learn's outlier
    detectors. For series there are `score_timeline`, `events` and `stream`.

    Parameters
    ----------
    autoencoder : LSTMAutoencoder or None, default=None
        Cloned and trained by `fit`. None: `tsae.anomaly.defaults.default_autoencoder`. A fitted one wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is, and ``calibration_fraction=1.0`` is allowed. Any
        estimator with ``reconstruct(X, decoder)`` will do.
    scores : str or tuple of str, default="auto"
        What is combined: names in `tsae.anomaly.scores.SCORES` ("errors", "linear", "neighbors", "relative_errors",
        "subspace"). "auto": ("errors", "neighbors", "subspace"), without "neighbors" where windows have different
        lengths; "relative_errors" for an estimator without ``transform`` and where nothing is held out
        (``calibration_fraction=1.0``). A single score is not put on the scale of p-values.
    threshold : str, default="conformal"
        How scores of held-out normal data become p-values and a threshold: a name in
        `tsae.anomaly.thresholds.THRESHOLDS` ("conformal", "quantile" or "pot").
    alpha : float or "auto", default="auto"
        Share of normal windows, or timestamps, that may be flagged, in (0, 1). "auto": 0.02, or the smallest that
        the held-out scores support where they are too few for 0.02; `fit` then warns. It is read when `predict`
        and `events` are called, so that ``set_params(alpha=...)`` needs no new fit.
    calibration : {"all", "series"}, default="all"
        "all": one scale of normal values for all series. "series": each series has its own, shrunk towards that of all
        by how few held-out normal windows it has; a series that was never seen has that of all. Series are known by
        their id, in text. See `tsae.anomaly.series_scales`.
    smoothing : int or None, default=None
        Number of steps of a window over which timelines average squared errors. None: the whole window; a quarter of
        it for "relative_errors".
    calibration_fraction : float, default=0.2
        Share of the windows to calibrate on. Where windows overlap, these are the last in time of each series,
        and windows that share rows with them are not trained on; otherwise a random draw.
    trim_fraction : float, default=0.0
        Share of the windows, in [0, 0.5), that are used neither for training nor for calibration: those least like
        the windows of other times (`tsae.anomaly.trimming`). For data that may hold unknown anomalies; twice their
        expected share is a good choice. Of clean data, up to ``alpha + trim_fraction`` may then be flagged.
    block_length : int or None, default=None
        Number of neighbouring scores that count as one when they are dependent. None: estimated (see
        `tsae.anomaly.dependence.estimate_block_length`); for windows, at least the number that share a row.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default=None
        For the draw of calibration windows, and for an autoencoder that has no random state of its own.
    verbose : int, default=0
        1 shows the progress of training. An autoencoder that is given has its own `verbose`.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.
    decoders_ : tuple of str or None
        Names of the decoders whose errors are combined.
    combination_ : Combination
        The fitted scores, and how they are combined: see `tsae.anomaly.combination`.
    error_scale_ : ndarray of shape (n_decoders, n_channels)
        Typical squared error on held-out normal data, in squared units of each channel. Only with a score of errors.
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
        scores: str | tuple[str, ...] = "auto",
        threshold: str = "conformal",
        alpha: float | str = "auto",
        calibration: str = "all",
        smoothing: int | None = None,
        calibration_fraction: float = 0.2,
        trim_fraction: float = 0.0,
        block_length: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.scores = scores
        self.threshold = threshold
        self.alpha = alpha
        self.calibration = calibration
        self.smoothing = smoothing
        self.calibration_fraction = calibration_fraction
        self.trim_fraction = trim_fraction
        self.block_length = block_length
        self.random_state = random_state
        self.verbose = verbose

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
        if self.trim_fraction:
            windows = windows[~unusual_windows(windows, self.trim_fraction)]
        training, calibration = split_windows(windows, self.calibration_fraction, self.random_state)
        check_enough(self.threshold, self.block_length or 1, self.alpha, calibration, len(windows))
        self.autoencoder_ = self._train(training)
        self.decoders_ = tuple(getattr(self.autoencoder_, "decoders_", (None,)))
        self._calibrate(self._fit_scores(training), calibration)
        warn_of_alpha(self.timeline_threshold_, self.window_threshold_, self.alpha)
        return self

    def _check_parameters(self) -> None:
        check_scores(self.scores, self.autoencoder, self.calibration_fraction)
        check_choice("threshold", self.threshold, THRESHOLDS)
        check_alpha_or_auto(self.alpha)
        check_choice("calibration", self.calibration, ["all", "series"])
        check_number("smoothing", self.smoothing, 1, integer=True, none=True)
        check_number("calibration_fraction", self.calibration_fraction, 0, 1, open_low=True)
        check_number("trim_fraction", self.trim_fraction, 0, 0.5, open_high=True)
        check_number("block_length", self.block_length, 1, integer=True, none=True)
        check_number("verbose", self.verbose, 0, integer=True)
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
        self.combination_.check(self.decoders_, self.n_channels_)
        if len(self.channel_names_) != self.n_channels_:
            raise ValueError(f"channel_names_ has {len(self.channel_names_)} names for {self.n_channels_} channels")
        for calibrator in (self.timeline_threshold_, self.window_threshold_):
            if not isinstance(calibrator, THRESHOLDS[self.threshold]) or calibrator.scores_.ndim != 1:
                raise ValueError(f"the calibrators are not those of threshold={self.threshold!r}")

    def _train(self, training: Windows) -> Any:
        given = self.autoencoder
        autoencoder = default_autoencoder(len(training), self.verbose) if given is None else clone(given)
        if "random_state" in autoencoder.get_params(deep=False) and autoencoder.random_state is None:
            autoencoder.set_params(random_state=draw_seed(self.random_state))
        return autoencoder.fit(training, None)  # FrozenEstimator requires a y

    def _fit_scores(self, training: Windows) -> Combination:
        """Make the scores, and let them learn from the windows that the autoencoder was trained on."""
        scores: list[Score] = []
        is_ragged = self.n_timesteps_ is None
        for name in choose_scores(self.scores, self.autoencoder_, self.calibration_fraction, is_ragged):
            own_encoder = name == SubspaceResidual.name and self.autoencoder is None
            score = SubspaceResidual(default_encoder(training, self.random_state)) if own_encoder else SCORES[name]()
            scores.append(score.fit(self.autoencoder_, training, self.decoders_))
        return Combination(tuple(scores))

    def _calibrate(self, combination: Combination, calibration: Windows) -> None:
        """Measure, on windows that were not trained on, how large values and scores are on normal data."""
        means = window_means(combination, self.autoencoder_, calibration)
        floor = rounding_floor(calibration)
        combination.fit_scales(means, floor)
        if self.calibration == "series":
            means = combination.fit_series(calibration, means, floor).relative_to_series(calibration, means)
        rows = RowValues(calibration, combination.n_values)
        for positions, values in combination.chunks(self.autoencoder_, calibration):
            rows.add(positions, combination.by_step(values, self.smoothing))
        head, by_row = rows.result()
        self.combination_ = combination.fit_levels(by_row)
        if self.calibration == "series":
            combination.fit_series_levels(head["series"].to_numpy(), by_row)

        scores = total(combination.contributions(by_row, head["series"]))
        known = ~np.isnan(scores)
        series = pd.factorize(head["series"])[0]
        self.calibration_scores_ = scores[known]
        block_length = self.block_length or estimate_block_length(scores[known], series[known])
        self.timeline_threshold_ = THRESHOLDS[self.threshold](block_length).fit(scores)

        scores = total(combination.contributions(combination.by_window(means), series_names(calibration)))
        estimated = max(max_windows_per_row(calibration), estimate_block_length(scores, calibration.series))
        self.window_threshold_ = THRESHOLDS[self.threshold](self.block_length or estimated).fit(scores)
        self._set_offset()

    def _set_offset(self) -> None:
        alpha = self.window_alpha_
        enough = alpha > 0 and self.window_threshold_.n_scores_ >= self.window_threshold_.required(alpha)
        self.offset_ = -self.window_threshold_.threshold(alpha) if enough else np.nan

    @property
    def error_scale_(self) -> np.ndarray:
        """Typical squared error of each decoder and channel on held-out normal data."""
        for score in self.combination_.scores:
            if isinstance(score, RelativeErrors) and not isinstance(score, RebuildingErrors):
                return score.scale_
        raise AttributeError(f"error_scale_ needs a score of errors; there are only {self.combination_.names}")

    def __sklearn_is_fitted__(self) -> bool:
        return "timeline_threshold_" in self.__dict__
