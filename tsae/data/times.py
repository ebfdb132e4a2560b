"""Timestamps: which types are accepted, that they increase, and where there are gaps."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.gaps import GAP_IN_STEPS, usual_steps
from tsae.data.series import GroupedSeries


def read_times(column: pd.Series, label: str, hint: str = "") -> pd.Index:
    """Read a column as an Index of datetimes (one time zone or none), periods, timedeltas or finite numbers.

    Parameters
    ----------
    column : pandas.Series
        The times.
    label : str
        How errors call it.
    hint : str, default=""
        Added to errors about the type.

    Returns
    -------
    pandas.Index
        As long as the column.

    Raises
    ------
    ValueError
        For text, other types, mixed time zones, and missing or infinite entries.
    """
    if isinstance(column.dtype, pd.ArrowDtype):
        column = pd.Series(column.to_numpy(), copy=False)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "string":
        raise ValueError(
            f"{label} holds text ({column.iloc[0]!r} in row 0); parse it first with pandas.to_datetime{hint}"
        )
    if kind in ("datetime", "date") and column.dtype == object:
        column = _parse_datetimes(column, label)
        kind = "datetime64"
    if kind not in ("datetime64", "timedelta64", "period", "integer", "floating"):
        raise ValueError(
            f"{label} has dtype {column.dtype} ({kind}); allowed are datetimes, periods, timedeltas and numbers{hint}"
        )
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(f"{label} is missing in row {missing[0]} ({len(missing)} in all)")
    if kind in ("datetime64", "timedelta64", "period"):
        return _index(column, label)
    numbers = _integers(column, label) if kind == "integer" else column.to_numpy(dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(f"{label} is {numbers[infinite[0]]} in row {infinite[0]}")
    return pd.Index(numbers, copy=False)


def _index(column: pd.Series, label: str) -> pd.Index:
    """Make an index of times; Python's periods and timedeltas among objects are converted."""
    index = pd.Index(column, copy=False)
    if index.dtype == object:
        raise ValueError(f"{label} mixes times of several types or frequencies, such as {column.iloc[0]!r}")
    return index


def _integers(column: pd.Series, label: str) -> np.ndarray:
    """Convert whole numbers to int64, or to uint64 where they are too large for it."""
    for dtype in (np.int64, np.uint64):
        if column.min() >= np.iinfo(dtype).min and column.max() <= np.iinfo(dtype).max:
            return np.asarray(column.to_numpy(dtype=dtype))
    raise ValueError(f"{label} holds {max(column, key=abs)}, which no 64-bit integer holds")


def _parse_datetimes(column: pd.Series, label: str) -> pd.Series:
    """Convert Python's datetimes and dates, each of which may have its own time zone."""
    zones: dict[str, int] = {}
    for row, value in enumerate(column):
        if not pd.isna(value):
            zones.setdefault(str(getattr(value, "tzinfo", None)), row)
    if len(zones) > 1:
        (zone, row), (other, other_row) = list(zones.items())[:2]
        raise ValueError(
            f"{label} mixes time zones: {zone} in row {row}, {other} in row {other_row}; bring all to one, "
            "for example with pandas.to_datetime(..., utc=True)"
        )
    return pd.to_datetime(column)


def as_clock_times(times: pd.Index) -> pd.Index:
    """Return times of which differences can be taken: periods as the timestamps at which they start."""
    return times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times


def time_numbers(times: pd.Index) -> np.ndarray:
    """Return times as plain numbers: counts of their unit for datetimes, periods and timedeltas."""
    times = as_clock_times(times)
    return np.asarray(times.asi8 if times.dtype.kind in "mM" else times)


def time_differences(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return ``later - earlier`` as floats, also where integers of 64 bits would overflow.

    Parameters
    ----------
    earlier, later : int64, uint64 or float64 ndarray
        As from `time_numbers`.

    Returns
    -------
    float64 ndarray

    Examples
    --------
    >>> time_differences(np.array([2**64 - 1, 5], np.uint64), np.array([2**64 - 3, 7], np.uint64)).tolist()
    [-2.0, 2.0]
    """
    if earlier.dtype.kind == "f":
        return np.asarray(later - earlier)
    is_forward = later >= earlier
    before, after = earlier.astype(np.uint64), later.astype(np.uint64)  # exact, as differences wrap around
    size = np.where(is_forward, after - before, before - after).astype(np.float64)
    return np.where(is_forward, size, -size)


def as_duration(duration: Any, times: pd.Index, argument: str) -> Any:
    """Check a length of time.

    Parameters
    ----------
    duration : number, timedelta, fixed offset of pandas or str such as "10min"
        Zero and infinity are allowed whatever the times are.
    times : pandas.Index
        The times that it is to fit.
    argument : str
        How errors call `duration`.

    Returns
    -------
    float or pandas.Timedelta
        Not negative.

    Raises
    ------
    ValueError
        For what is not a length of time, does not fit the times or is negative.
    """
    is_number = isinstance(duration, Real) and not isinstance(duration, (bool, np.bool_, np.timedelta64))
    is_dated = as_clock_times(times).dtype.kind in "mM"
    if is_number and (not is_dated or duration in (0, np.inf)):
        length: Any = float(duration)
    elif is_number or not is_dated:
        kind = "datetimes or timedeltas" if is_dated else "numbers"
        raise ValueError(f"{argument}={duration!r} does not fit the times, which are {kind}")
    else:
        try:
            length = pd.Timedelta(days=duration.n) if isinstance(duration, pd.offsets.Day) else pd.Timedelta(duration)
        except (ValueError, TypeError) as error:
            hint = ", such as '30D' or pandas.Timedelta('12h')" if isinstance(duration, pd.offsets.BaseOffset) else ""
            raise ValueError(f"{argument}={duration!r} is not a length of time{hint}: {error}") from None
    if not length >= (0 if is_number else pd.Timedelta(0)):
        raise ValueError(f"{argument}={duration!r}; it must not be negative")
    return length


def duration_number(duration: Any, times: pd.Index, argument: str) -> float:
    """Convert a length of time to a number, in the unit of `time_numbers`.

    Parameters
    ----------
    duration : number, timedelta, fixed offset of pandas or str such as "10min"
        As for `as_duration`.
    times : pandas.Index
        Gives the unit.
    argument : str
        How errors call `duration`.

    Returns
    -------
    float
        Not negative.
    """
    length = as_duration(duration, times, argument)
    return length / pd.Timedelta(1, unit=as_clock_times(times).unit) if isinstance(length, pd.Timedelta) else length


def check_increasing(grouped: GroupedSeries) -> None:
    """Raise where times do not strictly increase within a series, naming the series and the time."""
    if grouped.times is None:
        return
    steps = _steps(grouped)
    wrong = np.flatnonzero(steps <= 0)
    if not len(wrong):
        return
    row = int(wrong[0])
    [name] = grouped.names_at(np.array([row])).tolist()
    before, after = grouped.times[row], grouped.times[row + 1]
    what = f"{after} comes twice" if steps[row] == 0 else f"{after} comes after {before}"
    raise ValueError(
        f"times must increase within a series, but in series {name!r} {what} ({len(wrong)} places in "
        "all); sort by id and time, drop or average duplicates, or name the id_column that tells the series apart"
    )


def find_gaps(grouped: GroupedSeries, max_gap: Any) -> tuple[Any, str, np.ndarray]:
    """Find where a step of time is longer than `max_gap`.

    Parameters
    ----------
    grouped : GroupedSeries
        The series.
    max_gap : number, timedelta, str, dict or None
        As in `tsae.make_windows`.

    Returns
    -------
    max_gap : float, pandas.Timedelta or None
        As given, or inferred: `GAP_IN_STEPS` times the usual step (`usual_steps`); the longest of all series. None
        where there are no steps.
    origin : str
        Where `max_gap` comes from, for messages.
    rows : int64 ndarray
        The first row after each gap.
    """
    if grouped.times is None:
        if max_gap is not None:
            raise ValueError(f"max_gap={max_gap!r}, but data has no times; name the time_column")
        return None, "", np.array([], dtype=np.int64)
    if max_gap is None:
        steps = _steps(grouped)
        limits, max_gap, origin = _infer_max_gap(steps, grouped)
        return max_gap, origin, np.flatnonzero(steps > limits) + 1
    if isinstance(max_gap, dict):
        max_gap, is_gap = _gaps_by_series(grouped, max_gap)
    else:
        is_gap = longer_steps(grouped.times, max_gap)
    is_gap[_borders(grouped)] = False
    return as_duration(max_gap, grouped.times, "max_gap"), "given", np.flatnonzero(is_gap) + 1


def inferred_max_gaps(grouped: GroupedSeries) -> dict[Any, Any]:
    """Return the inferred `max_gap` of each series, where series of different sampling rates have each their own.

    Parameters
    ----------
    grouped : GroupedSeries
        The series, with times.

    Returns
    -------
    dict
        Of names of series to a float or pandas.Timedelta; empty where all have the same.
    """
    usual = usual_steps(_steps(grouped), grouped.offsets)
    if usual.min(initial=np.inf) >= usual.max(initial=0):
        return {}
    return {
        name: length_of_time(GAP_IN_STEPS * step, grouped.times)
        for name, step in zip(grouped.names.tolist(), usual, strict=True)
    }


def _gaps_by_series(grouped: GroupedSeries, max_gaps: dict[Any, Any]) -> tuple[Any, np.ndarray]:
    """Return the longest of the limits, and which steps are longer than that of their series."""
    names = grouped.names.tolist()
    missing = [name for name in names if name not in max_gaps]
    if missing:
        raise ValueError(f"max_gap has no entry for {len(missing)} of {len(names)} series, such as {missing[0]!r}")
    limits = [as_duration(max_gaps[name], grouped.times, f"max_gap[{name!r}]") for name in names]
    code_of = {limit: code for code, limit in enumerate(dict.fromkeys(limits))}
    codes = np.repeat([code_of[limit] for limit in limits], np.diff(grouped.offsets))[1:]
    is_gap = np.zeros(len(codes), dtype=bool)
    for limit, code in code_of.items():
        is_gap |= (codes == code) & longer_steps(grouped.times, limit)
    return max(limits), is_gap


def longer_steps(times: pd.Index, max_gap: Any) -> np.ndarray:
    """Tell which steps of time are longer than `max_gap`.

    Of times with a time zone, whole days are days of the calendar: the step from a midnight to the next is no longer
    than ``"1D"``, also where summer time ends and the day has 25 hours.

    Parameters
    ----------
    times : pandas.Index of length n_rows
        As from `read_times`.
    max_gap : number, timedelta or str
        As in `tsae.make_windows`.

    Returns
    -------
    bool ndarray of shape (n_rows - 1,)

    Examples
    --------
    >>> longer_steps(pd.date_range("2024-10-26", periods=3, tz="Europe/Berlin"), "1D").tolist()
    [False, False]
    """
    limit = duration_number(max_gap, times, "max_gap")
    if limit == 0:
        raise ValueError(f"max_gap={max_gap!r}; it must be positive")
    is_longer = _differences(times) > limit
    if isinstance(times.dtype, pd.DatetimeTZDtype) and limit % duration_number("1D", times, "max_gap") == 0:
        is_longer &= _differences(times.tz_localize(None)) > limit
    return is_longer


def _infer_max_gap(steps: np.ndarray, grouped: GroupedSeries) -> tuple[Any, Any, str]:
    """Return the limit of each step (one for all where it is the same), the longest limit, and its origin."""
    usual = usual_steps(steps, grouped.offsets)
    shortest, longest = float(usual.min(initial=np.inf)), float(usual.max(initial=0))
    max_gap, origin = inferred_max_gap(shortest, longest, grouped.times)
    if max_gap is None:
        return np.inf, None, origin
    if shortest == longest:
        return GAP_IN_STEPS * longest, max_gap, origin
    return GAP_IN_STEPS * np.repeat(usual, np.diff(grouped.offsets))[1:], max_gap, origin


def inferred_max_gap(shortest: float, longest: float, times: Any) -> tuple[Any, str]:
    """Return the longest step that is no gap, and where it comes from, for messages.

    Parameters
    ----------
    shortest, longest : float
        Of the usual steps of all series, in the unit of `time_numbers`.
    times : pandas.Index
        Gives the unit.

    Returns
    -------
    max_gap : float, pandas.Timedelta or None
        None where no usual step is known.
    origin : str
    """
    if not 0 < longest < np.inf:
        return None, "no step of time to infer it from"
    max_gap, low, high = (length_of_time(step, times) for step in (GAP_IN_STEPS * longest, shortest, longest))
    if shortest == longest:
        return max_gap, f"inferred: {GAP_IN_STEPS} x the usual step, {high}"
    return max_gap, f"inferred for each series: {GAP_IN_STEPS} x its usual step, {low} to {high}"


def length_of_time(number: float, times: pd.Index) -> Any:
    """Return a length of time that is given as a number.

    Parameters
    ----------
    number : float
        In the unit of `time_numbers`.
    times : pandas.Index
        Gives the unit.

    Returns
    -------
    pandas.Timedelta or float
        The number itself where the times are numbers.

    Examples
    --------
    >>> length_of_time(90, pd.DatetimeIndex(["2024-01-01"]).as_unit("s"))
    Timedelta('0 days 00:01:30')
    """
    times = as_clock_times(times)
    return pd.Timedelta(number, unit=times.unit) if times.dtype.kind in "mM" else number


def times_after(times: pd.Index, n_steps: int) -> list[Any]:
    """Continue the times of a window: whole calendar units where they are evenly spaced in them, else median steps.

    Parameters
    ----------
    times : pandas.Index
        Increasing, without a time zone.
    n_steps : int
        How many times follow the last one.

    Returns
    -------
    list of n_steps timestamps or numbers
        All missing (None) where there is a single time, which has no step.

    Examples
    --------
    >>> times_after(pd.DatetimeIndex(["2024-01-01", "2024-02-01", "2024-03-01"]), 2)
    [Timestamp('2024-04-01 00:00:00'), Timestamp('2024-05-01 00:00:00')]
    >>> times_after(pd.Index([0, 2, 4]), 2)
    [6, 8]
    """
    if len(times) < 2:
        return [None] * n_steps
    steps = np.diff(time_numbers(times))
    step: Any = float(np.median(steps))
    if times.dtype.kind == "M":
        is_even = steps.min() == steps.max()  # months and summer time are not
        frequency = None if is_even or len(times) < 3 else pd.infer_freq(times)
        step = pd.Timedelta(step, unit=times.unit) if frequency is None else pd.tseries.frequencies.to_offset(frequency)
    elif times.dtype.kind in "iu" and step.is_integer():
        step = int(step)
    last = times[-1] if times.dtype.kind == "M" else times[-1].item()
    return [last + (number + 1) * step for number in range(n_steps)]


def _steps(grouped: GroupedSeries) -> np.ndarray:
    """Return the time from each row to the next, as floats; NaN from one series to another."""
    steps = _differences(grouped.times)
    steps[_borders(grouped)] = np.nan
    return steps


def _borders(grouped: GroupedSeries) -> np.ndarray:
    """Return the positions of the steps from one series to another; a series may have no rows."""
    offsets = grouped.offsets
    return np.asarray(offsets[(offsets > 0) & (offsets < len(grouped.values))] - 1)


def _differences(times: pd.Index) -> np.ndarray:
    numbers = time_numbers(times)
    return time_differences(numbers[:-1], numbers[1:])
