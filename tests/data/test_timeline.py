"""to_timeline and Timeline: the results of a plain loop over timestamps, however windows come in batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsae.data.timeline
from tests import naive
from tsae import make_windows
from tsae.data.containers import as_windows
from tsae.data.timeline import Timeline, to_timeline

HOWS = ["mean", "median", "max"]


@st.composite
def results(draw):
    """Windows over several series (some windows missing, some twice), and one result per step, some of them NaN."""
    if draw(st.booleans()):
        windows = as_windows([np.zeros(length) for length in draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))])
    else:
        lengths = draw(st.lists(st.integers(5, 15), min_size=1, max_size=3))
        windows = make_windows(
            [np.zeros(length) for length in lengths], draw(st.integers(1, 5)), draw(st.integers(1, 3))
        )
    positions = draw(st.lists(st.integers(0, len(windows) - 1), max_size=2 * len(windows)))
    windows = windows[positions]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.normal(size=windows.shape[:2])
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    return windows, values


def expected_timeline(windows, values, how):
    return naive.timeline(windows.starts, windows.lengths, len(windows.values), values, how)


@settings(deadline=None, max_examples=200)
@given(results(), st.sampled_from(HOWS), st.sampled_from([1, 7, 1 << 20]))
def test_each_timestamp_combines_the_results_of_its_windows(windows_and_values, how, chunk):
    windows, values = windows_and_values
    expected = expected_timeline(windows, values, how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tsae.data.timeline, "CHUNK", chunk)
        table = to_timeline(windows, values, how)
        both = to_timeline(windows, np.stack([values, -values], axis=2), how, columns=["plus", "minus"])
        by_window = to_timeline(windows, values[:, 0], how)
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(both["plus"], table["value"])
    np.testing.assert_allclose(both["minus"], expected_timeline(windows, -values, how), rtol=1e-12, atol=1e-15)
    spread = np.repeat(values[:, :1], windows.width, axis=1)
    np.testing.assert_allclose(by_window["value"], expected_timeline(windows, spread, how), rtol=1e-12, atol=1e-15)


@settings(deadline=None, max_examples=100)
@given(results(), st.sampled_from(HOWS), st.data())
def test_batches_may_be_cut_anywhere(windows_and_values, how, data):
    windows, values = windows_and_values
    if len(windows) == 0:
        return
    order = np.argsort(windows.starts, kind="stable")
    cuts = data.draw(st.lists(st.integers(0, len(windows)), max_size=5).map(sorted))
    timeline = Timeline(windows, how)
    for positions in np.split(order, cuts):
        timeline.add(positions, values[positions])
    pd.testing.assert_frame_equal(timeline.result(), to_timeline(windows, values, how), check_exact=True)


@pytest.mark.parametrize("how", HOWS)
def test_a_timestamp_does_not_depend_on_the_length_of_its_series(how):
    rng = np.random.default_rng(0)
    long, short = make_windows(np.zeros(5000), 50), make_windows(np.zeros(300), 50)
    values = rng.normal(size=(len(long), 50)).astype(np.float32)
    of_long = to_timeline(long, values, how)["value"].to_numpy()
    of_short = to_timeline(short, values[: len(short)], how)["value"].to_numpy()
    np.testing.assert_array_equal(of_short[:251], of_long[:251])
    beside_others = make_windows([np.zeros(777), np.zeros(300)], 50)
    values = np.concatenate([rng.normal(size=(len(beside_others) - len(short), 50)), values[: len(short)]])
    np.testing.assert_array_equal(to_timeline(beside_others, values, how)["value"].to_numpy()[777:], of_short)


def test_rows_are_those_of_the_series_with_their_ids_and_times():
    times = pd.date_range("2024-01-01", periods=7, freq="h", tz="UTC")
    frame = pd.DataFrame({"id": list("abababa"), "time": times, "x": 0.0})
    windows = make_windows(frame, 2, id_column="id", time_column="time")
    table = to_timeline(windows, np.arange(len(windows)))
    assert list(table.columns) == ["series", "time", "value"]
    assert table["series"].tolist() == list("aaaabbb")
    assert table["time"].tolist() == times[[0, 2, 4, 6, 1, 3, 5]].tolist()
    assert table["value"].tolist() == [0, 0.5, 1.5, 2, 3, 3.5, 4]


def test_rows_that_no_window_covers_are_nan():
    windows = make_windows(np.zeros(10), 3, 3)[[0, 2]]
    for how in HOWS:
        value = to_timeline(windows, np.ones(2), how)["value"]
        assert value.isna().tolist() == [False] * 3 + [True] * 3 + [False] * 3 + [True]
        assert value.dropna().tolist() == [1.0] * 6


def test_columns_are_named_after_channels_where_there_are_as_many():
    windows = make_windows(pd.DataFrame({"load": np.zeros(5), "heat": 0.0}), 2)
    values = np.zeros((*windows.shape[:2], 2))
    assert list(to_timeline(windows, values).columns) == ["series", "time", "load", "heat"]
    assert list(to_timeline(windows, values[..., [0, 0, 0]]).columns[2:]) == ["value_0", "value_1", "value_2"]
    assert list(to_timeline(windows, values, columns=["a", "b"]).columns[2:]) == ["a", "b"]
    assert list(to_timeline(windows, values[..., 0], columns=["score"]).columns[2:]) == ["score"]


def test_values_of_any_numbers_and_order_are_taken():
    windows = make_windows(np.zeros(6), 3)
    for dtype in (np.int64, np.float16, np.float32, bool):
        values = np.array([0, 1, 1, 0]).astype(dtype)
        for how in HOWS:
            forwards = to_timeline(windows, values, how)
            pd.testing.assert_frame_equal(to_timeline(windows[::-1], values[::-1], how), forwards)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3, 1, 1), (), (3, 3)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"values has shape .*; allowed are \(4,\), \(4, 3\) and \(4, 3, k\)"):
        to_timeline(make_windows(np.zeros(6), 3), np.zeros(shape))


def test_wrong_arguments_are_refused():
    windows = make_windows(np.zeros(6), 3)
    with pytest.raises(ValueError, match="how='sum'; allowed are 'mean', 'median', 'max'"):
        to_timeline(windows, np.zeros(4), "sum")
    with pytest.raises(ValueError, match=r"columns=\['a', 'b'\], but values has 1 results per step"):
        to_timeline(windows, np.zeros(4), columns=["a", "b"])
    with pytest.raises(ValueError, match="values has dtype <U1"):
        to_timeline(windows, np.array(list("abcd")))
    timeline = Timeline(windows, "median")
    with pytest.raises(ValueError, match="nothing was added"):
        timeline.result()
    timeline.add([2], np.zeros(1))
    with pytest.raises(ValueError, match="in the order of their starts"):
        timeline.add([0], np.zeros(1))
    with pytest.raises(ValueError, match="values has 2 results per step, those added before have 1"):
        timeline.add([3], np.zeros((1, 3, 2)))
