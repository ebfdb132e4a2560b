"""make_windows and Windows: the same windows as a plain loop, from every kind of table and array."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.examples import COLUMNS, EPOCH, as_frame, quiet_windows
from tsae import Windows, from_channels_first, make_windows
from tsae.data.containers import as_windows
from tsae.data.series import GroupedSeries


@st.composite
def tables(draw):
    """Rows (id, time, [value, ...]) of up to four ids, mixed with each other; times step by 1 to 5; some NaN."""
    n_channels = draw(st.integers(1, 3))
    value = st.one_of(st.just(np.nan), st.integers(-99, 99).map(float))
    pending = {}
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True)):
        steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=1, max_size=15))
        times = np.cumsum(steps) + draw(st.integers(-3, 3))
        pending[name] = [
            (name, int(time), draw(st.lists(value, min_size=n_channels, max_size=n_channels))) for time in times
        ]
    rows = []
    mixed = draw(st.booleans())
    while pending:
        name = draw(st.sampled_from(sorted(pending))) if mixed else next(iter(pending))
        rows.append(pending[name].pop(0))
        if not pending[name]:
            del pending[name]
    return rows


def assert_same(windows, expected, times="numbers"):
    """Windows are those of the naive loop: ids, times and values."""
    index, values = windows.index, windows.gather()
    assert list(index.columns) == ["series", "start", "end"]
    assert len(windows) == len(index) == len(values) == len(expected)
    for row, value, (name, start, end, steps) in zip(index.itertuples(), values, expected, strict=True):
        if times != "numbers":
            zone = "Europe/Berlin" if times == "zoned" else None
            start, end = (EPOCH + pd.Timedelta(time, unit="min") for time in (start, end))
            if zone:
                start, end = (time.tz_localize("UTC").tz_convert(zone) for time in (start, end))
        assert (row.series, row.start, row.end) == (name, start, end)
        np.testing.assert_array_equal(value, np.array(steps))


# ------------------------------------------------------------------------------------------ the plain loop


@settings(deadline=None, max_examples=200)
@given(
    rows=tables(),
    width=st.integers(1, 6),
    stride=st.integers(1, 5),
    max_gap=st.sampled_from([None, 1, 2, 4.5, np.inf]),
    layout=st.sampled_from(["long", "multiindex", "polars", "datetimes", "zoned"]),
    align=st.sampled_from(["start", "end"]),
)
def test_windows_are_those_of_a_plain_loop(rows, width, stride, max_gap, layout, align):
    limit = naive.infer_max_gaps(rows) if max_gap is None else max_gap
    expected = naive.cut_windows(rows, width, stride, limit, align)
    times = layout if layout in ("datetimes", "zoned") else "numbers"
    if times != "numbers" and max_gap not in (None, np.inf):
        max_gap = pd.Timedelta(max_gap, unit="min")
    data, columns = as_frame(rows, times), COLUMNS
    if layout == "multiindex":
        data, columns = data.set_index(["id", "time"]), {}
    elif layout == "polars":
        data = pytest.importorskip("polars").from_pandas(data)

    if not expected:
        with pytest.raises(ValueError, match=f"width={width}.* no window"):
            make_windows(data, width, stride, max_gap=max_gap, align=align, **columns)
        return
    windows = quiet_windows(data, width, stride, max_gap=max_gap, align=align, **columns)
    assert_same(windows, expected, times)
    assert len(windows.values) == len(rows)


@settings(deadline=None, max_examples=100)
@given(rows=tables(), width=st.integers(1, 6))
def test_no_window_crosses_an_id_or_a_gap(rows, width):
    times = {(name, tuple(np.nan_to_num(values, nan=-1e6))): time for name, time, values in rows}
    if len(times) < len(rows) or not naive.cut_windows(rows, width, 1, 2):
        return  # rows must tell id and time by their values
    windows = quiet_windows(as_frame(rows), width, max_gap=2, **COLUMNS)
    for name, window in zip(windows.index["series"], windows.gather(), strict=True):
        seen = [times[name, tuple(np.nan_to_num(values, nan=-1e6))] for values in window]
        assert np.all(np.diff(seen) <= 2)


@settings(deadline=None, max_examples=100)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    n_channels=st.integers(1, 3),
    width=st.integers(1, 5),
    stride=st.integers(1, 4),
    kind=st.sampled_from(["list", "dict", "array"]),
)
def test_arrays_are_cut_as_tables_are(lengths, n_channels, width, stride, kind):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, n_channels)) for length in lengths]
    names = [f"s{number}" for number in range(len(arrays))] if kind == "dict" else list(range(len(arrays)))
    data = dict(zip(names, arrays, strict=True)) if kind == "dict" else arrays
    if kind == "array":
        data, arrays = arrays[0], arrays[:1]
    rows = [
        (name, step, list(values))
        for name, array in zip(names, arrays, strict=False)
        for step, values in enumerate(array)
    ]
    expected = naive.cut_windows(rows, width, stride, np.inf)
    if not expected:
        with pytest.raises(ValueError, match="no window"):
            make_windows(data, width, stride)
        return
    assert_same(quiet_windows(data, width, stride), expected)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), stride=st.integers(1, 3))
def test_choosing_windows_is_choosing_from_the_array(data, stride):
    windows = quiet_windows([np.arange(7.0), np.arange(20.0, 23.0), np.arange(50.0, 61.0)], 3, stride)
    everything, index = windows.gather(), windows.index
    for _ in range(3):  # choosing from what was chosen
        n = len(windows)
        slices = st.slices(n)
        masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda chosen: np.array(chosen, dtype=bool))
        integers = st.lists(st.integers(-n, n - 1), max_size=8).map(lambda chosen: np.array(chosen, dtype=np.int64))
        key = data.draw(st.one_of(slices, masks, integers) if n else st.one_of(slices, masks))
        windows, everything, index = windows[key], everything[key], index.iloc[key]
        np.testing.assert_array_equal(windows.gather(), everything)
        pd.testing.assert_frame_equal(windows.index, index.reset_index(drop=True), check_dtype=False)
        assert windows.shape == everything.shape
        assert len(windows.starts) == len(windows.lengths) == len(windows.series) == len(everything)


# ------------------------------------------------------------------------------------------ cut and touching


def as_series(series):
    """Lists of times as series of one channel that counts rows."""
    lengths = [len(times) for times in series]
    times = pd.Index(np.array([time for times in series for time in times], dtype=np.int64))
    values = np.arange(float(len(times)))[:, np.newaxis]
    return GroupedSeries(values, np.cumsum([0, *lengths]), pd.RangeIndex(len(series)), ["x"], times)


times = st.lists(st.sampled_from([1, 1, 1, 2, 5]), max_size=12).map(lambda steps: np.cumsum(steps).tolist())


@settings(deadline=None, max_examples=200)
@given(
    series=st.lists(times, max_size=4),
    width=st.integers(1, 5),
    stride=st.integers(1, 7),
    max_gap=st.sampled_from([1, 2, np.inf]),
)
def test_cut_makes_windows_of_the_stretches_between_gaps(series, width, stride, max_gap):
    windows = Windows.cut(as_series(series), width, stride, max_gap=max_gap)
    stretches = naive.layout(series, width, stride, max_gap)
    assert list(zip(windows.layout.begins, windows.layout.counts, strict=True)) == stretches
    rows = [(name, time, row) for name, times in enumerate(series) for row, time in enumerate(times)]
    expected = naive.cut_windows(rows, width, stride, max_gap)
    assert len(windows) == len(windows.index) == len(windows.gather()) == len(expected)
    assert windows.index.to_numpy().tolist() == [[name, start, end] for name, start, end, _ in expected]
    assert windows.max_gap == max_gap


def test_cut_checks_width_and_stride():
    with pytest.raises(ValueError, match="width=0; it must be an integer of at least 1"):
        Windows.cut(as_series([[1, 2]]), 0)
    with pytest.raises(ValueError, match="stride=1.5"):
        Windows.cut(as_series([[1, 2]]), 1, 1.5)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), stride=st.integers(1, 5), ragged=st.booleans())
def test_touching_finds_the_windows_of_marked_rows(data, stride, ragged):
    if ragged:
        windows = as_windows([np.zeros(length) for length in (3, 5, 1, 4)])
    else:
        windows = make_windows([np.arange(9.0), np.arange(12.0)], 3, stride)
    windows = windows[data.draw(st.lists(st.integers(0, len(windows) - 1), max_size=8))]
    n_rows = len(windows.values)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=n_rows, max_size=n_rows)))
    assert windows.touching(rows).tolist() == naive.touching(windows, rows)


@pytest.mark.parametrize("rows", [np.zeros(5, bool), np.zeros((6, 1), bool), np.zeros(6)])
def test_touching_takes_a_mask_of_the_rows(rows):
    with pytest.raises(ValueError, match=r"rows is .*; it must be bool, one entry per row of the series \(6,\)"):
        make_windows(np.arange(6.0), 2).touching(rows)


# ------------------------------------------------------------------------------------------ Windows


def test_windows_of_any_memory_layout_are_gathered_alike():
    array = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    for view in (array, np.asfortranarray(array), array[::2, ::-1], array[::-1]):
        expected = np.stack([view[start : start + 5] for start in range(0, len(view) - 4, 2)])
        np.testing.assert_array_equal(make_windows(view, 5, 2).gather(), expected)


def test_selections_share_the_series_and_hold_no_more_than_positions():
    windows = make_windows(np.zeros((100_000, 2), np.float32), 50)
    assert windows[10:90_000:7].values is windows.values
    assert len(pickle.dumps(windows)) < windows.values.nbytes + 10_000
    chosen = windows[np.array([5, 7])]
    assert chosen.values is windows.values
    assert chosen.starts.tolist() == [5, 7]


def test_pickling_keeps_everything():
    windows = quiet_windows(as_frame([("a", time, [time]) for time in (1, 2, 3, 7, 8, 9)]), 2, **COLUMNS)[1:]
    again = pickle.loads(pickle.dumps(windows))
    assert repr(again) == repr(windows)
    pd.testing.assert_frame_equal(again.index, windows.index)
    np.testing.assert_array_equal(again.gather(), windows.gather())


def test_repr_shows_what_was_cut_and_how_gaps_were_found():
    frame = as_frame([("a", time, [1.0, 2.0]) for time in (0, 10, 20, 60, 70)], "datetimes")
    text = repr(make_windows(frame, 2, **COLUMNS))
    for part in ("n_windows=3", "width=2", "stride=1", "n_series=1", "['x0', 'x1']", "inferred: 2.5 x"):
        assert part in text
    assert "0 days 00:25:00" in text
    assert "max_gap=0 days 01:00:00 (given)" in repr(make_windows(frame, 2, max_gap="1h", **COLUMNS))
    assert "max_gap" not in repr(make_windows(np.zeros(9), 2))


def test_gather_takes_positions_and_masks():
    windows = make_windows(np.arange(6.0), 2)
    assert windows.gather([0, -1])[..., 0].tolist() == [[0, 1], [4, 5]]
    assert windows.gather(slice(1, 2))[..., 0].tolist() == [[1, 2]]
    assert windows.gather(windows.starts > 2)[..., 0].tolist() == [[3, 4], [4, 5]]
    assert windows.gather([]).shape == (0, 2, 1)
    np.testing.assert_array_equal(np.asarray(windows), windows.to_numpy())
    assert [int(window.starts[0]) for window in windows] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("key", [5, -6, [0, 5], np.zeros(4, bool), "a", 1.0, (0, 0), [[0]], None])
def test_wrong_keys_are_refused(key):
    with pytest.raises(IndexError):
        make_windows(np.arange(6.0), 2)[key]


def test_overlapping_is_whether_rows_are_shared():
    windows = make_windows([np.arange(20.0), np.arange(20.0)], 4)
    assert windows.overlapping()
    assert not windows[::4].overlapping()
    assert not make_windows(np.arange(20.0), 4, 4).overlapping()
    assert make_windows(np.arange(20.0), 4, 4)[[0, 2, 0]].overlapping()
    assert not windows[[16, 0]].overlapping()
    assert not windows[:0].overlapping()


@settings(deadline=None, max_examples=100)
@given(data=st.data(), stride=st.integers(1, 5), layout=st.sampled_from(["arrays", "times", "ragged"]))
def test_compact_windows_are_the_same_over_fewer_rows(data, stride, layout):
    if layout == "ragged":
        windows = as_windows([np.arange(float(length)) + length * 100 for length in (3, 5, 1, 4)])
    elif layout == "arrays":
        windows = make_windows([np.arange(20.0), np.arange(50.0, 60.0)], 3, stride)
    else:
        rows = [(name, time, [time]) for name in "ab" for time in (*range(9), *range(20, 30))]
        windows = make_windows(as_frame(rows), 3, stride, **COLUMNS)
    windows = windows[data.draw(st.lists(st.integers(0, len(windows) - 1), max_size=8))]
    compact = windows.compact()
    covered = set().union(*naive.covered_rows(windows))
    assert len(compact.values) == len(covered)
    assert (compact is windows) == (len(covered) == len(windows.values))
    assert repr(compact) == repr(windows)
    assert compact.overlapping() == windows.overlapping()
    np.testing.assert_array_equal(compact.gather(), windows.gather())
    np.testing.assert_array_equal(compact.lengths, windows.lengths)
    np.testing.assert_array_equal(compact.series, windows.series)
    pd.testing.assert_frame_equal(compact.index, windows.index, check_dtype=False)
    again = compact[::-1].compact()
    np.testing.assert_array_equal(again.gather(), windows.gather()[::-1])


def test_observed_marks_windows_with_any_value():
    values = np.array([[1, np.nan], [np.nan, np.nan], [np.nan, np.nan], [np.nan, np.nan], [np.nan, 1]])
    windows = make_windows([values, values[1:]], 2)
    expected = ~np.isnan(windows.gather()).all(axis=(1, 2))
    assert windows.observed.tolist() == expected.tolist() == [True, False, False, True, False, False, True]
    assert windows[[1, 0]].observed.tolist() == [False, True]
    assert make_windows(np.zeros(5), 2).observed.all()


def test_names_that_were_given_differ_from_numbered_channels():
    frame = pd.DataFrame({"load": np.arange(9.0), "heat": np.arange(9.0)})
    named = [make_windows(frame, 2), make_windows(frame["load"], 2), make_windows(frame, 2)[::3].compact()]
    assert all(windows.has_names for windows in named)
    array = frame.to_numpy()
    numbered = [
        make_windows(data, 2) for data in (array, [array], {"a": array}, pd.DataFrame(array), pd.Series([1, 2]))
    ]
    numbered += [numbered[0][::3].compact(), as_windows(array), as_windows([array]), as_windows(frame)]
    assert not any(windows.has_names for windows in numbered)


def test_constant_channels_are_kept():
    frame = pd.DataFrame({"x": np.arange(5.0), "constant": 3.0})
    assert make_windows(frame, 2).channel_names == ["x", "constant"]


# ------------------------------------------------------------------------------------------ scikit-learn


def test_scikit_learn_can_split_and_index_windows():
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import GroupKFold, KFold, cross_val_score, train_test_split
    from sklearn.utils import _safe_indexing, indexable

    windows = make_windows([np.arange(10.0), np.arange(12.0)], 3)
    assert indexable(windows)[0] is windows
    for key in ([1, 3], np.array([1, 3]), np.isin(np.arange(len(windows)), [1, 3]), slice(1, 4, 2)):
        assert _safe_indexing(windows, key).starts.tolist() == [1, 3]
    assert len(list(KFold(3).split(windows))) == 3
    assert len(list(GroupKFold(2).split(windows, groups=windows.series))) == 2
    train, test = train_test_split(windows, test_size=0.5, random_state=0)
    assert len(train) + len(test) == len(windows)

    class Counter(BaseEstimator):
        def fit(self, X, y=None):
            self.n_ = X.gather().shape[0]
            return self

        def score(self, X, y=None):
            return len(X) / self.n_

    assert cross_val_score(Counter(), windows, cv=3).tolist() == [0.5, 0.5, 0.5]


# ------------------------------------------------------------------------------------------ other toolkits


def test_channels_first_arrays_are_turned():
    X = np.random.default_rng(0).normal(size=(4, 3, 10))
    turned = from_channels_first(X)
    assert turned.shape == (4, 10, 3)
    assert np.shares_memory(as_windows(turned).values, turned)
    np.testing.assert_array_equal(turned[2, 7], X[2, :, 7])
    ragged = from_channels_first([X[0], X[1, :, :5]])
    assert [part.shape for part in ragged] == [(10, 3), (5, 3)]
    with pytest.raises(ValueError, match="n_channels, n_timesteps"):
        from_channels_first(X[0])
    with pytest.raises(ValueError, match=r"X\[1\] has shape \(10,\)"):
        from_channels_first([X[0], X[0, 0]])


@pytest.mark.parametrize(
    "key", [slice(None), slice(3, 9), slice(None, None, 2), slice(4, 5), slice(0, 0), [1, 4, 7], [5, 3]]
)
@pytest.mark.parametrize("stride", [1, 4, 7])
def test_a_view_is_what_would_be_gathered(key, stride):
    windows = make_windows({"a": np.arange(90.0), "b": np.arange(50.0)}, width=4, stride=stride)[key]
    np.testing.assert_array_equal(windows.view(), windows.gather())


def test_windows_at_even_distances_are_not_copied():
    series = np.arange(90.0)
    for stride in (1, 4):
        view = make_windows(series, width=4, stride=stride).view()
        assert np.shares_memory(view, series)
        assert not view.flags.writeable
