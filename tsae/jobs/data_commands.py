"""Commands that need no model: sample data to try tsae on, and a description of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsae.jobs.options import Command, character, check_marks, common_options, complete_files, names, one_or_several


@click.command("sample-data", epilog="""\b
Example:
  tsae sample-data data/

Then data/ holds pumps.csv, pump_faults.csv and sea_surface_temperature.csv: what tsae.datasets loads.""")  # fmt: skip
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@common_options
def sample_data_command(folder: Path, overwrite: bool, quiet: bool, log_json: bool) -> None:
    """Write the sample data as CSV files to FOLDER: six simulated pumps with labelled faults, and a measured series.

    Nothing is downloaded.
    """
    from tsae.jobs.logs import log_event, set_up_logging
    from tsae.jobs.sample_data import write_sample_data

    set_up_logging(quiet=quiet, log_json=log_json)
    for path in write_sample_data(folder, overwrite=overwrite):
        log_event(f"wrote {path}", event="end", path=str(path))


def _column_options(command: Command) -> Command:
    """Add the options of `tsae train` on how tables are read."""
    for option in (
        click.option("--id-from-file", is_flag=True, help="As for tsae train."),
        click.option("--decimal", type=character, default=".", show_default=True, help="As for tsae train."),
        click.option("--separator", type=character, default=",", show_default=True, help="As for tsae train."),
        click.option("--missing-values", type=names, metavar="VALUE,VALUE...", default=(), help="As for tsae train."),
        click.option("--time-format", help="As for tsae train."),
        click.option("--value-columns", type=names, metavar="NAME,NAME...", default=(), help="As for tsae train."),
        click.option("--time-column", help="As for tsae train."),
        click.option("--id-column", type=one_or_several, metavar="NAME[,NAME...]", help="As for tsae train."),
    ):  # fmt: skip
        command = option(command)
    return command


def _columns(options: dict[str, Any]) -> Any:
    from tsae.jobs.spec import Columns

    if options["id_from_file"] and options["id_column"]:
        raise click.UsageError("--id-from-file and --id-column exclude each other")
    check_marks(options["separator"], options["decimal"])
    return Columns(
        options["id_column"], options["time_column"], options["value_columns"], options["time_format"],
        id_from_file=options["id_from_file"], missing=tuple(value for value in options["missing_values"] if value),
        separator=options["separator"], decimal=options["decimal"],
    )  # fmt: skip


@click.command("describe", epilog="""\b
Examples:
  tsae describe pumps.csv
  tsae describe pumps.csv --id-column machine --time-column time""")  # fmt: skip
@click.argument("input", type=str, shell_complete=complete_files)
@_column_options
@common_options
def describe_command(input: str, quiet: bool, log_json: bool, **options: Any) -> None:
    """Describe the tables INPUT before training: gaps, missing values, suspected labels, a width and a stride.

    The columns of times, series and labels are found by their names and values unless they are named here; the first
    line says what they were taken for. INPUT is as for "tsae train", and is read into memory.
    """
    from dataclasses import replace

    from tsae.data.series_description import describe_series
    from tsae.jobs.dataset import read_dataset
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.roles import roles_of

    set_up_logging(quiet=quiet, log_json=log_json)
    roles = roles_of(input, _columns(options))
    columns = replace(roles.columns, values=(*roles.columns.values, *roles.labels))
    found = describe_series(read_dataset(input, columns).series)
    click.echo(f"{roles}\n{found.timed(max(1, found.n_rows // found.stride), found.width)}")


@click.command("init", epilog="""\b
Examples:
  tsae init pumps.csv
  tsae init logs/ nightly.toml --id-column plant,machine --time-column time
  tsae train --config tsae.toml""")  # fmt: skip
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("tsae.toml"))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@_column_options
@common_options
def init_command(input: str, file: Path, overwrite: bool, quiet: bool, log_json: bool, **options: Any) -> None:
    """Look at the tables INPUT, and write FILE, a commented configuration for tsae train, features and anomalies.

    FILE is tsae.toml if it is not given. The columns of series, times and labels are found by their names and values
    unless they are named here; width and stride are as tsae describe suggests. INPUT is read into memory.
    """
    from tsae.jobs.init import init
    from tsae.jobs.logs import set_up_logging

    set_up_logging(quiet=quiet, log_json=log_json)
    init(input, file, _columns(options), overwrite=overwrite)


COMMANDS = (describe_command, init_command, sample_data_command)
