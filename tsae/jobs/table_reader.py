"""Input tables: CSV and Parquet files become checked series."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data import frames
from tsae.data.series import GroupedSeries, first_infinite
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.spec import Columns

MAX_COLUMNS = 10_000  # with more, channels must be named
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]  # missing values in CSV files


@dataclass(frozen=True)
class Rows:
    """A table as read.

    Attributes
    ----------
    series : GroupedSeries
        Checked.
    time_kind : {"datetime", "utc", "integer", "float"} or None
        As of `Columns`.
    extra : DataFrame
        Further columns, in the order of the rows of `series`.
    """

    series: GroupedSeries
    time_kind: str | None
    extra: pd.DataFrame


def read_rows(path: Path, columns: Columns, *, name: str = "", extra: Sequence[str] = ()) -> Rows:
    """Read and check a table.

    Parameters
    ----------
    path : Path
        A .csv file (UTF-8, commas, one line of names) or a .parquet file.
    columns : Columns
    name : str
        Name of the file in error messages; with ``columns.id_from_file`` also the id of its series.
    extra : sequence of str
        Further columns to read, unchecked.

    Returns
    -------
    Rows
        Values are float64, NaN is missing; ids are text; datetimes are in nanoseconds, those with a time zone in
        UTC. Series are in the order of their first rows.

    Raises
    ------
    InputError
        For a file that cannot be read, has no rows or lacks a column, for text or infinities in a value column, for
        missing ids or times, and for times that do not increase within a series.
    """
    name = name or path.name
    source = _Parquet(path, name) if path.suffix.lower() == ".parquet" else _Csv(path, name)
    values = columns.values or source.other_columns({columns.id, columns.time, *extra})
    wanted = [column for column in (columns.id, columns.time, *values, *extra) if column is not None]
    source.require(wanted)
    frame = source.read(list(dict.fromkeys(wanted)), [c for c in (columns.id, columns.time) if c is not None])
    if len(frame) == 0:
        raise InputError(f"{name} has no rows")

    table = pd.DataFrame({column: _numbers(frame[column], source) for column in values}, index=frame.index)
    _refuse_infinite(table, source)
    kind = None
    if columns.id is not None:
        table[columns.id] = _ids(frame[columns.id], source)
    if columns.time is not None:
        table[columns.time], kind = _times(frame[columns.time], columns, source)
    try:
        series = frames.series_from_table(table, columns.id, columns.time, list(values))
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    names = series.names if columns.id is not None else [name.rsplit(".", 1)[0] if columns.id_from_file else "0"]
    series = replace(series, names=pd.Index(names, dtype=object))
    others = frame[list(extra)]
    if columns.id is not None and extra:  # in the order of the series: rows of one id together
        others = others.iloc[np.argsort(pd.factorize(table[columns.id])[0], kind="stable")]
    return Rows(series, kind, others.reset_index(drop=True))


class _Source:
    """A table file: its column names, a selection of its columns, and descriptions of places in it."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = path, name
        self.columns = self._read_names()

    def _read_names(self) -> list[str]:
        raise NotImplementedError

    def read(self, names: list[str], text: list[str]) -> pd.DataFrame:
        """Read columns; those in `text` stay unparsed if the file holds text."""
        raise NotImplementedError

    def place(self, row: int) -> str:
        return f"row {row + 1}"

    def require(self, names: Sequence[str]) -> None:
        known = set(self.columns)
        for name in names:
            if name not in known:
                raise InputError(f"{self.name} has no column {name!r}; it has {_some(self.columns)}")
            if self.columns.count(name) > 1:
                raise InputError(f"{self.name} has several columns named {name!r}")

    def other_columns(self, taken: set[str | None]) -> tuple[str, ...]:
        others = tuple(column for column in self.columns if column not in taken)
        if not others:
            raise InputError(f"{self.name} has the columns {_some(self.columns)}; none is left for the channels")
        if len(others) > MAX_COLUMNS:
            raise InputError(f"{self.name} has {len(self.columns)} columns; name the channels with --value-columns")
        return others


class _Csv(_Source):
    def place(self, row: int) -> str:
        return f"line {row + 2}"

    def _read_names(self) -> list[str]:
        with self._errors(), open(self.path, encoding="utf-8-sig", newline="") as file:
            line = file.readline()
            names = next(csv.reader(io.StringIO(line)), [])
        if not any(names):
            raise InputError(f"{self.name} is empty: its first line must hold the names of the columns")
        return names

    def read(self, names: list[str], text: list[str]) -> pd.DataFrame:
        missing = {name: [""] if name in text else MISSING for name in names}
        with self._errors():
            frame = pd.read_csv(
                self.path, usecols=names, dtype=dict.fromkeys(text, "str"), encoding="utf-8-sig",
                keep_default_na=False, na_values=missing, low_memory=False, index_col=False,
            )  # fmt: skip
            self._check_fields(len(frame))
        return frame

    def _check_fields(self, n_rows: int) -> None:
        """Refuse lines with more or fewer fields than columns, which pandas would silently cut or fill."""
        n_commas = n_quotes = 0
        with open(self.path, "rb") as file:
            while block := file.read(1 << 20):
                n_commas += block.count(b",")
                n_quotes += block.count(b'"')
        if n_quotes == 0 and n_commas == (n_rows + 1) * (len(self.columns) - 1):
            return
        with open(self.path, encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(text)
            for fields in lines:
                while len(fields) > len(self.columns) and not fields[-1]:
                    fields.pop()  # trailing comma
                if fields and len(fields) != len(self.columns):
                    raise InputError(
                        f"{self.name}, line {lines.line_num}: {len(fields)} fields, but {len(self.columns)} columns "
                        "are named in the first line"
                    )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name} is not UTF-8 text: byte {error.object[error.start]:#04x} at byte {error.start}; "
                "save it as UTF-8"
            ) from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
            raise InputError(f"{self.name} is not a table of comma-separated values: {error}") from error
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error}") from error


class _Parquet(_Source):
    def _read_names(self) -> list[str]:
        self.parquet = import_parquet()
        with self._errors():
            return list(self.parquet.read_schema(self.path).names)

    def read(self, names: list[str], _text: list[str]) -> pd.DataFrame:
        with self._errors():
            frame = self.parquet.ParquetFile(self.path).read(columns=names).to_pandas()
        # pandas restores a stored index as the index; here it is a column like any other.
        return frame.reset_index()[names] if set(names) - set(frame.columns) else frame[names].reset_index(drop=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{self.name} cannot be read as a Parquet file: {error}") from error


def import_parquet() -> Any:
    """Import ``pyarrow.parquet``, with an error that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise JobError("Parquet files need pyarrow: pip install 'tsae[parquet]' (or use CSV files)") from error
    return pyarrow.parquet


def _numbers(column: pd.Series, source: _Source) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if column.isna().all():
        return np.full(len(column), np.nan)
    for row, value in enumerate(column):
        if not pd.api.types.is_scalar(value) or (pd.notna(value) and pd.isna(pd.to_numeric(value, errors="coerce"))):
            raise InputError(
                f"{source.name}, {source.place(row)}: column {column.name!r} holds {value!r}; values must be numbers. "
                "Fix the file, or name the columns to use with --value-columns"
            )
    return np.asarray(pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan))


def _refuse_infinite(table: pd.DataFrame, source: _Source) -> None:
    found = first_infinite(table.to_numpy())
    if found is not None:
        row, column = found
        raise InputError(
            f"{source.name}, {source.place(row)}: column {table.columns[column]!r} holds {table.iat[row, column]}; "
            "leave a missing value empty"
        )


def _ids(column: pd.Series, source: _Source) -> pd.Series:
    _refuse_missing(column, source)
    return column.astype(str).astype(object)


def _times(column: pd.Series, columns: Columns, source: _Source) -> tuple[pd.Index, str]:
    """Convert to an Index of times without a time zone, and their kind."""
    _refuse_missing(column, source)
    times = _parse_times(column, columns.time_format, source)
    if times.dtype.kind == "M":
        kind = "datetime" if times.tz is None else "utc"
        if times.tz is not None:
            times = times.tz_convert("UTC").tz_localize(None)
        try:
            times = times.as_unit("ns")
        except ValueError as error:
            raise InputError(f"{source.name}: column {column.name!r}: {error}") from error
    else:
        kind = "integer" if times.dtype.kind in "iu" else "float"
        if columns.time_kind == "float":
            times, kind = times.astype(np.float64), "float"
    if columns.time_kind not in (None, kind):
        raise InputError(
            f"{source.name}: column {column.name!r} holds times of kind {kind!r}, but the model was trained on "
            f"{columns.time_kind!r}"
        )
    return times, kind


def _parse_times(column: pd.Series, time_format: str | None, source: _Source) -> pd.Index:
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return pd.Index(column.to_numpy())
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.DatetimeIndex(column)
    if time_format is None:
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().all():
            return pd.Index(numbers.to_numpy())
    parsed = _parse_datetimes(column, time_format, utc=False)
    if parsed is None:
        parsed = _parse_datetimes(column, time_format, utc=True)  # UTC offsets differ, as around a clock change
    if parsed is not None:
        return parsed
    wrong = pd.to_datetime(column, format=time_format or "ISO8601", errors="coerce", utc=True).isna()
    row = int(np.argmax(wrong.to_numpy()))
    allowed = f"a time of the format {time_format!r}" if time_format else "a time in ISO 8601 or a number"
    raise InputError(
        f"{source.name}, {source.place(row)}: column {column.name!r} holds {column.iloc[row]!r}, which is not {allowed}"
        + ("" if time_format else "; describe it with --time-format")
    )


def _parse_datetimes(column: pd.Series, time_format: str | None, utc: bool) -> pd.DatetimeIndex | None:
    try:
        parsed = pd.to_datetime(column, format=time_format or "ISO8601", utc=utc)
    except (ValueError, TypeError):
        return None
    return pd.DatetimeIndex(parsed) if pd.api.types.is_datetime64_any_dtype(parsed.dtype) else None


def _refuse_missing(column: pd.Series, source: _Source) -> None:
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(
            f"{source.name}, {source.place(int(missing[0]))}: column {column.name!r} is empty ({len(missing)} in all)"
        )


def _some(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
