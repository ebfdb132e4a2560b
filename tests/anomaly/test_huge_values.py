"""Finite values of any size have the highest score, and none hides the faults of its channel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.linear import LinearAutoencoder
from tsae import LSTMAutoencoder, make_windows
from tsae.anomaly.detector import AnomalyDetector
from tsae.anomaly.residuals import contributions, rounding_floor, smooth_steps

HUGE = [-9.9e35, 1e33, 1e16, -1e30]
BEYOND = [-3.4e38, 1e200, -np.finfo(np.float64).max]  # what float32 cannot scale is refused, as infinity is


@pytest.fixture(scope="module")
def networks(series):
    """Detectors of every kind of scaling, and of an estimator without any."""
    small = {"units": 3, "bidirectional": False, "epochs": 1, "random_state": 0}
    autoencoders = {
        "linear": LinearAutoencoder(8),
        "channel": LSTMAutoencoder(**small, decoder="composite", scale="channel"),
        "window": LSTMAutoencoder(**small, scale="window", differences=True),
        "both": LSTMAutoencoder(**small, decoder="imputation", scale="both"),
        "none": LSTMAutoencoder(**small, decoder="reconstruction", scale=None),
    }
    windows = make_windows(series[:1500] / [1, 10, 100], 20, 5)
    return {
        name: AnomalyDetector(autoencoder, alpha=0.1, random_state=0).fit(windows)
        for name, autoencoder in autoencoders.items()
    }


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("kind", ["linear", "channel", "window", "both", "none"])
@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_huge_value_is_the_highest_score_and_an_event(networks, series, kind, value, dtype):
    detector = networks[kind]
    test = (series[1500:1700] / [1, 10, 100]).astype(dtype)
    calm = detector.score_timeline(make_windows(test, 20))
    test[100, 1] = value
    windows = make_windows(test, 20)
    timeline = detector.score_timeline(windows)
    assert np.isfinite(timeline["score"]).all()
    assert 97 <= timeline["score"].idxmax() <= 103  # scores are averaged over five steps at least
    # The score of a network counts in powers of ten of p-values.
    assert timeline["score"][100] > (1e6 if kind == "linear" else 3) * calm["score"].max()
    assert timeline["p_value"][100] == timeline["p_value"].min() == detector.timeline_threshold_.smallest_alpha_
    assert timeline["contribution_channel_1"][100] > 0.9 * timeline["score"][100]
    away = np.r_[:80, 121:200]
    np.testing.assert_allclose(timeline["score"][away], calm["score"][away], rtol=1e-4)

    events = detector.events(timeline)
    [event] = events[(events["start"] <= 100) & (events["end"] >= 100)].itertuples()
    assert event.channels[0] == "channel_1"
    assert detector.events(timeline, top=1)["channels"][0][0] == "channel_1"

    touched = windows.touching(np.arange(200) == 100)
    assert (detector.predict(windows)[touched] == -1).all()
    assert np.isfinite(detector.contributions(windows)).all()
    assert detector.score_samples(windows)[touched].max() < detector.score_samples(windows)[~touched].min()

    stream = detector.stream(stride=1)
    streamed = pd.concat([stream.push(test[:90]), stream.push(test[90:]), stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, timeline, rtol=1e-3, check_dtype=False)


@pytest.mark.parametrize("value", BEYOND)
def test_what_no_network_can_scale_is_refused_with_its_place(networks, series, value):
    test = series[1500:1700] / [1, 10, 100]
    test[100, 1] = value
    with pytest.raises(ValueError, match=r"holds .*e\+.* series 0, step 100"):
        make_windows(test, 20)
    stream = networks["both"].stream(stride=1)
    with pytest.raises(ValueError, match="row 100"):
        stream.push(test)


@pytest.mark.parametrize("size", [1e3, 1e9, 1e100])
def test_errors_after_a_huge_one_are_not_lost(size):
    errors = np.random.default_rng(0).exponential(size=(3, 40, 1, 2))
    huge = errors.copy()
    huge[:, 3] = size**2
    for n_steps in (None, 2, 3, 7, 16, 39, 40, 41, 100):
        reach = n_steps or 10
        away = np.r_[3 + reach : 40]
        np.testing.assert_allclose(smooth_steps(huge, n_steps)[:, away], smooth_steps(errors, n_steps)[:, away])


@pytest.mark.parametrize("value", [-3.4e33, 1e35, 2e30])
def test_fitting_on_a_huge_value_is_refused_with_its_place(series, value):
    frame = pd.DataFrame(
        series[:600], columns=["a", "b", "c"], index=pd.date_range("2024-01-01", periods=600, freq="min")
    )
    frame.iloc[70, 1] = value
    with pytest.raises(ValueError, match=r"X holds .*e\+.* time 2024-01-01 01:10:00, channel 'b', .*NaN"):
        AnomalyDetector(LinearAutoencoder(8)).fit(make_windows(frame, 20))


def test_a_huge_value_among_known_anomalies_is_not_fitted_on(series):
    test = series[:600].copy()
    test[70, 1] = -3.4e35
    marks = np.arange(600) == 70
    windows = make_windows(test, 20)
    detector = AnomalyDetector(LinearAutoencoder(8), alpha=0.2, random_state=0).fit(windows, anomalies=marks)
    clean = AnomalyDetector(LinearAutoencoder(8), alpha=0.2, random_state=0).fit(windows[~windows.touching(marks)])
    np.testing.assert_array_equal(detector.error_scale_, clean.error_scale_)
    assert detector.score_timeline(windows)["score"].idxmax() in range(67, 74)


def test_one_large_value_in_training_hides_no_channel(series):
    """The smallest error that matters is a share of the size of nearly all values, not of the largest."""
    dirty = series.copy()
    dirty[2500, 1] = 1e12
    windows = make_windows(dirty, 20)
    np.testing.assert_allclose(rounding_floor(windows), rounding_floor(make_windows(series, 20)), rtol=0.01)
    detector = AnomalyDetector(LinearAutoencoder(8), alpha=0.1, random_state=0).fit(windows)
    test = series[:300].copy()
    test[100:110, 1] += 100
    events = detector.events(make_windows(test, 20))
    assert ((events["start"] <= 110) & (events["end"] >= 100)).any()


def test_contributions_are_finite_and_add_up_whatever_the_scale():
    parts = contributions(np.array([[[1e200, 4.0]]]), np.array([[1e-200, 2.0]]))
    np.testing.assert_allclose(parts, [[0.5e200, 1.0]])
