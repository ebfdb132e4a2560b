"""Timestamps: which types are accepted, that they increase, and where there are gaps."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries

GAP_IN_STEPS = 1.5  # without max_gap, a step longer than this many median steps is a gap


def read_times(column: pd.Series, label: str, hint: str = "") -> pd.Index:
    """Read a column as an Index of datetimes (one time zone or none), timedeltas or finite numbers.

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
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    elif isinstance(column.dtype, pd.ArrowDtype):
        column = pd.Series(column.to_numpy(), copy=False)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "string":
        raise ValueError(
            f"{label} holds text ({column.iloc[0]!r} in row 0); parse it first with pandas.to_datetime{hint}"
        )
    if kind in ("datetime", "date") and column.dtype == object:
        column = _parse_datetimes(column, label)
        kind = "datetime64"
    if kind not in ("datetime64", "timedelta64", "integer", "floating"):
        raise ValueError(
            f"{label} has dtype {column.dtype} ({kind}); allowed are datetimes, timedeltas and numbers{hint}"
        )
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(f"{label} is missing in row {missing[0]} ({len(missing)} in all)")
    if kind in ("datetime64", "timedelta64"):
        return pd.Index(column, copy=False)
    numbers = column.to_numpy(dtype=np.int64 if kind == "integer" else np.float64)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(f"{label} is {numbers[infinite[0]]} in row {infinite[0]}")
    return pd.Index(numbers, copy=False)


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


def time_numbers(times: pd.Index) -> np.ndarray:
    """Return times as plain numbers: counts of their unit for datetimes and timedeltas."""
    return np.asarray(times.asi8 if times.dtype.kind in "mM" else times)


def duration_number(duration: Any, times: pd.Index, argument: str) -> float:
    """Convert a length of time to a number, in the unit of `time_numbers`.

    Parameters
    ----------
    duration : number, timedelta or str such as "10min"
        Zero and infinity are allowed whatever the times are.
    times : pandas.Index
        Gives the unit.
    argument : str
        How errors call `duration`.

    Returns
    -------
    float
        Not negative.
    """
    is_number = isinstance(duration, Real) and not isinstance(duration, (bool, np.timedelta64))
    is_dated = times.dtype.kind in "mM"
    if is_number and (not is_dated or duration in (0, np.inf)):
        number = float(duration)
    elif is_number or not is_dated:
        kind = "datetimes or timedeltas" if is_dated else "numbers"
        raise ValueError(f"{argument}={duration!r} does not fit the times, which are {kind}")
    else:
        try:
            number = pd.Timedelta(duration) / pd.Timedelta(1, unit=times.unit)
        except ValueError as error:
            raise ValueError(f"{argument}={duration!r} is not a length of time: {error}") from None
    if not number >= 0:
        raise ValueError(f"{argument}={duration!r}; it must not be negative")
    return number


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
    max_gap : number, timedelta, str or None
        As in `tsae.make_windows`.

    Returns
    -------
    max_gap : number, pandas.Timedelta or None
        As given, or inferred: `GAP_IN_STEPS` times the median step of the whole table. None where there are
        no steps.
    origin : str
        Where `max_gap` comes from, for messages.
    rows : int64 ndarray
        The first row after each gap.
    """
    if grouped.times is None:
        if max_gap is not None:
            raise ValueError(f"max_gap={max_gap!r}, but data has no times; name the time_column")
        return None, "", np.array([], dtype=np.int64)
    steps = _steps(grouped)
    if max_gap is None:
        limit, max_gap, origin = _infer_max_gap(steps, grouped.times)
    else:
        limit, origin = duration_number(max_gap, grouped.times, "max_gap"), "given"
        if limit == 0:
            raise ValueError(f"max_gap={max_gap!r}; it must be positive")
    return max_gap, origin, np.flatnonzero(steps > limit) + 1


def _infer_max_gap(steps: np.ndarray, times: pd.Index) -> tuple[float, Any, str]:
    if not np.any(steps > 0):
        return np.inf, None, "no step of time to infer it from"
    median = float(np.nanmedian(steps))
    limit = GAP_IN_STEPS * median
    shown, step = limit, median
    if times.dtype.kind in "mM":
        shown, step = pd.Timedelta(limit, unit=times.unit), pd.Timedelta(median, unit=times.unit)
    return limit, shown, f"inferred: {GAP_IN_STEPS} x the median step, {step}"


def _steps(grouped: GroupedSeries) -> np.ndarray:
    """Return the time from each row to the next, as floats; NaN from one series to another."""
    steps = np.diff(time_numbers(grouped.times)).astype(np.float64)
    firsts = grouped.offsets[(grouped.offsets > 0) & (grouped.offsets <= len(steps))]  # a series may have no rows
    steps[firsts - 1] = np.nan
    return steps
