"""Events: which timestamps they join, where they peak, what they name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector


def timeline_of(p_values, series=None, n_channels=2):
    n = len(p_values)
    p_values = np.asarray(p_values, dtype=float)
    return pd.DataFrame(
        {
            "series": ["a"] * n if series is None else series,
            "time": pd.date_range("2024-01-01", periods=n, freq="min"),
            "score": 1 / p_values,
            "p_value": p_values,
            "contribution_x": 0.2 / p_values,
            "contribution_y": 0.8 / p_values,
        }
    )


def test_nearby_flags_become_one_event(detector):
    p = np.full(30, 0.5)
    p[[3, 4, 7, 20]] = [0.005, 0.002, 0.004, 0.009]
    timeline = timeline_of(p)
    events = detector.events(timeline, gap=2)
    minute = timeline["time"]
    assert events["start"].tolist() == [minute[3], minute[20]]
    assert events["end"].tolist() == [minute[7], minute[20]]
    assert events["peak"].tolist() == [minute[4], minute[20]]
    np.testing.assert_allclose(events["score"], [500, 1 / 0.009])
    np.testing.assert_allclose(events["p_value"], [0.002, 0.009])
    assert events["channels"].tolist() == [("y", "x")] * 2
    assert len(detector.events(timeline, gap=1)) == 3
    assert len(detector.events(timeline, gap=1, min_length=2)) == 1
    assert len(detector.events(timeline, gap=30)) == 1
    assert detector.events(timeline, top=1)["channels"].tolist() == [("y",)] * len(detector.events(timeline))


def test_events_do_not_run_from_one_series_into_the_next(detector):
    timeline = timeline_of([0.5, 0.001, 0.001, 0.5], series=["a", "a", "b", "b"])
    assert detector.events(timeline, gap=10)["series"].tolist() == ["a", "b"]


def test_unknown_timestamps_are_no_events_but_may_lie_inside_one(detector):
    timeline = timeline_of([0.001, np.nan, 0.001, np.nan])
    events = detector.events(timeline, gap=1)
    assert len(events) == 1
    assert events.loc[0, "end"] == timeline["time"][2]


def test_no_event_is_an_empty_table_of_the_same_kind(detector):
    timeline = timeline_of([0.5, 0.001])
    some, none = detector.events(timeline), detector.events(timeline[:1])
    assert len(none) == 0
    assert none.dtypes.to_dict() == some.dtypes.to_dict()


def test_events_from_windows_are_those_of_their_timeline(detector, series):
    test = series[:400].copy()
    test[200:205, 0] += 5
    windows = make_windows(test, 20)
    events = detector.events(windows, gap=3)
    pd.testing.assert_frame_equal(events, detector.events(detector.score_timeline(windows), gap=3))
    strongest = events.loc[events["score"].idxmax()]
    assert 180 <= strongest["start"] <= strongest["end"] <= 224  # within a window of the fault
    assert 195 <= strongest["peak"] <= 210
    assert strongest["channels"][0] == "channel_0"


@pytest.mark.statistics
def test_correction_for_many_timestamps_leaves_fewer_false_alarms():
    rng = np.random.default_rng(6)
    detector = AnomalyDetector(LinearAutoencoder(8), threshold="pot", alpha=0.05, random_state=0)
    detector.fit(make_windows(waves(rng, 6000), 20))
    test = waves(rng, 2000)
    test[1000:1005] += [5, 50, 500]
    timeline = detector.score_timeline(make_windows(test, 20))
    plain, corrected = detector.events(timeline), detector.events(timeline, correction="fdr")
    assert len(corrected) < len(plain) / 3
    assert ((corrected["start"] <= 1004) & (corrected["end"] >= 1000)).any()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("alpha", 0), ("correction", "bonferroni"), ("gap", -1), ("min_length", 0), ("top", 0)],
)
def test_unknown_arguments_of_events_are_named(detector, argument, value):
    with pytest.raises(ValueError, match=argument):
        detector.events(timeline_of([0.5]), **{argument: value})
