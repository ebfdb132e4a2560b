"""The job `init`: a data set in, a commented configuration file for the other commands out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from tsae.data.inspection import suspected_labels
from tsae.data.series_description import Description, describe_series
from tsae.io.archive import replacing
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.logs import log_event
from tsae.jobs.outputs import check_target
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns
from tsae.jobs.stores import is_address
from tsae.jobs.table_files import TableFile, open_table

TIME_NAMES = re.compile(r"(date|time|timestamp|datetime|date_?time|ds|t)", re.IGNORECASE)
ID_NAMES = re.compile(
    r"(.*[_ ])?(id|series|machine|device|sensor|unit|station|asset|site|engine|item)([_ ]?id)?", re.IGNORECASE
)
INDENT = 34  # of comments


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are taken for.

    Attributes
    ----------
    columns : Columns
        With the channels.
    label : str or None
        A column that is named like a label.
    others : tuple of str
        Columns of text, and further labels, which are left out.
    """

    columns: Columns
    label: str | None
    others: tuple[str, ...]


def init(source: str, target: Path, columns: Columns, *, overwrite: bool = False) -> None:
    """Look at a data set, and write a configuration file that trains on it and applies the model.

    Parameters
    ----------
    source : str
        As of `tsae.jobs.parts.list_parts`; read into memory.
    target : Path
        A .toml file.
    columns : Columns
        Roles of columns that are known; the others are looked for.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    JobError
        For input or a target that cannot be used, and where columns have to be named.
    """
    check_target(target, "the configuration", overwrite=overwrite)
    folder = Path(source)
    if not is_address(source) and folder.is_dir() and folder.resolve() in [Path.cwd(), *Path.cwd().parents]:
        raise JobError(
            f"the current directory lies within the input {source}: results are written here; start elsewhere"
        )
    part = list_parts(source)[0]
    roles = find_roles(open_table(part.path, part.name, columns), columns)
    data = read_dataset(source, roles.columns)
    text = configuration(source, target.name, roles, describe_series(data.series))
    with replacing(target) as file:
        file.write(text.encode())
    log_event(f"wrote {target}; look through it, then: tsae train --config {target}", event="end", path=str(target))


# -- columns -----------------------------------------------------------------------------------------------------------


def find_roles(table: TableFile, columns: Columns) -> Roles:
    """Find the columns of times, of series and of labels by names and values of one part; the others are channels.

    Raises
    ------
    InputError
        If columns have to be named.
    """
    others = [name for name in table.columns if name not in (*columns.ids, columns.time)]
    named = [*columns.ids, *([columns.time] if columns.time else [])]
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
        return Roles(columns, None, ())
    free = [name for name in numeric if name not in (*columns.ids, columns.time)]
    labels, _ = suspected_labels(free, [False] * len(free))
    channels = tuple(name for name in free if name not in labels)
    if not channels:
        raise InputError(
            f"{table.name} has the columns {table.columns}, none of which holds numbers to take as a channel"
        )
    left_out = [name for name in others if name not in (*channels, *columns.ids, columns.time, *labels[:1])]
    return Roles(replace(columns, values=channels), labels[0] if labels else None, tuple(left_out))


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
    return next((name for name in others if name in numeric and TIME_NAMES.fullmatch(name)), None)


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


# -- the file ----------------------------------------------------------------------------------------------------------


def configuration(source: str, name: str, roles: Roles, found: Description) -> str:
    """Return the text of the file."""
    reading = _reading_lines(source, roles, found)
    has_times = roles.columns.time is not None
    label = (
        [_line("label-column", roles.label, "named like a label: rows with an anomaly, not 0")] if roles.label else []
    )
    windows = [
        _line("width", found.width, "rows of a window" + _periods(found)),
        _line("stride", found.stride, "rows between the starts of windows; 1 uses the data best, and takes longest"),
    ]
    blocks = [
        [
            f"# Options of the command tsae, one table per command; written by tsae init for {source}.",
            "# Names are those of the options (tsae train --help); options on the command line take precedence.",
            "# Paths are relative to the current directory.",
            "#",
            *(f"#   tsae {command} --config {name}" for command in ("train", "features", "anomalies")),
        ],
        [
            "[train]", *reading, *windows,
            _line("task", "anomalies", 'a detector, which also computes features; "features": an autoencoder alone'),
            *label,
            *(['# before = "2024-01-22"'.ljust(INDENT) + "# train on windows that end before this time"]
              if has_times else []),
            "# units = [64]".ljust(INDENT) + "# of each layer; without, as suits the task",
            "# epochs = 20".ljust(INDENT) + "# passes over the windows; without, as suits their number",
        ],
        ["[features]", *_applying("features/", source, has_times=has_times)],
        [
            "[anomalies]", *_applying("anomalies/", source, has_times=has_times),
            "# alpha = 0.01".ljust(INDENT) + "# share of normal timestamps that may be flagged",
            *([_line("report", "anomalies.html", "a page for a browser")] if has_times else []),
            *(label if has_times else []),
        ],
    ]  # fmt: skip
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _reading_lines(source: str, roles: Roles, found: Description) -> list[str]:
    """How the tables are read, with what was found in them."""
    columns = roles.columns
    lines = [_line("input", source), _line("model", "model.tsae", "written by train, read by the others")]
    rows = f"{found.n_series:,} series, {found.n_rows:,} rows"
    if columns.id is not None:
        lines.append(_line("id-column", list(columns.ids) if len(columns.ids) > 1 else columns.ids[0], rows))
    elif columns.id_from_file:
        lines.append(_line("id-from-file", True, rows))
    if columns.time is not None:
        lines.append(_line("time-column", columns.time, f"step {found.step}; {found.n_gaps:,} gaps"))
    if columns.time_format is not None:
        lines.append(_line("time-format", columns.time_format))
    lines.append(_line("value-columns", list(columns.values), "the channels"))
    if roles.others:
        lines.append(f"# not taken, as text or as a label: {', '.join(map(json.dumps, roles.others))}")
    lines += [f"# {channel}: {note}" for channel, note in found.channels["note"].items() if note]
    lines += [f"# {channel}: constant" for channel, flag in found.channels["constant"].items() if flag]
    if columns.missing:
        lines.append(_line("missing-values", list(columns.missing)))
    if columns.separator != ",":
        lines.append(_line("separator", columns.separator))
    if columns.decimal != ".":
        lines.append(_line("decimal", columns.decimal))
    return lines


def _periods(found: Description) -> str:
    periods = sorted(set(found.channels["period"].dropna().astype(int)))
    return f"; the channels have periods of {', '.join(map(str, periods[:5]))} rows" if periods else ""


def _applying(output: str, source: str, *, has_times: bool) -> list[str]:
    return [
        _line("model", "model.tsae"),
        _line("input", source, "or other data with the same columns"),
        _line("output", output),
        _line("format", "csv", '"parquet" needs tsae[parquet]'),
        *([_line("on-error", "skip", "a part that cannot be used is skipped; exit code 3")] if has_times else []),
    ]


def _line(name: str, value: object, comment: str = "") -> str:
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"  # of text, lists, numbers and bools: the same in TOML
    return f"{line.ljust(INDENT - 1)} # {comment}" if comment else line
