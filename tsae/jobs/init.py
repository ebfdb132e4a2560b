"""The job `init`: a data set in, a commented configuration file for the other commands out."""

from __future__ import annotations

import json
from pathlib import Path

from tsae.data.fit_time import FIRST_LOOK, fit_seconds, rough_time
from tsae.data.series_description import Description, describe_series
from tsae.io.archive import replacing
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import JobError
from tsae.jobs.logs import log_event, log_warning
from tsae.jobs.outputs import check_target
from tsae.jobs.roles import Roles, roles_of
from tsae.jobs.spec import Columns
from tsae.jobs.stores import is_address, without_secrets

INDENT = 34  # of comments


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
    roles = roles_of(source, columns)
    log_event(str(roles))
    data = read_dataset(source, roles.columns)
    shown = without_secrets(source)
    if shown != source:
        log_warning(f"{target.name} leaves out the signature of {shown}: name the whole address on the command line")
    text = configuration(shown, target.name, roles, describe_series(data.series))
    with replacing(target) as file:
        file.write(text.encode())
    log_event(f"wrote {target}; look through it, then: tsae train --config {target}", event="end", path=str(target))


# -- the file ----------------------------------------------------------------------------------------------------------


def configuration(source: str, name: str, roles: Roles, found: Description) -> str:
    """Return the text of the file."""
    reading = _reading_lines(source, roles, found)
    has_times = roles.columns.time is not None
    label = [
        _line("label-column", name, "named like a label: rows with an anomaly, not 0") for name in roles.labels[:1]
    ]
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
            *_training_lines(found),
            *(['# before = "2024-01-22"'.ljust(INDENT) + "# train on windows that end before this time"]
              if has_times else []),
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
    if left_out := (*roles.labels[1:], *roles.others):
        lines.append(f"# not taken, as text or as a label: {', '.join(map(json.dumps, left_out))}")
    lines += [f"# {channel}: {note}" for channel, note in found.channels["note"].items() if note]
    lines += [f"# {channel}: constant" for channel, flag in found.channels["constant"].items() if flag]
    if columns.missing:
        lines.append(_line("missing-values", list(columns.missing)))
    if columns.separator != ",":
        lines.append(_line("separator", columns.separator))
    if columns.decimal != ".":
        lines.append(_line("decimal", columns.decimal))
    return lines


def _training_lines(found: Description) -> list[str]:
    """How long training takes, and the settings that make it shorter."""
    n_windows = max(1, found.n_rows // found.stride)
    whole = rough_time(fit_seconds(n_windows, found.width, n_layers=1))  # of a detector
    first = rough_time(fit_seconds(n_windows, found.width, **FIRST_LOOK))
    return [
        f"# Training takes {whole} here (a rough estimate). For a first look in {first}, take the two lines below; a",
        "# smaller width helps as well.",
        *(
            f"# {name} = {value}"
            for name, value in (("units", [FIRST_LOOK["units"]]), ("epochs", FIRST_LOOK["epochs"]))
        ),
    ]


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
