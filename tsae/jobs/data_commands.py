"""Commands that need no model: sample data to try tsae on."""

from __future__ import annotations

from pathlib import Path

import click

from tsae.jobs.options import common_options


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


COMMANDS = (sample_data_command,)
