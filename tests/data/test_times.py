"""Times: which are read, which are refused, and where a gap ends a window."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from tests.examples import COLUMNS, as_frame, quiet_windows
from tsae import make_windows

# ------------------------------------------------------------------------------------------ what is read


def test_python_dates_and_datetimes_are_times():
    days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
    moments = [datetime.datetime(2024, 1, day, tzinfo=datetime.timezone.utc) for day in (1, 2, 3)]
    for times in (days, moments):
        frame = pd.DataFrame({"time": np.array(times, dtype=object), "x": 1.0})
        assert make_windows(frame, 3, time_column="time").index["end"].iloc[0].day == 3


# ------------------------------------------------------------------------------------------ max_gap


def test_max_gap_is_inferred_from_the_median_step_of_all_series():
    rows = [("a", time, [1.0]) for time in (0, 2, 4, 7, 9)] + [("b", time, [1.0]) for time in (100, 102, 106)]
    windows = quiet_windows(as_frame(rows), 2, **COLUMNS)
    assert windows.max_gap == 3
    assert windows.index["start"].tolist() == [0, 2, 4, 7, 100]


def test_a_step_as_long_as_max_gap_is_no_gap():
    frame = as_frame([("a", time, [1.0]) for time in (0, 10, 20, 31)], "datetimes")
    assert len(quiet_windows(frame, 2, max_gap="10min", **COLUMNS)) == 2
    assert len(quiet_windows(frame, 2, max_gap=datetime.timedelta(minutes=11), **COLUMNS)) == 3
    assert len(make_windows(frame, 4, max_gap=np.inf, **COLUMNS)) == 1


def test_series_of_single_rows_have_no_gaps():
    frame = as_frame([("a", 5, [1.0]), ("b", 7, [2.0])])
    windows = make_windows(frame, 1, **COLUMNS)
    assert len(windows) == 2
    assert windows.max_gap is None


@pytest.mark.parametrize(
    ("max_gap", "message"),
    [
        (5, "max_gap=5 does not fit the times, which are datetimes"),
        ("banana", "max_gap='banana' is not a length of time"),
        ("-1h", "max_gap='-1h'; it must not be negative"),
        (0, "max_gap=0; it must be positive"),
        ([1], r"max_gap=\[1\] is not a length of time"),
        (True, "max_gap=True"),
    ],
)
def test_wrong_max_gaps_are_refused(max_gap, message):
    frame = as_frame([("a", time, [1.0]) for time in range(4)], "datetimes")
    with pytest.raises((ValueError, TypeError), match=message):
        make_windows(frame, 2, max_gap=max_gap, **COLUMNS)


def test_max_gap_must_fit_times_that_are_numbers_or_none():
    frame = as_frame([("a", time, [1.0]) for time in range(4)])
    with pytest.raises(ValueError, match="max_gap='1h' does not fit the times, which are numbers"):
        make_windows(frame, 2, max_gap="1h", **COLUMNS)
    with pytest.raises(ValueError, match="max_gap=nan"):
        make_windows(frame, 2, max_gap=np.nan, **COLUMNS)
    with pytest.raises(ValueError, match="max_gap=3, but data has no times"):
        make_windows(np.arange(9.0), 2, max_gap=3)
