"""Scores that differ by rounding alone have the same p-value, flag and event."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.linear import ShakenAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector
from tsae.anomaly.thresholds import THRESHOLDS
from tsae.anomaly.tolerance import TOLERANCE, raised

KINDS = list(THRESHOLDS)
SHAKES = {
    "up": lambda rng, n: np.ones(n),
    "down": lambda rng, n: -np.ones(n),
    "random": lambda rng, n: rng.uniform(-1, 1, size=n),
}


@pytest.mark.parametrize("direction", SHAKES)
@pytest.mark.parametrize("kind", KINDS)
def test_rounding_changes_no_pvalue_and_no_flag(kind, direction):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=2000)
    calibrator = THRESHOLDS[kind](3).fit(normal)
    scores = np.r_[normal, rng.normal(size=2000), 0.0]
    shaken = scores * (1 + 1e-13 * SHAKES[direction](rng, scores.size))
    p, p_shaken = calibrator.pvalues(scores), calibrator.pvalues(shaken)
    if kind == "pot":  # continuous in the tail
        np.testing.assert_allclose(p_shaken, p, rtol=1e-9)
    else:
        np.testing.assert_array_equal(p_shaken, p)
    for alpha in (0.01, 0.05, 0.2):
        threshold = calibrator.threshold(alpha)
        np.testing.assert_array_equal(shaken > threshold, scores > threshold)
        np.testing.assert_array_equal(p_shaken <= alpha, p <= alpha)


@pytest.mark.parametrize("direction", SHAKES)
@pytest.mark.parametrize("kind", ["conformal", "quantile"])
def test_rounding_of_a_network_changes_no_pvalue_of_its_calibration_scores(kind, direction):
    """The rounding of float32 is larger; calibration scores that lie further apart than that stay where they are."""
    rng = np.random.default_rng(1)
    normal = 1.001 ** np.arange(-500, 500)
    shaken = normal * (1 + 1e-5 * SHAKES[direction](rng, normal.size))
    calibrator = THRESHOLDS[kind]().fit(normal)
    np.testing.assert_array_equal(calibrator.pvalues(shaken), calibrator.pvalues(normal))


def test_the_tolerance_never_makes_a_pvalue_smaller_and_hardly_larger():
    rng = np.random.default_rng(2)
    normal, scores = rng.exponential(size=(2, 20_000))
    p = THRESHOLDS["quantile"]().fit(normal).pvalues(scores)
    exact = np.array([(normal >= score).mean() for score in scores[:2000]])
    assert (p[:2000] >= exact).all()
    np.testing.assert_allclose(p[:2000], exact, atol=3 / normal.size)


def test_raised_scores_keep_their_order():
    scores = np.sort(np.random.default_rng(3).normal(size=1000))
    assert (np.diff(raised(scores)) >= 0).all()
    assert (raised(scores) > scores).all()
    assert raised(0.0) == 0
    assert raised(2.0) == 2 + 2 * TOLERANCE


@pytest.mark.parametrize("shake", [1e-13, 1e-9])
@pytest.mark.parametrize("kind", ["conformal", "quantile"])
def test_rounding_changes_no_decision_of_a_detector(kind, shake):
    rng = np.random.default_rng(4)
    series = waves(rng, 1500)
    series = np.hstack([series, series[:, :1]])  # two equal channels, with equal contributions
    windows = make_windows(series, 20)
    detector = AnomalyDetector(ShakenAutoencoder(8), threshold=kind, alpha=0.1, random_state=0).fit(windows)
    faulty = series.copy()
    faulty[1400:1420] = 0  # a constant stretch: neighbouring scores are almost equal
    before = [_decisions(detector, data) for data in (series, faulty)]
    detector.autoencoder_.shake = shake
    for data, (timeline, events, p, labels) in zip((series, faulty), before, strict=True):
        again = _decisions(detector, data)
        assert (again[0]["score"] != timeline["score"]).any()
        np.testing.assert_array_equal(again[0]["p_value"], timeline["p_value"])
        pd.testing.assert_frame_equal(again[1].drop(columns="score"), events.drop(columns="score"))
        np.testing.assert_array_equal(again[2], p)
        np.testing.assert_array_equal(again[3], labels)


def _decisions(detector, series):
    windows = make_windows(series, 20)
    stream = detector.stream()
    timeline = pd.concat([stream.push(part) for part in np.array_split(series, 11)] + [stream.finish()])
    timeline = timeline.reset_index(drop=True)
    np.testing.assert_array_equal(timeline["p_value"], detector.score_timeline(windows)["p_value"])
    return timeline, detector.events(windows), detector.pvalues(windows), detector.predict(windows)


def test_the_peak_is_the_first_of_equal_scores_and_channels_of_equal_weight_keep_their_order():
    detector = AnomalyDetector(ShakenAutoencoder(8), alpha=0.1, random_state=0)
    detector.fit(make_windows(waves(np.random.default_rng(5), 1500), 20))
    timeline = pd.DataFrame({"series": 0, "time": np.arange(4), "score": [0.1, 4, 4, 4], "p_value": [1, 0, 0, 0]})
    for shake in (np.array([0, 1, -1, 1]), np.array([0, -1, 1, 1])):
        parts = {
            "contribution_channel_0": 0.25,
            "contribution_channel_1": 0.25 * (1 + 1e-13 * shake),
            "contribution_channel_2": 0.5,
        }
        shaken = timeline.assign(score=timeline["score"] * (1 + 1e-13 * shake), **parts)
        events = detector.events(shaken)
        assert events["peak"].tolist() == [1]
        assert events["channels"].tolist() == [("channel_2", "channel_0", "channel_1")]
