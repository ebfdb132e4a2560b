"""Several scores as one: what each is, how they are combined, and what a detector does with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.frozen import FrozenEstimator

from tests.anomaly.linear import LinearAutoencoder, LinearEncoder
from tests.anomaly.series import autoregression
from tsae import LSTMAutoencoder, load, make_windows
from tsae.anomaly.detector import AnomalyDetector

COMBINED = ("errors", "subspace")
DEFAULT = ("errors", "neighbors", "subspace")


@pytest.fixture(scope="module")
def combined(series):
    return AnomalyDetector(LinearEncoder(8), scores=COMBINED, random_state=0).fit(make_windows(series, 20))


@pytest.fixture(scope="module")
def faulty(series):
    test = series[:400].copy()
    test[200:220, 1] += 15
    test[300:304, 2] = np.nan
    test[350:380] = np.nan
    return test


def share_of_rows(timeline):
    return timeline.filter(like="contribution_").to_numpy()


# -- the formula


def naive_parts(detector, series, width, stride):
    """Errors and subspace as documented, one window after the other: (n_rows, 2), each about 1 on normal data."""
    errors_score, subspace_score = detector.combination_.scores
    n, n_channels = series.shape
    found = [([], []) for _ in range(n)]
    by_channel = [[[] for _ in range(n_channels)] for _ in range(n)]
    for start in range(0, n - width + 1, stride):
        window = series[start : start + width]
        if np.isnan(window).all():
            continue
        squared = (window - detector.autoencoder_.reconstruct(window[np.newaxis])[0]) ** 2
        features = (detector.autoencoder_.transform(window[np.newaxis])[0] - subspace_score.mean_) * (
            subspace_score.inverse_std_
        )
        outside = features - sum((features @ axis) * axis for axis in subspace_score.components_)
        for t in range(width):
            for c in range(n_channels):
                if not np.isnan(window[t, c]):
                    error = np.log(1 + np.nanmean(squared[:, c]) / errors_score.scale_[0, c])
                    by_channel[start + t][c].append(error)
            if not np.isnan(window[t]).all():
                found[start + t][1].append(np.linalg.norm(outside) / subspace_score.scale_[0, 0])
    parts = np.full((n, 2), np.nan)
    for t in range(n):
        known = [np.mean(values) for values in by_channel[t] if values]
        if known:
            parts[t] = np.mean(known), np.mean(found[t][1])
    return parts


@pytest.mark.parametrize("stride", [1, 7])
def test_timeline_equals_a_plain_loop(combined, faulty, stride):
    timeline = combined.score_timeline(make_windows(faulty, 20, stride))
    expected = []
    for part, (median, upper) in zip(
        naive_parts(combined, faulty, 20, stride).T, combined.combination_.levels_, strict=True
    ):
        beta = np.log(9) / np.log(upper / median)
        expected.append(-np.log10(1 / (1 + (part / median) ** beta)))
    np.testing.assert_allclose(timeline["score_errors"], expected[0])
    np.testing.assert_allclose(timeline["score_subspace"], expected[1])
    np.testing.assert_allclose(timeline["score"], np.sqrt(np.mean(np.square(expected), axis=0)))
    assert timeline["score"].isna().to_numpy()[350:380].all()


def test_a_tenth_of_normal_timestamps_has_a_score_of_1():
    series = autoregression(np.random.default_rng(5), 4000)
    windows = make_windows(series, 10)
    detector = AnomalyDetector(LinearEncoder(), calibration_fraction=0.5, random_state=0).fit(windows)
    held_out = detector.score_timeline(windows)[2100:]
    for part in ("score_errors", "score_subspace"):
        assert 0.08 < (held_out[part] >= 1).mean() < 0.12
        assert held_out[part].median() == pytest.approx(np.log10(2), abs=0.03)


def test_contributions_add_up_and_name_the_channel(combined, faulty):
    timeline = combined.score_timeline(make_windows(faulty, 20))
    shares = share_of_rows(timeline)
    known = timeline["score"].notna().to_numpy()
    np.testing.assert_allclose(np.nansum(shares, axis=1)[known], timeline["score"][known])
    assert np.isnan(shares[300:304, 2]).all()
    assert np.isnan(shares[~known]).all()
    assert (shares[known & ~np.isnan(shares).any(axis=1)] >= 0).all()
    assert (shares[205:215].argmax(axis=1) == 1).all()
    windows = make_windows(faulty[:300], 20, 7)
    np.testing.assert_allclose(combined.contributions(windows).sum(axis=1), -combined.score_samples(windows))


def test_one_channel_far_out_does_not_hide_another(series):
    """A level that has moved since training, and a fault in another channel."""
    moved = series[:600].copy()
    moved[:, 0] += 200
    moved[300:320, 1] += 15
    ranks = {}
    for scores in ("errors", "relative_errors"):
        detector = AnomalyDetector(LinearAutoencoder(8), scores=scores, random_state=0).fit(make_windows(series, 20))
        score = detector.score_timeline(make_windows(moved, 20))["score"]
        ranks[scores] = score.rank(pct=True)[305:315].min()
    assert ranks["errors"] > 0.95 > ranks["relative_errors"]


def test_scores_of_several_decoders(series):
    network = LSTMAutoencoder(
        units=3, bidirectional=False, epochs=1, decoder=("reconstruction", "imputation"), random_state=0
    )
    windows = make_windows(series[:600], 20, 5)
    detector = AnomalyDetector(network, alpha=0.3, random_state=0).fit(windows)
    assert detector.error_scale_.shape == (2, 3)
    timeline = detector.score_timeline(windows)
    singles = timeline[[f"score_{name}" for name in DEFAULT]]
    np.testing.assert_allclose(np.sqrt(np.square(singles).mean(axis=1)), timeline["score"])


def projected(score, flat):
    rest = flat - score.center_
    return score.center_ + sum((rest @ axis) * axis for axis in score.components_)


def nearest(score, flat):
    return min(score.windows_.astype(np.float64), key=lambda kept: np.square(kept - flat).sum())


@pytest.mark.parametrize(("name", "rebuild"), [("linear", projected), ("neighbors", nearest)])
def test_errors_of_rebuilt_windows_equal_a_plain_loop(series, faulty, name, rebuild):
    windows = make_windows(series, 20)
    detector = AnomalyDetector(LinearAutoencoder(8), scores=name, random_state=0).fit(windows)
    [score] = detector.combination_.scores
    test = make_windows(faulty[:350], 20, 7)
    found = detector.contributions(test)
    for number, window in enumerate(test.gather()):
        scaled = (np.where(np.isnan(window), score.mean_, window) - score.mean_) / score.std_
        rebuilt = rebuild(score, scaled.ravel())
        squared = (window - (rebuilt.reshape(window.shape) * score.std_ + score.mean_)) ** 2
        known = ~np.isnan(squared).all(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.array([np.nanmean(squared[:, c]) if known[c] else np.nan for c in range(3)])
        np.testing.assert_allclose(
            found[number], np.log(1 + mean / score.scale_[0]) / known.sum(), rtol=1e-6, atol=1e-9
        )


def test_three_scores(series, faulty, tmp_path):
    network = LSTMAutoencoder(units=3, bidirectional=False, epochs=1, decoder="reconstruction", random_state=0)
    detector = AnomalyDetector(network, scores=("errors", "linear", "subspace"), alpha=0.3, random_state=0)
    detector.fit(make_windows(series[:900], 20, 3))
    windows = make_windows(faulty, 20)
    timeline = detector.score_timeline(windows)
    singles = timeline[["score_errors", "score_linear", "score_subspace"]]
    np.testing.assert_allclose(np.sqrt(np.square(singles).mean(axis=1)), timeline["score"])
    assert 190 <= timeline["score"].idxmax() <= 230
    detector.save(tmp_path / "model.tsae")
    pd.testing.assert_frame_equal(load(tmp_path / "model.tsae").score_timeline(windows), timeline, rtol=1e-5)
    ragged = np.split(series[:900], [15, 40, 60])
    for name in ("linear", "neighbors"):
        with pytest.raises(ValueError, match=f"'{name}' needs windows of one length"):
            AnomalyDetector(LinearAutoencoder(), scores=name, calibration_fraction=0.5).fit(ragged)


def test_the_windows_that_are_kept_are_bounded():
    wide = np.random.default_rng(0).normal(size=(40, 500, 300))
    detector = AnomalyDetector(LinearEncoder(2), scores="neighbors", alpha=0.9, random_state=0).fit(wide)
    [score] = detector.combination_.scores
    assert score.windows_.shape == (2**21 // 150_000, 150_000)


def test_windows_of_different_lengths_have_the_other_scores():
    rng = np.random.default_rng(0)
    ragged = [rng.normal(size=(rng.integers(6, 12), 2)) for _ in range(120)]
    network = LSTMAutoencoder(units=2, bidirectional=False, epochs=0, random_state=0)
    detector = AnomalyDetector(network, alpha=0.2, random_state=0).fit(ragged)
    assert detector.combination_.names == COMBINED
    assert np.isfinite(detector.score_samples(ragged)).all()


# -- events


def test_events_tell_which_score_raised_them(combined, faulty):
    timeline = combined.score_timeline(make_windows(faulty, 20))
    events = combined.events(timeline, alpha=0.05)
    assert set(events["raised_by"]) <= set(COMBINED)
    for event in events.itertuples():
        peak = timeline.iloc[event.peak]
        assert event.raised_by == max(COMBINED, key=lambda name: peak[f"score_{name}"])
    assert list(combined.events(timeline.iloc[:0]).columns) == list(events.columns)
    assert list(combined.events(timeline, alpha=0.05, top=None).columns)[-1] == "raised_by"
    without = timeline.drop(columns=["score_errors", "score_subspace"])  # as stored by an earlier version
    assert "raised_by" not in combined.events(without, alpha=0.05)


# -- false alarms


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("threshold", ["conformal", "quantile", "pot"])
def test_false_alarms_of_the_combination_on_independent_windows(alpha, threshold):
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(25_000, 8, 2)) * [1, 100]
    detector = AnomalyDetector(
        LinearEncoder(), threshold=threshold, alpha=alpha, calibration_fraction=0.8, random_state=0
    )
    fresh = rng.normal(size=(5000, 8, 2)) * [1, 100]
    false_alarms = (detector.fit(windows).predict(fresh) == -1).sum()
    low, high = binom.interval(0.99, len(fresh), alpha)
    assert low <= false_alarms <= high


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_false_alarms_of_the_combination_on_autocorrelated_series(alpha):
    """The mean over 60 series, by timestamp and by window."""
    by_timestamp, by_window = [], []
    for seed in range(60):
        series = autoregression(np.random.default_rng(seed), 6000, 0.8)
        fitted, new = make_windows(series[:4500], 10), make_windows(series[4500:], 10)
        detector = AnomalyDetector(LinearEncoder(), alpha=alpha, calibration_fraction=0.8, random_state=0).fit(fitted)
        by_timestamp.append((detector.score_timeline(new)["p_value"] <= alpha).mean())
        by_window.append((detector.predict(new) == -1).mean())
    assert alpha / 2 <= np.mean(by_timestamp) <= 2 * alpha
    assert alpha / 2 <= np.mean(by_window) <= 2 * alpha


# -- parameters, files, streams


def test_auto_takes_what_the_autoencoder_can_give(series):
    windows = make_windows(series, 20)
    frozen = FrozenEstimator(LinearEncoder(8).fit(windows[:1500]))
    names = [
        AnomalyDetector(autoencoder, calibration_fraction=fraction, random_state=0).fit(windows).combination_.names
        for autoencoder, fraction in (
            (LinearAutoencoder(8), 0.2),
            (LinearEncoder(8), 0.2),
            (frozen, 0.5),
            (frozen, 1.0),
        )
    ]
    assert names == [("relative_errors",), DEFAULT, DEFAULT, ("relative_errors",)]


@pytest.mark.parametrize("scores", ["magic", (), ("errors", "errors"), ("auto", "errors"), 3, ("errors", None)])
def test_scores_that_are_not_allowed(series, scores):
    with pytest.raises(ValueError, match=r"scores=.*'auto', or one or several different names of 'relative_errors'"):
        AnomalyDetector(LinearEncoder(), scores=scores).fit(make_windows(series, 20))


def test_the_subspace_needs_features_and_held_out_windows(series):
    windows = make_windows(series, 20)
    frozen = FrozenEstimator(LinearEncoder(8).fit(windows))
    for autoencoder, fraction in ((LinearAutoencoder(), 0.2), (frozen, 1.0)):
        with pytest.raises(ValueError, match="'subspace' needs an autoencoder with transform"):
            AnomalyDetector(autoencoder, scores=COMBINED, calibration_fraction=fraction).fit(windows)


def test_the_default_detector_finds_streams_and_is_stored(tmp_path):
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(700) / 4)[:, np.newaxis] + 0.05 * rng.normal(size=(700, 2))
    detector = AnomalyDetector(alpha=0.2, random_state=0).fit(make_windows(series[:500], 16))
    assert detector.combination_.names == DEFAULT
    test = series[500:].copy()
    test[100:110, 1] = 0
    timeline = detector.score_timeline(make_windows(test, 16))
    peak = timeline["score"].idxmax()
    assert 92 <= peak <= 118
    assert timeline["contribution_channel_1"][peak] > timeline["contribution_channel_0"][peak]

    detector.save(tmp_path / "model.tsae")
    again = load(tmp_path / "model.tsae")
    pd.testing.assert_frame_equal(again.score_timeline(make_windows(test, 16)), timeline, rtol=1e-5)
    stream = again.stream()
    streamed = [stream.push(test[:90])]
    stream.save(tmp_path / "stream.tsae")
    stream = detector.restore_stream(tmp_path / "stream.tsae")
    streamed += [stream.push(test[90:]), stream.finish()]
    pd.testing.assert_frame_equal(pd.concat(streamed, ignore_index=True), timeline, rtol=1e-4, check_dtype=False)
