"""as_windows and the registry of containers: every layout that is accepted, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.examples import bad
from tsae import LSTMAutoencoder, from_channels_first, make_windows
from tsae.data import containers
from tsae.data.containers import as_table, as_windows, is_tabular
from tsae.data.series import series_from_arrays
from tsae.timeline import to_timeline

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_held_without_a_copy(dtype):
    X = RNG.normal(size=(7, 12, 3)).astype(dtype)
    windows = as_windows(X)
    assert np.shares_memory(windows.values, X)
    assert windows.shape == X.shape
    assert windows.dtype == dtype
    np.testing.assert_array_equal(windows.gather(), X)
    np.testing.assert_array_equal(windows.gather([3, 1]), X[[3, 1]])


def test_two_dimensional_arrays_are_univariate_windows():
    X = RNG.normal(size=(7, 12))
    windows = as_windows(X)
    assert windows.shape == (7, 12, 1)
    assert np.shares_memory(windows.values, X)
    np.testing.assert_array_equal(windows.gather()[..., 0], X)


def test_arrays_of_any_memory_layout_and_numbers_are_read_alike():
    X = RNG.integers(-9, 9, size=(6, 8, 2))
    for same in (X, X.astype(np.int8), np.asfortranarray(X), X.astype(object), np.repeat(X, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(as_windows(same).gather(), X)


def test_each_window_of_an_array_is_a_series_of_its_own():
    windows = as_windows(np.zeros((3, 4)))
    assert windows.index.to_numpy().tolist() == [[0, 0, 3], [1, 0, 3], [2, 0, 3]]
    assert windows.series.tolist() == [0, 1, 2]
    assert not windows.overlapping()


def test_tables_have_one_row_per_window():
    X = RNG.normal(size=(4, 5))
    np.testing.assert_array_equal(as_windows(pd.DataFrame(X, index=list("abcd"))).gather()[..., 0], X)
    frame = pytest.importorskip("polars").DataFrame(X)
    np.testing.assert_array_equal(as_windows(frame).gather()[..., 0], X)


def test_lists_are_ragged_and_padded_with_nan_on_the_right():
    X = [RNG.normal(size=(length, 2)) for length in (3, 5, 1)]
    windows = as_windows(X)
    assert windows.is_ragged
    assert windows.shape == (3, 5, 2)
    assert windows.lengths.tolist() == [3, 5, 1]
    for gathered, part in zip(windows.gather(), X, strict=True):
        np.testing.assert_array_equal(gathered[: len(part)], part)
        assert np.isnan(gathered[len(part) :]).all()
    assert windows[[0, 2]].is_ragged
    assert windows[[2, 0]].lengths.tolist() == [1, 3]
    assert windows.index["end"].tolist() == [2, 4, 0]
    assert not windows.overlapping()


def test_lists_of_equal_lengths_are_not_ragged():
    assert not as_windows([np.zeros(4), np.ones(4)]).is_ragged
    assert as_windows([[1.0, 2.0], [3.0, 4.0]]).gather()[..., 0].tolist() == [[1, 2], [3, 4]]


def test_windows_are_taken_as_they_are():
    windows = make_windows(np.arange(9.0), 3)
    assert as_windows(windows) is windows


def test_missing_values_are_allowed():
    X = RNG.normal(size=(4, 5, 2))
    X[1, 2], X[3, :, 0], X[0, 1:] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(as_windows(X).gather(), X)


# ------------------------------------------------------------------------------------------ what is refused


def with_entry(value, dtype=float):
    X = np.zeros((3, 4, 2), dtype=dtype)
    X[1, 2, 1] = value
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(5), r"Expected 2D or 3D array, got 1D array instead.*\(5,\).*Reshape your data"),
        (np.zeros((2, 2, 2, 2)), "got 4D array instead"),
        (np.zeros((0, 5)), r"Found X with 0 sample\(s\)"),
        (np.zeros((0, 5, 2)), r"Found X with 0 sample\(s\)"),
        (np.zeros((5, 0)), r"0 feature\(s\) \(shape=\(5, 0\)\) while a minimum of 1 is required"),
        (np.zeros((5, 0, 2)), r"0 feature\(s\) \(shape=\(5, 0, 2\)\) while a minimum of 1 is required"),
        (np.zeros((5, 3, 0)), r"0 channel\(s\) \(shape=\(5, 3, 0\)\) while a minimum of 1 is required"),
        (with_entry(np.inf), "X holds inf in window 1, step 2, channel 1"),
        (with_entry(-np.inf, np.float32), "X holds -inf in window 1, step 2, channel 1"),
        (with_entry(1j, complex), "Complex data not supported"),
        (with_entry("?", object), r"X holds '\?' at \(1, 2, 1\), not a number"),
        (with_entry({}, object), r"X holds \{\} at \(1, 2, 1\), not a number: .* must be a string or a .*number"),
        (np.array([["a", "b"]]), "X has dtype <U1"),
        (np.array([["2024-01-01"]], dtype="M8[D]"), "X has dtype datetime64"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' .*holds 'x' in row 0"),
        (pd.Series([1.0, 2.0]), "Expected 2D or 3D array, got 1D"),
        (None, "Expected 2D or 3D array, got 0D"),
        ([], r"Found X with 0 sample\(s\)"),
        ([1.0, 2.0], "X is a list of single values.*Reshape your data"),
        ([np.zeros(3), np.zeros(0)], r"X\[1\] has no steps"),
        ([np.zeros(3), np.array([0, np.inf])], "X holds inf in window 1, step 1, channel 0"),
        ([np.zeros((3, 2)), np.zeros((4, 3))], r"X\[0\] has 2 channels, but X\[1\] has 3$"),
        ([np.zeros((2, 5)), np.zeros((2, 7))], r"X\[0\] has 5 channels, but X\[1\] has 7; .*from_channels_first"),
        ([np.zeros((2, 3, 4))], r"X\[0\] has shape \(2, 3, 4\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_place(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        as_windows(X)


def test_sparse_matrices_are_refused():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="X is a sparse matrix"):
        as_windows(csr_array(np.eye(3)))


def test_infinities_are_found_far_down():
    X = np.zeros((3000, 100, 8), dtype=np.float32)
    X[2900, 99, 7] = np.inf
    with pytest.raises(ValueError, match="window 2900, step 99, channel 7"):
        as_windows(X)


def test_windows_without_any_value_are_refused_by_place():
    X = np.zeros((4, 3, 2))
    X[2] = np.nan
    with pytest.raises(ValueError, match=r"1 window\(s\) without any value, the first of them window 2, .*series 2"):
        as_windows(X)
    with pytest.raises(ValueError, match="the first of them window 1"):
        as_windows([np.zeros(3), np.full(2, np.nan)])

    frame = pd.DataFrame({"id": list("aaabbbb"), "time": range(7), "x": [1, 2, 3, 4, np.nan, np.nan, 7]})
    windows = make_windows(frame, 2, id_column="id", time_column="time")
    with pytest.raises(ValueError, match="window 3, which starts at series 'b', time 4"):
        as_windows(windows)
    kept = as_windows(windows[windows.observed])
    assert kept.index["start"].tolist() == [0, 1, 3, 5]


def test_what_a_fitted_estimator_expects_is_checked():
    X = np.zeros((3, 4, 2))
    assert as_windows(X, n_timesteps=4, n_channels=2).shape == X.shape
    with pytest.raises(ValueError, match="Y has 2 channels, but 3 are expected"):
        as_windows(X, name="Y", n_channels=3)
    with pytest.raises(ValueError, match="X has 4 steps, but 5 are expected"):
        as_windows(X, n_timesteps=5)
    with pytest.raises(ValueError, match="X has windows of up to 5 steps, but 5 are expected"):
        as_windows([np.zeros(3), np.zeros(5)], n_timesteps=5)


# ------------------------------------------------------------------------------------------ masks


MASKED = np.ma.masked_equal([[1, -9999, 3], [4, 5, -9999]], -9999)
WITH_NAN = [[1, np.nan, 3], [4, 5, np.nan]]


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64, object])
def test_masked_entries_are_missing(dtype):
    masked = MASKED.astype(dtype)
    for X in (masked, list(masked), [list(masked[0]), masked[1]]):
        np.testing.assert_array_equal(as_windows(X).gather()[..., 0], WITH_NAN)
        np.testing.assert_array_equal(np.asarray(as_table(X), float), WITH_NAN)
    ragged = as_windows([masked[0], masked[1, :2]])
    np.testing.assert_array_equal(ragged.gather()[..., 0], [WITH_NAN[0], [4, 5, np.nan]])
    np.testing.assert_array_equal(as_windows(masked.reshape(1, 3, 2)).gather()[0], np.reshape(WITH_NAN, (3, 2)))
    np.testing.assert_array_equal(
        from_channels_first(masked.reshape(1, 3, 2)).astype(float)[0], np.reshape(WITH_NAN, (3, 2)).T
    )
    for data in (masked.T, [masked.T], {"a": masked.T}, {"a": list(masked.T)}):
        np.testing.assert_array_equal(make_windows(data, 3).gather()[0], np.transpose(WITH_NAN))
    cells = np.empty(2, dtype=object)
    cells[:] = list(masked)
    np.testing.assert_array_equal(as_windows(cells).gather()[..., 0], WITH_NAN)


def test_arrays_without_masked_entries_are_held_without_a_copy():
    X = np.ma.masked_invalid(np.zeros((3, 4, 2)))
    assert np.shares_memory(as_windows(X).values, X.data)


def test_estimators_take_masked_entries_as_missing():
    masked = np.ma.masked_equal(np.where(RNG.random((8, 6)) < 0.2, -9999.0, RNG.normal(size=(8, 6))), -9999)
    plain = masked.filled(np.nan)
    autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0).fit(plain)
    for X in (masked, list(masked), masked[..., np.newaxis]):
        np.testing.assert_array_equal(autoencoder.transform(X), autoencoder.transform(plain))
    timeline = to_timeline(as_windows(plain), masked)
    np.testing.assert_array_equal(timeline["value"], plain.ravel())


# ------------------------------------------------------------------------------------------ Series and their index


def days(*numbers, zone=None):
    return pd.Series(
        np.arange(float(len(numbers))), index=pd.Timestamp("2024-01-01", tz=zone) + pd.to_timedelta(numbers, "D")
    )


@pytest.mark.parametrize("kind", [list, lambda series: dict(zip("ab", series, strict=True))])
def test_series_bring_their_times(kind):
    data = kind([days(0, 1, 2, 30, 31, 32), days(5, 6, 7)])
    windows = make_windows(data, 2)
    assert windows.layout.begins.tolist() == [0, 3, 6]
    assert windows.max_gap == pd.Timedelta("2.5D")
    names = [0, 1] if isinstance(data, list) else ["a", "b"]
    table = pd.concat([days(0, 1, 2, 30, 31, 32), days(5, 6, 7)], keys=names).to_frame("x")
    pd.testing.assert_frame_equal(windows.index, make_windows(table, 2).index)
    assert len(make_windows(kind([days(0, 1, 2).to_period("D"), days(3, 4).to_period("D")]), 2)) == 3
    assert len(make_windows(kind([days(0, 1, 2), days()]), 1)) == 3
    with pytest.raises(ValueError, match="2024-01-02 00:00:00 comes after 2024-01-03"):
        make_windows(kind([days(0, 1), days(2, 1, 0)]), 2)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.zeros(3), r"data\[0\] has an index of times, but data\[1\] has none"),
        (pd.Series([1.0, 2.0]), r"data\[0\] has an index of times, but data\[1\] has none"),
        (days(1, 2, zone="UTC"), r"index of data\[0\] has dtype datetime64.*, that of data\[1\] .*UTC.*one type"),
        (days(1, 2).to_period("D"), r"that of data\[1\] period\[D\]"),
        (pd.Series([1.0, 2.0], index=["a", "b"]), r"the index of data\[1\] holds text .*data\[1\].reset_index"),
        (pd.Series([1.0], index=pd.MultiIndex.from_tuples([(1, 2)])), r"the index of data\[1\] has 2 levels"),
    ],
)  # fmt: skip
def test_series_with_and_without_times_do_not_mix(other, message):
    for data in ([days(0, 1), other], {0: days(0, 1), 1: other}):
        with pytest.raises(ValueError, match=message):
            make_windows(data, 2)
    with pytest.raises(ValueError, match=message.replace("data", "X", 2) if "of data" not in message else "of X"):
        as_windows([days(0, 1), other])


def test_series_as_windows_bring_their_times():
    assert as_windows([days(0, 1, 2), days(3, 5)]).index["end"].tolist() == [
        pd.Timestamp("2024-01-03"),
        pd.Timestamp("2024-01-06"),
    ]
    assert as_windows([pd.Series([1.0, 2.0]), np.zeros(2)]).index["end"].tolist() == [1, 1]
    for read in (as_windows, as_table):
        with pytest.raises(ValueError, match="2024-01-02 00:00:00 comes after 2024-01-03"):
            read([days(0, 1, 2), days(2, 1, 0)])
    np.testing.assert_array_equal(as_table([days(0, 1), days(2, 3)]), [[0, 1], [0, 1]])


# ------------------------------------------------------------------------------------------ arrays within arrays


def test_arrays_of_arrays_are_read_as_lists():
    parts = [np.arange(3.0), np.arange(4.0)]
    cells = np.empty(2, dtype=object)
    cells[:] = parts
    pl = pytest.importorskip("polars")
    expected = as_windows(parts)
    for X in (
        cells,
        pd.Series(parts),
        pd.Series([list(part) for part in parts]),
        pd.DataFrame({"x": parts}),
        pl.Series(parts),
    ):
        np.testing.assert_array_equal(as_windows(X).gather(), expected.gather())
        assert not is_tabular(X)
        assert len(make_windows(X, 2)) == 5
    assert make_windows(pd.Series(parts, index=["a", "b"]), 2).index["series"].tolist() == list("aabbb")
    with pytest.raises(ValueError, match="several series of the id 'a'"):
        make_windows(pd.Series(parts, index=["a", "a"]), 2)


def test_nested_tables_have_one_row_per_window_and_one_column_per_channel():
    table = pd.DataFrame({"load": [[1, 2, 3], [4, 5]], "heat": [[6, 7, 8], [9, 0]]}, index=["a", "b"])
    windows = as_windows(table)
    assert windows.channel_names == ["load", "heat"]
    assert windows.has_names
    assert windows.gather()[1, :2].tolist() == [[4, 9], [5, 0]]
    assert make_windows(table, 2).index["series"].tolist() == ["a", "a", "b"]
    table["heat"] = [[6, 7, 8], [9]]
    with pytest.raises(
        ValueError, match=r"column 'load' of X, row 1 has shape \(2,\), but column 'heat' of X, row 1 has \(1,\)"
    ):
        as_windows(table)
    with pytest.raises(ValueError, match="column 'load' of X, row 0 has an index of times"):
        as_windows(pd.DataFrame({"load": [days(0, 1)], "heat": [days(0, 1)]}))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"a": np.zeros(3)}, r"X is a dict; allowed are .*make_windows\(X, width\).*list\(X.values\(\)\)"),
        ([[1, 2], [3, [4]]], r"X\[1\] is a list that is no array"),
        (["ab", "cd"], "X is a list of single values, such as 'ab'"),
        ([{"a": 1}], "X is a list of single values, such as {'a': 1}"),
        ([bad(), bad()], r"X\[0\] is a table; join the tables"),
        (bad(), "column 'id' has dtype"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), "X has several columns named 'a'"),
        (pd.DataFrame(), "X has no rows"),
        ((part for part in [1]), "X is a generator"),
    ],
)
def test_other_containers_are_refused_by_name(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        as_windows(X)
    is_tabular(X)  # which does not fail


# ------------------------------------------------------------------------------------------ channels first


@pytest.mark.parametrize("shape", [(8, 6, 100), (8, 1, 150), (8, 9, 90)])
def test_few_steps_of_very_many_channels_are_refused(shape):
    X = RNG.normal(size=shape)
    with pytest.raises(ValueError, match=rf"{shape[1]} steps of {shape[2]} channels.*from_channels_first\(X\)"):
        as_windows(X)
    meant = as_windows(make_windows(list(X), width=shape[1]))  # the way out that the message names
    np.testing.assert_array_equal(meant.gather(), X)


def test_more_channels_than_steps_are_warned_of():
    with pytest.warns(UserWarning, match=r"24 steps of 100 channels each.\n.*from_channels_first\(X\)"):
        assert as_windows(np.zeros((5, 24, 100))).shape == (5, 24, 100)


@pytest.mark.parametrize("shape", [(5, 24, 20), (5, 7, 12), (5, 1, 3), (5, 100, 60)])
def test_usual_shapes_give_no_warning(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_windows(np.zeros(shape))


# ------------------------------------------------------------------------------------------ a container of one's own


class Recording:
    """What a measuring instrument might hand out: windows of signals, channels before time."""

    def __init__(self, signals):
        self.signals = signals  # (n_windows, n_channels, n_timesteps)


def test_a_registered_container_is_accepted_everywhere(monkeypatch):
    recording = Recording(RNG.normal(size=(5, 2, 8)))
    with pytest.raises(TypeError, match="data is a .*Recording; allowed are"):
        make_windows(recording, 4)
    with pytest.raises(ValueError, match="got 0D array"):
        as_windows(recording)

    monkeypatch.setattr(containers, "CONTAINERS", list(containers.CONTAINERS))

    @containers.register
    class RecordingContainer(containers.Container):
        def accepts(self, data):
            return isinstance(data, Recording)

        def read_series(self, data, columns):
            columns.refuse(data)
            return series_from_arrays(from_channels_first(list(data.signals)))

        def read_windows(self, X, name):
            return containers.one_series_per_window(from_channels_first(X.signals), name)

        def is_tabular(self, X):
            return False

    assert make_windows(recording, 4, stride=4).shape == (10, 4, 2)
    assert not is_tabular(recording)
    np.testing.assert_array_equal(as_windows(recording).gather(), from_channels_first(recording.signals))
    autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0).fit(recording)
    assert len(autoencoder.transform(recording)) == 5
    with pytest.raises(ValueError, match="id_column='a', but data is a Recording, without columns"):
        make_windows(recording, 4, id_column="a")


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.zeros((3, 4)), True),
        (np.zeros(3), True),
        (np.zeros((3, 4, 2)), False),
        (pd.DataFrame(np.zeros((3, 4))), True),
        (pd.Series([1.0]), True),
        (None, True),
        ("text", True),
        ({"a": [1.0]}, False),
        ([], True),
        ([1.0, 2.0], True),
        ([[1.0, 2.0], [3.0, 4.0]], True),
        ([[1.0, 2.0], [3.0]], False),
        ([np.zeros(3), np.zeros(3)], True),
        ([np.zeros((3, 1)), np.zeros((3, 1))], False),
        ([[[1.0], [2.0]]], False),
        (make_windows(np.zeros(5), 2), False),
    ],
)
def test_is_tabular_leaves_to_scikit_learn_what_is_not_plainly_windows(X, expected):
    assert is_tabular(X) is expected
