"""Events: which timestamps they join, where they peak, what they name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector


def timeline_of(p_values, series=None):
    n = len(p_values)
    p_values = np.asarray(p_values, dtype=float)
    return pd.DataFrame(
        {
            "series": ["a"] * n if series is None else series,
            "time": pd.date_range("2024-01-01", periods=n, freq="min"),
            "score": 1 / p_values,
            "p_value": p_values,
            "contribution_channel_0": 0.2 / p_values,
            "contribution_channel_1": 0.8 / p_values,
            "contribution_channel_2": 0.0,
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
    assert events["channels"].tolist() == [("channel_1", "channel_0")] * 2
    assert len(detector.events(timeline, gap=1)) == 3
    assert len(detector.events(timeline, gap=1, min_length=2)) == 1
    assert len(detector.events(timeline, gap=30)) == 1
    assert detector.events(timeline, n_channels=1)["channels"].tolist() == [("channel_1",)] * len(
        detector.events(timeline)
    )


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


def test_events_beyond_all_held_out_scores_are_told_apart(detector, series):
    test = series[:600].copy()
    test[100:105, 0] += 5
    test[400:405, 0] += 50
    events = detector.events(make_windows(test, 20), alpha=0.1)
    beyond = events["score"] > detector.calibration_scores_.max() * 1.001
    assert beyond.sum() >= 2
    assert events["extrapolated_p_value"].notna().equals(beyond)
    assert events.loc[beyond, "p_value"].nunique() == 1
    assert (events.loc[beyond, "extrapolated_p_value"] < events.loc[beyond, "p_value"]).all()


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
    [("alpha", 0), ("correction", "bonferroni"), ("gap", -1), ("min_length", 0), ("top", 0), ("n_channels", 0)],
)
def test_unknown_arguments_of_events_are_named(detector, argument, value):
    with pytest.raises(ValueError, match=argument):
        detector.events(timeline_of([0.5]), **{argument: value})


@pytest.mark.parametrize(("options", "word"), [({"alpha": 0.1}, "alpha"), ({"correction": "fdr"}, "correction")])
def test_ranking_does_not_go_with_a_level(detector, options, word):
    with pytest.raises(ValueError, match=f"top=3 .*{word}"):
        detector.events(timeline_of([0.5]), top=3, **options)


def naive_ranking(timeline, n_events, gap, min_length):
    """Flag one row after the other; count the events anew each time."""
    score = timeline["score"].to_numpy()
    order = [row for row in np.argsort(-score, kind="stable") if not np.isnan(score[row])]
    best = (0, 0)
    for n in range(1, len(order) + 1):
        rows, events = sorted(order[:n]), []
        for row in rows:
            same = events and timeline["series"][row] == timeline["series"][events[-1][-1]]
            if same and row - events[-1][-1] <= gap + 1:
                events[-1].append(row)
            else:
                events.append([row])
        events = [event for event in events if len(event) >= min_length]
        if len(events) > best[0]:
            best = len(events), events
        if best[0] == n_events:
            break
    return sorted((event[0], event[-1]) for event in best[1] or [])


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("min_length", [1, 2])
@pytest.mark.parametrize("n_events", [1, 3, 8, 1000])
def test_the_highest_events_are_those_of_a_plain_loop(detector, gap, min_length, n_events):
    rng = np.random.default_rng(0)
    for n_series in (1, 4):
        timeline = timeline_of(rng.random(60), series=np.sort(rng.integers(0, n_series, 60)))
        timeline.loc[rng.integers(0, 60, 5), "score"] = np.nan
        events = detector.events(timeline, top=n_events, gap=gap, min_length=min_length)
        row = {time: i for i, time in enumerate(timeline["time"])}
        found = sorted((row[event.start], row[event.end]) for event in events.itertuples())
        assert found == naive_ranking(timeline, n_events, gap, min_length)
        assert events["score"].is_monotonic_decreasing


def test_ranking_needs_no_alpha(detector, series):
    test = series[:400].copy()
    test[200:205, 0] += 5
    windows = make_windows(test, 20)
    detector = clone(detector).set_params(alpha=1e-6, calibration_fraction=0.2)
    with pytest.raises(ValueError, match="needs at least"):
        detector.fit(make_windows(series, 20))
    detector.set_params(alpha=0.1).fit(make_windows(series, 20)).set_params(alpha=1e-6)
    with pytest.raises(ValueError, match="needs at least"):
        detector.events(windows)
    events = detector.events(windows, top=2)
    assert len(events) == 2
    assert 195 <= events["peak"][0] <= 210
    assert detector.events(windows, top=1)["peak"].tolist() == events["peak"].tolist()[:1]


# -- timelines that were stored or sorted ----------------------------------------------------------------------------


def test_a_timeline_from_a_csv_file_has_the_same_events(detector, tmp_path):
    timeline = timeline_of(np.r_[np.full(9, 0.5), 0.001, 0.002, np.nan], series=["a"] * 6 + ["b"] * 6)
    timeline[timeline.columns[::-1]].to_csv(tmp_path / "t.csv", index=False)
    stored = pd.read_csv(tmp_path / "t.csv")
    expected = detector.events(timeline)
    events = detector.events(stored)
    assert events["channels"].tolist() == expected["channels"].tolist() == [("channel_1", "channel_0")]
    assert events["start"].tolist() == expected["start"].astype(str).tolist()
    parsed = detector.events(pd.read_csv(tmp_path / "t.csv", parse_dates=["time"]))
    pd.testing.assert_frame_equal(parsed, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="contribution_channel_2"), r"has the channels \['channel_0', .*'channel_2'\]"),
        (lambda t: t.rename(columns={"contribution_channel_2": "contribution_co2"}), "contribution_co2"),
        (lambda t: t.assign(score=t["score"].astype(str)), "column 'score' has dtype"),
        (lambda t: t.iloc[::-1], "comes after .* in row 1; sort"),
        (lambda t: t.sort_values("score"), "comes after"),
        (lambda t: t.assign(series=["a", "b", "a", "b"]), "series 'a' begins again in row 2; sort"),
        (lambda t: t.assign(time=["1st", "2nd", "3rd", "4th"]), "'time' holds text.*pandas.to_datetime"),
    ],
)
def test_a_timeline_that_is_not_the_detectors_is_refused(detector, change, message):
    with pytest.raises(ValueError, match=message):
        detector.events(change(timeline_of([0.5, 0.1, 0.3, 0.2])))
