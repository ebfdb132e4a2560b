"""Markers of missing values in make_windows: numbers and texts, in tables and arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsae import make_windows

NAN = np.nan


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("markers", [-999, [-999], (-999, 9999), np.array([-999.0]), {"-999"}, "-999", [-999, NAN]])
def test_numbers_become_missing_everywhere(dtype, markers):
    values = np.array([1, -999, 3, 999], dtype)
    frame = pd.DataFrame({"x": values, "other": values})
    pl = pytest.importorskip("polars")
    for data in (values, [values], {"a": values}, frame["x"], frame[["x"]], [frame["x"]], pl.from_pandas(frame[["x"]])):
        windows = make_windows(data, 4, missing_values=markers)
        np.testing.assert_array_equal(windows.values[:, 0], [1, NAN, 3, 999])
    assert values.tolist() == [1, -999, 3, 999]


def test_data_without_markers_is_held_without_a_copy():
    values = np.arange(9.0)
    assert np.shares_memory(make_windows(values, 3, missing_values=[-999]).values, values)


def test_ids_and_times_hold_no_markers():
    frame = pd.DataFrame({"id": [-999] * 3, "time": [-999, 0, 1], "x": [1.0, -999, 2]})
    windows = make_windows(frame, 3, id_column="id", time_column="time", max_gap=999, missing_values=-999)
    assert windows.index.to_numpy().tolist() == [[-999, -999, 1]]
    np.testing.assert_array_equal(windows.values[:, 0], [1, NAN, 2])


@pytest.mark.parametrize("dtype", ["object", "string", "str", "category"])
def test_texts_become_missing_and_the_rest_numbers(dtype):
    frame = pd.DataFrame({"x": pd.Series(["1.5", " NAN", "#N/A", None, "-999", "2e3"]).astype(dtype), "y": range(6)})
    windows = make_windows(frame, 6, missing_values=["NAN", "#N/A", -999])
    np.testing.assert_array_equal(windows.values, np.column_stack([[1.5, NAN, NAN, NAN, NAN, 2000], range(6)]))
    with pytest.raises(ValueError, match=r"column 'x' holds '#N/A' in row 2, .* nor one of missing_values=\['NAN'\]"):
        make_windows(frame, 6, missing_values="NAN")
    with pytest.raises(ValueError, match="column 'x' has dtype .* missing_values"):
        make_windows(frame, 6)


def test_texts_in_arrays_become_missing():
    expected = [1.5, NAN, 3]
    for entries in (
        np.array([1.5, "#N/A", 3], dtype=object),
        np.array(["1.5", "#N/A", "3"]),
        pd.Series([1.5, "#N/A", 3]),
    ):
        for data in (entries, [entries], {"a": entries}, [list(entries)]):
            np.testing.assert_array_equal(make_windows(data, 3, missing_values=["#N/A"]).values[:, 0], expected)
    with pytest.raises(ValueError, match=r"data\['a'\] holds '\?' in row 1"):
        make_windows({"a": np.array(["1", "?"])}, 2, missing_values=["#N/A"])


@pytest.mark.parametrize(
    ("markers", "message"),
    [
        (True, "missing_values holds True; allowed are numbers and texts"),
        ([None], "missing_values holds None"),
        ([[1]], r"missing_values holds \[1\]"),
        ({"x": -999}, r"missing_values=\{'x': -999\}; it must be a list of numbers and texts"),
        (1j, "missing_values=1j; it must be a list"),
    ],
)
def test_other_markers_are_refused(markers, message):
    with pytest.raises(ValueError, match=message):
        make_windows(np.zeros(5), 2, missing_values=markers)
