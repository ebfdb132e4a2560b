"""How tables become windows: which columns hold what, and where windows lie."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.data.times import find_gaps
from tsae.data.windows import Windows


@dataclass(frozen=True)
class Columns:
    """Roles of the columns of a table, and how its text is read.

    Attributes
    ----------
    id : str, tuple of str or None
        The series that a row belongs to; several columns together identify it. None: the whole data set is one
        series.
    time : str or None
        Datetimes (ISO 8601, or in `time_format`) or numbers. None: rows are numbered within their series.
    values : tuple of str
        The channels; empty: every other column.
    time_format : str or None
        As of `datetime.strptime`.
    time_kind : {"datetime", "utc", "integer", "float"} or None
        Kind of the times in the training data; other kinds are refused later. "utc": datetimes with a time zone.
    id_from_file : bool
        Each file is one series, named by its path.
    missing : tuple of str
        Entries of value columns that mean a missing value, besides empty ones and the usual words: text as written,
        numbers by value.
    separator, decimal : str
        Of CSV files: the character between fields, and the decimal mark.
    """

    id: str | tuple[str, ...] | None = None
    time: str | None = None
    values: tuple[str, ...] = ()
    time_format: str | None = None
    time_kind: str | None = None
    id_from_file: bool = False
    missing: tuple[str, ...] = ()
    separator: str = ","
    decimal: str = "."

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that identify a series; there may be none."""
        if self.id is None:
            return ()
        return (self.id,) if isinstance(self.id, str) else self.id


@dataclass(frozen=True)
class WindowSpec:
    """Columns, width, stride and gaps of the windows of a model, as in training.

    Windows start every `stride` rows from the first row of a series, and again from the first row after each gap.

    Attributes
    ----------
    columns : Columns
    width, stride : int
        In rows.
    max_gap : str, float or None
        Longest time step within a window: text for a duration, a number for numeric times, None for no limit.
    step : str, float or None
        Median time step of the training data; None: not known, or rows are numbered.
    max_gaps : dict of str or float
        That of each series of the training data, if they have different sampling rates. Other series have `max_gap`.
    """

    columns: Columns
    width: int
    stride: int
    max_gap: str | float | None = None
    step: str | float | None = None
    max_gaps: dict[str, str | float] = field(default_factory=dict, hash=False)

    @property
    def longest_step(self) -> Any:
        """`max_gap` as a duration or number; infinity for no limit."""
        return _as_limit(self.max_gap)

    def cut(self, series: GroupedSeries) -> Windows:
        """Cut series into windows, of which there may be none."""
        return Windows.cut(series, self.width, self.stride, max_gap=self._limits(series))

    def rows_after_gaps(self, series: GroupedSeries) -> np.ndarray:
        """Return the first row after each gap, int64 of shape (n_gaps,)."""
        return find_gaps(series, self._limits(series))[2]

    def _limits(self, series: GroupedSeries) -> Any:
        """Return the longest step within a window: of all series, or a dict of them."""
        if series.times is None or not len(series.times):
            return None
        if not self.max_gaps:
            return self.longest_step
        return {name: _as_limit(self.max_gaps.get(name, self.max_gap)) for name in series.names.tolist()}

    def with_stride(self, stride: int | None) -> WindowSpec:
        """Return a copy with another stride; None keeps the stride."""
        return self if stride is None else replace(self, stride=stride)

    def with_marks(self, separator: str | None, decimal: str | None) -> WindowSpec:
        """Return a copy for CSV files with another separator and decimal mark; None keeps them."""
        columns = replace(
            self.columns, separator=separator or self.columns.separator, decimal=decimal or self.columns.decimal
        )
        return replace(self, columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in model files and manifests."""
        plain = asdict(self)
        plain["columns"] = {k: list(v) if isinstance(v, tuple) else v for k, v in plain["columns"].items()}
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> WindowSpec:
        """Rebuild a specification from `as_dict`; settings that an older file lacks have their defaults."""
        columns: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain["columns"].items()}
        return cls(**{**{field.name: plain[field.name] for field in fields(cls) if field.name in plain},
                      "columns": Columns(**columns)})  # fmt: skip


def _as_limit(max_gap: str | float | None) -> Any:
    if max_gap is None:
        return np.inf
    return pd.Timedelta(max_gap) if isinstance(max_gap, str) else max_gap


def plain_gap(max_gap: Any) -> str | float:
    """Convert the longest step within a window to text for a duration or to a number."""
    return str(max_gap) if isinstance(max_gap, pd.Timedelta) else max_gap


def plain_step(step: float, times: pd.Index) -> str | float:
    """Convert a time step, in the unit of `times`, to text for a duration or to a number."""
    return str(pd.Timedelta(step, unit=times.unit)) if times.dtype.kind in "mM" else float(step)
