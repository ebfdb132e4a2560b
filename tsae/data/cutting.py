"""`make_windows`: tables and arrays of series, cut into windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsae.data.containers import ColumnNames, find_container
from tsae.data.frames import is_table
from tsae.data.inspection import warn_of_labels, warn_of_markers
from tsae.data.layout import check_positive_int
from tsae.data.missing import MissingValues
from tsae.data.series import GroupedSeries, first_infinite
from tsae.data.windows import Windows
from tsae.messages import warn_in_lines


def make_windows(
    data: Any,
    width: int,
    stride: int = 1,
    *,
    id_column: Any = None,
    time_column: Any = None,
    value_columns: Sequence[Any] | None = None,
    max_gap: Any = None,
    align: str = "start",
    missing_values: Any = None,
) -> Windows:
    """Cut series into windows that never cross a series' end nor a gap in time.

    Parameters
    ----------
    data : pandas or polars DataFrame, ndarray, list or dict of ndarray
        A long table (columns of ids, times and values), a wide one (times in a DatetimeIndex, one column per
        channel), a table with a MultiIndex (id, time), one series as an array of shape (n_rows,) or
        (n_rows, n_channels), or several series as a list or dict of such arrays.
    width : int
        Steps in a window.
    stride : int, default=1
        Steps from the start of a window to the start of the next, counted from the start of each series and
        after each gap.
    id_column : column or index level, default=None
        The series that each row of a table belongs to. Rows of different ids may be mixed. Without `id_column`
        and `time_column`, a MultiIndex of two levels is read as (id, time).
    time_column : column or index level, default=None
        When each row was measured: datetimes (of one time zone, or none), timedeltas or numbers, which must
        increase within an id. None: the index is read as times, unless it holds numbers.
    value_columns : list of columns, default=None
        The channels; None: every other column.
    max_gap : number, timedelta, str such as "10min" or dict of these, default=None
        A longer step of time ends a window; infinity lets windows span every gap. Of times with a time zone, whole
        days are days of the calendar. A dict has a limit for each series, by its id. None: 2.5 times the usual step,
        which is the longest of 95 % of the steps that are no gaps themselves, so that jitter and single lost samples
        do not end a window. Series of different sampling rates have each their own.
    align : {"start", "end"}, default="start"
        Where the rows are that are in no window, where the length of a series (or stretch between gaps) does not fit
        `stride`: "start" begins the first window with its first row, "end" ends the last window with its newest row.
    missing_values : number, str or list of these, default=None
        Markers of missing values, such as ``[-999, 9999, "#N/A"]``, which are read as NaN. Given a text, columns of
        text are read as numbers; other text in them is an error.

    Returns
    -------
    Windows
        Holds `data` itself where that is one float32 or float64 array, and one copy of the values otherwise.

    Raises
    ------
    ValueError
        Times that do not increase, are missing, are text or mix time zones; values that are not numbers,
        infinite, or beyond 1e36, which 32-bit floats cannot scale; no series as long as `width`.

    Warns
    -----
    UserWarning
        If series, or stretches between gaps, are shorter than `width`, so that no window covers them; if a few equal
        values, as of a marker, make up most of the spread of a channel; if a column that is not named in
        `value_columns` looks like a label.

    Notes
    -----
    NaN is a missing value and is kept, as are constant channels. A window in which every value is missing is kept
    here and refused by estimators; ``windows[windows.observed]`` drops such windows.

    Rows after the last whole window of a series (before the first one with ``align="end"``), fewer than `stride`, are
    in no window.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"machine": list("aaaabbb"), "load": [1.0, 2, 3, 4, 5, 6, 7]})
    >>> make_windows(frame, width=3, id_column="machine").index
      series  start  end
    0      a      0    2
    1      a      1    3
    2      b      0    2
    """
    width, stride = check_positive_int(width, "width"), check_positive_int(stride, "stride")
    missing = MissingValues.of(missing_values)
    columns = ColumnNames(id_column, time_column, value_columns, missing)
    data = missing.parse_arrays(data)
    grouped = missing.clear(find_container(data).read_series(data, columns))
    _refuse_infinite_rows(grouped)
    windows = Windows.cut(grouped, width, stride, max_gap=max_gap, align=align)
    _report_short(windows)
    warn_of_markers(grouped.values, grouped.channel_names, sample=True)
    if value_columns is None and is_table(data):
        warn_of_labels(grouped)
    return windows


def _refuse_infinite_rows(grouped: GroupedSeries) -> None:
    """Name the series, time and column of the first infinity."""
    found = first_infinite(grouped.values)
    if found is None:
        return
    row, channel = found
    raise ValueError(
        f"data holds {grouped.values[found]} in {grouped.describe(row)}, column "
        f"{grouped.channel_names[channel]!r}, beyond what can be scaled; mark missing values with NaN, or pass "
        f"missing_values=[{grouped.values[found]}]"
    )


def describe_gaps(windows: Windows) -> str:
    """Describe how `max_gap` cut the series, and what to try, for messages about windows that are missing.

    Parameters
    ----------
    windows : Windows
        As cut.

    Returns
    -------
    str
        Begins with "; max_gap="; empty where no step of time was longer than `max_gap`.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"time": [0, 1, 2, 3, 9, 10], "load": 1.0})
    >>> describe_gaps(make_windows(frame, 2, time_column="time")).split(", which ")[1][:47]
    '20 % of the steps of time exceed (1 of 5): try '
    """
    offsets = windows.grouped.offsets
    n_series = np.count_nonzero(np.diff(offsets))
    n_gaps, n_steps = len(windows.layout.begins) - n_series, len(windows.values) - n_series
    if n_gaps <= 0:
        return ""
    return (
        f"; max_gap={windows.max_gap} ({windows.max_gap_origin}), which {100 * n_gaps / n_steps:.2g} % of the steps of "
        f"time exceed ({n_gaps} of {n_steps}): try a longer max_gap (float('inf') spans every gap) or a smaller width"
    )


def _report_short(windows: Windows) -> None:
    """Warn of series, and stretches between gaps, that no window covers; raise where there is no window."""
    grouped, width, begins = windows.grouped, windows.width, windows.layout.begins
    n_rows, has_window = np.diff(begins, append=len(grouped.values)), windows.layout.counts > 0
    if not has_window.any():
        raise ValueError(
            f"width={width}, but the longest stretch of data without a gap has {n_rows.max(initial=0)} rows: "
            f"there is no window in {len(grouped.names)} series ({len(begins)} stretches){describe_gaps(windows)}"
        )
    series = grouped.codes_at(begins)
    covered = np.zeros(len(grouped.names), dtype=bool)
    covered[series[has_window]] = True
    lost, short = np.flatnonzero(~covered), np.flatnonzero(~has_window & covered[series])
    parts = []
    if len(lost):
        [example] = grouped.names.take(lost[:1]).tolist()
        parts.append(f"{len(lost)} of {len(covered)} series (such as {example!r})")
    if len(short):
        place = f"the {n_rows[short[0]]} rows from {grouped.describe(begins[short[0]])}"
        parts.append(f"{len(short)} of {len(begins)} stretches between gaps (such as {place})")
    if parts:
        left_out = f"left out, because they are shorter than width={width}: {' and '.join(parts)}"
        gaps = describe_gaps(windows).removeprefix("; ")
        warn_in_lines(left_out, *([gaps] if gaps else []), stacklevel=3)
