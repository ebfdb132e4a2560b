"""Commands that need no model: sample data to try tsae on, and a description of a data set."""

from __future__ import annotations

from pathlib import Path

import click

from tsae.jobs.options import character, common_options, names, one_or_several


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


@click.command("describe", epilog="""\b
Example:
  tsae describe pumps.csv --id-column machine --time-column time""")  # fmt: skip
@click.argument("input", type=str)
@click.option("--id-column", type=one_or_several, metavar="NAME[,NAME...]", help="As for tsae train.")
@click.option("--time-column", help="As for tsae train.")
@click.option("--value-columns", type=names, metavar="NAME,NAME...", default=(), help="As for tsae train.")
@click.option("--time-format", help="As for tsae train.")
@click.option("--missing-values", type=names, metavar="VALUE,VALUE...", default=(), help="As for tsae train.")
@click.option("--separator", type=character, default=",", show_default=True, help="As for tsae train.")
@click.option("--decimal", type=character, default=".", show_default=True, help="As for tsae train.")
@click.option("--id-from-file", is_flag=True, help="As for tsae train.")
@common_options
def describe_command(
    input: str, id_column: str | tuple[str, ...] | None, time_column: str | None, value_columns: tuple[str, ...],
    time_format: str | None, missing_values: tuple[str, ...], separator: str, decimal: str, id_from_file: bool,
    quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Describe the tables INPUT before training: gaps, missing values, suspected labels, a width and a stride.

    INPUT is as for "tsae train", and is read into memory.
    """
    from tsae.data.description import describe_series
    from tsae.jobs.dataset import read_dataset
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.spec import Columns

    set_up_logging(quiet=quiet, log_json=log_json)
    if id_from_file and id_column:
        raise click.UsageError("--id-from-file and --id-column exclude each other")
    if separator == decimal:
        raise click.UsageError(f"--separator and --decimal are both {separator!r}; name another --separator")
    columns = Columns(
        id_column, time_column, value_columns, time_format, id_from_file=id_from_file,
        missing=tuple(value for value in missing_values if value), separator=separator, decimal=decimal,
    )  # fmt: skip
    click.echo(str(describe_series(read_dataset(input, columns).series)))


COMMANDS = (describe_command, sample_data_command)
