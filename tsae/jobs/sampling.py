"""Windows drawn from a data set that need not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.layout import check_positive_int
from tsae.data.series import GroupedSeries
from tsae.data.windows import Windows
from tsae.jobs.continuation import Carry, continue_series
from tsae.jobs.drawn import Drawn, Limits, Sample
from tsae.jobs.errors import InputError
from tsae.jobs.execution import one_ahead
from tsae.jobs.logs import log_event
from tsae.jobs.memory import chunk_rows
from tsae.jobs.parts import Part, list_parts
from tsae.jobs.passes import Passes
from tsae.jobs.progress import job_progress
from tsae.jobs.selection import Selection
from tsae.jobs.spec import Columns, WindowSpec, plain_gap
from tsae.jobs.survey import Survey, survey
from tsae.jobs.table_reader import Rows, read_chunks


def sample_windows(
    source: str | os.PathLike[str],
    n_windows: int,
    width: int,
    stride: int = 1,
    *,
    id_column: str | Sequence[str] | None = None,
    time_column: str | None = None,
    value_columns: Sequence[str] = (),
    max_gap: Any = None,
    consecutive: int = 1,
    random_state: int = 0,
) -> Windows:
    """Draw windows from files that need not fit into memory, each window as likely as any other.

    The files are read twice, a chunk at a time: for the usual time step, and to draw. Windows are those that
    `make_windows` would cut from all files joined to one table; series go on from file to file.

    Parameters
    ----------
    source : path-like
        A .csv or .parquet file, a directory of such files, or a pattern such as ``"logs/2024-*.csv"``.
    n_windows : int
        How many windows to draw; where there are fewer, all are taken.
    width : int
        Steps in a window.
    stride : int, default=1
        Steps from the start of a window to the start of the next.
    id_column : str, sequence of str or None, default=None
        The column or columns that tell series apart; None: all rows are one series.
    time_column : str or None, default=None
        Column of timestamps (ISO 8601) or numbers; None: rows are numbered.
    value_columns : sequence of str, default=()
        The channels; none: all other columns.
    max_gap : number, str such as "10min" or None, default=None
        A longer step of time ends a window; None: inferred as in `make_windows`.
    consecutive : int, default=1
        Windows are drawn in runs of so many neighbours, for whatever needs all windows that cover a timestamp.
    random_state : int, default=0
        Seed: the same windows are drawn from the same files.

    Returns
    -------
    Windows
        In the order of the series and of time, with the rows that they cover and no others. Windows without any
        observed value are never drawn.

    Raises
    ------
    JobError
        For files that cannot be used, and if there is no window to draw.
    ValueError
        For numbers that are not allowed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for day in (1, 2):
    ...         rows = pd.DataFrame({"load": np.arange(100.0) + 100 * day})
    ...         rows.to_csv(Path(folder, f"day_{day}.csv"), index=False)
    ...     windows = sample_windows(folder, 5, width=8)
    >>> windows.shape
    (5, 8, 1)
    """
    for name, number in (("n_windows", n_windows), ("width", width), ("stride", stride), ("consecutive", consecutive)):
        check_positive_int(number, name)
    ids = id_column if id_column is None or isinstance(id_column, str) else tuple(id_column)
    parts = list_parts(source)
    found = survey(parts, Columns(ids, time_column, tuple(value_columns)))
    spec, origin = surveyed_spec(found, width, stride, max_gap)
    limits = Limits(n_windows, None, consecutive)
    return draw_windows(parts, spec, Selection(), limits, np.random.default_rng(random_state), origin).windows


def surveyed_spec(found: Survey, width: int, stride: int, max_gap: Any) -> tuple[WindowSpec, str]:
    """Return the windows of a data set, with the gap that was given or is inferred, and where the gap comes from."""
    if found.columns.time is None:
        if max_gap is not None:
            raise InputError(f"max_gap={max_gap!r}, but data has no times; name the time_column")
        return WindowSpec(found.columns, width, stride, None, None), ""
    longest, origin = (max_gap, "given") if max_gap is not None else found.max_gap()
    plain = str(pd.Timedelta(longest)) if isinstance(longest, str) else plain_gap(longest)
    by_series = {name: plain_gap(gap) for name, gap in found.max_gaps().items()} if max_gap is None else {}
    return WindowSpec(found.columns, width, stride, plain, found.median_step(), by_series), origin


def draw_windows(
    parts: Sequence[Part], spec: WindowSpec, selection: Selection, limits: Limits, rng: np.random.Generator,
    origin: str = "", passes: Passes | None = None,
) -> Sample:  # fmt: skip
    """Draw windows in one pass over the parts of a data set; only the rows of the windows drawn so far are held.

    Every run of consecutive windows gets a random number, and the runs with the lowest numbers are kept. With `passes`,
    a pass that was ended goes on after the last part that it finished.

    Raises
    ------
    InputError
        For a part that cannot be used, times that do not increase, and if there is no window to draw.
    """
    n_rows, drawn, carry = chunk_rows(len(spec.columns.values)), Drawn(spec, limits, rng), Carry.empty()
    keys = [] if passes is None else list(_keys(parts, spec, selection, limits, drawn, passes))
    n_done = 0
    if passes is not None:
        n_done, carry = drawn.go_on(passes, keys)
        if n_done or passes.n_surveyed:
            log_event(
                f"continued: statistics of {passes.n_surveyed} and windows of {n_done} of {len(parts)} parts are those "
                f"of an earlier run, in {passes.folder}", event="continue", surveyed=passes.n_surveyed, drawn=n_done,
            )  # fmt: skip
    with job_progress("sampling", len(parts), sum(part.size for part in parts), "read") as advance:
        for position, part in enumerate(parts):
            if position < n_done:
                advance(part.size, 0)
                continue
            n_read = 0
            for rows in one_ahead(read_chunks(part.path, spec.columns, n_rows, name=part.name, extra=selection.extra)):
                n_read += len(rows.series.values)
                try:
                    windows, carry = continue_series(carry, _with_labels(rows, selection), spec, last=False)
                except ValueError as error:
                    raise InputError(
                        f"{part.name}, read after the parts before it in natural order of their names: {error}"
                    ) from error
                drawn.count_rows(rows.series)
                drawn.add(windows.windows, windows.new, selection)
            if passes is not None:
                drawn.keep(passes, keys[position], carry)
            advance(part.size, n_read)
    return drawn.sample(origin)


def _keys(
    parts: Sequence[Part], spec: WindowSpec, selection: Selection, limits: Limits, drawn: Drawn, passes: Passes
) -> Iterator[str]:
    """Name what is drawn until after each part by all that it depends on."""
    labels = selection.labels
    marks = None if labels is None or labels.marks is None else labels.marks.to_csv()
    key = passes.key(
        spec.as_dict(), str(selection.before), None if labels is None else labels.column, marks, limits,
        drawn.rng.bit_generator.state,
    )  # fmt: skip
    for part in parts:
        key = passes.key(key, passes.sum_of(part), part.name)
        yield key


def _with_labels(rows: Rows, selection: Selection) -> GroupedSeries:
    """Return the rows with their labels as the last channel, so that they are carried along with the values."""
    series = rows.series
    if selection.labels is None or not len(series.values):
        marks = np.zeros(len(series.values))
    else:
        marks = (selection.labels.of_rows(series, rows.extra) != 0).astype(np.float64)
    return replace(series, values=np.column_stack([series.values, marks]), channel_names=[*series.channel_names, ""])
