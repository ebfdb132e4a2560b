"""A scale for each series of a fleet, and new normal data for a fitted detector."""

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.linear import LinearEncoder
from tests.anomaly.series import autoregression
from tsae import AnomalyDetector, LSTMAutoencoder, load, make_windows

WIDTH = 10


def series_of(seed, n=900, size=1.0):
    return size * autoregression(np.random.default_rng(seed), n, 0.3)


def fleet(n=3000):
    """A quiet machine and one with errors ten times as large."""
    return {"quiet": series_of(0, n), "noisy": series_of(1, n, 10.0)}


def fitted(data, **options):
    options = {"alpha": 0.05, "calibration_fraction": 0.5, "random_state": 0} | options
    return AnomalyDetector(LinearEncoder(2), **options).fit(make_windows(data, WIDTH))


@pytest.fixture(scope="module")
def by_series():
    return fitted(fleet(), calibration="series")


def share_flagged(detector, name, values):
    return (detector.score_timeline(make_windows({name: values}, WIDTH))["p_value"] <= 0.05).mean()


def test_each_series_is_compared_with_itself(by_series):
    """With one scale for all, scores of the same series go together, and the held-out ones count for few."""
    assert fitted(fleet()).smallest_alpha_ > 0.05 > by_series.smallest_alpha_
    new = {"quiet": series_of(5, 3000), "noisy": series_of(6, 3000, 10.0)}
    for name, values in new.items():
        assert 0.025 < share_flagged(by_series, name, values) < 0.1


def test_factors_equal_a_plain_loop(by_series):
    of_all = fitted(fleet())
    combination, plain = by_series.combination_, of_all.combination_
    windows = make_windows(fleet(), WIDTH)[::50]
    divided = dict(zip(combination.names, combination.parts(by_row(by_series, windows)).T, strict=True))
    assert np.isfinite(divided["errors"]).all()
    scales = combination.series_scales
    for number, name in enumerate(scales.names_):
        weight = scales.counts_[number] / (scales.counts_[number] + 1)
        expected = np.exp(weight * scales.log_ratios_[number])
        [position, *_] = np.flatnonzero(windows.index["series"] == name)
        one = windows[[position]]
        [(_, with_factor)] = combination.chunks(by_series.autoencoder_, one)
        [(_, without)] = plain.chunks(by_series.autoencoder_, one)
        np.testing.assert_allclose(with_factor, without / expected, rtol=1e-9)


def by_row(detector, windows):
    combination = detector.combination_
    [(_, values)] = combination.chunks(detector.autoencoder_, windows)
    return combination.by_window(values.mean(axis=1))


def test_a_series_that_was_never_seen_has_the_scale_of_all(by_series):
    of_all = fitted(fleet())
    new = make_windows({"third": series_of(7)}, WIDTH)
    first, second = (
        next(iter(detector.combination_.chunks(detector.autoencoder_, new)))[1] for detector in (by_series, of_all)
    )
    np.testing.assert_array_equal(first, second)


def test_few_normal_windows_count_for_little():
    short = {"long": series_of(0, 1200), "short": series_of(1, 60, 10.0)}
    scales = fitted(short, calibration="series").combination_.series_scales
    counts = dict(zip(scales.names_, scales.counts_, strict=True))
    assert counts["short"] < 4 < 40 < counts["long"]
    factors = scales.factors(["short", "long"])
    own = np.exp(scales.log_ratios_[scales.names_.index("short")])
    assert (factors[0] < own).any()


def test_model_files_hold_the_scales(tmp_path):
    network = LSTMAutoencoder(units=2, bidirectional=False, epochs=1)
    detector = AnomalyDetector(network, calibration="series", alpha=0.3, random_state=0)
    detector.fit(make_windows(fleet(400), WIDTH))
    detector.save(tmp_path / "model.tsae")
    windows = make_windows({"noisy": series_of(8, 100, 10.0)}, WIDTH)
    again = load(tmp_path / "model.tsae")
    pd.testing.assert_frame_equal(again.score_timeline(windows), detector.score_timeline(windows))


def test_streams_and_ids_of_another_type_agree(by_series):
    new = series_of(8, 200, 10.0)
    timeline = by_series.score_timeline(make_windows({"noisy": new}, WIDTH))
    stream = by_series.stream(series="noisy")
    streamed = pd.concat([stream.push(new[:77]), stream.push(new[77:]), stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, timeline, rtol=1e-9, check_dtype=False)
    numbered = fitted({1: series_of(0), 2: series_of(1, size=10.0)}, calibration="series")
    scores = [numbered.score_timeline(make_windows({name: new}, WIDTH))["score"] for name in (2, "2")]
    np.testing.assert_array_equal(*scores)


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_false_alarms_with_a_scale_for_each_series(alpha):
    """The mean over 30 fleets, on new data of both series."""
    shares = []
    for seed in range(30):
        data = {name: size * autoregression(np.random.default_rng([seed, i]), 6000, 0.8)
                for i, (name, size) in enumerate({"quiet": 1.0, "noisy": 10.0}.items())}  # fmt: skip
        old = {name: values[:4500] for name, values in data.items()}
        detector = fitted(old, calibration="series", alpha=alpha, calibration_fraction=0.8)
        new = make_windows({name: values[4500:] for name, values in data.items()}, WIDTH)
        shares.append((detector.score_timeline(new)["p_value"] <= alpha).mean())
    assert alpha / 2 <= np.mean(shares) <= 2 * alpha


# -- recalibration


def test_new_normal_data_are_normal_afterwards():
    detector = fitted({"a": series_of(0)})
    moved = make_windows({"a": series_of(2) * 2}, WIDTH)
    before = detector.score_timeline(moved)
    assert (before["p_value"] <= 0.05).mean() > 0.5
    after = detector.recalibrate(moved).score_timeline(moved)
    pd.testing.assert_series_equal(after["score"], before["score"])
    assert (after["p_value"] <= 0.05).mean() < 0.12
    assert (detector.predict(moved) == -1).mean() < 0.2


def test_scores_are_added_to_those_of_before():
    detector = fitted({"a": series_of(0)})
    old, new = detector.timeline_threshold_.scores_, make_windows({"a": series_of(3)}, WIDTH)
    scores = detector.score_timeline(new)["score"]
    windows = -detector.score_samples(new)
    old_windows = detector.window_threshold_.scores_
    detector.recalibrate(new)
    np.testing.assert_allclose(detector.timeline_threshold_.scores_, np.sort([*old, *scores]))
    np.testing.assert_allclose(detector.window_threshold_.scores_, np.sort([*old_windows, *windows]))


def test_a_new_series_gets_its_own_scale(by_series):
    detector = fitted(fleet(), calibration="series")
    third = series_of(11, 1200, 30.0)
    assert share_flagged(detector, "third", third[600:]) > 0.4
    detector.recalibrate(make_windows({"third": third[:600]}, WIDTH))
    assert share_flagged(detector, "third", third[600:]) < 0.15


def test_false_alarms_of_the_operator():
    detector = fitted({"a": series_of(0)})
    values = series_of(4)
    values[300:320] += 8
    values[600:620] -= 8
    new = make_windows({"a": values}, WIDTH)
    events = detector.events(new, alpha=0.04)
    false = events[(events["start"] >= 285) & (events["end"] <= 340)]
    assert len(false)
    n_before = detector.timeline_threshold_.n_scores_
    marked = events.assign(mark=np.where(events.index.isin(false.index), "normal", "fault"))
    detector.recalibrate(new, events=marked)
    n_rows = int((false["end"] - false["start"] + 1).sum())
    assert detector.timeline_threshold_.n_scores_ == n_before + n_rows


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (pd.DataFrame({"series": ["a"], "start": [0]}), "events has no column end"),
        (pd.DataFrame({"series": ["b"], "start": [0], "end": [5]}), "no timestamp of X lies within the 1 normal event"),
        (
            pd.DataFrame({"series": ["a"], "start": [0], "end": [5], "mark": ["fault"]}),
            "no timestamp of X lies within the 0 normal event",
        ),
        (
            pd.DataFrame({"series": ["a"], "start": [pd.Timestamp("2024")], "end": [pd.Timestamp("2024")]}),
            "events has start=Timestamp.*the times of X are int64",
        ),
    ],
)
def test_events_that_cannot_be_used(events, message):
    detector = fitted({"a": series_of(0)})
    scores = detector.timeline_threshold_.scores_
    with pytest.raises(ValueError, match=message):
        detector.recalibrate(make_windows({"a": series_of(4)}, WIDTH), events=events)
    np.testing.assert_array_equal(detector.timeline_threshold_.scores_, scores)


def test_calibration_that_is_not_allowed():
    with pytest.raises(ValueError, match="calibration='fleet' is not allowed"):
        fitted(fleet(), calibration="fleet")
