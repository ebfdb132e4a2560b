"""Which columns of a table hold times, series, labels and channels, as their names and values suggest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tsae.data.inspection import suspected_labels
from tsae.jobs.errors import InputError
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns
from tsae.jobs.table_files import TableFile, open_table

TIME_NAMES = re.compile(r"(date|time|timestamp|datetime|date_?time|ds|t)", re.IGNORECASE)
ID_NAMES = re.compile(
    r"(.*[_ ])?(id|series|machine|device|sensor|unit|station|asset|site|engine|item)([_ ]?id)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are taken for.

    Attributes
    ----------
    columns : Columns
        With the channels.
    labels : tuple of str
        Columns that are named like a label; they are no channels.
    others : tuple of str
        Columns of text, which are left out.
    """

    columns: Columns
    labels: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line that says which column was taken as what."""
        columns = self.columns
        series = "each file is a series" if columns.id_from_file else "one series"
        parts = [
            f"times in {columns.time!r}" if columns.time is not None else "no times, so rows are numbered",
            f"series in {', '.join(map(repr, columns.ids))}" if columns.ids else series,
        ]
        parts += [f"labels in {', '.join(map(repr, self.labels))}"] if self.labels else []
        parts += [f"left out, as text: {', '.join(map(repr, self.others))}"] if self.others else []
        return f"columns: {'; '.join(parts)}"


def roles_of(source: str, columns: Columns) -> Roles:
    """Find the roles of the columns of a data set by its first part; see `find_roles`."""
    part = list_parts(source)[0]
    return find_roles(open_table(part.path, part.name, columns), columns)


def find_roles(table: TableFile, columns: Columns) -> Roles:
    """Find the columns of times, of series and of labels by names and values of one part; the others are channels.

    Raises
    ------
    InputError
        If columns have to be named.
    """
    others = [name for name in table.columns if name not in (*columns.ids, columns.time)]
    named = [*columns.ids, *([] if columns.time is None else [columns.time])]
    sample = table.read([*others, *named], list(table.columns))
    if not len(sample):
        raise InputError(f"{table.name} has no rows")
    numeric = [name for name in others if _numbers(sample[name], columns).notna().eq(sample[name].notna()).all()]
    if columns.time is None:
        columns = replace(columns, time=_find_time(sample, others, numeric))
    if columns.id is None and not columns.id_from_file:
        text = [name for name in others if name not in numeric and name != columns.time]
        columns = replace(columns, id=_partition_id(table) or _find_id(sample, text, numeric, columns))
    if columns.values:
        return Roles(columns)
    free = [name for name in numeric if name not in (*columns.ids, columns.time)]
    labels, _ = suspected_labels(free, [False] * len(free))
    channels = tuple(name for name in free if name not in labels)
    if not channels:
        raise InputError(
            f"{table.name} has the columns {table.columns}, none of which holds numbers to take as a channel"
        )
    text = [name for name in others if name not in (*free, *columns.ids, columns.time)]
    return Roles(replace(columns, values=channels), tuple(labels), tuple(text))


def _partition_id(table: TableFile) -> str | tuple[str, ...] | None:
    """Take directories such as ``machine=m1`` as the id."""
    names = tuple(table.partition)
    return names[0] if len(names) == 1 else names or None


def _numbers(column: pd.Series, columns: Columns) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.Series(float("nan"), index=column.index)
    text = column.where(~column.isin(columns.missing))
    if columns.decimal != "." and text.dtype.kind == "O":
        text = text.str.replace(columns.decimal, ".", regex=False)
    return pd.to_numeric(text, errors="coerce")


def _find_time(sample: pd.DataFrame, others: Sequence[str], numeric: Sequence[str]) -> str | None:
    """Return the first column of datetimes, or of numbers that is named like a time."""
    for name in others:
        if pd.api.types.is_datetime64_any_dtype(sample[name].dtype):
            return name
        if name not in numeric and sample[name].notna().all():
            try:
                pd.to_datetime(sample[name], format="ISO8601", utc=True)
            except (ValueError, TypeError):
                if TIME_NAMES.fullmatch(name):
                    raise InputError(
                        f"column {name!r} holds {sample[name].iloc[0]!r}, which is no time in ISO 8601; name it and "
                        "its format with --time-column and --time-format"
                    ) from None
                continue
            return name
    for name in others:
        if name in numeric and (TIME_NAMES.fullmatch(name) or _counts_years(sample, name)):
            return name
    return None


def _counts_years(sample: pd.DataFrame, name: str) -> bool:
    """Tell whether a column of numbers has a row for each year; of quarters or months, the years repeat."""
    return name.lower() == "year" and _increase(sample, name, None)


def _find_id(sample: pd.DataFrame, text: Sequence[str], numeric: Sequence[str], columns: Columns) -> str | None:
    """Return a column that is named like an id, or, where times alone do not increase, one of text; None without any.

    Within each of its values, times must increase.
    """
    time = columns.time
    named = [name for name in (*text, *numeric) if ID_NAMES.fullmatch(name) and name != time]
    increase = time is None or _increase(sample, time, None)
    candidates = named if increase else [*named, *(name for name in text if name not in named)]
    for name in candidates:
        repeats = 2 * sample[name].nunique() <= len(sample)
        if sample[name].notna().all() and repeats and (time is None or _increase(sample, time, name)):
            return name
    if increase:
        return None
    raise InputError(f"times of column {time!r} repeat or go back; name the columns of the series with --id-column")


def _increase(sample: pd.DataFrame, time: str, group: str | None) -> bool:
    """Tell whether times increase, in all or within each value of a column."""
    times = pd.to_numeric(sample[time], errors="coerce")
    if times.isna().any():
        times = pd.to_datetime(sample[time], format="ISO8601", errors="coerce", utc=True)
        if times.isna().any():  # of a format of their own; `read_dataset` checks them
            return True
    steps = times.diff() if group is None else times.groupby(sample[group], sort=False).diff()
    known = steps.dropna()
    return bool((known > pd.Timedelta(0) if known.dtype.kind == "m" else known > 0).all())
