"""Times: which are read, which are refused, and where a gap ends a window."""

from __future__ import annotations

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.examples import COLUMNS, as_frame, quiet_windows
from tsae import make_windows
from tsae.data.times import times_after
from tsae.splitting import PurgedKFold
from tsae.timeline import to_timeline

# ------------------------------------------------------------------------------------------ what is read


def test_python_dates_and_datetimes_are_times():
    days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
    moments = [datetime.datetime(2024, 1, day, tzinfo=datetime.timezone.utc) for day in (1, 2, 3)]
    for times in (days, moments):
        frame = pd.DataFrame({"time": np.array(times, dtype=object), "x": 1.0})
        assert make_windows(frame, 3, time_column="time").index["end"].iloc[0].day == 3


# ------------------------------------------------------------------------------------------ max_gap


def regular(n_steps, step=60):
    return np.full(n_steps, float(step))


def with_steps(steps, positions, length):
    steps = steps.copy()
    steps[positions] = length
    return steps


NOISE = np.random.default_rng(0)
GAPS = {  # steps of time, and where windows are cut
    "regular": (regular(200), []),
    "jitter of a third": (regular(200) * NOISE.uniform(0.67, 1.33, 200), []),
    "often two units": (NOISE.choice([1.0, 2.0], 2000, p=[0.93, 0.07]), []),
    "one or two units": (NOISE.choice([1.0, 2.0], 2000), []),
    "one unit or two, and sample lost of either": (with_steps(NOISE.choice([1.0, 2.0], 2000), [70, 90], 3.0), []),
    "two units, often one": (NOISE.choice([1.0, 2.0], 2000, p=[0.3, 0.7]), []),
    "one of ten lost": (NOISE.geometric(0.9, 2000).clip(max=3) * 60.0, []),
    "lost samples and jitter": (with_steps(regular(200), [5, 40], 120) * NOISE.uniform(0.85, 1.15, 200), []),
    "random arrivals": (NOISE.exponential(60, 300).clip(min=1), []),
    "one lost sample": (with_steps(regular(20), [7], 120), []),
    "a hole": (with_steps(regular(200), [70], 600), [70]),
    "a short hole": (with_steps(regular(200), [70], 240), [70]),
    "a hole among few rows": (with_steps(regular(6), [3], 600), [3]),
    "nights": (with_steps(regular(200), slice(6, None, 7), 3600), list(range(6, 200, 7))),
    "weekends": (with_steps(regular(200), slice(4, None, 5), 180), list(range(4, 200, 5))),
    "any hole": (with_steps(regular(200), slice(0, None, 10), np.arange(5, 25) * 60), list(range(0, 200, 10))),
    "a hole in one or two units": (with_steps(NOISE.choice([1.0, 2.0], 2000), [70], 60.0), [70]),
    "a hole amid jitter": (with_steps(regular(200) * NOISE.uniform(0.67, 1.33, 200), [9], 400), [9]),
}  # fmt: skip


@pytest.mark.parametrize("kind", GAPS)
@pytest.mark.parametrize("times", ["numbers", "datetimes"])
def test_holes_are_gaps_and_jitter_and_lost_samples_are_not(kind, times):
    steps, holes = GAPS[kind]
    moments = np.cumsum([0, *steps])
    index = moments if times == "numbers" else pd.Timestamp("2024-01-01") + pd.to_timedelta(moments, unit="s")
    windows = quiet_windows(pd.DataFrame({"time": index, "x": 1.0}), 2, time_column="time")
    assert (windows.layout.begins[1:] - 1).tolist() == holes


def test_series_of_two_sampling_rates_have_each_their_own_max_gap():
    fast = with_steps(regular(500, 60), [100], 1800)
    slow = with_steps(regular(50, 3600), [20], 7200)
    rows = [("fast", time, [1.0]) for time in np.cumsum([0, *fast])]
    rows += [("slow", time, [1.0]) for time in np.cumsum([0, *slow])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = make_windows(as_frame(rows), 20, **COLUMNS)
    assert windows.layout.begins.tolist() == [0, 101, 501]
    assert windows.max_gap == 2.5 * 3600
    assert "inferred for each series: 2.5 x its usual step, 60.0 to 3600.0" in repr(windows)


def test_each_series_may_be_given_a_max_gap():
    rows = [("fast", time, [1.0]) for time in (0, 1, 2, 4, 5)] + [("slow", time, [1.0]) for time in (0, 10, 20, 31, 41)]
    windows = make_windows(as_frame(rows), 2, max_gap={"slow": 10, "fast": 1.5, "other": 7}, **COLUMNS)
    assert windows.layout.begins.tolist() == [0, 3, 5, 8]
    assert windows.max_gap == 10
    dated = make_windows(as_frame(rows, "datetimes"), 2, max_gap={"slow": "10min", "fast": "90s"}, **COLUMNS)
    assert dated.layout.begins.tolist() == [0, 3, 5, 8]


def test_short_series_share_the_usual_step_of_the_table():
    rows = [("long", time, [1.0]) for time in range(0, 600, 60)] + [("short", time, [1.0]) for time in (0, 9000)]
    windows = quiet_windows(as_frame(rows), 2, **COLUMNS)
    assert windows.max_gap == 150
    assert windows.layout.begins.tolist() == [0, 10, 11]


def test_periods_stay_periods():
    months = pd.period_range("2024-01", periods=9, freq="M").delete(5)
    frame = pd.DataFrame({"x": np.arange(8.0)}, index=months)
    windows = make_windows(frame, 2)
    assert windows.index["start"].tolist() == months[:-1].tolist()
    assert len(make_windows(frame, 2, max_gap="31D")) == 6
    assert windows.grouped.describe(3) == "series 0, time 2024-04"
    timeline = to_timeline(windows, np.ones(7))
    assert timeline["time"].tolist() == months.tolist()
    assert timeline.set_index("time").index.equals(months)
    splits = list(PurgedKFold(2, gap="40D").split(windows))
    assert [(train.tolist(), test.tolist()) for train, test in splits] == [([5, 6], [0, 1, 2]), ([0], [3, 4, 5, 6])]
    with pytest.raises(ValueError, match="in series 0 2024-03 comes after 2024-09"):
        make_windows(pd.concat([frame, frame.iloc[2:3]]), 2)


def test_large_unsigned_times_stay_positive():
    times = np.array([2**63 - 1, 2**63, 2**63 + 1, 2**63 + 9, 2**64 - 1], dtype=np.uint64)
    windows = quiet_windows(pd.DataFrame({"time": times, "x": 1.0}), 2, time_column="time", max_gap=5)
    assert windows.index["start"].tolist() == [2**63 - 1, 2**63]
    assert windows.index["end"].tolist() == [2**63, 2**63 + 1]
    with pytest.raises(ValueError, match=f"{2**63} comes after {2**64 - 1}"):
        make_windows(pd.DataFrame({"time": times[[4, 1]], "x": 1.0}), 2, time_column="time")
    wide = pd.DataFrame({"time": np.array([-(2**62) - 9, -(2**62), 2**62, 2**62 + 1]), "x": 1.0})
    assert quiet_windows(wide, 2, time_column="time", max_gap=9).layout.begins.tolist() == [0, 2]
    series = pd.DataFrame({"time": np.arange(12, dtype=np.uint64) + np.uint64(2**63 - 4), "x": 1.0})
    [(train, test), _] = PurgedKFold(2).split(make_windows(series, 2, time_column="time"))
    assert (train.tolist(), test.tolist()) == ([6, 7, 8, 9, 10], [0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="holds 18446744073709551616, which no 64-bit integer holds"):
        make_windows(pd.DataFrame({"time": [1, 2**64], "x": 1.0}), 2, time_column="time")


@pytest.mark.parametrize("max_gap", ["1D", datetime.timedelta(days=1), pd.offsets.Day(1), np.timedelta64(1, "D")])
def test_a_day_of_the_calendar_has_no_gap_at_a_clock_change(max_gap):
    for start in ("2024-10-25", "2024-03-29"):
        days = pd.date_range(start, periods=6, freq="D", tz="Europe/Berlin")
        frame = pd.DataFrame({"x": np.arange(6.0)}, index=days)
        assert len(make_windows(frame, 6, max_gap=max_gap)) == 1
        assert make_windows(frame, 6, max_gap=max_gap).max_gap == pd.Timedelta(days=1)
        assert len(quiet_windows(frame.drop(days[2]), 2, max_gap=max_gap)) == 3
        at_one = pd.DataFrame({"x": np.arange(6.0)}, index=days + pd.Timedelta("1h"))  # steps of 24 hours
        assert len(make_windows(at_one, 6, max_gap=max_gap)) == 1
    hours = pd.date_range("2024-10-26 22:00", periods=9, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"x": np.arange(9.0)}, index=hours).drop(hours[5])  # the second 2 o'clock
    assert quiet_windows(frame, 2, max_gap="1h").layout.begins.tolist() == [0, 5]


def test_a_step_as_long_as_max_gap_is_no_gap():
    frame = as_frame([("a", time, [1.0]) for time in (0, 10, 20, 31)], "datetimes")
    assert len(quiet_windows(frame, 2, max_gap="10min", **COLUMNS)) == 2
    assert len(quiet_windows(frame, 2, max_gap=pd.offsets.Minute(10), **COLUMNS)) == 2
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
        (np.bool_(True), "max_gap=np.True_"),
        ({}, "max_gap has no entry for 1 of 1 series, such as 'a'"),
        ({"a": "soon"}, r"max_gap\['a'\]='soon'"),
        (pd.NaT, "max_gap=NaT; it must not be negative"),
        (pd.offsets.MonthEnd(), "max_gap=<MonthEnd> is not a length of time, such as '30D'"),
        (pd.offsets.BusinessDay(), "max_gap=<BusinessDay> is not a length of time, such as '30D'"),
        (pd.DateOffset(days=1), "max_gap=<DateOffset: days=1> is not a length of time, such as '30D'"),
        (pd.offsets.Day(-1), r"max_gap=<-1 \* Days?>; it must not be negative"),
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


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([5, 7, 9], [11, 13]),
        ([5, 7, 10, 12], [14, 16]),
        ([0.5, 1.0], [1.5, 2.0]),
        (["2024-01-31", "2024-02-29", "2024-03-31"], ["2024-04-30", "2024-05-31"]),
        (["2024-01-01 00:01", "2024-01-01 00:02", "2024-01-01 00:04", "2024-01-01 00:05"],
         ["2024-01-01 00:06", "2024-01-01 00:07"]),
        ([3], [None, None]),
    ],
)  # fmt: skip
def test_times_go_on_as_they_were(times, expected):
    if isinstance(times[0], str):
        assert times_after(pd.DatetimeIndex(times), 2) == list(pd.to_datetime(expected))
    else:
        assert times_after(pd.Index(times), 2) == expected
