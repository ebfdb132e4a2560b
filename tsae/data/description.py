"""`describe`: what a table or an array of series holds, and which windows suit it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tsae.data.containers import ColumnNames, find_container
from tsae.data.missing import MissingValues
from tsae.data.series_description import Description, describe_series
from tsae.data.windows import Windows


def describe(
    data: Any,
    *,
    id_column: Any = None,
    time_column: Any = None,
    value_columns: Sequence[Any] | None = None,
    missing_values: Any = None,
) -> Description:
    """Describe series before windows are cut from them, and suggest a width and a stride.

    Parameters
    ----------
    data : pandas or polars DataFrame, ndarray, list or dict of ndarray, or Windows
        As for `make_windows`; of `Windows` the series are described that they are cut from.
    id_column, time_column : column or index level, default=None
        As for `make_windows`.
    value_columns : list of columns, default=None
        As for `make_windows`.
    missing_values : number, str or list of these, default=None
        As for `make_windows`.

    Returns
    -------
    Description
        Printed as text; its `channels` is a table with one row per channel.

    Raises
    ------
    ValueError
        For data that `make_windows` refuses, too.

    Notes
    -----
    A period is the lag of the first peak of a channel's autocorrelation that is about as high as its highest one; at
    least three periods must lie in a stretch. A few in a hundred random walks seem to have one. The suggested width is
    a multiple of the median period of the channels, or 64 without any, between 16 and 256 rows and at most a quarter
    of the longest stretch. The stride gives about 4,000 windows where there are enough rows.

    Examples
    --------
    >>> from tsae.datasets import load_sea_surface_temperature
    >>> print(describe(load_sea_surface_temperature(), time_column="time"))
    1 series of 732 rows, 732 in all, 1 channel
    step of time 31 days 00:00:00; 41.7% of the steps differ from it by more than 1 %
    0 gaps (steps longer than 77 days 12:00:00); longest stretch without a gap: 732 rows
    <BLANKLINE>
                 missing   min  median   max  constant  period note
    temperature        0 18.95   22.86 29.24     False      12
    <BLANKLINE>
    suggested: width=24, stride=1
    """
    if isinstance(data, Windows):
        return describe_series(data.grouped)
    missing = MissingValues.of(missing_values)
    columns = ColumnNames(id_column, time_column, value_columns, missing)
    data = missing.parse_arrays(data)
    return describe_series(missing.clear(find_container(data).read_series(data, columns)))
