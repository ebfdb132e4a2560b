"""Read a table or arrays into series laid end to end; nothing is reordered within a series or left out in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

BLOCK_BYTES = 1 << 22  # values are checked in blocks of this size, so that a check needs next to no memory


@dataclass(frozen=True, eq=False)
class GroupedSeries:
    """All series in one array, end to end, plus the row at which each begins.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_channels), float32 or float64
        NaN is a missing value; infinities have been refused.
    offsets : int64 ndarray of shape (n_series + 1,)
        Series ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    names : pandas.Index of length n_series
        The ids.
    times : pandas.Index of length n_rows, or None
        Strictly increasing within a series. None: rows are numbered from 0 within their series.
    channel_names : list of str
    """

    values: np.ndarray
    offsets: np.ndarray
    names: pd.Index
    times: pd.Index | None
    channel_names: list[str]

    def codes_at(self, rows: np.ndarray) -> np.ndarray:
        """Number (0 .. n_series - 1) of the series that each row belongs to."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def times_at(self, rows: np.ndarray) -> pd.Index:
        """Timestamp of each row; its step number within the series where there is no time."""
        if self.times is None:
            return pd.Index(rows - self.offsets[self.codes_at(rows)])
        return self.times.take(rows)

    def describe(self, row: int) -> str:
        """A row in words, for error messages."""
        rows = np.array([row])
        word = "step" if self.times is None else "time"
        return f"series {self.names[self.codes_at(rows)[0]]!r}, {word} {self.times_at(rows)[0]}"


def read_series(
    data: Any,
    *,
    id_column: Any = None,
    time_column: Any = None,
    value_columns: Sequence[Any] | None = None,
) -> GroupedSeries:
    """Turn anything that `tsae.windows.make_windows` accepts into checked series.

    Parameters
    ----------
    data, id_column, time_column, value_columns
        As in `tsae.windows.make_windows`.

    Returns
    -------
    GroupedSeries
        Holds a view of `data` where that is one float32 or float64 array, and one copy of the values otherwise.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, or the series, time and column at fault.

    Examples
    --------
    >>> series = read_series({"a": [1.0, 2.0], "b": [3.0]})
    >>> series.offsets.tolist(), list(series.names)
    ([0, 2, 3], ['a', 'b'])
    """
    if _is_from(data, "polars") or isinstance(data, (pd.DataFrame, pd.Series)):
        series = _read_table(_Table(data), id_column, time_column, value_columns)
    else:
        named = {"id_column": id_column, "time_column": time_column, "value_columns": value_columns}
        for argument, value in named.items():
            if value is not None:
                raise ValueError(
                    f"{argument}={value!r} names columns of a table, but data is a {type(data).__name__}; "
                    "pass a pandas or polars table, or leave it out"
                )
        series = _read_arrays(data)
    _refuse_infinite(series)
    return series


# ---------------------------------------------------------------------------------------------- arrays


def _read_arrays(data: Any) -> GroupedSeries:
    if isinstance(data, np.ndarray):
        values = _float_rows(data, "data")
        return GroupedSeries(
            values, np.array([0, len(values)]), pd.RangeIndex(1), None, _number_channels(values.shape[1])
        )
    if isinstance(data, Mapping):
        names, arrays = pd.Index(list(data)), list(data.values())
    elif isinstance(data, (list, tuple)):
        names, arrays = pd.RangeIndex(len(data)), list(data)
    else:
        raise TypeError(
            f"data is a {type(data).__module__}.{type(data).__name__}; allowed are pandas and polars tables, "
            "numpy arrays of shape (n_rows,) or (n_rows, n_channels), and lists or dicts of such arrays"
        )
    if not arrays:
        raise ValueError("data holds no series: the list or dict is empty")
    values, offsets = lay_end_to_end(arrays, [f"data[{name!r}]" for name in names])
    return GroupedSeries(values, offsets, names, None, _number_channels(values.shape[1]))


def lay_end_to_end(arrays: Sequence[Any], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Join arrays of shape (n_i,) or (n_i, n_channels) into one, with the row at which each begins.

    Returns
    -------
    values : ndarray of shape (sum of n_i, n_channels), float32 or float64
    offsets : int64 ndarray of shape (n_arrays + 1,)
    """
    parts = [_float_rows(array, label) for array, label in zip(arrays, labels, strict=True)]
    widths = [part.shape[1] for part in parts]
    for width, label in zip(widths, labels, strict=True):
        if width != widths[0]:
            hint = (
                "; all have as many rows: if they are (n_channels, n_timesteps), turn them with from_channels_first"
                if len({len(part) for part in parts}) == 1
                else ""
            )
            raise ValueError(f"{labels[0]} has {widths[0]} channels but {label} has {width}{hint}")
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    return np.concatenate(parts), offsets


def as_float(array: np.ndarray, label: str) -> np.ndarray:
    """An array of float32 or float64: the same one where it is that already, else converted without loss.

    Booleans, float16 and integers of at most 16 bits become float32, wider ones float64. Object arrays are
    read as float64 where every entry is a number.
    """
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label} has dtype {array.dtype}")
    if array.dtype.kind in "biuf":
        return array.astype(np.float64 if array.dtype.itemsize > 8 else np.result_type(array.dtype, np.float32))
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            place, value = _first_not_number(array)
            raise type(error)(f"{label} holds {value!r} at {place}, which is not a number: {error}") from None
    raise ValueError(f"{label} has dtype {array.dtype}; allowed are floats, integers and booleans")


def first_infinite(values: np.ndarray) -> tuple[int, int] | None:
    """(row, column) of the first infinity in a 2-D float array, or None."""
    n_rows = max(1, BLOCK_BYTES // max(1, values.shape[1] * values.itemsize))
    for begin in range(0, len(values), n_rows):
        infinite = np.isinf(values[begin : begin + n_rows])
        if infinite.any():
            row, column = np.argwhere(infinite)[0]
            return begin + int(row), int(column)
    return None


def _first_not_number(array: np.ndarray) -> tuple[tuple[int, ...], Any]:
    for place, value in np.ndenumerate(array):
        try:
            float(value)
        except (TypeError, ValueError):
            return place, value
    raise AssertionError("every entry is a number")


def _float_rows(array: Any, label: str) -> np.ndarray:
    """One series as (n_rows, n_channels) floats; a view where possible."""
    if isinstance(array, (pd.DataFrame, pd.Series)) or _is_from(array, "polars"):
        raise ValueError(
            f"{label} is a table; join the tables into one first, for example "
            'pandas.concat(tables, names=["id", "time"]), which make_windows understands'
        )
    array = np.asarray(array)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        hint = "; windows that are cut already go to an estimator as they are" if array.ndim == 3 else ""
        raise ValueError(
            f"{label} has shape {array.shape}; a series is (n_rows,) or (n_rows, n_channels){hint}"
        )
    if array.shape[1] == 0:
        raise ValueError(f"{label} has shape {array.shape}: no channels")
    return as_float(array, label)


def _number_channels(n_channels: int) -> list[str]:
    return [f"channel_{channel}" for channel in range(n_channels)]


# ---------------------------------------------------------------------------------------------- tables


class _Table:
    """The columns of a pandas or polars table, each read as a pandas Series (a view where possible)."""

    def __init__(self, data: Any):
        if hasattr(data, "collect"):
            raise TypeError("data is a polars LazyFrame; read it first: data.collect()")
        self.data = data.to_frame() if data.ndim == 1 else data if hasattr(data, "columns") else data.to_frame()
        self.columns = list(self.data.columns)
        self.levels = list(data.index.names) if isinstance(data, (pd.DataFrame, pd.Series)) else []
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"data has several columns named {twice!r}")

    def __len__(self) -> int:
        return len(self.data)

    def column(self, name: Any) -> pd.Series:
        """A column by name, or a level of the index."""
        if name not in self.columns:
            return pd.Series(self.data.index.get_level_values(name), name=name, copy=False)
        column = self.data[name]
        return column.reset_index(drop=True) if isinstance(column, pd.Series) else _from_polars(column)

    def require(self, name: Any, argument: str) -> None:
        if name not in self.columns and (name is None or name not in self.levels):
            levels = [level for level in self.levels if level is not None]
            raise ValueError(f"{argument}: no column {name!r}; the table has {self.columns + levels}")


def _from_polars(column: Any) -> pd.Series:
    """A polars column as a pandas Series, without importing polars."""
    if column.dtype.is_numeric() and (column.null_count() or column.dtype.is_decimal()):
        column = column.cast(float)
    series = pd.Series(column.to_numpy(), name=column.name, copy=False)
    zone = getattr(column.dtype, "time_zone", None)
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


def _read_table(table: _Table, id_column: Any, time_column: Any, value_columns: Any) -> GroupedSeries:
    id_column, time_column, ids, times = _find_ids_and_times(table, id_column, time_column)
    if value_columns is None:
        value_columns = [name for name in table.columns if name not in (id_column, time_column)]
    value_columns = [value_columns] if isinstance(value_columns, str) else list(value_columns)
    if not value_columns:
        raise ValueError("value_columns: the table has no columns but the id and the time")
    for name in value_columns:
        table.require(name, "value_columns")
    if len(table) == 0:
        raise ValueError("data has no rows")

    order, offsets, names = _group_rows(ids, id_column, len(table))
    values = _read_values(table, value_columns, order)
    if times is not None and order is not None:
        times = times.take(order)
    series = GroupedSeries(values, offsets, names, times, [str(name) for name in value_columns])
    if times is not None:
        _check_increasing(series)
    return series


def _find_ids_and_times(
    table: _Table, id_column: Any, time_column: Any
) -> tuple[Any, Any, pd.Series | None, pd.Index | None]:
    """The columns of ids and times as named; else what the index of a pandas table says."""
    for name, argument in ((id_column, "id_column"), (time_column, "time_column")):
        if name is not None:
            table.require(name, argument)
    ids = None if id_column is None else table.column(id_column)
    times = None if time_column is None else _read_times(table.column(time_column), f"time_column {time_column!r}")

    index = getattr(table.data, "index", None)
    if isinstance(index, pd.MultiIndex):
        if id_column is None and time_column is None:
            if index.nlevels != 2:
                raise ValueError(f"the index of data has {index.nlevels} levels {index.names}; name id_column and time_column")
            ids = pd.Series(index.get_level_values(0), copy=False)
            times = _read_times(pd.Series(index.get_level_values(1), copy=False), "level 1 of the index")
    elif times is None and index is not None and _may_be_times(index):
        times = _read_times(pd.Series(index, copy=False), "the index")
    return id_column, time_column, ids, times


def _may_be_times(index: pd.Index) -> bool:
    """Whether an index is more than row numbers. Text is let through so that unparsed times are an error."""
    return not pd.api.types.is_numeric_dtype(index.dtype)


def _read_times(column: pd.Series, label: str) -> pd.Index:
    """A time column as an Index of datetimes (one time zone), timedeltas, or finite numbers."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    elif kind == "string" or isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(
            f"{label} holds text ({column.iloc[0]!r}); parse it first, for example with pandas.to_datetime"
        )
    elif column.dtype == object:
        column = _parse_datetimes(column, label, kind)
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(f"{label} is missing in row {missing[0]} (and {len(missing) - 1} more)")
    if pd.api.types.is_bool_dtype(column.dtype) or not (
        pd.api.types.is_numeric_dtype(column.dtype)
        or pd.api.types.is_datetime64_any_dtype(column.dtype)
        or pd.api.types.is_timedelta64_dtype(column.dtype)
    ):
        raise ValueError(f"{label} has dtype {column.dtype}; allowed are datetimes, timedeltas and numbers")
    if pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64 if column.dtype.kind == "f" else np.int64)
        infinite = np.flatnonzero(np.isinf(numbers))
        if len(infinite):
            raise ValueError(f"{label} is {numbers[infinite[0]]} in row {infinite[0]}")
        return pd.Index(numbers, copy=False)
    return pd.Index(column, copy=False)


def _parse_datetimes(column: pd.Series, label: str, kind: str) -> pd.Series:
    if kind not in ("datetime", "date", "datetime64"):
        raise ValueError(
            f"{label} holds Python objects ({kind}); allowed are datetimes, timedeltas and numbers"
        )
    zones = {str(getattr(value, "tzinfo", None)): row for row, value in enumerate(column) if value is not pd.NaT}
    if len(zones) > 1:
        (zone, row), (other, other_row) = list(zones.items())[:2]
        raise ValueError(
            f"{label} mixes time zones: {zone} (row {row}) and {other} (row {other_row}); "
            "bring all to one, for example with pandas.to_datetime(..., utc=True)"
        )
    return pd.to_datetime(column)


def _group_rows(
    ids: pd.Series | None, id_column: Any, n_rows: int
) -> tuple[np.ndarray | None, np.ndarray, pd.Index]:
    """The order that puts each id's rows together (None: they are already), the offsets, and the ids.

    Ids come in the order in which they first appear, rows of an id in the order in which they stand.
    """
    if ids is None:
        return None, np.array([0, n_rows]), pd.RangeIndex(1)
    codes, names = pd.factorize(ids)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(f"id_column {id_column!r} is missing in row {missing[0]} (and {len(missing) - 1} more)")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    order = None if np.all(codes[1:] >= codes[:-1]) else np.argsort(codes, kind="stable")
    return order, offsets, pd.Index(names)


def _read_values(table: _Table, names: Sequence[Any], order: np.ndarray | None) -> np.ndarray:
    """The value columns side by side, filled column by column so that one copy is all there ever is."""
    columns = [_read_floats(table.column(name), name) for name in names]
    values = np.empty((len(table), len(names)), dtype=np.result_type(*columns))
    for position, column in enumerate(columns):
        values[:, position] = column if order is None else column[order]
    return values


def _read_floats(column: pd.Series, name: Any) -> np.ndarray:
    """One value column as a float array; a view where it is one already."""
    if column.dtype == object or not pd.api.types.is_numeric_dtype(column.dtype):
        row, value = _first_text(column)
        raise ValueError(
            f"column {name!r} (dtype {column.dtype}) holds {value!r} in row {row}; values must be numbers: "
            "convert the column, or leave it out with value_columns"
        )
    if isinstance(column.dtype, np.dtype):
        return as_float(column.to_numpy(), f"column {name!r}")
    wide = column.dtype.itemsize > 4 or (column.dtype.kind in "iu" and column.dtype.itemsize > 2)
    return column.to_numpy(dtype=np.float64 if wide else np.float32, na_value=np.nan)


def _first_text(column: pd.Series) -> tuple[int, Any]:
    """The first entry that is not a number; the first entry where all of them are."""
    for row, value in enumerate(column):
        if not isinstance(value, (int, float, np.number)) and value is not None and value is not pd.NA:
            return row, value
    return 0, column.iloc[0]


# ---------------------------------------------------------------------------------------------- checks


def time_numbers(times: pd.Index) -> np.ndarray:
    """Times as plain numbers: int64 counts of the unit for datetimes and timedeltas."""
    return times.to_numpy() if times.dtype.kind in "iuf" else times.asi8


def steps_within(series: GroupedSeries) -> tuple[np.ndarray, np.ndarray]:
    """Time from each row to the next, as numbers, and whether the next row belongs to the same series."""
    steps = np.diff(time_numbers(series.times))
    within = np.ones(len(steps), dtype=bool)
    ends = series.offsets[1:-1] - 1
    within[ends[(ends >= 0) & (ends < len(steps))]] = False
    return steps, within


def _check_increasing(series: GroupedSeries) -> None:
    steps, within = steps_within(series)
    wrong = np.flatnonzero((steps <= 0) & within)
    if not len(wrong):
        return
    row = int(wrong[0])
    name = series.names[series.codes_at(np.array([row]))[0]]
    before, after = series.times[row], series.times[row + 1]
    what = (
        f"{after} comes twice" if steps[row] == 0 else f"{after} comes after {before}"
    )
    raise ValueError(
        f"times must increase within a series: in series {name!r}, {what} "
        f"({len(wrong)} such places in all); sort by id and time and drop or average duplicates, "
        "or name the id_column that tells the series apart"
    )


def _refuse_infinite(series: GroupedSeries) -> None:
    found = first_infinite(series.values)
    if found is not None:
        row, column = found
        raise ValueError(
            f"data holds {series.values[found]} at {series.describe(row)}, column "
            f"{series.channel_names[column]!r}; use NaN for a missing value"
        )


def _is_from(data: Any, package: str) -> bool:
    return type(data).__module__.split(".")[0] == package
