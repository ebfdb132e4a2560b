"""A whole data set in memory, for training, comparison with labels, and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries
from tsae.jobs.continuation import concatenate_series
from tsae.jobs.errors import InputError
from tsae.jobs.labels import Labels
from tsae.jobs.parts import Part, list_parts
from tsae.jobs.spec import Columns
from tsae.jobs.stores import without_secrets
from tsae.jobs.table_reader import read_rows


@dataclass(frozen=True)
class Dataset:
    """All rows of a data set.

    Attributes
    ----------
    series : GroupedSeries
    extra : DataFrame
        Further columns, one row per row of ``series.values``.
    columns : Columns
        As requested, with the channels and the kind of times that were found.
    """

    series: GroupedSeries
    extra: pd.DataFrame
    columns: Columns

    def labels(self, labels: Labels) -> np.ndarray:
        """Return the label of each row: see `Labels.of_rows`.

        Raises
        ------
        InputError
            For labels that cannot be read, and for marks of which none is on a row.
        """
        found = labels.of_rows(self.series, self.extra)
        labels.check_used(found)
        return found

    def index(self) -> pd.DataFrame:
        """Return `series` and `time` of every row."""
        rows = np.arange(len(self.series.values))
        return pd.DataFrame({"series": self.series.names_at(rows), "time": self.series.times_at(rows)})


def read_dataset(
    source: str, columns: Columns, extra: Sequence[str] = (), parts: Sequence[Part] | None = None
) -> Dataset:
    """Read all parts of a data set, or those given, in order.

    Raises
    ------
    JobError
        For parts that cannot be used, for times of a series that do not increase, and if there are no rows.
    """
    series, others = [], []
    for part in list_parts(source) if parts is None else parts:
        rows = read_rows(part.path, columns, name=part.name, extra=extra)
        # The channels and the kind of times of the first part are required of all others.
        columns = replace(columns, values=tuple(rows.series.channel_names), time_kind=rows.time_kind)
        if len(rows.series.values):
            series.append(rows.series)
            others.append(rows.extra)
    if not series:
        raise InputError(f"{without_secrets(source)} has no rows")
    try:
        joined, order = concatenate_series(series)
    except ValueError as error:
        raise InputError(f"{without_secrets(source)}: {error}") from error
    return Dataset(joined, pd.concat(others, ignore_index=True).iloc[order].reset_index(drop=True), columns)
