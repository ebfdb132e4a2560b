"""What is pushed into a stream: rows and times, checked before anything of them is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import LARGEST, GroupedSeries, first_infinite, number_channels
from tsae.data.times import as_clock_times, duration_number, find_gaps, read_times, time_numbers

# Without max_jump, a step of time of more than a year is refused (or of so many times max_gap, if that is longer);
# where times are numbers, whose unit is unknown, a step of so many times max_gap.
JUMP_DURATION, JUMP_IN_GAPS, JUMP_IN_GAPS_OF_NUMBERS = pd.Timedelta(days=365), 1000, 1_000_000

_UNITS = ("s", "ms", "us", "ns")


# -- rows ------------------------------------------------------------------------------------------------------------


def read_rows(rows: Any, channel_names: list[str], n_seen: int) -> np.ndarray:
    """Read new rows as float64 of shape (n_rows, n_channels); names, where there are any, must be the channels'.

    Parameters
    ----------
    rows : array-like or DataFrame
        As in `TimelineStream.push`.
    channel_names : list of str
        Names of the channels.
    n_seen : int
        Number of rows before these, for errors.

    Returns
    -------
    ndarray
        NaN is a missing value.

    Raises
    ------
    ValueError
        For other shapes, names in another order, and what is not a number.
    """
    _check_names(rows, channel_names)
    values = _as_array(rows)
    n_channels = len(channel_names)
    if values.ndim == 1 and n_channels == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(f"rows has shape {values.shape}; expected (n_rows, {n_channels})")
    if values.dtype.kind not in "biuf":
        values = _parsed(values, channel_names, n_seen)
    values = values.astype(np.float64)
    beyond = first_infinite(values)
    if beyond is not None:
        row, channel = beyond
        raise ValueError(
            f"rows holds {values[row, channel]} in row {n_seen + row} of the stream, channel {channel} "
            f"({channel_names[channel]!r}); infinity and values beyond {LARGEST:g} are not allowed; NaN is missing"
        )
    return values


def _check_names(rows: Any, channel_names: list[str]) -> None:
    if hasattr(rows, "columns"):
        columns = list(rows.columns)
    elif isinstance(rows, pd.Series) and len(channel_names) == 1 and rows.name is not None:
        columns = [rows.name]
    else:
        return
    names = [str(column) for column in columns]
    if names == channel_names:
        return
    if sorted(names) == sorted(channel_names):
        raise ValueError(
            f"rows has the columns {names}, but the detector was fitted on the channels {channel_names}, in this "
            "order; select the columns in order, rows[detector.channel_names_]"
        )
    are_named = all(isinstance(column, str) for column in columns)
    if are_named and channel_names != number_channels(len(channel_names)):
        raise ValueError(f"rows has the columns {names}, but the detector was fitted on the channels {channel_names}")


def _as_array(rows: Any) -> np.ndarray:
    if isinstance(rows, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(rows.astype(np.float64), np.nan))
    try:
        values = np.asarray(rows)
        # A list that holds one text becomes an array of texts; as objects, the others stay what they are.
        return np.asarray(rows, dtype=object) if values.dtype.kind in "US" else values
    except (TypeError, ValueError) as error:
        raise ValueError(f"rows cannot be read as an array of shape (n_rows, n_channels): {error}") from None


def _parsed(values: np.ndarray, channel_names: list[str], n_seen: int) -> np.ndarray:
    """Numbers from an array of objects; None and pandas.NA are missing."""
    parsed = np.empty(values.shape)
    for row, channel in np.ndindex(*values.shape):
        value = values[row, channel]
        try:
            if isinstance(value, (str, bytes, complex, np.datetime64, np.timedelta64)):
                raise TypeError
            parsed[row, channel] = np.nan if value is None or value is pd.NA or value is pd.NaT else float(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"rows holds {value!r} in row {n_seen + row} of the stream, channel {channel} "
                f"({channel_names[channel]!r}), which is not a number"
            ) from None
    return parsed


# -- times -----------------------------------------------------------------------------------------------------------


def read_stream_times(times: Any, rows: Any, n_rows: int) -> pd.Index | None:
    """Read the times of new rows: those given, or those that the index of a table holds; None where there are none.

    Raises
    ------
    ValueError
        For text, other types, mixed time zones, missing or infinite entries, and another number than rows.
    """
    index = getattr(rows, "index", None)
    if times is None and isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex)):
        times = index
    if times is None:
        return None
    try:
        given = pd.Index(times)
    except (TypeError, ValueError) as error:
        raise ValueError(f"times={times!r} cannot be read as one time per row: {error}") from None
    if len(given) != n_rows:
        raise ValueError(f"times has {len(given)} entries for {n_rows} rows")
    if n_rows == 0:
        return given
    _check_one_kind(given)
    read = read_times(pd.Series(as_clock_times(given)), "times")
    return given if isinstance(given, pd.PeriodIndex) else pd.Index(read)


def _check_one_kind(times: pd.Index) -> None:
    """Name the first time that is text, or of another kind than the first."""
    if times.dtype != object:
        return
    kinds = [pd.api.types.infer_dtype([time], skipna=True) for time in times]
    for row, (time, kind) in enumerate(zip(times, kinds, strict=True)):
        if kind == "string":
            raise ValueError(f"times holds text ({time!r} in row {row}); parse it first with pandas.to_datetime")
        if kind != "empty" and kind != kinds[0] and kinds[0] != "empty":
            raise ValueError(f"times mixes kinds: {kinds[0]} in row 0, {kind} ({time!r}) in row {row}")


def check_times(last: pd.Index, times: pd.Index, n_seen: int) -> pd.Index:
    """Join new times to the last one before them, after checking that they are of its kind and increase.

    Raises
    ------
    ValueError
    """
    if len(last) and len(times) and _kind(last) != _kind(times):
        raise ValueError(f"times are {_kind(times)} in row {n_seen} of the stream, but {_kind(last)} before")
    joined = join_times(last, times)
    wrong = np.flatnonzero(~np.asarray(joined[1:] > joined[:-1], dtype=bool))
    if wrong.size:
        at = int(wrong[0])
        raise ValueError(
            f"times must increase; {joined[at + 1]} comes after {joined[at]}, in row {n_seen + at + 1 - len(last)} of "
            "the stream"
        )
    return joined


def _kind(times: pd.Index) -> str:
    if isinstance(times, pd.PeriodIndex):
        return f"periods of {times.freqstr}"
    if isinstance(times, pd.DatetimeIndex):
        return "datetimes without a time zone" if times.tz is None else f"datetimes in {times.tz}"
    return "timedeltas" if isinstance(times, pd.TimedeltaIndex) else "numbers"


def join_times(first: pd.Index, second: pd.Index) -> pd.Index:
    """Append times of the same kind, in the finer of their units."""
    if not len(first) or not len(second):
        return second if len(second) else first
    if isinstance(first, (pd.DatetimeIndex, pd.TimedeltaIndex)) and first.unit != second.unit:
        unit = max(first.unit, second.unit, key=_UNITS.index)
        first, second = first.as_unit(unit), second.as_unit(unit)
    return first.append(second)


def after_gaps(joined: pd.Index, max_gap: Any) -> np.ndarray:
    """Positions after a step of more than `max_gap`; the rule is that of `make_windows`.

    Raises
    ------
    ValueError
        If `max_gap` does not fit the times.
    """
    if max_gap is None or len(joined) < 2:
        return np.array([], dtype=np.int64)
    times = as_clock_times(joined)
    nothing = np.zeros((len(times), 1))
    grouped = GroupedSeries(nothing, np.array([0, len(times)]), pd.RangeIndex(1), [""], times)
    try:
        return np.asarray(find_gaps(grouped, max_gap)[2])
    except ValueError as error:
        raise ValueError(f"times are not of the kind that the detector was fitted on: {error}") from None


def check_jumps(joined: pd.Index, max_jump: Any, max_gap: Any, row: int) -> None:
    """Refuse a time that is absurdly far ahead, after which all right ones would come too late.

    Parameters
    ----------
    joined : Index
        Increasing.
    max_jump : number, timedelta, str or None
        Longest step; None: see `JUMP_DURATION`.
    max_gap : number, timedelta, str or None
        That of the windows.
    row : int
        Number of the first of the times in the stream, for errors.

    Raises
    ------
    ValueError
    """
    times = as_clock_times(joined)
    limit = _longest_jump(times, max_jump, max_gap)
    steps = np.diff(time_numbers(times).astype(np.float64))
    wrong = np.flatnonzero(steps > limit)
    if wrong.size:
        at = int(wrong[0])
        shown = limit if times.dtype.kind not in "mM" else pd.Timedelta(limit, unit=times.unit)
        raise ValueError(
            f"times jumps from {joined[at]} to {joined[at + 1]} in row {row + at + 1} of the stream, more than "
            f"max_jump={shown}. Nothing of this call was taken: leave the row out if its time is wrong; if it is "
            "right, start a stream with a larger max_jump"
        )


def _longest_jump(times: pd.Index, max_jump: Any, max_gap: Any) -> float:
    if max_jump is not None:
        return duration_number(max_jump, times, "max_jump")
    gap = None if max_gap is None else duration_number(max_gap, times, "max_gap")
    if times.dtype.kind not in "mM":
        return np.inf if gap is None else JUMP_IN_GAPS_OF_NUMBERS * gap
    year = JUMP_DURATION / pd.Timedelta(1, unit=times.unit)
    return year if gap is None else max(year, JUMP_IN_GAPS * gap)
