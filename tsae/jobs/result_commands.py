"""Commands that use a fitted model or its results: forecasts, reconstructions, comparison with labels, live rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tsae.jobs.options import character, check_marks, common_options, dataset_options, finish, make_job, one_or_several


@click.command("forecast", epilog="""\b
Examples:
  tsae train pumps.csv ahead.tsae --time-column time --width 48 --decoder prediction --set horizon=12
  tsae forecast ahead.tsae pumps.csv forecasts.csv
  tsae forecast ahead.tsae logs/ forecasts.parquet --all-windows --stride 12

OUTPUT has the columns series, end (of the window), step, time, and forecast_CHANNEL for each channel.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--all-windows", is_flag=True, help="Forecast after every window, not only after the newest rows.")
@click.option("--stride", type=click.IntRange(1),
              help="With --all-windows: rows between the starts of windows.  [default: as in training]")  # fmt: skip
@click.option("--separator", type=character, help="Of CSV files: between fields.  [default: as in training]")
@click.option("--decimal", type=character, help="Of CSV files: the decimal mark.  [default: as in training]")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@common_options
def forecast_command(
    model: Path, input: str, output: Path, all_windows: bool, stride: int | None, separator: str | None,
    decimal: str | None, overwrite: bool, quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Forecast what comes after the newest rows of each series of INPUT, into the table OUTPUT (.csv or .parquet).

    MODEL needs a horizon: tsae train --decoder prediction --set horizon=12. INPUT is as for "tsae features".
    """
    from tsae.jobs.forecast import forecast
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.models import open_model

    set_up_logging(quiet=quiet, log_json=log_json)
    if stride is not None and not all_windows:
        raise click.UsageError("--stride is for --all-windows: the newest rows of a series are one window")
    file = open_model(model)
    spec = file.spec.with_stride(stride).with_marks(separator, decimal)
    check_marks(spec.columns.separator, spec.columns.decimal)
    forecast(file, input, output, spec, every=all_windows, overwrite=overwrite)


@click.command("reconstruct", epilog="""\b
Example:
  tsae reconstruct pumps.tsae pumps.csv out/

OUT/reconstruction/ holds one row per timestamp, in one file per part of INPUT: series, time, and per channel
value_CHANNEL (as measured) and reconstruction_CHANNEL (mean over the windows that cover it).""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--decoder", help="reconstruction, prediction or imputation.  [default: the first that was trained]")
@dataset_options
@common_options
def reconstruct_command(model: Path, input: str, output: Path, decoder: str | None, **options: Any) -> None:
    """Reconstruct every timestamp of the tables INPUT, beside the measured values, in the directory OUTPUT.

    INPUT is as for "tsae features".
    """
    from tsae.jobs.reconstruct import run_reconstruct

    finish(run_reconstruct(make_job("reconstruction", model, input, output, options), decoder))


@click.command("evaluate", epilog="""\b
Examples:
  tsae evaluate out/ --labels faults.csv
  tsae evaluate out/ --labels pumps.csv --id-column machine --time-column time --label-column fault --json
  tsae evaluate scores.csv --label-column fault --threshold 3""")  # fmt: skip
@click.argument("scores", type=str)
@click.option("--labels", metavar="TABLE", help="Stretches (series, start, end; a column mark if it has one) such as "
              "marks of a report page, or rows (series, time, a label).")  # fmt: skip
@click.option("--label-column", help="The column that is not 0 in rows with an anomaly: of LABELS, or of SCORES.")
@click.option("--id-column", type=one_or_several, metavar="NAME[,NAME...]",
              help="Of LABELS with rows: the series.  [default: series]")  # fmt: skip
@click.option("--time-column", help="Of LABELS with rows: the time.  [default: time]")
@click.option("--events", type=click.Path(path_type=Path, dir_okay=False),
              help="Table of events: series, start, end.  [default: events.csv of the output]")  # fmt: skip
@click.option("--threshold", type=float, help="Instead: runs of rows with a higher score are events.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@common_options
def evaluate_command(
    scores: str, labels: str | None, label_column: str | None, id_column: str | tuple[str, ...] | None,
    time_column: str | None, events: Path | None, threshold: float | None, as_json: bool, quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Compare SCORES with known anomalies: precision and recall of events and rows, AUC-PR and VUS-PR of the scores.

    SCORES is the output directory of "tsae anomalies", or a table with time, score, and series if there are several.
    VUS-PR needs aeon (pip install aeon). Rows without a score or a label do not count.
    """
    from tsae.jobs.evaluate import LabelSource, evaluate, table_of
    from tsae.jobs.logs import set_up_logging

    set_up_logging(quiet=quiet, log_json=log_json)
    found = evaluate(scores, LabelSource(labels, label_column, id_column, time_column), events, threshold)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else table_of(found))


COMMANDS = (evaluate_command, forecast_command, reconstruct_command)
