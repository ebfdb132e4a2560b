"""Read pandas and polars tables into series; rows are grouped by id, never sorted, dropped or filled."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries, float_dtype
from tsae.data.times import check_increasing, read_times


def is_table(data: Any) -> bool:
    """Tell whether `data` is a table of pandas or polars (which need not be installed)."""
    return isinstance(data, (pd.DataFrame, pd.Series)) or type(data).__module__.split(".")[0] == "polars"


def series_from_table(
    data: Any,
    id_column: Any = None,
    time_column: Any = None,
    value_columns: Sequence[Any] | None = None,
) -> GroupedSeries:
    """Read a long table, a table with a DatetimeIndex, or one with a MultiIndex (id, time).

    Parameters
    ----------
    data : pandas or polars DataFrame or Series
        The table.
    id_column, time_column, value_columns : optional
        As in `tsae.make_windows`.

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
    table = _Table(data)
    if len(table) == 0:
        raise ValueError("data has no rows")
    ids, times = _find_ids_and_times(table, id_column, time_column)
    if value_columns is None:
        value_columns = [name for name in table.columns if name not in (id_column, time_column)]
    elif isinstance(value_columns, (str, int)):
        value_columns = [value_columns]
    if len(value_columns) == 0:
        raise ValueError("value_columns: there is no column besides the id and the time")
    for name in value_columns:
        table.require(name, "value_columns")

    order, offsets, names = _group_rows(ids, len(table))
    values = _read_values(table, value_columns, order)
    if times is not None and order is not None:
        times = times.take(order)
    has_names = all(isinstance(name, str) for name in value_columns)
    grouped = GroupedSeries(values, offsets, names, [str(name) for name in value_columns], times, has_names)
    check_increasing(grouped)
    return grouped


class _Table:
    """A pandas or polars table whose columns, and levels of the index, are read as pandas Series."""

    def __init__(self, data: Any):
        if hasattr(data, "collect"):
            raise TypeError("data is a polars LazyFrame; read it first with data.collect()")
        self.data = data if hasattr(data, "columns") else data.to_frame()
        self.columns = list(self.data.columns)
        self.index: Any = getattr(self.data, "index", None)
        self.levels = [] if self.index is None else [name for name in self.index.names if name is not None]
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"data has several columns named {twice!r}")

    def __len__(self) -> int:
        return len(self.data)

    def require(self, name: Any, argument: str) -> None:
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
    if column.dtype.is_decimal() or (column.null_count() and column.dtype.is_integer()):
        column = column.cast(float)
    elif column.null_count() and str(column.dtype) == "Boolean":
        column = column.cast(int).cast(float)
    series = pd.Series(column.to_numpy(), name=column.name, copy=False)
    zone = getattr(column.dtype, "time_zone", None)
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


def _find_ids_and_times(table: _Table, id_column: Any, time_column: Any) -> tuple[pd.Series | None, pd.Index | None]:
    """Read ids and times from the columns named; else from the index of a pandas table."""
    for argument, name in (("id_column", id_column), ("time_column", time_column)):
        if name is not None:
            table.require(name, argument)

    if isinstance(table.index, pd.MultiIndex):
        if id_column is None and time_column is None and table.index.nlevels == 2:
            return table.level(0), read_times(table.level(1), "level 1 of the index")
        if id_column is None or time_column is None:
            raise ValueError(
                f"data has a MultiIndex of levels {list(table.index.names)}: name id_column and time_column "
                "both, or neither where the levels are two, ids and times"
            )
    ids = None if id_column is None else table.column(id_column)
    if time_column is not None:
        return ids, read_times(table.column(time_column), f"time_column {time_column!r}")
    if table.index is None or id_column in table.levels or pd.api.types.is_numeric_dtype(table.index.dtype):
        return ids, None  # an index of numbers is treated as row numbers
    hint = "; if it is not a time, drop it with data.reset_index(drop=True)"
    return ids, read_times(table.level(0), "the index", hint)


def _group_rows(ids: pd.Series | None, n_rows: int) -> tuple[np.ndarray | None, np.ndarray, pd.Index]:
    """Return the order that puts the rows of an id together (None: they are already), the offsets, and the ids."""
    if ids is None:
        return None, np.array([0, n_rows], dtype=np.int64), pd.RangeIndex(1)
    codes, names = pd.factorize(ids)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(f"ids are missing in {len(missing)} rows, the first is row {missing[0]}")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    order = None if np.all(codes[1:] >= codes[:-1]) else np.argsort(codes, kind="stable")
    return order, offsets, pd.Index(names)


def _read_values(table: _Table, names: Sequence[Any], order: np.ndarray | None) -> np.ndarray:
    """Read the value columns one by one into one array, so that they are copied only once."""
    dtype = np.result_type(*(_float_dtype(table.column(name), name) for name in names))
    values = np.empty((len(table), len(names)), dtype=dtype)
    for position, name in enumerate(names):
        column = table.column(name)
        missing = {} if isinstance(column.dtype, np.dtype) else {"na_value": np.nan}
        column = column.to_numpy(dtype=dtype, **missing)
        values[:, position] = column if order is None else column[order]
    return values


def _float_dtype(column: pd.Series, name: Any) -> np.dtype:
    """Choose the type that holds a column's numbers."""
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        raise ValueError(
            f"column {name!r} has dtype {column.dtype}{_first_not_number(column)}; values must be numbers: "
            "convert the column, or leave it out by naming value_columns"
        )
    plain = column.dtype if isinstance(column.dtype, np.dtype) else getattr(column.dtype, "numpy_dtype", None)
    if plain is None or plain.kind == "O":  # sparse columns, decimals
        return np.dtype(np.float64)
    return float_dtype(plain, f"column {name!r}")


def _first_not_number(column: pd.Series) -> str:
    """Describe the first entry that is neither a number nor missing; empty where there is none."""
    for row, value in enumerate(column):
        if not isinstance(value, Number) and not pd.isna(value):
            return f" and holds {value!r} in row {row}"
    return ""
