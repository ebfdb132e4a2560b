"""The detector on its own, with a linear stand-in for the network; and, at the end, with the real one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector
from tsae.estimators.autoencoder import LSTMAutoencoder


def autoregression(rng, n, n_channels=1, coefficient=0.8):
    path = rng.normal(size=(n, n_channels))
    for i in range(1, n):
        path[i] += coefficient * path[i - 1]
    return path


def contribution_columns(frame):
    return frame.filter(like="contribution_").to_numpy()


# -- false alarm rates


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("threshold", ["conformal", "quantile", "pot"])
def test_false_alarms_on_independent_normal_windows(alpha, threshold):
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(25_000, 8, 2)) * [1, 100]
    detector = AnomalyDetector(
        LinearAutoencoder(), threshold=threshold, alpha=alpha, calibration_fraction=0.8, random_state=0
    )
    fresh = rng.normal(size=(5000, 8, 2)) * [1, 100]
    false_alarms = (detector.fit(windows).predict(fresh) == -1).sum()
    low, high = binom.interval(0.99, len(fresh), alpha)
    assert low <= false_alarms <= high
    assert (detector.pvalues(fresh) <= alpha).sum() == false_alarms


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("threshold", ["conformal", "quantile", "pot"])
def test_false_alarms_on_overlapping_windows_of_autocorrelated_series(alpha, threshold):
    """The mean over 100 series, by timestamp and by window."""
    by_timestamp, by_window = [], []
    for seed in range(100):
        series = autoregression(np.random.default_rng(seed), 6000)
        fitted, new = make_windows(series[:4500], 10), make_windows(series[4500:], 10)
        detector = AnomalyDetector(
            LinearAutoencoder(), threshold=threshold, alpha=alpha, calibration_fraction=0.8, random_state=0
        ).fit(fitted)
        by_timestamp.append((detector.score_timeline(new)["p_value"] <= alpha).mean())
        by_window.append((detector.predict(new) == -1).mean())
    assert alpha / 2 <= np.mean(by_timestamp) <= 2 * alpha
    assert alpha / 2 <= np.mean(by_window) <= 2 * alpha


# -- contributions


@pytest.mark.statistics
def test_a_fault_in_one_channel_has_the_largest_contribution_there():
    found, summed = 0, True
    rng = np.random.default_rng(2)
    detector = AnomalyDetector(LinearAutoencoder(10), random_state=0).fit(make_windows(waves(rng, 4000, 5), 20))
    for trial in range(200):
        test = waves(rng, 200, 5)
        channel, kind, begin = trial % 5, trial % 3, rng.integers(30, 150)
        unit, rows = 10.0**channel, slice(begin, begin + 20)
        if kind == 0:
            test[rows, channel] += unit  # an offset of the amplitude of the wave
        elif kind == 1:
            test[rows, channel] = test[begin, channel]  # stuck
        else:
            test[rows, channel] += 0.7 * unit * rng.normal(size=20)  # noise
        timeline = detector.score_timeline(make_windows(test, 20))
        parts = contribution_columns(timeline)
        summed &= np.allclose(np.nansum(parts, axis=1), timeline["score"], equal_nan=True)
        found += np.argmax(parts[rows].sum(axis=0)) == channel
    assert summed
    assert found >= 190


def test_contributions_of_windows_add_up_to_the_score(detector, series):
    windows = make_windows(series, 20, 7)
    parts = detector.contributions(windows)
    assert parts.shape == (len(windows), 3)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(windows))


def test_missing_channels_neither_lower_nor_hide_the_score(detector, series):
    test = series[:200].copy()
    test[50:70, 1] = np.nan
    timeline = detector.score_timeline(make_windows(test, 20))
    gap = timeline.iloc[50:70]
    assert gap["contribution_channel_1"].isna().all()
    np.testing.assert_allclose(np.nansum(contribution_columns(gap), axis=1), gap["score"])
    assert gap["score"].notna().all()


def test_a_channel_that_was_constant_in_training_does_not_divide_by_zero():
    rng = np.random.default_rng(3)
    normal = np.hstack([waves(rng, 3000, 2), np.full((3000, 2), [0.0, 7e6])])
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(make_windows(normal, 20))
    test = np.hstack([waves(rng, 300, 2), np.full((300, 2), [0.0, 7e6])])
    calm = detector.score_timeline(make_windows(test, 20))
    assert np.isfinite(calm["score"]).all()
    assert (calm["p_value"] <= 0.01).mean() < 0.05
    test[100:110, 2] = 0.5
    test[200:210, 3] = 7.1e6
    timeline = detector.score_timeline(make_windows(test, 20))
    assert np.isfinite(timeline["score"]).all()
    events = detector.events(timeline, gap=5, n_channels=1).sort_values("score").tail(2)
    assert {event[0] for event in events["channels"]} == {"channel_2", "channel_3"}


# -- timelines


def naive_timeline(detector, series, width, stride):
    """Scores as documented, computed one window and one step after the other."""
    n, n_channels = series.shape
    decoders = detector.decoders_
    found = [[[] for _ in range(n_channels)] for _ in range(n * len(decoders))]
    n_smooth = width // 4
    half = n_smooth // 2
    for start in range(0, n - width + 1, stride):
        window = series[start : start + width]
        for d, decoder in enumerate(decoders):
            rebuilt = detector.autoencoder_.reconstruct(window[np.newaxis], decoder)[0]
            squared = (window - rebuilt) ** 2
            for t in range(width):
                near = squared[max(t - half, 0) : min(t - half + n_smooth, width)]
                for c in range(n_channels):
                    known = [value for value in near[:, c] if not np.isnan(value)]
                    if not np.isnan(squared[t, c]):
                        found[d * n + start + t][c].append(np.mean(known))
    scores = np.full(n, np.nan)
    for t in range(n):
        of_channels = []
        for c in range(n_channels):
            of_decoders = [
                np.mean(found[d * n + t][c]) / detector.error_scale_[d, c]
                for d in range(len(decoders))
                if found[d * n + t][c]
            ]
            if of_decoders:
                of_channels.append(np.mean(of_decoders))
        if of_channels:
            scores[t] = np.mean(of_channels)
    return scores


@pytest.mark.parametrize("stride", [1, 3, 20, 33])
def test_timeline_equals_a_plain_loop(detector, stride):
    test = waves(np.random.default_rng(4), 150)
    test[30:34, 1] = np.nan
    test[60:100] = np.nan
    timeline = detector.score_timeline(make_windows(test, 20, stride))
    np.testing.assert_allclose(timeline["score"], naive_timeline(detector, test, 20, stride))
    assert timeline["score"].isna().to_numpy()[60:100].all()
    np.testing.assert_array_equal(timeline["p_value"].isna(), timeline["score"].isna())


def test_timeline_has_the_times_and_series_of_the_table(series):
    times = pd.date_range("2024-01-01", periods=500, freq="h")
    frame = pd.DataFrame(series[:1000], columns=["a", "b", "c"])
    frame.insert(0, "when", np.r_[times, times])
    frame.insert(0, "machine", ["m1"] * 500 + ["m2"] * 500)
    frame = frame.drop(index=range(250, 255))  # a gap, which no window crosses
    windows = make_windows(frame, 20, id_column="machine", time_column="when")
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(windows)
    timeline = detector.score_timeline(windows)
    assert list(timeline.columns) == [
        "series", "time", "score", "p_value", "contribution_a", "contribution_b", "contribution_c",
    ]  # fmt: skip
    assert timeline["time"].tolist() == frame["when"].tolist()
    assert timeline["series"].tolist() == frame["machine"].tolist()
    # Calibration took the end of each series.
    assert detector.autoencoder_.n_trained_ < len(windows) * 0.8


def test_scores_do_not_change_when_the_series_is_made_longer(detector, series):
    short = detector.score_timeline(make_windows(series[:400], 20))
    longer = detector.score_timeline(make_windows(series[:900], 20))
    away = slice(0, 400 - 19)
    np.testing.assert_allclose(short["score"][away], longer["score"][away], rtol=1e-12)
    np.testing.assert_array_equal(short["p_value"][away], longer["p_value"][away])


def test_scores_do_not_depend_on_the_chunks(detector, series, monkeypatch):
    windows = make_windows(series[:500], 20)
    whole = detector.score_timeline(windows), detector.score_samples(windows)
    monkeypatch.setattr("tsae.anomaly.residuals.CHUNK_VALUES", 20 * 3 * 7)
    parts = detector.score_timeline(windows), detector.score_samples(windows)
    pd.testing.assert_frame_equal(whole[0], parts[0], rtol=1e-9)
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-9)


def test_where_nothing_is_observed_there_is_no_score(detector):
    timeline = detector.score_timeline(make_windows(np.full((50, 3), np.nan), 20))
    assert len(timeline) == 50
    assert timeline["score"].isna().all()
    assert len(detector.events(timeline)) == 0


# -- what is fitted, and not


def test_labelled_anomalies_are_kept_out_of_training_and_calibration():
    rng = np.random.default_rng(8)
    clean = waves(rng, 4000)
    dirty, marks = clean.copy(), np.zeros(4000, dtype=bool)
    for begin in range(100, 4000, 300):
        dirty[begin : begin + 15] += [8, 80, 800]
        marks[begin : begin + 15] = True
    windows = make_windows(dirty, 20)
    by_row = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(windows, anomalies=marks)
    touched = np.array([marks[start : start + 20].any() for start in windows.starts])
    by_window = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(windows, anomalies=touched)
    np.testing.assert_array_equal(by_row.calibration_scores_, by_window.calibration_scores_)
    assert by_row.calibration_scores_.max() < 30

    flagged = by_row.score_timeline(windows)["p_value"].to_numpy() <= 0.01
    assert flagged[marks].mean() > 0.95
    ignorant = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(windows)
    assert (ignorant.score_timeline(windows)["p_value"].to_numpy() <= 0.01)[marks].mean() < 0.5


def test_anomalies_of_rows_fit_a_selection_of_windows(series):
    """One entry per row of ``X.values``, although training takes only the rows that the selection covers along."""
    windows = make_windows(series, 20)
    marks = np.zeros(3000, dtype=bool)
    marks[[700, 2900]] = True
    by_row = AnomalyDetector(LinearAutoencoder(8), alpha=0.1, random_state=0).fit(windows[500:2500], anomalies=marks)
    touched = windows.touching(marks)[500:2500]
    by_window = clone(by_row).fit(windows[500:2500], anomalies=touched)
    assert touched.sum() == 20
    np.testing.assert_array_equal(by_row.calibration_scores_, by_window.calibration_scores_)


def test_anomalies_that_do_not_fit_are_refused(series):
    windows = make_windows(series, 20)
    for marks in (np.zeros(5, dtype=bool), np.zeros(len(windows)), np.zeros((3000, 3), dtype=bool)):
        with pytest.raises(ValueError, match=r"anomalies is .*one entry per window \(2981,\) or per row \(3000,\)"):
            AnomalyDetector(LinearAutoencoder()).fit(windows, anomalies=marks)
    as_many = windows[np.r_[:1500, :1500]]  # 3000 windows, of a series of 3000 rows
    with pytest.raises(ValueError, match="could mean either"):
        AnomalyDetector(LinearAutoencoder()).fit(as_many, anomalies=np.arange(3000) == 5)
    with pytest.raises(ValueError, match="nothing normal is left"):
        AnomalyDetector(LinearAutoencoder()).fit(windows, anomalies=np.ones(3000, dtype=bool))


class Untrainable(LinearAutoencoder):
    def fit(self, X, y=None):
        raise AssertionError("trained before the arguments were checked")


def test_too_few_windows_are_refused_before_training_with_the_number_needed():
    X = np.random.default_rng(9).normal(size=(400, 8))
    with pytest.raises(
        ValueError, match=r"needs at least 99 held-out windows.* 80 of 400 windows, which gives 80.*at least 495"
    ):
        AnomalyDetector(Untrainable(), alpha=0.01, random_state=0).fit(X)
    AnomalyDetector(LinearAutoencoder(), alpha=0.01, random_state=0).fit(np.random.default_rng(9).normal(size=(495, 8)))
    with pytest.raises(ValueError, match="needs at least 200 held-out windows"):
        AnomalyDetector(Untrainable(), threshold="pot", random_state=0).fit(X)
    with pytest.raises(ValueError, match="needs at least 99 rows in held-out windows"):
        AnomalyDetector(Untrainable(), alpha=0.01, random_state=0).fit(make_windows(X[:, 0], 10))


def test_overlapping_windows_too_few_for_alpha_are_refused_when_it_is_asked_for(series):
    windows = make_windows(series[:1500], 50)
    detector = AnomalyDetector(LinearAutoencoder(8), alpha=0.05, random_state=0).fit(windows)
    with pytest.raises(ValueError, match=r"alpha=0.05 needs at least 950 .*counting 50 neighbouring ones as one"):
        detector.predict(windows)
    assert np.isnan(detector.offset_)
    assert np.isfinite(detector.score_samples(windows)).all()
    detector.events(windows)  # timestamps are another matter
    with pytest.raises(ValueError, match="timestamps of the calibration part"):
        detector.events(windows, alpha=1e-4)


def test_too_few_windows_for_pot_leave_timelines_alone(series):
    windows = make_windows(series[:2000], 20, 10)
    detector = AnomalyDetector(LinearAutoencoder(8), threshold="pot", alpha=1e-3, random_state=0).fit(windows)
    assert detector.score_timeline(windows)["p_value"].notna().all()
    with pytest.raises(ValueError, match="needs at least 200 held-out normal scores"):
        detector.predict(windows)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("threshold", "magic"),
        ("alpha", 0),
        ("alpha", 1.2),
        ("smoothing", 0),
        ("calibration_fraction", 0),
        ("calibration_fraction", 1),
        ("calibration_fraction", 1.5),
        ("block_length", 0),
    ],
)
def test_unknown_parameter_values_name_the_parameter(argument, value, series):
    with pytest.raises(ValueError, match=argument):
        AnomalyDetector(Untrainable(), **{argument: value}).fit(make_windows(series, 20))


def test_parameters_of_the_autoencoder_are_checked_before_the_data_are_read():
    with pytest.raises(ValueError, match="decoder='other' is not allowed"):
        AnomalyDetector(LSTMAutoencoder(decoder="other")).fit(object())


def test_a_fitted_autoencoder_can_be_used_as_it_is(series):
    windows = make_windows(series, 20)
    autoencoder = LinearAutoencoder(8).fit(windows[:1500])
    detector = AnomalyDetector(FrozenEstimator(autoencoder), calibration_fraction=1.0).fit(windows[1520:])
    assert detector.autoencoder_.n_trained_ == 1500
    assert len(detector.calibration_scores_) == 3000 - 1520
    np.testing.assert_array_equal(detector.autoencoder_.reconstruct(windows[:3]), autoencoder.reconstruct(windows[:3]))


def test_the_given_autoencoder_is_not_touched(series):
    autoencoder = LinearAutoencoder(8)
    AnomalyDetector(autoencoder, random_state=0).fit(make_windows(series, 20))
    assert not hasattr(autoencoder, "components_")


def test_windows_of_different_lengths(series):
    rng = np.random.default_rng(10)
    ragged = [waves(rng, n, 2) for n in rng.integers(10, 20, size=600)]

    class Ragged(LinearAutoencoder):
        def reconstruct(self, X, decoder=None):
            return np.where(np.isnan(np.asarray(X)), np.nan, super().reconstruct(X, decoder))

    detector = AnomalyDetector(Ragged(4), random_state=0).fit(ragged)
    assert detector.n_timesteps_ is None
    assert np.isfinite(detector.score_samples(ragged)).all()
    assert len(detector.score_timeline(ragged)) == sum(map(len, ragged))
    with pytest.raises(ValueError, match="no window to stream with"):
        detector.stream()


def test_clone_and_pickle(detector, series):
    windows = make_windows(series[:200], 20)
    again = pickle.loads(pickle.dumps(detector))
    pd.testing.assert_frame_equal(again.score_timeline(windows), detector.score_timeline(windows))
    assert not hasattr(clone(detector), "offset_")


# -- with the real network


def small_network(**options):
    return LSTMAutoencoder(units=4, bidirectional=False, epochs=1, random_state=0, **options)


SKLEARN_CHECKS = """
import warnings
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator
from tsae import AnomalyDetector, LSTMAutoencoder
warnings.simplefilter("error", SkipTestWarning)
network = LSTMAutoencoder(units=3, bidirectional=False, epochs=1)
outcome = check_estimator(AnomalyDetector(network, alpha=0.3, calibration_fraction=0.5, random_state=0))
print({check["status"] for check in outcome})
"""


@pytest.mark.sklearn_contract
def test_scikit_learn_checks_in_full():
    """In a process of its own, since the check on array APIs needs a variable that is set from the start."""
    done = subprocess.run(
        [sys.executable, "-c", SKLEARN_CHECKS],
        capture_output=True,
        text=True,
        env={**os.environ, "SCIPY_ARRAY_API": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.strip().endswith("{'passed'}"), done.stdout


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_false_alarms_of_the_network_on_independent_normal_windows(alpha):
    rng = np.random.default_rng(11)
    detector = AnomalyDetector(small_network(), alpha=alpha, calibration_fraction=0.8, random_state=0)
    detector.fit(rng.normal(size=(12_500, 8)))
    fresh = rng.normal(size=(4000, 8))
    low, high = binom.interval(0.99, len(fresh), alpha)
    assert low <= (detector.predict(fresh) == -1).sum() <= high


@pytest.mark.parametrize("decoder", ["reconstruction", "prediction", "imputation", "composite"])
def test_every_decoder_finds_a_large_fault(decoder, series):
    windows = make_windows(series[:1500], 20)
    detector = AnomalyDetector(small_network(decoder=decoder), alpha=0.05, random_state=0).fit(windows)
    test = series[1500:2000].copy()
    test[300:320, 1] += 100
    timeline = detector.score_timeline(make_windows(test, 20))
    peak = timeline["score"].idxmax()
    assert 295 <= peak <= 325
    assert timeline.filter(like="contribution_").loc[peak].idxmax() == "contribution_channel_1"
    stream = detector.stream()
    streamed = pd.concat([stream.push(test[:7]), stream.push(test[7:]), stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, timeline, rtol=1e-5, atol=1e-5, check_dtype=False)


def test_the_random_state_fixes_the_scores(series):
    windows = make_windows(series[:600], 10)
    network = LSTMAutoencoder(units=4, bidirectional=False, epochs=1)
    one, two = (AnomalyDetector(network, alpha=0.1, random_state=3).fit(windows) for _ in range(2))
    np.testing.assert_array_equal(one.score_samples(windows), two.score_samples(windows))
