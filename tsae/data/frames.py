"""Read pandas and polars tables into series; rows are grouped by id, never sorted, dropped or filled."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Number
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.missing import MissingValues
from tsae.data.series import GroupedSeries, float_dtype
from tsae.data.times import check_increasing, read_times

# Names that tell ids from times where the types of two levels of an index do not.
TIME_NAMES = {
    "time", "timestamp", "datetime", "date", "ts", "ds", "t", "step", "timestep", "time_step", "second", "minute",
    "hour", "day", "week", "month", "quarter", "year", "period", "cycle",
}  # fmt: skip
ID_NAMES = {
    "id", "series", "unit", "machine", "sensor", "device", "item", "entity", "group", "instance", "instances", "case",
    "station",
}  # fmt: skip


def is_table(data: Any) -> bool:
    """Tell whether `data` is a table of pandas or polars (which need not be installed)."""
    return isinstance(data, (pd.DataFrame, pd.Series)) or type(data).__module__.split(".")[0] == "polars"


def series_from_table(
    data: Any,
    id_column: Any = None,
    time_column: Any = None,
    value_columns: Sequence[Any] | None = None,
    label: str = "data",
    missing: MissingValues = MissingValues(),  # noqa: B008
) -> GroupedSeries:
    """Read a long table, a table with a DatetimeIndex, or one with a MultiIndex of ids and times.

    Parameters
    ----------
    data : pandas or polars DataFrame or Series
        The table.
    id_column, time_column, value_columns : optional
        As in `tsae.make_windows`.
    label : str, default="data"
        How errors call the table.
    missing : MissingValues, default=MissingValues()
        Markers of missing values in columns of text.

    Returns
    -------
    GroupedSeries
        Holds one copy of the values. Ids come in the order in which they first appear.

    Raises
    ------
    ValueError
        Naming the column and row, or the series and time, at fault.

    Examples
    --------
    >>> frame = pd.DataFrame({"machine": ["a", "b", "a"], "load": [1.0, 2.0, 3.0]})
    >>> series_from_table(frame, id_column="machine").values[:, 0].tolist()
    [1.0, 3.0, 2.0]
    """
    table = _Table(data, label)
    if len(table) == 0:
        raise ValueError(f"{label} has no rows")
    ids, times = _find_ids_and_times(table, id_column, time_column)
    if value_columns is None:
        value_columns = [name for name in table.columns if name not in (id_column, time_column)]
    else:
        value_columns = _list_columns(table, value_columns)
    if len(value_columns) == 0:
        raise ValueError("value_columns: there is no column besides the id and the time")

    order, offsets, names = _group_rows(ids, len(table), id_column)
    values = _read_values(table, value_columns, order, missing)
    if times is not None and order is not None:
        times = times.take(order)
    grouped = GroupedSeries(values, offsets, names, times=times, **name_channels(value_columns))
    check_increasing(grouped)
    return grouped


def name_channels(columns: Iterable[Any]) -> dict[str, Any]:
    """Return `channel_names` and `has_names` of a `GroupedSeries` for the columns of a table."""
    names = list(columns)
    has_names = not all(isinstance(name, Integral) for name in names)  # pandas numbers unnamed columns
    return {"channel_names": [str(name) for name in names], "has_names": has_names}


class _Table:
    """A pandas or polars table whose columns, and levels of the index, are read as pandas Series."""

    def __init__(self, data: Any, label: str = "data"):
        self.label = label
        if hasattr(data, "collect"):
            raise TypeError(f"{label} is a polars LazyFrame; read it first with {label}.collect()")
        if not hasattr(data, "columns") and not hasattr(data, "to_frame"):
            raise TypeError(f"{label} is a polars {type(data).__name__}, not a DataFrame or Series")
        self.data = data if hasattr(data, "columns") else data.to_frame()
        self.columns = list(self.data.columns)
        self.index: Any = getattr(self.data, "index", None)
        self.levels = [] if self.index is None else [name for name in self.index.names if name is not None]
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"{label} has several columns named {twice!r}")

    def __len__(self) -> int:
        return len(self.data)

    def require(self, name: Any, argument: str) -> None:
        is_label = isinstance(name, (str, np.generic)) or not (is_table(name) or hasattr(name, "dtype"))
        if not is_label or not isinstance(name, Hashable):
            raise ValueError(
                f"{argument} is a {type(name).__name__}; it must be the name of one column of {self.label}, from "
                f"{self.columns + self.levels}; data that is not in the table is added as a column first"
            )
        if name not in self.columns and name not in self.levels:
            raise ValueError(f"{argument}: there is no column {name!r}, only {self.columns + self.levels}")

    def column(self, name: Any) -> pd.Series:
        if name not in self.columns:
            return self.level(name)
        column = self.data[name]
        return column.reset_index(drop=True) if isinstance(column, pd.Series) else _from_polars(column)

    def level(self, level: Any) -> pd.Series:
        return pd.Series(self.index.get_level_values(level), copy=False)


def _from_polars(column: Any) -> pd.Series:
    """Convert a polars column to a pandas Series, which shares its memory where there are no nulls."""
    if column.dtype.is_nested() or str(column.dtype) == "Object":
        raise ValueError(
            f"column {column.name!r} has dtype {column.dtype}; allowed are numbers, text and times: convert the "
            "column, or leave it out by naming value_columns"
        )
    if column.dtype.is_decimal() or (column.null_count() and column.dtype.is_integer()):
        column = column.cast(float)
    elif column.null_count() and str(column.dtype) == "Boolean":
        column = column.cast(int).cast(float)
    series = pd.Series(column.to_numpy(), name=column.name, copy=False)
    zone = getattr(column.dtype, "time_zone", None)
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


def _list_columns(table: _Table, value_columns: Any) -> list[Any]:
    """Return the columns that `value_columns` names, each of which must exist, once."""
    if isinstance(value_columns, (str, Integral)):
        value_columns = [value_columns]
    if not isinstance(value_columns, (list, tuple, np.ndarray, pd.Index, pd.Series)) or np.ndim(value_columns) == 0:
        raise ValueError(
            f"value_columns is a {type(value_columns).__name__}; it must be a list of names, from {table.columns}"
        )
    names = list(value_columns)
    for position, name in enumerate(names):
        table.require(name, "value_columns")
        if name in names[:position]:
            raise ValueError(f"value_columns names {name!r} twice")
    return names


# ------------------------------------------------------------------------------------------ ids and times


def _find_ids_and_times(table: _Table, id_column: Any, time_column: Any) -> tuple[pd.Series | None, pd.Index | None]:
    """Read ids and times from the columns named; else from the index of a pandas table."""
    for argument, name in (("id_column", id_column), ("time_column", time_column)):
        if name is not None:
            table.require(name, argument)
    if id_column is not None and id_column == time_column:
        raise ValueError(f"id_column and time_column are both {id_column!r}")

    if isinstance(table.index, pd.MultiIndex):
        if id_column is None and time_column is None and table.index.nlevels == 2:
            id_level, time_level = _order_levels(table.index)
            label = f"level {time_level} of the index ({table.index.names[time_level]!r})"
            return table.level(id_level), read_times(table.level(time_level), label)
        if id_column is None or time_column is None:
            raise ValueError(
                f"{table.label} has a MultiIndex of levels {list(table.index.names)}: name id_column and time_column "
                "both, or neither where the levels are two, ids and times"
            )
    ids = None if id_column is None else table.column(id_column)
    if time_column is not None:
        return ids, read_times(table.column(time_column), f"time_column {time_column!r}")
    if table.index is None or id_column in table.levels:
        return ids, None
    return ids, read_index(table.index, "the index", table.label)


def read_index(index: pd.Index, label: str, owner: str) -> pd.Index | None:
    """Read an index as times, as `tsae.data.times.read_times`; None where it holds numbers, which number the rows.

    Parameters
    ----------
    index : pandas.Index
        Of one level.
    label : str
        How errors call it.
    owner : str
        How errors call the table or Series that it belongs to.

    Returns
    -------
    pandas.Index or None
    """
    if isinstance(index, pd.MultiIndex):
        raise ValueError(f"{label} has {index.nlevels} levels, {list(index.names)}; a single one, of times, is allowed")
    if pd.api.types.is_numeric_dtype(index.dtype):
        return None
    hint = f"; if it is not a time, drop it with {owner}.reset_index(drop=True)"
    return read_times(pd.Series(index, copy=False), label, hint)


def times_of_parts(parts: Sequence[Any], labels: Sequence[str]) -> pd.Index | None:
    """Read the times of several arrays or Series, one after the other, from the indexes of the Series.

    Parameters
    ----------
    parts : sequence of array-like
        Series of pandas may have an index of times; then all must.
    labels : sequence of str
        How errors call them.

    Returns
    -------
    pandas.Index or None
        None where none has times.

    Raises
    ------
    ValueError
        Where some have times and others do not, or times of another type or time zone.
    """
    times: list[Any] = [
        read_index(part.index, f"the index of {label}", label) if isinstance(part, pd.Series) and len(part) else None
        for part, label in zip(parts, labels, strict=True)
    ]
    if all(index is None for index in times):
        return None
    first = next(position for position, index in enumerate(times) if index is not None)
    found = []
    for index, part, label in zip(times, parts, labels, strict=True):
        if np.size(part) == 0:
            continue
        if index is None:
            raise ValueError(f"{labels[first]} has an index of times, but {label} has none; give all one, or none")
        if _time_kind(index) != _time_kind(times[first]):
            raise ValueError(
                f"the index of {labels[first]} has dtype {times[first].dtype}, that of {label} {index.dtype}; bring "
                "all times to one type and time zone"
            )
        found.append(index)
    return found[0].append(found[1:])


def _time_kind(times: pd.Index) -> tuple[str, str]:
    """Return what times must have in common to be compared; their unit may differ."""
    dtype = times.dtype
    return dtype.kind, str(dtype if isinstance(dtype, pd.PeriodDtype) else getattr(times, "tz", None))


def _order_levels(index: pd.MultiIndex) -> tuple[int, int]:
    """Tell which of two levels holds ids and which times: by their types, where these do not tell, by their names."""
    kinds = [_level_kind(level) for level in index.levels]
    sounds_like_time = [str(name).lower() in TIME_NAMES for name in index.names]
    sounds_like_id = [str(name).lower() in ID_NAMES or str(name).lower().endswith("_id") for name in index.names]
    by_name = (1, 0) if sounds_like_time == [True, False] or sounds_like_id == [False, True] else (0, 1)
    if kinds[0] == kinds[1] != "other":  # two levels of times, or of numbers
        return by_name
    if "time" in kinds and not all(sounds_like_time):
        is_named = any(sounds_like_time + sounds_like_id) and "number" in kinds
        return by_name if is_named else (1 - kinds.index("time"), kinds.index("time"))
    if kinds == ["other", "number"]:
        return 0, 1
    name = f"name id_column={index.names[1]!r} and time_column={index.names[0]!r}, or the other way round"
    if None in index.names:
        name = "give the levels names, data.index.names = ['id', 'time'], in their order"
    raise ValueError(
        f"data has a MultiIndex of levels {list(index.names)}, such as {tuple(index[0])!r}, which do not tell ids from "
        f"times: {name}; times as text are parsed with pandas.to_datetime first"
    )


def _level_kind(level: pd.Index) -> str:
    """Return "time", "number" or "other"."""
    if level.dtype.kind in "iuf" or pd.api.types.is_numeric_dtype(level.dtype):
        return "number" if not pd.api.types.is_bool_dtype(level.dtype) else "other"
    kind = pd.api.types.infer_dtype(level, skipna=True)
    return "time" if kind in ("datetime64", "datetime", "date", "timedelta64", "timedelta", "period") else "other"


def _group_rows(ids: pd.Series | None, n_rows: int, id_column: Any) -> tuple[np.ndarray | None, np.ndarray, pd.Index]:
    """Return the order that puts the rows of an id together (None: they are already), the offsets, and the ids."""
    if ids is None:
        return None, np.array([0, n_rows], dtype=np.int64), pd.RangeIndex(1)
    try:
        codes, names = pd.factorize(ids)
    except TypeError as error:
        raise ValueError(
            f"id_column {id_column!r} holds {reprlib.repr(ids.iloc[0])}; ids must be text, numbers or times: {error}"
        ) from None
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(f"ids are missing in {len(missing)} rows, the first is row {missing[0]}")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    order = None if np.all(codes[1:] >= codes[:-1]) else np.argsort(codes, kind="stable")
    return order, offsets, pd.Index(names)


# ------------------------------------------------------------------------------------------ values


def _read_values(table: _Table, names: Sequence[Any], order: np.ndarray | None, missing: MissingValues) -> np.ndarray:
    """Read the value columns one by one into one array, so that they are copied only once."""

    def read(name: Any) -> pd.Series:
        return missing.parse_column(table.column(name), f"column {name!r}")

    dtype = np.result_type(*(_float_dtype(read(name), name) for name in names))
    values = np.empty((len(table), len(names)), dtype=dtype)
    for position, name in enumerate(names):
        column = read(name)
        options = {} if isinstance(column.dtype, np.dtype) else {"na_value": np.nan}
        column = column.to_numpy(dtype=dtype, **options)
        values[:, position] = column if order is None else column[order]
    return values


def _float_dtype(column: pd.Series, name: Any) -> np.dtype:
    """Choose the type that holds a column's numbers."""
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        raise ValueError(
            f"column {name!r} has dtype {column.dtype}{_first_not_number(column)}; values must be numbers: "
            "convert the column, name the texts that mark missing values in missing_values, or leave it out by naming "
            "value_columns"
        )
    plain = column.dtype if isinstance(column.dtype, np.dtype) else getattr(column.dtype, "numpy_dtype", None)
    if plain is None or plain.kind == "O":  # sparse columns, decimals
        return np.dtype(np.float64)
    return float_dtype(plain, f"column {name!r}")


def _first_not_number(column: pd.Series) -> str:
    """Describe the first entry that is neither a number nor missing; empty where there is none."""
    for row, value in enumerate(column):
        if not isinstance(value, Number) and (not pd.api.types.is_scalar(value) or not pd.isna(value)):
            return f" and holds {reprlib.repr(value)} in row {row}"
    return ""
