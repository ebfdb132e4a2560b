"""The report page: self-contained, safe, complete; and drawn by a browser if there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
from tsae.jobs.html_report import MAX_POINTS, extremes, thin, write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
    return write_report(path, detector, cut(faulty), labels=labels, title=f"Plant {NASTY}")


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
    data = data_of(write_report(tmp_path / "calm.html", detector, windows))
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


def test_tables_that_do_not_belong_together_are_refused(detector, faulty, tmp_path):
    windows = cut(faulty)
    timeline = detector.score_timeline(windows)
    with pytest.raises(ValueError, match="timeline has 799 rows, the series of the windows have 800"):
        write_report(tmp_path / "x.html", detector, windows, timeline=timeline[1:])
    with pytest.raises(ValueError, match="labels has 5 rows"):
        write_report(tmp_path / "x.html", detector, windows, timeline=timeline, labels=np.zeros(5, dtype=bool))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to draw the page with")
def test_a_browser_draws_the_page(page, tmp_path):
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    document = done.stdout
    assert 'data-ready="yes"' in document, done.stderr[-2000:]
    data = data_of(page)
    assert document.count("<canvas") >= 1 + 2 + 2 + 2  # score and channels, an event's channels, two curves
    body = re.search(r"<tbody>(.*?)</tbody>", document, re.S)[1]
    assert body.count("<tr") == len(data["events"])
