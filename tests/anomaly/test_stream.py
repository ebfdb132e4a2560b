"""Streams give the rows of a timeline, as early as they can."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector


@pytest.mark.parametrize("stride", [1, 4, 25])
@pytest.mark.parametrize("n_at_once", [1, 13, 400])
def test_streaming_equals_the_batch(detector, stride, n_at_once):
    test = waves(np.random.default_rng(7), 400)
    test[100:150] = np.nan
    test[200:203, 1] = np.nan
    batch = detector.score_timeline(make_windows(test, 20, stride))
    stream = detector.stream(stride=stride)
    parts = [stream.push(test[i : i + n_at_once]) for i in range(0, 400, n_at_once)]
    streamed = pd.concat([*parts, stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, batch, rtol=1e-5, check_dtype=False)


def test_a_timestamp_comes_as_soon_as_its_windows_are_complete(detector, series):
    stream = detector.stream()
    for i in range(60):
        done = stream.push(series[i : i + 1])
        assert done["time"].tolist() == ([i - 19] if i >= 19 else [])


def test_a_gap_in_time_ends_the_windows_of_a_stream(series):
    times = pd.date_range("2024-01-01", periods=700, freq="min").delete(slice(300, 310))
    frame = pd.DataFrame(series[: len(times)], columns=["a", "b", "c"], index=times)
    windows = make_windows(frame, 20)
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.05).fit(windows)
    stream = detector.stream()
    parts = [stream.push(frame.to_numpy()[i : i + 50], times[i : i + 50]) for i in range(0, len(frame), 50)]
    streamed = pd.concat([*parts, stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, detector.score_timeline(windows), rtol=1e-5, check_dtype=False)


@pytest.mark.parametrize("n_at_once", [1, 20, 50])
def test_a_gap_between_windows_that_do_not_touch_restarts_the_windows_of_a_stream(series, n_at_once):
    """With a stride above the width, a stream may hold no row when the gap comes."""
    times = pd.date_range("2024-01-01", periods=700, freq="min").delete(slice(320, 335))
    frame = pd.DataFrame(series[: len(times)], columns=["a", "b", "c"], index=times)
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.05).fit(make_windows(frame, 20))
    stream = detector.stream(stride=25)
    parts = [stream.push(frame[i : i + n_at_once], times[i : i + n_at_once]) for i in range(0, len(frame), n_at_once)]
    streamed = pd.concat([*parts, stream.finish()], ignore_index=True)
    timeline = detector.score_timeline(make_windows(frame, 20, 25))
    pd.testing.assert_frame_equal(streamed, timeline, rtol=1e-5, check_dtype=False)
    emptied = detector.stream(stride=25)
    emptied.push(frame[:20], times[:20])
    with pytest.raises(ValueError, match="times must increase"):
        emptied.push(frame[20:21], times[19:20])


def test_streams_refuse_what_does_not_fit(detector, series):
    stream = detector.stream()
    with pytest.raises(ValueError, match=r"rows has shape \(5, 2\); expected \(n_rows, 3\)"):
        stream.push(series[:5, :2])
    stream.push(series[:5])
    with pytest.raises(ValueError, match="inf in row 7 of the stream, channel 1"):
        stream.push([[0, 0, 0], [0, 0, 0], [0, np.inf, 0]])
    with pytest.raises(ValueError, match="times must be given never or from the first rows on"):
        stream.push(series[5:6], times=[5])
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.push(series[:5])
    timed = detector.stream()
    timed.push(series[:2], times=[1, 2])
    with pytest.raises(ValueError, match="times must increase; 2 comes after 2"):
        timed.push(series[:1], times=[2])
    with pytest.raises(ValueError, match="times has 2 entries for 1 rows"):
        timed.push(series[:1], times=[3, 4])
