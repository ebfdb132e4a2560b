"""Options of the command line that several commands share, and how their values are read."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tsae.jobs import errors

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete names of files, where addresses and patterns are allowed, too."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def names(value: Any) -> tuple[str, ...]:
    """Convert names separated by commas, or a list of a configuration file."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)


def one_or_several(value: Any) -> str | tuple[str, ...]:
    """Convert a name, or several separated by commas."""
    found = names(value)
    return found[0] if len(found) == 1 else found


def character(value: Any) -> str:
    """Convert a single character, or the word "tab"."""
    text = {"tab": "\t", "\\t": "\t"}.get(str(value).lower(), str(value))
    if len(text) != 1 or text in '"\r\n\0':
        raise click.BadParameter(f"{value!r} is not one character, nor 'tab'")
    return text


def integers(value: Any) -> int | tuple[int, ...]:
    """Convert one integer or several separated by commas, or a number or list of a configuration file."""
    try:
        numbers = tuple(int(part) for part in str(value).strip("[]() ").split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither an integer nor integers separated by commas") from error
    return numbers if len(numbers) > 1 else numbers[0]


def size(value: Any) -> int:
    """Convert a size of memory, such as 2GiB."""
    from tsae.jobs.memory import parse_size

    try:
        return parse_size(str(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def rows_or_auto(value: Any) -> int | str:
    """Convert a width or stride of windows: a positive integer, or the word "auto"."""
    text = str(value).strip()
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"{value!r} is neither a positive integer nor 'auto'")
    return int(text)


def setting(value: Any) -> tuple[str, Any]:
    """Convert ``name=value`` with the value in JSON, or text; or an item of a configuration file."""
    if isinstance(value, tuple):
        return value
    name, equals, text = str(value).partition("=")
    if not equals:
        raise click.BadParameter(f"{value!r} is not of the form name=value")
    try:
        return name.strip(), json.loads(text)
    except ValueError:
        return name.strip(), text


# -- groups of options -------------------------------------------------------------------------------------------------


def common_options(command: Command) -> Command:
    """Add the options of all commands that do work."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), is_eager=True, expose_value=False,
                     callback=_use_config, help="TOML file with options, in a table with the name of the command."),
        click.option("--quiet", is_flag=True, help="Log only warnings and errors."),
        click.option("--log-json", is_flag=True, help="Log JSON lines to standard error."),
    ):  # fmt: skip
        command = option(command)
    return command


def _use_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is not None:
        from tsae.jobs.config import read_config

        names = {option.lstrip("-").replace("-", "_"): p.name for p in context.command.params for option in p.opts}
        known = {option: str(name) for option, name in names.items() if name not in ("config", "help")}
        try:
            values = read_config(path, str(context.info_name), set(known))
        except errors.JobError as error:
            raise click.UsageError(str(error), context) from error
        tables = {option: list(value.items()) for option, value in values.items() if isinstance(value, dict)}
        context.default_map = {known[option]: value for option, value in {**values, **tables}.items()}


def dataset_options(command: Command) -> Command:
    """Add the options of the jobs on data sets."""
    for option in (
        click.option("--separator", type=character, help="Of CSV files: between fields.  [default: as in training]"),
        click.option("--decimal", type=character, help="Of CSV files: the decimal mark.  [default: as in training]"),
        click.option("--stride", type=click.IntRange(1),
                     help="Rows between the starts of windows.  [default: as in training]"),
        click.option("--format", type=click.Choice(["parquet", "csv"]), default="parquet",
                     show_default=True, help="Format of the output."),
        click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
                     help="For a part that cannot be used: stop, or skip it and continue."),
        click.option("--on-change", type=click.Choice(["refuse", "redo"]), default="refuse", show_default=True,
                     help="If input, model or options differ from those that OUTPUT was made from."),
        click.option("--whole-series", is_flag=True,
                     help="Every series lies within one part: nothing is carried from part to part."),
        click.option("--n-jobs", type=int, default=1, show_default=True,
                     help="Local processes; 1 uses all cores in one process. -1: one per core."),
        click.option("--dask", metavar="tcp://HOST:PORT", help="Scheduler of a Dask cluster to run on."),
    ):  # fmt: skip
        command = option(command)
    return command


# -- a job on a data set ----------------------------------------------------------------------------------------------


def make_job(kind: str, model: Path, source: str, output: str, options: dict[str, Any]) -> Any:
    """Set up logging, open the model, and return the `Job` that the options of `dataset_options` describe."""
    from tsae.jobs.execution import Execution
    from tsae.jobs.job import Job
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.places import place_of

    set_up_logging(quiet=options["quiet"], log_json=options["log_json"])
    if options["n_jobs"] == 0:
        raise click.UsageError("--n-jobs 0 is not allowed; 1 is this process, -1 one process per core")
    file, spec = open_with_options(model, options["stride"], options["separator"], options["decimal"])
    return Job(
        kind=kind, model=file, source=source, output=place_of(output), spec=spec,
        format=options["format"], whole_series=options["whole_series"], on_error=options["on_error"],
        on_change=options["on_change"], execution=Execution(options["n_jobs"], options["dask"]),
    )  # fmt: skip


def open_with_options(model: Path, stride: int | None, separator: str | None, decimal: str | None) -> tuple[Any, Any]:
    """Open a model, and return its `ModelFile` and its `WindowSpec`, in which options that are given replace others."""
    from tsae.jobs.models import open_model

    file = open_model(model)
    spec = file.spec.with_stride(stride).with_marks(separator, decimal)
    check_marks(spec.columns.separator, spec.columns.decimal)
    return file, spec


def check_marks(separator: str, decimal: str) -> None:
    """Refuse one character for both."""
    if separator == decimal:
        raise click.UsageError(f"--separator and --decimal are both {separator!r}; name another --separator")


def finish(manifest: Any) -> None:
    """End the process with the exit code of a job that wrote a manifest."""
    from tsae.jobs.coverage import has_no_result

    if has_no_result(list(manifest.records.values())):
        sys.exit(errors.NOTHING_SCORED)
    if any(record.status == "skipped" for record in manifest.records.values()):
        sys.exit(errors.SKIPPED_PARTS)


def finish_watch(counts: Any, number: int | None, *, has_state: bool) -> None:
    """End the process with the exit code of `tsae watch`, given the signal that ended it."""
    if number is not None:
        sys.exit(errors.INTERRUPTED if number == signal.SIGINT else errors.TERMINATED)
    if counts.rows and not counts.scored and not has_state:
        sys.exit(errors.NOTHING_SCORED)
    if counts.skipped:
        sys.exit(errors.SKIPPED_PARTS)
