"""The report page: self-contained, safe, complete. What a browser makes of it: test_browser.py."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from tsae import AnomalyDetector, LSTMAutoencoder, make_windows, write_report
from tsae.report.content import MAX_POINTS
from tsae.report.numbers import extremes, thin

NASTY = "</script><b>&amp;"


def plant(n=1500):
    """Two machines, two sensors; a fault in one sensor of the second."""
    steps = np.arange(n)
    rng = np.random.default_rng(0)
    table = {"load": np.sin(steps / 4), NASTY: np.cos(steps / 7)}
    parts = [
        pd.DataFrame({"machine": name, "time": pd.date_range("2024-03-01", periods=n, freq="min"), **table})
        for name in ("north", NASTY)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame[["load", NASTY]] += 0.05 * rng.normal(size=(2 * n, 2))
    return frame


def cut(frame):
    return make_windows(frame, 16, id_column="machine", time_column="time")


@pytest.fixture(scope="module")
def detector():
    network = LSTMAutoencoder(units=4, bidirectional=False, epochs=2, validation_fraction=0.2, random_state=0)
    return AnomalyDetector(network, alpha=0.05, random_state=0).fit(cut(plant()))


@pytest.fixture(scope="module")
def faulty():
    frame = plant(400)
    frame.loc[600:620, "load"] += 6
    frame.loc[700:702, ["load", NASTY]] = np.nan
    return frame


@pytest.fixture(scope="module")
def page(detector, faulty, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    labels = np.zeros(len(faulty), dtype=bool)
    labels[600:621] = True
    windows = cut(faulty)
    timeline = detector.score_timeline(windows)
    return write_report(
        path, timeline, detector.events(timeline), values=windows, labels=labels, detector=detector,
        title=f"Plant {NASTY}", facts={"Model": NASTY},
    )  # fmt: skip


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_loads_nothing_from_elsewhere(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)\s*=\s*["\']|@import|url\(', text)
    assert "default-src 'none'" in text  # the browser enforces it
    assert len(text) < 400_000


def test_names_cannot_become_code(page):
    text = page.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert text.count("</script>") == text.count("<script") == 3
    assert data_of(page)["title"] == f"Plant {NASTY}"


def test_the_data_are_those_of_the_detector(page, detector, faulty):
    data = data_of(page)
    windows = cut(faulty)
    timeline = detector.score_timeline(windows)
    events = detector.events(timeline)
    assert [series["name"] for series in data["series"]] == ["north", NASTY]
    scores, load = (
        np.array(shown, dtype=float) for shown in (data["series"][1]["score"], data["series"][0]["values"][0])
    )
    np.testing.assert_allclose(scores, timeline["score"][400:], rtol=1e-4)
    np.testing.assert_allclose(load, faulty["load"][:400], rtol=1e-4)
    assert data["series"][1]["values"][0][300] is None  # a missing value stays one
    assert len(data["events"]) == len(events)
    assert data["threshold"] == pytest.approx(detector.timeline_threshold_.threshold(0.05), rel=1e-4)
    strongest = max(data["events"], key=lambda event: event["score"])
    assert strongest["series"] == NASTY
    assert strongest["channels"][0] == "load"
    fault = pd.Timestamp("2024-03-01 03:20").timestamp()
    assert strongest["start"] - 16 * 60 <= fault <= strongest["end"]
    assert data["series"][1]["labels"] == [[fault, fault + 20 * 60]]


def test_events_come_with_their_reconstruction(page, detector, faulty):
    data = data_of(page)
    strongest = max(data["events"], key=lambda event: event["score"])
    assert strongest["detail"] == 0
    detail = data["details"][0]
    assert detail["time"][0] < strongest["start"] <= strongest["end"] < detail["time"][-1]
    channel = detail["channels"][0]
    assert channel["name"] == "load"
    assert channel["share"] > 0.6
    assert len(channel["reconstruction"]) == len(channel["values"]) == len(detail["time"])
    # A plain loop, for one row.
    row = 610
    windows = cut(faulty)
    covering = windows[(windows.starts <= row) & (windows.starts + 16 > row)]
    options = {"masked": False} if detector.decoders_[0] == "imputation" else {}
    rebuilt = detector.autoencoder_.reconstruct(covering, **options)
    expected = np.mean([s[row - start, 0] for s, start in zip(rebuilt, covering.starts, strict=True)])
    at = detail["time"].index(pd.Timestamp("2024-03-01 03:30").timestamp())
    assert channel["reconstruction"][at] == pytest.approx(expected, rel=1e-3)


def test_calibration_and_training_are_shown(page, detector):
    data = data_of(page)
    calibration = data["calibration"]
    assert calibration["normal"][0] == pytest.approx(1, abs=0.01)
    assert all(p is not None and 0 < p <= 1 for p in calibration["p_value"])
    np.testing.assert_allclose(data["history"]["loss"], detector.autoencoder_.history_["loss"], rtol=1e-4)
    assert "val_loss" in data["history"]


def test_without_events_labels_times_or_history(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(600, 1))
    network = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0)
    detector = AnomalyDetector(network, alpha=0.05, random_state=0).fit(make_windows(values, 8))
    windows = make_windows(values[:50] * 0.01, 8)
    timeline = detector.score_timeline(windows)
    data = data_of(
        write_report(tmp_path / "calm.html", timeline, detector.events(timeline), values=windows, detector=detector)
    )
    assert data["events"] == []
    assert not data["is_time"]
    assert data["series"][0]["time"] == list(range(50))
    assert data["series"][0]["labels"] is None


def test_long_series_are_thinned_to_their_extremes(detector):
    n = 3 * MAX_POINTS
    positions, group = thin(n, MAX_POINTS)
    assert len(positions) <= MAX_POINTS
    values = np.random.default_rng(2).normal(size=n)
    values[12_345] = 50
    shown = extremes(values, group)
    assert len(shown) == len(positions)
    assert shown.max() == 50
    assert shown.min() == values.min()
    assert extremes(values, group, highest_only=True).max() == 50


def scored(n=300, series=("a",)):
    """A timeline with two channels and two scores, made up."""
    rng = np.random.default_rng(3)
    parts = [
        pd.DataFrame(
            {
                "series": name, "time": pd.date_range("2024-03-01", periods=n, freq="min"),
                "score": rng.uniform(0.1, 0.9, n), "p_value": rng.uniform(0.1, 1, n),
                "score_errors": 1.0, "score_subspace": 0.5, "contribution_load": 0.4, "contribution_heat": 0.1,
            }
        )
        for name in series
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def event_at(timeline, first, last, score=5.0, p_value=0.001):
    """An event on these rows, as one row of a table; the timeline gets its scores."""
    timeline.loc[first:last, ["score", "p_value"]] = score, p_value
    row = {"series": timeline["series"][first], "start": timeline["time"][first], "end": timeline["time"][last]}
    return {
        **row, "peak": timeline["time"][first], "score": score, "p_value": p_value, "channels": ("load",),
        "raised_by": "errors", "extrapolated_p_value": 1e-7,
    }  # fmt: skip


def facts_of(data):
    return dict(data["facts"])


def test_tables_alone_make_a_page(tmp_path):
    timeline = scored()
    events = pd.DataFrame([event_at(timeline, 100, 119)])
    data = data_of(write_report(tmp_path / "x.html", timeline, events, alpha=0.01))
    assert data["threshold"] == 5.0
    assert data["series"][0]["values"] == data["channels"] == []
    assert data["events"][0]["raised_by"] == "errors"
    assert data["events"][0]["extrapolated"] == 1e-7
    assert data["details"][0]["channels"][0] == {"name": "load", "share": 0.8, "values": None, "reconstruction": None}
    assert data["calibration"] is data["history"] is None
    facts = facts_of(data)
    assert facts["Period"] == "2024-03-01 00:00 – 2024-03-01 04:59"
    assert facts["Alpha"] == "0.01"
    assert not {"Recall", "Precision", "Window"} & set(facts)


@pytest.mark.parametrize("as_values", [pd.DataFrame, lambda table: table.to_numpy()])
def test_values_are_a_table_or_an_array(as_values, tmp_path):
    timeline = scored()
    events = pd.DataFrame([event_at(timeline, 100, 119)])
    values = pd.DataFrame({"load": np.arange(300.0), "heat": 1.0})
    data = data_of(write_report(tmp_path / "x.html", timeline, events, values=as_values(values), alpha=0.01))
    assert data["channels"] == ["load", "heat"]
    assert data["series"][0]["values"][0] == values["load"].tolist()
    assert data["details"][0]["channels"][0]["values"][50] == 100


def test_labels_are_compared_with_the_events(tmp_path):
    timeline = scored()
    events = pd.DataFrame([event_at(timeline, 100, 119), event_at(timeline, 200, 209), event_at(timeline, 250, 259)])
    labels = np.zeros(300, dtype=int)
    labels[[110, 111, 255, 20]] = 1
    facts = facts_of(data_of(write_report(tmp_path / "x.html", timeline, events, labels=labels, alpha=0.01)))
    assert facts["Recall"] == "67% (2 of 3 labelled stretches have an event)"
    assert facts["Precision"] == "67% (2 of 3 events are on labels)"


@pytest.mark.parametrize("kind", ["float64", "boolean", "object"])
def test_unclear_labels_do_not_count(kind, tmp_path):
    timeline = scored()
    events = pd.DataFrame([event_at(timeline, 100, 119), event_at(timeline, 200, 209)])
    labels = pd.Series([row == 105 or (None if row == 205 else False) for row in range(300)], dtype=kind)
    data = data_of(write_report(tmp_path / "x.html", timeline, events, labels=labels, alpha=0.01))
    assert facts_of(data)["Precision"] == "100% (1 of 1 events are on labels)"
    assert data["series"][0]["labels"] == [[data["series"][0]["time"][105]] * 2]


def test_strips_show_the_highest_scores_and_the_labels(tmp_path):
    timeline = scored(480, ("a", "b"))
    events = pd.DataFrame([event_at(timeline, 480 + 100, 480 + 119)])
    timeline.loc[:9, ["score", "p_value"]] = np.nan
    labels = np.zeros(960, dtype=bool)
    labels[580:600] = True
    overview = data_of(write_report(tmp_path / "x.html", timeline, events, labels=labels, alpha=0.01))["overview"]
    first, second = overview["series"]
    assert (first["events"], second["events"], second["top"]) == (0, 1, 5.0)
    assert first["strip"][:4] == "...."
    assert set(first["strip"]) <= set(".01234")
    cells = [cell for cell, level in enumerate(second["strip"]) if level in "56789"]
    assert cells == list(range(50, 60))
    assert second["labels"] == [[50, 59]]


def test_every_series_has_a_strip_but_not_every_one_has_curves(tmp_path):
    timeline = scored(20, [f"s{number}" for number in range(150)])
    events = pd.DataFrame([event_at(timeline, 20 * 149 + 3, 20 * 149 + 5)])
    data = data_of(write_report(tmp_path / "x.html", timeline, events, alpha=0.01))
    assert len(data["overview"]["series"]) == 150
    assert [series["name"] for series in data["series"]][-1] == "s149"
    assert sum(series["shown"] for series in data["overview"]["series"]) == len(data["series"]) == 100


@pytest.mark.parametrize("times", ["2024-03-01 10:00+02:00", "period", "span", "number"])
def test_times_may_be_of_any_kind(times, tmp_path):
    index = {
        "period": pd.period_range("2024-03", periods=300, freq="h"),
        "span": pd.to_timedelta(np.arange(300), unit="min"),
        "number": np.arange(300),
    }.get(times)
    timeline = scored().assign(time=pd.date_range(times, periods=300, freq="min") if index is None else index)
    events = pd.DataFrame([event_at(timeline, 100, 119)])
    data = data_of(write_report(tmp_path / "x.html", timeline, events, alpha=0.01))
    (event,) = data["events"]
    shown = data["series"][0]["time"]
    assert (event["start"], event["end"]) == (shown[100], shown[119])
    assert event["text"][0] == str(timeline["time"][100])
    assert (data["is_time"], data["is_span"]) == (times not in ("span", "number"), times == "span")


def test_the_level_is_the_one_of_the_events(detector, faulty, tmp_path):
    windows = cut(faulty)
    timeline = detector.score_timeline(windows)
    calibrator = detector.timeline_threshold_

    def level(events, **options):
        data = data_of(write_report(tmp_path / "x.html", timeline, events, detector=detector, **options))
        return data["alpha"], data["threshold"]

    threshold = pytest.approx(calibrator.threshold(0.2), rel=1e-4)
    strict, loose = detector.events(timeline), detector.events(timeline, alpha=0.2)
    assert level(loose) == (0.2, threshold)
    stored = loose.copy()
    stored.attrs.clear()  # as read from a file
    assert level(stored, alpha=0.2) == (0.2, threshold)
    assert level(strict)[0] == 0.05
    assert level(detector.events(timeline, top=2)) == (None, None)
    assert loose["p_value"].max() > 0.05
    with pytest.raises(ValueError, match=r"events has a p-value of .*, which alpha=0.05 does not allow; pass"):
        level(stored)


def test_events_remember_their_level(detector, faulty):
    timeline = detector.score_timeline(cut(faulty))
    assert detector.events(timeline).attrs["alpha"] == 0.05
    assert detector.events(timeline, alpha=0.1).attrs["alpha"] == 0.1
    assert detector.events(timeline, top=1).attrs["alpha"] is None
    corrected = detector.events(timeline, alpha=0.3, correction="fdr")
    level = corrected.attrs["alpha"]
    assert level is None if corrected.empty else corrected["p_value"].max() <= level <= 0.3


def test_tables_that_do_not_belong_together_are_refused(tmp_path):
    timeline = scored()
    events = pd.DataFrame([event_at(timeline, 100, 119)])

    def write(timeline=timeline, events=events, **more):
        write_report(tmp_path / "x.html", timeline, events, **more)

    with pytest.raises(TypeError, match="timeline must be a DataFrame; got list"):
        write([1, 2])
    with pytest.raises(ValueError, match="timeline has no column 'p_value'; it has"):
        write(timeline.drop(columns="p_value"))
    with pytest.raises(ValueError, match="events has no column 'peak'; it has"):
        write(events=events.drop(columns="peak"))
    with pytest.raises(ValueError, match="timeline has no rows"):
        write(timeline[:0])
    with pytest.raises(ValueError, match="in timeline, .* comes after .* in row 1; sort its rows"):
        write(timeline[::-1])
    with pytest.raises(ValueError, match="events is of series 'z', which the timeline does not have"):
        write(events=events.assign(series="z"))
    with pytest.raises(ValueError, match=r"events\['channels'\] holds the text 'load'"):
        write(events=events.assign(channels="load"))
    with pytest.raises(ValueError, match="values has 299 rows, the timeline has 300"):
        write(values=np.zeros((299, 2)))
    with pytest.raises(ValueError, match=r"values has the shape \(300, 1, 1\); it must be"):
        write(values=np.zeros((300, 1, 1)))
    with pytest.raises(ValueError, match="labels has 5 rows, the timeline has 300"):
        write(labels=np.zeros(5, dtype=bool))
    with pytest.raises(ValueError, match="labels holds 'no'; it must hold True and False, or numbers"):
        write(labels=["no"] * 300)
    with pytest.raises(ValueError, match="values has the column 'load' of dtype .*, not numbers"):
        write(values=pd.DataFrame({"load": np.full(300, "high", dtype=object)}))
    with pytest.raises(ValueError, match="alpha=5 is not allowed; it must be a number above 0 and below 1"):
        write(alpha=5)
    with pytest.raises(ValueError, match="max_events=-1 is not allowed"):
        write(max_events=-1)
    with pytest.raises(NotFittedError):
        write(detector=AnomalyDetector())
    with pytest.raises(ValueError, match="the timeline's column 'time' holds text"):
        write(timeline.assign(time=timeline["time"].astype(str)))
    assert not list(tmp_path.iterdir())
