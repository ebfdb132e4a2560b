"""Input tables: CSV and Parquet files become checked series."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tsae.data import frames
from tsae.data.series import GroupedSeries, first_infinite
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.parts import Part, stem
from tsae.jobs.spec import Columns
from tsae.jobs.stores import StoredFile
from tsae.jobs.table_files import TableFile, open_table

WITH_ZONE = r"\d[ T]\d.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)\s*$"  # a time of day, and the offset from UTC
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_NO_TIMES = {"integer": "int64", "float": "float64"}  # datetimes otherwise


@dataclass(frozen=True)
class Rows:
    """A table as read.

    Attributes
    ----------
    series : GroupedSeries
        Checked; there may be no rows.
    time_kind : {"datetime", "utc", "integer", "float"} or None
        As of `Columns`; without rows, that of the columns asked for.
    extra : DataFrame
        Further columns, in the order of the rows of `series`.
    """

    series: GroupedSeries
    time_kind: str | None
    extra: pd.DataFrame


def read_rows(path: Path | StoredFile, columns: Columns, *, name: str = "", extra: Sequence[str] = ()) -> Rows:
    """Read and check a table.

    Parameters
    ----------
    path : Path or StoredFile
        A .csv file (UTF-8, one line of names), also compressed as .csv.gz or .csv.zst, or a .parquet file.
    columns : Columns
    name : str
        Name of the file in error messages; with ``columns.id_from_file`` also the id of its series.
    extra : sequence of str
        Further columns to read, unchecked.

    Returns
    -------
    Rows
        Values are float64, NaN is missing; ids are text; datetimes are in nanoseconds, those with a time zone in
        UTC; durations are in seconds. Series are in the order of their first rows.

    Raises
    ------
    InputError
        For a file that cannot be read or lacks a column, for text or infinities in a value column, for missing ids
        or times, and for times that do not increase within a series.
    """
    [rows] = read_chunks(path, columns, None, name=name, extra=extra)
    return rows


def read_chunks(
    path: Path | StoredFile, columns: Columns, n_rows: int | None, *, name: str = "", extra: Sequence[str] = ()
) -> Iterator[Rows]:
    """Read and check a table of any size, so many rows at a time; otherwise as `read_rows`.

    Times are of one kind in all chunks; that they increase is checked within each chunk alone.
    """
    name = name or path.name
    _check_time_format(columns.time_format)
    source = open_table(path, name, columns)
    values = columns.values or _other_columns(source, extra)
    unparsed = [column for column in (*columns.ids, columns.time) if column is not None]
    source.require([*unparsed, *values, *extra])
    columns = replace(columns, values=tuple(values))
    for frame in source.chunks(list(dict.fromkeys([*unparsed, *values, *extra])), unparsed, n_rows):
        rows = rows_of_frame(frame, columns, source, extra)
        columns = replace(columns, time_kind=rows.time_kind)
        yield rows


def channels_of(part: Part, columns: Columns, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the channels of a table: those asked for, or all other columns.

    Raises
    ------
    InputError
        If the names of the columns cannot be read, or none is left.
    """
    return columns.values or _other_columns(open_table(part.path, part.name, columns), extra)


def _other_columns(source: TableFile, extra: Sequence[str]) -> tuple[str, ...]:
    columns = source.settings
    return source.other_columns({*columns.ids, columns.time, *extra, *source.partition})


def rows_of_frame(frame: pd.DataFrame, columns: Columns, source: TableFile, extra: Sequence[str] = ()) -> Rows:
    """Check rows of a table, as they were read by `source`: see `read_rows`."""
    values = columns.values
    if len(frame) == 0:
        return Rows(_no_rows(list(values), columns), columns.time_kind, frame[list(extra)])
    table = pd.DataFrame({column: _numbers(frame[column], source) for column in values}, index=frame.index)
    _refuse_infinite(table, source)
    ids = _ids(frame, source) if columns.ids else None
    times, kind = (None, None) if columns.time is None else _times(frame[columns.time], columns, source)
    try:
        series = _grouped(table, ids, times)
    except ValueError as error:
        raise InputError(f"{source.name}: {error}") from error
    names = series.names if ids is not None else [stem(source.name) if columns.id_from_file else "0"]
    series = replace(series, names=pd.Index(names, dtype=object))
    others = frame[list(extra)]
    if ids is not None and extra:  # in the order of the series: rows of one id together
        others = others.iloc[np.argsort(pd.factorize(ids)[0], kind="stable")]
    return Rows(series, kind, others.reset_index(drop=True))


def _grouped(table: pd.DataFrame, ids: pd.Series | None, times: pd.Index | None) -> GroupedSeries:
    """Group values by id; the columns of ids and times have names of their own here, which no channel has."""
    channels = list(table.columns)
    id_name, time_name = ("id", 0), ("time", 0)
    if ids is not None:
        table[id_name] = ids
    if times is not None:
        table[time_name] = times
    return frames.series_from_table(
        table, None if ids is None else id_name, None if times is None else time_name, channels
    )


def _no_rows(channels: list[str], columns: Columns) -> GroupedSeries:
    times = None
    if columns.time is not None:
        times = pd.Index(np.zeros(0, dtype=_NO_TIMES.get(columns.time_kind or "", "datetime64[ns]")))
    return GroupedSeries(
        np.zeros((0, len(channels))), np.zeros(1, dtype=np.int64), pd.Index([], dtype=object), channels, times
    )


# -- values ------------------------------------------------------------------------------------------------------


def _numbers(column: pd.Series, source: TableFile) -> np.ndarray:
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        numbers = column.dt.total_seconds().to_numpy()
    elif pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif column.isna().all():
        return np.full(len(column), np.nan)
    else:
        numbers = _parse_numbers(column, source)
    markers = [number for text in source.settings.missing if (number := _marker(text)) is not None]
    if markers:
        # A marker such as -3.4028235e38 was written from 32 bits.
        numbers = np.where(
            np.isin(numbers, [*markers, *(float(np.float32(marker)) for marker in markers)]), np.nan, numbers
        )
    return np.asarray(numbers)


def _marker(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parse_numbers(column: pd.Series, source: TableFile) -> np.ndarray:
    texts = column.astype(object).where(~column.isin(source.settings.missing), np.nan)
    if source.settings.decimal != ".":
        texts = texts.map(lambda v: v.replace(source.settings.decimal, ".") if isinstance(v, str) else v)
    wrong = np.ones(len(column), dtype=bool)
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        try:
            numbers = pd.to_numeric(texts, errors="coerce")
        except TypeError:  # lists and the like
            wrong = ~texts.map(pd.api.types.is_number).to_numpy(dtype=bool)
        else:
            wrong = (numbers.isna() & texts.notna()).to_numpy()
            if not wrong.any():
                return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    row = int(np.argmax(wrong))
    value = column.iloc[row]
    comma = isinstance(value, str) and source.settings.decimal == "." and DECIMAL_COMMA.fullmatch(value)
    raise InputError(
        f"{source.name}, {source.place(row)}: column {column.name!r} holds {value!r}; values must be numbers. "
        + ("If the decimal mark is a comma, use --decimal ','. " if comma else _other_role(column, wrong))
        + f"Fix the file, name what marks missing values with --missing-values, or the columns to use with "
        f"--value-columns{source.hint}"
    )


def _other_role(column: pd.Series, wrong: np.ndarray) -> str:
    """What a column may be that holds no number at all."""
    known = column.notna().to_numpy()
    if not wrong[known].all():
        return ""
    first = column[known].head(20)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of formats that are inferred: this is but a guess
            are_times = pd.to_datetime(first, errors="coerce", utc=True).notna().all()
    except (TypeError, ValueError):  # lists and the like
        are_times = False
    if are_times:
        return f"If these are times, use --time-column {column.name!r}. "
    return f"If it tells series apart, use --id-column {column.name!r}. " if isinstance(first.iloc[0], str) else ""


def _refuse_infinite(table: pd.DataFrame, source: TableFile) -> None:
    found = first_infinite(table.to_numpy())
    if found is not None:
        row, column = found
        raise InputError(
            f"{source.name}, {source.place(row)}: column {table.columns[column]!r} holds {table.iat[row, column]}; "
            "leave a missing value empty"
        )


# -- ids ---------------------------------------------------------------------------------------------------------


def _ids(frame: pd.DataFrame, source: TableFile) -> pd.Series:
    """Text that identifies the series of each row; several columns are joined by slashes."""
    texts = []
    for name in source.settings.ids:
        _refuse_missing(frame[name], source)
        texts.append(frame[name].astype(str).astype(object))
    if len(texts) == 1:
        return texts[0]
    escaped = [text.str.replace("\\", "\\\\", regex=False).str.replace("/", "\\/", regex=False) for text in texts]
    return escaped[0].str.cat(escaped[1:], sep="/").astype(object)


# -- times -------------------------------------------------------------------------------------------------------


def _check_time_format(time_format: str | None) -> None:
    if time_format is None:
        return
    try:
        pd.to_datetime(pd.Series(["x"]), format=time_format, errors="coerce")
    except ValueError as error:
        raise JobError(
            f"--time-format {time_format!r} is no format of datetime.strptime: {error}. Numbers, such as seconds since "
            "1970, need no format"
        ) from error


def _times(column: pd.Series, columns: Columns, source: TableFile) -> tuple[pd.Index, str]:
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
            f"{columns.time_kind!r} (in training: the rows before are of this kind)"
        )
    return times, kind


def _parse_times(column: pd.Series, time_format: str | None, source: TableFile) -> pd.Index:
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return pd.Index(column.dt.total_seconds().to_numpy())
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.DatetimeIndex(column)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        if time_format is None:
            return _number_times(column.to_numpy(), column, source)
        column = column.map(lambda number: f"{number:.15g}" if isinstance(number, float) else str(number))
    if time_format is None:
        numbers = pd.to_numeric(_with_point(column, source), errors="coerce")
        if numbers.notna().all() and numbers.dtype.kind != "b":
            # Python's conversion of text is exact, that of pandas up to the last bit.
            exact = numbers if numbers.dtype.kind in "iu" else _with_point(column, source).map(float)
            return _number_times(exact.to_numpy(), column, source)
    parsed = _parse_datetimes(column, time_format, utc=False)
    if parsed is None:
        parsed = _parse_datetimes(column, time_format, utc=True)  # UTC offsets differ, as around a clock change
        if parsed is not None and time_format is None:
            _refuse_without_zone(column, source)
    if parsed is not None:
        return parsed
    wrong = pd.to_datetime(column, format=time_format or "ISO8601", errors="coerce", utc=True).isna()
    row = int(np.argmax(wrong.to_numpy()))
    allowed = f"a time of the format {time_format!r}" if time_format else "a time in ISO 8601 or a number"
    raise InputError(
        f"{source.name}, {source.place(row)}: column {column.name!r} holds {column.iloc[row]!r}, which is not {allowed}"
        + ("" if time_format else "; describe it with --time-format")
    )


def _with_point(column: pd.Series, source: TableFile) -> pd.Series:
    if source.settings.decimal == ".":
        return column
    return column.astype(str).str.replace(source.settings.decimal, ".", regex=False)


def _number_times(numbers: np.ndarray, column: pd.Series, source: TableFile) -> pd.Index:
    if numbers.dtype.kind == "u":
        if numbers.max() > np.iinfo(np.int64).max:
            raise InputError(f"{source.name}: column {column.name!r} holds {numbers.max()}, which is above 2**63")
        numbers = numbers.astype(np.int64)
    return pd.Index(numbers)


def _refuse_without_zone(column: pd.Series, source: TableFile) -> None:
    without = np.flatnonzero(~column.astype(str).str.contains(WITH_ZONE))
    if len(without):
        row = int(without[0])
        raise InputError(
            f"{source.name}, {source.place(row)}: column {column.name!r} holds {column.iloc[row]!r}, which has no time "
            f"zone, while other times have one ({len(without)} of {len(column)} have none)"
        )


def _parse_datetimes(column: pd.Series, time_format: str | None, utc: bool) -> pd.DatetimeIndex | None:
    try:
        parsed = pd.to_datetime(column, format=time_format or "ISO8601", utc=utc)
    except (ValueError, TypeError):
        return None
    return pd.DatetimeIndex(parsed) if pd.api.types.is_datetime64_any_dtype(parsed.dtype) else None


def _refuse_missing(column: pd.Series, source: TableFile) -> None:
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(
            f"{source.name}, {source.place(int(missing[0]))}: column {column.name!r} is empty ({len(missing)} in all)"
        )
