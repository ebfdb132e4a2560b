"""Which windows of a data set are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.windows import Windows
from tsae.jobs.errors import JobError
from tsae.jobs.labels import Labels
from tsae.jobs.logs import log_event
from tsae.jobs.spec import Columns


@dataclass(frozen=True)
class Selection:
    """Windows with any value, that end before a time, and without rows that are known anomalies.

    Attributes
    ----------
    before : Timestamp, float or None
        The time, of the kind of the data set's.
    labels : Labels or None
        Of the rows that are known anomalies, or may be.
    """

    before: Any = None
    labels: Labels | None = None

    @classmethod
    def of(cls, before: str | None, labels: Labels | None, columns: Columns) -> Selection:
        """Read the time, of the kind that `columns` states.

        Raises
        ------
        JobError
            If `before` is not a time of this kind.
        """
        return cls(None if before is None else _read_time(before, columns.time_kind), labels)

    @property
    def extra(self) -> list[str]:
        """The columns that have to be read with the rows."""
        return [] if self.labels is None else self.labels.extra

    def mask(self, windows: Windows, is_labelled: np.ndarray | None) -> np.ndarray:
        """Return which of the windows are selected, bool of shape (n_windows,).

        Parameters
        ----------
        windows : Windows
        is_labelled : bool ndarray of shape (n_rows,) or None
            The rows that are known anomalies.
        """
        chosen = windows.observed
        if self.before is not None:
            chosen &= np.asarray(windows.grouped.times_at(windows.starts + windows.lengths - 1) < self.before)
        if is_labelled is not None:
            chosen &= ~windows.touching(is_labelled)
        return chosen


def _read_time(before: str, kind: str | None) -> Any:
    is_dated = kind in ("datetime", "utc")
    try:
        limit = pd.to_datetime(before, format="ISO8601") if is_dated else float(before)
    except ValueError as error:
        allowed = "a time in ISO 8601, such as 2024-02-03" if is_dated else "a number"
        raise JobError(f"--before {before} is not {allowed}") from error
    if isinstance(limit, pd.Timestamp) and limit.tz is not None:
        if kind == "datetime":
            raise JobError(f"--before {before} has a time zone, but the times of the input have none")
        limit = limit.tz_convert("UTC").tz_localize(None)
    elif kind == "utc":
        log_event(f"--before {before} is taken as UTC")
    return limit
