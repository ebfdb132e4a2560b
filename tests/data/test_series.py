"""Arrays, and lists and dicts of them: how they are concatenated, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.examples import bad
from tsae import make_windows
from tsae.data.containers import as_windows
from tsae.data.series import first_infinite


def test_an_array_is_held_without_a_copy():
    for array in (np.zeros((50, 3), np.float32), np.zeros(50), np.asfortranarray(np.zeros((50, 3)))):
        windows = make_windows(array, 10)
        assert np.shares_memory(windows.values, array)
        assert windows.dtype == array.dtype


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("bool", "f4"), ("i1", "f4"), ("u2", "f4"), ("f2", "f4"), ("i4", "f8"), ("i8", "f8"), (">f4", "f4")],
)
def test_numbers_become_floats_that_can_hold_them(dtype, expected):
    array = np.array([[0], [1], [1]]).astype(dtype)
    for data in (array, [array, array], pd.DataFrame(array)):
        windows = make_windows(data, 3)
        assert windows.dtype == np.dtype(expected)
        assert windows[:1].gather().ravel().tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data is a builtins.NoneType; allowed are"),
        ([], "data is an empty list"),
        ({}, "data is an empty dict"),
        (np.zeros((0, 2)), "no window"),
        (np.zeros((5, 0)), "no channels"),
        (np.zeros((4, 5, 6)), "windows that are cut already go to an estimator directly"),
        ([np.zeros((5, 2)), np.zeros((5, 3))], r"data\[0\] has 2 channels, but data\[1\] has 3; .*from_channels_first"),
        ({"a": np.zeros(5), "b": np.zeros((1, 2, 3))}, r"data\['b'\] has shape \(1, 2, 3\)"),
        ({"a": bad()}, r"data\['a'\] is a table; join the tables"),
        (np.array([0.0, 1.0, -np.inf]), "holds -inf in series 0, step 2, column 'channel_0'"),
        ([np.zeros(3), np.array([0, np.inf])], "holds inf in series 1, step 1"),
        (np.array(["a", "b"]), "data has dtype <U1"),
        (np.array([1, "?"], dtype=object), r"data holds '\?' at \(1, 0\), not a number"),
        (np.array([1j, 2]), "Complex data not supported"),
    ],
)  # fmt: skip
def test_bad_arrays_are_refused(data, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_windows(data, 2)


def test_a_sum_that_overflows_is_no_infinity():
    for dtype, large in ((np.float32, 3e35), (np.float64, 9e35)):
        values = np.full((400, 2), large, dtype)
        assert first_infinite(values) is None
        values[2, 0] = np.nan
        assert first_infinite(values) is None
        values[390, 1] = np.inf
        assert first_infinite(values) == (390, 1)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(-3.4028235e38, np.float32), (3e38, np.float32), (-1.7976931348623157e308, float), (1e200, float), (-2e36, float)],
)
@pytest.mark.parametrize("has_missing", [False, True])
def test_what_lies_beyond_the_range_of_scaling_is_refused_by_place(value, dtype, has_missing):
    values = np.zeros((50, 2), dtype)
    values[7, 1] = value
    if has_missing:
        values[3, 0] = np.nan
    value_text = re.escape(f"{dtype(value)}")
    with pytest.raises(
        ValueError, match=rf"data holds {value_text} in series 0, step 7, column 'channel_1'.*missing_values="
    ):
        make_windows(values, 5)
    frame = pd.DataFrame(values, columns=["a", "b"])
    with pytest.raises(ValueError, match=rf"data holds {value_text} in series 0, step 7, column 'b'"):
        make_windows(frame, 5)
    with pytest.raises(ValueError, match=rf"X holds {value_text} in window 1, step 2, channel 1; .*beyond 1e\+36"):
        as_windows(values.reshape(10, 5, 2))
    with pytest.raises(ValueError, match="X holds"):
        as_windows([values[:5], values[5:]])
    windows = make_windows(frame, 5, missing_values=[value])
    assert np.isnan(windows.values[7, 1])
    assert frame.loc[7, "b"] == dtype(value)
