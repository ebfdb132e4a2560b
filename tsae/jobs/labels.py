"""Known anomalies: a column of the data set, or the marks that somebody set on a report page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.table_files import import_parquet

MARKS_SUFFIX = ".csv"  # a label column whose name ends like this is a file of marks
MARK_COLUMNS = ["series", "start", "end", "mark"]
VALUES = {"normal": 0.0, "fault": 1.0, "unclear": np.nan}


@dataclass(frozen=True, eq=False)
class Labels:
    """Where known anomalies are written.

    Attributes
    ----------
    column : str or None
        A column of the data set that is neither 0 nor empty in rows with an anomaly.
    marks : DataFrame or None
        Instead: `series`, `start`, `end` and `mark` of stretches that are "normal", "fault" or "unclear".
    source : str
        As given by the user.
    """

    column: str | None
    marks: pd.DataFrame | None
    source: str

    @classmethod
    def of(cls, label_column: str | None) -> Labels | None:
        """Take the name of a column, or read a file of marks; None without either.

        Raises
        ------
        JobError
            For a file that cannot be read, or holds something else.
        """
        if label_column is None:
            return None
        if not label_column.endswith(MARKS_SUFFIX):
            return cls(label_column, None, label_column)
        return cls(None, _read_marks(Path(label_column)), label_column)

    @property
    def extra(self) -> list[str]:
        """The columns that have to be read with the rows."""
        return [] if self.column is None else [self.column]

    def of_rows(self, series: GroupedSeries, extra: pd.DataFrame) -> np.ndarray:
        """Return the label of each row, float64: 1 for known anomalies, otherwise 0; NaN where it is unclear.

        Raises
        ------
        InputError
            For labels or times that cannot be read.
        """
        if self.marks is None:
            return labels_of(extra[self.column]).astype(np.float64)
        labels, marked = np.zeros(len(series.values)), self.stretches(series)
        for name, start, end, mark in marked.itertuples(index=False):
            labels[series.rows_between(name, start, end)] = VALUES[mark]
        return labels

    def stretches(self, series: GroupedSeries) -> pd.DataFrame:
        """Return the marks, with times of the kind of the data set.

        Raises
        ------
        InputError
            For times that cannot be read, and if the data set has none.
        """
        assert self.marks is not None
        if series.times is None:
            raise InputError(f"{self.source}: marks need a time column, which tells the rows that they are of")
        times = {name: _times(self.marks[name], series.times, self.source) for name in ("start", "end")}
        return self.marks.assign(**times)

    def check_used(self, labels: np.ndarray) -> None:
        """Refuse marks of which none is on a row.

        Raises
        ------
        InputError
        """
        if self.marks is not None and (self.marks["mark"] != "normal").any() and not (labels != 0).any():
            raise InputError(f"{self.source}: no mark is on a row of the data set; are they of other series or times?")


def read_stretches(path: Path, series: str | None) -> Labels:
    """Read a table of stretches with known anomalies: `start`, `end`, and as needed `series` and `mark`.

    Parameters
    ----------
    path : Path
        A .csv or .parquet file, such as the events of tsae anomalies, or marks of a report page.
    series : str or None
        Of all stretches, where the table has no column `series`.

    Returns
    -------
    Labels
        Without a column `mark` every stretch is a "fault".

    Raises
    ------
    JobError
        For a file that cannot be read, or holds something else.
    """
    table = _read_text(path)
    if "series" not in table and series is not None:
        table["series"] = series
    table = table.assign(mark=table.get("mark", "fault"))
    return Labels(None, _check_marks(table, path), str(path))


def labels_of(column: pd.Series) -> np.ndarray:
    """Return a bool array: the rows in which a column is neither 0 nor missing.

    Raises
    ------
    InputError
        If the column holds text.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        raise InputError(f"column {column.name!r} holds {wrong.iloc[0]!r}; labels must be numbers, 0 for normal")
    return np.asarray(numbers.fillna(0) != 0)


def _read_marks(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise JobError(f"there is no file {path} of marks; a label column may not end in {MARKS_SUFFIX}")
    return _check_marks(_read_text(path), path)


def _read_text(path: Path) -> pd.DataFrame:
    """Read a table of text."""
    try:
        if path.suffix == ".parquet":
            return import_parquet().read_table(path).to_pandas().astype(str)
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise JobError(f"{path} cannot be read as marks: {error}") from error


def _check_marks(marks: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not set(MARK_COLUMNS) <= set(marks.columns):
        raise JobError(f"{path} has the columns {list(marks.columns)}; marks have {MARK_COLUMNS}")
    wrong = marks.index[~marks["mark"].isin(list(VALUES))]
    if len(wrong):
        raise JobError(f"{path}, line {wrong[0] + 2}: mark {marks['mark'][wrong[0]]!r} is none of {list(VALUES)}")
    return marks[MARK_COLUMNS]


def _times(column: pd.Series, like: pd.Index, source: str) -> list[object]:
    """Read times of the kind of the data set; those of datetimes have no zone, and are UTC where there was one."""
    try:
        if isinstance(like, pd.DatetimeIndex):
            return list(pd.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None))
        return list(pd.to_numeric(column))
    except ValueError as error:
        raise InputError(f"{source}: column {column.name!r} holds a time that cannot be read: {error}") from error
