"""Streams give the rows of a timeline, as early as they can."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from dateutil.tz import tzoffset

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tests.io import mutations
from tsae import LSTMAutoencoder, ModelFileError, load, make_windows
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


# -- names, times and values that do not fit -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame(series):
    return pd.DataFrame(
        series[:900], columns=["a", "b", "c"], index=pd.date_range("2024-01-01", periods=900, freq="min")
    )


@pytest.fixture(scope="module")
def named(frame):
    return AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.05).fit(make_windows(frame, 20))


def test_the_columns_of_a_pushed_table_are_compared_with_the_channels(named, frame):
    for wrong in (frame[["b", "a", "c"]], frame.iloc[:, ::-1]):
        with pytest.raises(
            ValueError, match=r"rows has the columns \[.*\], but .* channels \['a', 'b', 'c'\], in this order"
        ):
            named.stream().push(wrong)
    with pytest.raises(ValueError, match=r"columns \['a', 'b', 'rpm'\], but .* channels \['a', 'b', 'c'\]"):
        named.stream().push(frame.rename(columns={"c": "rpm"}))
    with pytest.raises(ValueError, match=r"columns \['a', 'b'\], but .* channels \['a', 'b', 'c'\]"):
        named.stream().push(frame[["a", "b"]])
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="in this order"):
        named.stream().push(polars.from_pandas(frame[["b", "a", "c"]]))
    expected = named.stream().push(frame)
    for same in (frame.to_numpy(), pd.DataFrame(frame.to_numpy()), polars.from_pandas(frame), frame.astype("Float64")):
        pd.testing.assert_frame_equal(named.stream().push(same, frame.index), expected, check_freq=False)


def test_a_series_is_compared_with_the_only_channel(series):
    column = pd.Series(series[:300, 0], name="load")
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.3).fit(make_windows(column.to_frame(), 10))
    assert len(detector.stream().push(column)) == len(detector.stream().push(column.rename(None))) == 291
    with pytest.raises(ValueError, match=r"columns \['heat'\], but .* channels \['load'\]"):
        detector.stream().push(column.rename("heat"))


def test_a_detector_of_channels_without_names_compares_none(detector, frame):
    assert len(detector.stream().push(frame)) == 881


def test_the_index_of_a_pushed_table_is_read_as_times(named, frame):
    holed = pd.concat([frame[:50], frame[200:260]])
    stream = named.stream()
    streamed = pd.concat([stream.push(holed[:30]), stream.push(holed[30:]), stream.finish()], ignore_index=True)
    timeline = named.score_timeline(make_windows(holed, 20))
    pd.testing.assert_frame_equal(streamed, timeline, rtol=1e-5, check_dtype=False)
    periods = named.stream()
    assert periods.push(holed.set_axis(holed.index.to_period("min")))["time"][0] == pd.Period("2024-01-01 00:00", "min")


@pytest.mark.parametrize("max_gap", ["5min", np.inf, pd.Timedelta("5min"), pd.Timedelta("5min").to_pytimedelta()])
def test_every_kind_of_max_gap_cuts_a_stream_as_it_cuts_windows(frame, max_gap):
    holed = pd.concat([frame[:500], frame[503:600], frame[700:]])
    windows = make_windows(holed, 20, max_gap=max_gap)
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.05).fit(windows)
    stream = detector.stream()
    streamed = pd.concat([stream.push(holed[:510]), stream.push(holed[510:]), stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(streamed, detector.score_timeline(windows), rtol=1e-5, check_dtype=False)


UTC = pd.date_range("2024-01-01 00:02", periods=2, freq="min", tz="UTC")
NAIVE = pd.date_range("2024-01-01 00:02", periods=2, freq="min")
WRONG_TIMES = {
    "text": (["2024-01-01 00:02", "2024-01-01 00:03"], r"times holds text \('2024-01-01 00:02' in row 0\)"),
    "text among times": ([NAIVE[0], "00:03"], r"times holds text \('00:03' in row 1\)"),
    "zone": (UTC, "times are datetimes in UTC in row 2 of the stream, but datetimes without a time zone before"),
    "zones": ([NAIVE[0], UTC[1]], "times mixes time zones: None in row 0, UTC in row 1"),
    "numbers": ([5, 6], "times are numbers in row 2 of the stream, but datetimes without a time zone before"),
    "numbers among times": ([NAIVE[0], 5], "times mixes kinds: datetime in row 0, integer .5. in row 1"),
    "durations": (NAIVE - NAIVE[0], "times are timedeltas in row 2"),
    "missing": ([NAIVE[0], pd.NaT], "times is missing in row 1"),
    "nothing": ([None, None], "times"),
    "one": ("2024-01-01", "times='2024-01-01' cannot be read as one time per row"),
    "objects": ([object(), object()], "times has dtype object"),
    "backwards": (NAIVE[::-1], "times must increase; 2024-01-01 00:02:00 comes after 2024-01-01 00:03:00, in row 3"),
    "again": (NAIVE - pd.Timedelta("1min"), "times must increase; .* comes after .*, in row 2 of the stream"),
    "too many": (NAIVE[:1], "times has 1 entries for 2 rows"),
    "2099": ([NAIVE[0], pd.Timestamp("2099-01-01")], "jumps from .* to 2099-01-01 .* in row 3 .*max_jump=365 days"),
}
WRONG_ROWS = {
    "text": ([[1, 2, 3], [1, "x", 3]], r"rows holds 'x' in row 3 of the stream, channel 1 \('b'\)"),
    "objects": (
        np.array([[1, 2, 3], [1, {}, 3]], dtype=object),
        r"rows holds \{\} in row 3 of the stream, channel 1 \('b'\)",
    ),
    "dates": (
        pd.DataFrame({"a": [1, 2], "b": NAIVE, "c": [1, 2]}),
        r"rows holds Timestamp.* in row 2 .*channel 1 \('b'\)",
    ),
    "ragged": ([[1, 2, 3], [1, 2]], "rows cannot be read as an array"),
    "infinite": ([[1, 2, 3], [1, 2, np.inf]], r"rows holds inf in row 3 of the stream, channel 2 \('c'\)"),
    "shape": (np.zeros((2, 4)), r"rows has shape \(2, 4\)"),
}


@pytest.mark.parametrize(
    ("rows", "times", "message"),
    [(np.zeros((2, 3)), *WRONG_TIMES[case]) for case in WRONG_TIMES]
    + [(WRONG_ROWS[case][0], NAIVE, WRONG_ROWS[case][1]) for case in WRONG_ROWS],
    ids=[*WRONG_TIMES, *(f"rows: {case}" for case in WRONG_ROWS)],
)
def test_what_does_not_fit_is_a_value_error_and_leaves_the_stream_as_it_was(named, frame, rows, times, message):
    stream, untouched = named.stream(), named.stream()
    for each in (stream, untouched):
        each.push(frame[:2])
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            stream.push(rows, times)
    pd.testing.assert_frame_equal(stream.push(frame[2:60]), untouched.push(frame[2:60]))
    pd.testing.assert_frame_equal(stream.finish(), untouched.finish())


def test_a_wrong_first_row_leaves_the_stream_empty(named, frame):
    stream = named.stream()
    with pytest.raises(ValueError, match="text"):
        stream.push(frame[:1].to_numpy(), ["2024-01-01"])
    assert len(stream.push(frame[:25].to_numpy())) == 6  # and without times


def test_an_error_while_scoring_leaves_the_stream_as_it_was(named, frame, monkeypatch):
    stream, untouched = named.stream(), named.stream()
    holed = pd.concat([frame[:50], frame[200:260]])
    for each in (stream, untouched):
        each.push(holed[:30])

    def fail(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(named.autoencoder_), "reconstruct", fail)
        with pytest.raises(KeyboardInterrupt):
            stream.push(holed[30:])
    pd.testing.assert_frame_equal(stream.push(holed[30:]), untouched.push(holed[30:]))


def test_the_longest_jump_can_be_chosen(named, frame):
    late = frame[20:30].set_axis(frame.index[20:30] + pd.Timedelta("30D"))
    stream = named.stream(max_jump="7D")
    stream.push(frame[:20])
    with pytest.raises(ValueError, match="max_jump=7 days"):
        stream.push(late)
    far = frame[20:30].set_axis(frame.index[20:30] + pd.Timedelta("20000D"))
    for rows, options in ((late, {}), (far, {"max_jump": np.inf})):
        stream = named.stream(**options)
        stream.push(frame[:20])
        assert len(stream.push(rows)) == 19  # those before the gap
    with pytest.raises(ValueError, match="max_jump=7 does not fit the times"):
        named.stream(max_jump=7).push(frame[:20])


def test_numbers_as_times_may_not_jump_far_either(frame):
    epochs = frame.set_axis(np.arange(900) * 60 + 1_700_000_000)
    windows = make_windows(epochs.rename_axis("t").reset_index(), 20, time_column="t")
    stream = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.05).fit(windows).stream()
    stream.push(epochs[:20], epochs.index[:20])
    with pytest.raises(ValueError, match="times jumps from 1700001140 to 4070908800 in row 20 of the stream"):
        stream.push(epochs[20:21], [4070908800])
    assert len(stream.push(epochs[20:25], epochs.index[20:25])) == 5


def test_missing_values_of_every_kind_are_missing(named, frame):
    values = frame[:40].to_numpy().copy()
    values[25, 1] = np.nan
    expected = named.stream().push(values)
    masked = np.ma.array(np.nan_to_num(values, nan=-9999), mask=np.isnan(values))
    for same in (masked, values.astype(object), pd.DataFrame(values).astype("Float64").convert_dtypes()):
        pd.testing.assert_frame_equal(named.stream().push(same), expected)
    empty = values.astype(object)
    empty[25, 1] = None
    pd.testing.assert_frame_equal(named.stream().push(empty), expected)


def test_times_of_other_units_go_together(named, frame):
    stream = named.stream()
    parts = [
        stream.push(frame[i : i + 20].to_numpy(), frame.index[i : i + 20].as_unit(u)) for i, u in ((0, "s"), (20, "ns"))
    ]
    assert pd.concat(parts)["time"].tolist() == frame.index[:21].tolist()


# -- stored streams --------------------------------------------------------------------------------------------------


ZONED = pd.date_range("2024-03-30 12:00", periods=300, freq="5min", tz="Europe/Berlin")
TIMES = {
    "none": None,
    "numbers": pd.Index(np.arange(300) * 0.5),
    "naive": ZONED.tz_localize(None),
    "zone": ZONED,
    "offset": ZONED.tz_convert("+02:00"),
    "seconds": ZONED.as_unit("s"),
    "durations": ZONED - ZONED[0],
    "periods": pd.period_range("2024-01-01", periods=300, freq="5min"),
}


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("n_before", [0, 1, 20, 57])
def test_a_restored_stream_continues_to_the_last_bit(series, tmp_path, kind, n_before):
    times = TIMES[kind]
    data = pd.DataFrame(series[:300], columns=["a", "b", "c"])
    fitted = data if times is None or kind == "periods" else data.assign(t=times)
    windows = make_windows(fitted, 20, 3, time_column="t" if "t" in fitted else None)
    detector = AnomalyDetector(LinearAutoencoder(8), random_state=0, alpha=0.3).fit(windows)
    data.iloc[40:43, 1] = np.nan
    rows = [data[:n_before].to_numpy(), data[n_before:].to_numpy()]
    cut = [None, None] if times is None else [times[:n_before], times[n_before:]]
    stream = detector.stream(series="m1", max_jump=np.inf)
    stream.push(rows[0], cut[0])
    stream.save(tmp_path / "stream.tsae")
    again = detector.restore_stream(tmp_path / "stream.tsae")
    pd.testing.assert_frame_equal(again.push(rows[1], cut[1]), stream.push(rows[1], cut[1]), check_exact=True)
    stream.save(tmp_path / "stream.tsae")
    again = detector.restore_stream(tmp_path / "stream.tsae")
    pd.testing.assert_frame_equal(again.finish(), stream.finish(), check_exact=True)
    stream.save(tmp_path / "stream.tsae")
    with pytest.raises(ValueError, match="finished"):
        detector.restore_stream(tmp_path / "stream.tsae").push(rows[1], cut[1])


def test_a_stream_is_restored_for_a_detector_that_was_loaded(series, tmp_path):
    network = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0)
    detector = AnomalyDetector(network, alpha=0.3, random_state=0).fit(make_windows(series[:300], 10))
    detector.save(tmp_path / "detector.tsae")
    stream = detector.stream()
    stream.push(series[:33])
    stream.save(tmp_path / "stream.tsae")
    loaded = load(tmp_path / "detector.tsae")
    with open(tmp_path / "stream.tsae", "rb") as file:
        again = loaded.restore_stream(file)
    pd.testing.assert_frame_equal(again.push(series[33:60]), stream.push(series[33:60]), check_exact=True)


def test_the_state_of_another_detector_and_other_files_are_refused(named, detector, frame, tmp_path):
    stream = named.stream()
    stream.push(frame[:30])
    stream.save(tmp_path / "stream.tsae")
    with pytest.raises(ValueError, match="stream of another detector"):
        detector.restore_stream(tmp_path / "stream.tsae")
    with pytest.raises(ModelFileError, match="state of a stream; AnomalyDetector.restore_stream reads it"):
        load(tmp_path / "stream.tsae")
    LSTMAutoencoder(units=2, epochs=1).fit(np.zeros((5, 4))).save(tmp_path / "model.tsae")
    with pytest.raises(ModelFileError, match="holds a LSTMAutoencoder, not the state of a stream"):
        named.restore_stream(tmp_path / "model.tsae")
    data = (tmp_path / "stream.tsae").read_bytes()
    (tmp_path / "stream.tsae").write_bytes(data[:-100])
    with pytest.raises(ModelFileError):
        named.restore_stream(tmp_path / "stream.tsae")


@pytest.mark.parametrize(
    ("key", "value"),
    [("next_window", -1), ("n_seen", 3), ("rows", [1]), ("times", {"kind": "x"}), ("finished", 1), ("with_times", 2)],
)
def test_a_state_that_does_not_belong_together_is_refused(named, frame, tmp_path, key, value):
    stream = named.stream()
    stream.push(frame[:30])
    stream.save(tmp_path / "stream.tsae")
    data = mutations.with_state(
        (tmp_path / "stream.tsae").read_bytes(), lambda tree: tree["state"].update({key: value})
    )
    with pytest.raises(ModelFileError, match="stored state of a stream cannot be rebuilt"):
        named.restore_stream(io.BytesIO(data))


def test_a_zone_without_a_name_is_refused_when_the_stream_is_saved(named, frame, tmp_path):
    stream = named.stream()
    stream.push(frame[:30].to_numpy(), frame.index[:30].tz_localize(tzoffset(None, 5400)))
    with pytest.raises(ValueError, match="has no name to store"):
        stream.save(tmp_path / "stream.tsae")
