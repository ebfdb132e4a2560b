"""How tables become windows: which columns hold what, and where windows lie."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Columns:
    """Roles of the columns of a table.

    Attributes
    ----------
    id : str or None
        The series that a row belongs to. None: the whole data set is one series.
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
    """

    id: str | None = None
    time: str | None = None
    values: tuple[str, ...] = ()
    time_format: str | None = None
    time_kind: str | None = None
    id_from_file: bool = False


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
    """

    columns: Columns
    width: int
    stride: int
    max_gap: str | float | None = None

    @property
    def longest_step(self) -> Any:
        """`max_gap` as a duration or number; infinity for no limit."""
        if self.max_gap is None:
            return np.inf
        return pd.Timedelta(self.max_gap) if isinstance(self.max_gap, str) else self.max_gap

    def with_stride(self, stride: int | None) -> WindowSpec:
        """Return a copy with another stride; None keeps the stride."""
        return self if stride is None else replace(self, stride=stride)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in model files and manifests."""
        plain = asdict(self)
        plain["columns"]["values"] = list(self.columns.values)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> WindowSpec:
        """Rebuild a specification from `as_dict`."""
        columns = {**plain["columns"], "values": tuple(plain["columns"]["values"])}
        return cls(Columns(**columns), plain["width"], plain["stride"], plain["max_gap"])
