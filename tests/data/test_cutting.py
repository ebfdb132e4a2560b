"""make_windows: what is left out, with a word, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.examples import COLUMNS, as_frame, bad
from tsae import make_windows

# ------------------------------------------------------------------------------------------ what is left out


def test_short_series_are_left_out_with_a_count():
    rows = [("a", time, [1.0]) for time in range(5)] + [("b", 0, [1.0]), ("c", 0, [1.0])]
    with pytest.warns(UserWarning, match=r"shorter than width=3: 2 of 3 series \(such as 'b'\)") as caught:
        windows = make_windows(as_frame(rows), 3, **COLUMNS)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert set(windows.index["series"]) == {"a"}


def test_short_stretches_are_left_out_with_a_count():
    frame = as_frame([("a", time, [1.0]) for time in (0, 1, 2, 9, 10, 20, 21, 22)])
    with pytest.warns(UserWarning, match=r"1 of 3 stretches .*the 2 rows from series 'a', time 9\)"):
        assert len(make_windows(frame, 3, **COLUMNS)) == 2


def test_windows_that_are_missing_name_max_gap_and_what_to_try():
    frame = as_frame([("a", time, [1.0]) for time in (0, 1, 2, 3, 9, 10, 20, 21, 22)], "datetimes")
    gaps = (
        r"max_gap=0 days 00:02:30 \(inferred: 2.5 x the usual step, 0 days 00:01:00\), which 25 % of the steps of "
        r"time exceed \(2 of 8\): try a longer max_gap \(float\('inf'\) spans every gap\) or a smaller width$"
    )
    with pytest.raises(ValueError, match=rf"width=5, but .* \(3 stretches\); {gaps}"):
        make_windows(frame, 5, **COLUMNS)
    with pytest.warns(UserWarning, match=rf"shorter than width=3: .*\n  {gaps}"):
        make_windows(frame, 3, **COLUMNS)
    with pytest.raises(ValueError, match=r"max_gap=0 days 00:05:00 \(given\), which 25 %"):
        make_windows(frame, 5, max_gap="5min", **COLUMNS)
    assert len(make_windows(frame, 9, max_gap=float("inf"), **COLUMNS)) == 1


def test_windows_may_end_with_the_newest_row():
    windows = make_windows([np.arange(10.0), np.arange(7.0), np.arange(4.0)], 4, 4, align="end")
    assert windows.index["end"].tolist() == [5, 9, 6, 3]
    assert windows[1:].gather()[..., 0].tolist() == [[6, 7, 8, 9], [3, 4, 5, 6], [0, 1, 2, 3]]
    with pytest.raises(ValueError, match="align='newest'; allowed are 'start' and 'end'"):
        make_windows(np.arange(9.0), 4, align="newest")


def test_no_window_at_all_is_an_error():
    with pytest.raises(ValueError, match="width=7, but the longest stretch of data without a gap has 5 rows"):
        make_windows([np.ones(5), np.ones(3)], 7)


def test_no_warning_where_nothing_is_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_windows(as_frame([("a", time, [1.0]) for time in range(5)]), 2, 2, **COLUMNS)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width=0; it must be an integer of at least 1"),
        ({"width": 2.0}, "width=2.0"),
        ({"width": 2, "stride": -1}, "stride=-1"),
        ({"width": 2, "stride": True}, "stride=True"),
        ({"width": 2, "id_column": "name"}, r"id_column: there is no column 'name', only \['id', 'time', 'x'\]"),
        ({"width": 2, "time_column": "when"}, "time_column: there is no column 'when'"),
        ({"width": 2, "value_columns": ["x", "z"]}, "value_columns: there is no column 'z'"),
        ({"width": 2, "value_columns": []}, "value_columns"),
        ({"width": 2, "time_column": "time"}, "column 'id' .*naming value_columns"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_windows(bad(), **arguments)


def test_columns_of_arrays_cannot_be_named():
    with pytest.raises(ValueError, match="time_column='time', but data is a ndarray"):
        make_windows(np.zeros(5), 2, time_column="time")
