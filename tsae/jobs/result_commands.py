"""Commands that use a fitted model or its results: forecasts, reconstructions, comparison with labels, live rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tsae.jobs.options import (
    character,
    common_options,
    complete_files,
    dataset_options,
    finish,
    finish_watch,
    make_job,
    one_or_several,
    open_with_options,
)


@click.command("forecast", epilog="""\b
Examples:
  tsae train pumps.csv ahead.tsae --time-column time --width 48 --decoder prediction --set horizon=12
  tsae forecast ahead.tsae pumps.csv forecasts.csv
  tsae forecast ahead.tsae logs/ forecasts.parquet --all-windows --stride 12

OUTPUT has the columns series, end (of the window), step, time, and forecast_CHANNEL for each channel.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("output", type=str, shell_complete=complete_files)
@click.option("--all-windows", is_flag=True, help="Forecast after every window, not only after the newest rows.")
@click.option("--stride", type=click.IntRange(1),
              help="With --all-windows: rows between the starts of windows.  [default: as in training]")  # fmt: skip
@click.option("--separator", type=character, help="Of CSV files: between fields.  [default: as in training]")
@click.option("--decimal", type=character, help="Of CSV files: the decimal mark.  [default: as in training]")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@common_options
def forecast_command(
    model: Path, input: str, output: str, all_windows: bool, stride: int | None, separator: str | None,
    decimal: str | None, overwrite: bool, quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Forecast what comes after the newest rows of each series of INPUT, into the table OUTPUT (.csv or .parquet).

    MODEL needs a horizon: tsae train --decoder prediction --set horizon=12. INPUT is as for "tsae features".
    """
    from tsae.jobs.forecast import forecast
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.places import place_of

    set_up_logging(quiet=quiet, log_json=log_json)
    target = place_of(output)
    if stride is not None and not all_windows:
        raise click.UsageError("--stride is for --all-windows: the newest rows of a series are one window")
    file, spec = open_with_options(model, stride, separator, decimal)
    forecast(file, input, target, spec, every=all_windows, overwrite=overwrite)


@click.command("reconstruct", epilog="""\b
Example:
  tsae reconstruct pumps.tsae pumps.csv out/

OUT/reconstruction/ holds one row per timestamp, in one file per part of INPUT: series, time, and per channel
value_CHANNEL (as measured) and reconstruction_CHANNEL (mean over the windows that cover it).""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("output", type=str, shell_complete=complete_files)
@click.option("--decoder", help="reconstruction, prediction or imputation.  [default: the first that was trained]")
@dataset_options
@common_options
def reconstruct_command(model: Path, input: str, output: str, decoder: str | None, **options: Any) -> None:
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
@click.argument("scores", type=str, shell_complete=complete_files)
@click.option("--labels", shell_complete=complete_files, metavar="TABLE",
              help="Stretches (series, start, end; a column mark if it has one) such as "
              "marks of a report page, or rows (series, time, a label).")  # fmt: skip
@click.option("--label-column", help="The column that is not 0 in rows with an anomaly: of LABELS, or of SCORES.")
@click.option("--id-column", type=one_or_several, metavar="NAME[,NAME...]",
              help="Of LABELS with rows: the series.  [default: series]")  # fmt: skip
@click.option("--time-column", help="Of LABELS with rows: the time.  [default: time; without it rows are numbered]")
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


@click.command("watch", epilog="""\b
Examples:
  tail -n +1 -f pumps.csv | tsae watch faults.tsae
  tsae watch faults.tsae pumps.csv --follow --state pumps.state --show events
  tsae watch faults.tsae today.csv --format csv --show scores > scores.csv

A timestamp is scored once no later window covers it: up to a window's width after its row. An event is given once it
cannot continue. After Ctrl-C or SIGTERM, --state holds what is needed to go on with the same command.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--follow", is_flag=True, help="Wait for lines that are appended to FILE, until Ctrl-C or SIGTERM.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False),
              help="Keep the state in this file, once a minute and at the end, and go on from it.")  # fmt: skip
@click.option("--show", type=click.Choice(["all", "scores", "events"]), default="all", show_default=True,
              help="What to write.")  # fmt: skip
@click.option("--format", type=click.Choice(["json", "csv"]), default="json", show_default=True,
              help="Of the lines that are written; csv needs --show scores or events.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of normal timestamps that may be flagged.  [default: as in training]")  # fmt: skip
@click.option("--gap", type=click.IntRange(0),
              help="Unflagged steps allowed within an event.  [default: half a window]")  # fmt: skip
@click.option("--min-length", type=click.IntRange(1), default=1, show_default=True,
              help="Flagged steps that an event needs.")  # fmt: skip
@click.option("--stride", type=click.IntRange(1),
              help="Rows between the starts of windows.  [default: as in training]")  # fmt: skip
@click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
              help="For a row that cannot be used: stop, or skip it and continue.")  # fmt: skip
@click.option("--separator", type=character, help="Between fields.  [default: as in training]")
@click.option("--decimal", type=character, help="The decimal mark.  [default: as in training]")
@common_options
def watch_command(
    model: Path, file: Path | None, follow: bool, state: Path | None, show: str, format: str, alpha: float | None,
    gap: int | None, min_length: int, stride: int | None, on_error: str, separator: str | None, decimal: str | None,
    quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Score rows as they arrive: lines of CSV from standard input or FILE in, scores and events out.

    The first line names the columns, which are those that MODEL, from "tsae train --task anomalies", was trained on.
    Scores are those of "tsae anomalies".
    """
    from tsae.jobs.anomalies import EventRule
    from tsae.jobs.logs import log_event, set_up_logging
    from tsae.jobs.watch import Watching, watch

    set_up_logging(quiet=quiet, log_json=log_json)
    if follow and file is None:
        raise click.UsageError("--follow needs a FILE; standard input is always followed")
    if format == "csv" and show == "all":
        raise click.UsageError("--format csv writes one kind of lines: --show scores or --show events")
    opened, spec = open_with_options(model, stride, separator, decimal)
    counts, signal = watch(Watching(
        opened, spec, EventRule(alpha, gap, min_length), file, follow, state, show, format, on_error == "skip"
    ))  # fmt: skip
    kept = "" if state is None else f"; the state is in {state}"
    log_event(
        f"watch: {counts.rows:,} rows taken, {counts.skipped:,} skipped, {counts.scored:,} timestamps scored, "
        f"{counts.events:,} events{kept}", event="end", **vars(counts),
    )  # fmt: skip
    finish_watch(counts, signal, has_state=state is not None)


COMMANDS = (evaluate_command, forecast_command, reconstruct_command, watch_command)
