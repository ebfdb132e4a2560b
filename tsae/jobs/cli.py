"""The command ``tsae``. Each command imports what it needs, so that ``--help`` is fast."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from tsae.jobs import data_commands, errors, result_commands
from tsae.jobs.options import (
    character,
    check_marks,
    common_options,
    complete_files,
    dataset_options,
    finish,
    integers,
    make_job,
    names,
    one_or_several,
    rows_or_auto,
    setting,
    size,
)

EXIT_CODES = """\b
Exit codes:
  0    success
  1    error: the message says what to do; finished parts are kept, and the same command continues
  2    wrong usage
  3    success, but parts were skipped (--on-error skip); the manifest lists them with the reasons
  4    finished, but nothing at all was scored (or no features computed); a warning says why, as does the manifest
  130  interrupted (Ctrl-C); 143 terminated: the same command continues, or, for "train", starts again"""


# What the same command does after an interruption, where it does not continue.
ANEW = {
    "train": "no model was written; the same command starts training again (with --memory, on what was read already)",
    "export-onnx": "the same command starts again",
    "demo": "the same command starts again",
    "sample-data": "the same command starts again, with --overwrite",
    "recalibrate": "no model was written; the same command starts again",
    "forecast": "nothing was written; the same command starts again",
    "evaluate": "the same command starts again",
    "watch": "with --state, the same command goes on from the state that was kept last",
}

# -- commands -----------------------------------------------------------------------------------------------------


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tsae", prog_name="tsae")
@click.pass_context
def cli(context: click.Context) -> None:
    """Features and anomalies of time series, by LSTM autoencoders.

    \b
    Try it on the sample data:  tsae demo
    Get the sample data:        tsae sample-data FOLDER
    Use your own data:          tsae describe, tsae train, then tsae features, tsae anomalies or tsae forecast
    From a file of options:     tsae init DATA, then tsae train --config tsae.toml
    """  # noqa: D301, click keeps the lines after a backspace character
    if isinstance(context.obj, dict):
        context.obj["command"] = context.invoked_subcommand


@cli.command("train", epilog="""\b
Examples:
  tsae train pumps.csv pumps.tsae --id-column machine --time-column time \\
      --value-columns speed,current,pressure --width 48 --stride 6
  tsae train logs/ pumps.tsae --task anomalies --id-column machine --time-column time --width 48 \\
      --before 2024-01-22 --label-column fault
  tsae train pumps.csv pumps.tsae --width 48 --units 32,32 --epochs 20 --set cell=gru --set dropout=0.1
  tsae train excel.csv pumps.tsae --time-column time --width 48 --separator ';' --decimal ',' \\
      --missing-values -999,#N/A""")  # fmt: skip
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--width", type=rows_or_auto, metavar="INT|auto", required=True,
              help="Time steps per window; auto: as tsae describe suggests.")  # fmt: skip
@click.option("--stride", type=rows_or_auto, metavar="INT|auto", default=1, show_default=True,
              help="Rows between the starts of windows; auto: as tsae describe suggests.")  # fmt: skip
@click.option("--id-column", type=one_or_several, metavar="NAME[,NAME...]",
              help="Column, or columns, with the series of each row; also of directories such as machine=m1.  "
              "[default: all rows are one series]")  # fmt: skip
@click.option(
    "--time-column",
    help="Column of timestamps (ISO 8601), numbers or durations (in seconds).  [default: rows are numbered]",
)
@click.option("--value-columns", type=names, metavar="NAME,NAME...", default=(),
              help="The channels.  [default: all other columns]")  # fmt: skip
@click.option("--time-format", help="Format of the timestamps, such as '%d.%m.%Y %H:%M'.")
@click.option(
    "--missing-values",
    type=names,
    metavar="VALUE,VALUE...",
    default=(),
    help="What marks missing values in the channels, such as -999,9999,#N/A: numbers by value, text as "
    "written.  Empty fields, NA, N/A, NaN, nan, NULL, null and None always do.",
)
@click.option(
    "--separator",
    type=character,
    default=",",
    show_default=True,
    help="Of CSV files: the character between fields, or 'tab'.",
)
@click.option("--decimal", type=character, default=".", show_default=True, help="Of CSV files: the decimal mark.")
@click.option("--id-from-file", is_flag=True, help="Every file is one series, named by its path.")
@click.option("--max-gap", help="Longest time step within a window, such as 15min.  [default: 2.5 usual steps]")
@click.option("--before", metavar="TIME", help="Train on windows that end before this time (ISO 8601, or a number).")
@click.option("--label-column", help="Leave out windows that contain rows in which this column is not 0; for a name "
              "ending in .csv, rows that the marks saved by a report page call fault or unclear.")  # fmt: skip
@click.option("--task", type=click.Choice(["features", "anomalies"]), default="features", show_default=True,
              help="features: an autoencoder; anomalies: a detector, which also computes features.")  # fmt: skip
@click.option("--units", type=integers, metavar="INT,INT...", help="Units of each layer of the encoder.")
@click.option("--decoder", help="Training objective: reconstruction, prediction, composite or imputation.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training windows.")
@click.option("--set", "settings", type=setting, metavar="NAME=VALUE", multiple=True,
              help="Any other parameter of LSTMAutoencoder.")  # fmt: skip
@click.option("--set-detector", type=setting, metavar="NAME=VALUE", multiple=True,
              help="A parameter of AnomalyDetector.")  # fmt: skip
@click.option("--random-state", type=int, default=0, show_default=True, help="Seed.")
@click.option("--memory", type=size, metavar="SIZE",
              help="Memory that training may use, such as 2GiB: of more data, windows are drawn at random.  "
              "[default: a quarter of what is free]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace MODEL if it exists.")
@common_options
def train_command(
    input: str, model: Path, width: int | str, stride: int | str, id_column: str | tuple[str, ...] | None,
    time_column: str | None, value_columns: tuple[str, ...], time_format: str | None,
    missing_values: tuple[str, ...], separator: str, decimal: str, id_from_file: bool, max_gap: str | None,
    before: str | None, label_column: str | None, task: str, units: Any, decoder: str | None, epochs: int | None,
    settings: Sequence[tuple[str, Any]], set_detector: Sequence[tuple[str, Any]], random_state: int,
    memory: int | None, overwrite: bool, quiet: bool, log_json: bool,
) -> None:  # fmt: skip
    """Train a model on the tables INPUT and write it to the file MODEL.

    INPUT is a .csv (also .csv.gz, .csv.zst) or .parquet file, a directory of such files or a pattern in quotes, read
    as one table. It may be larger than the memory.
    """
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.spec import Columns
    from tsae.jobs.train import Training, train

    set_up_logging(quiet=quiet, log_json=log_json)
    if id_from_file and id_column:
        raise click.UsageError("--id-from-file and --id-column exclude each other")
    check_marks(separator, decimal)
    columns = Columns(
        id_column, time_column, value_columns, time_format, id_from_file=id_from_file,
        missing=tuple(value for value in missing_values if value), separator=separator, decimal=decimal,
    )  # fmt: skip
    given = {"units": units, "decoder": decoder, "epochs": epochs, "random_state": random_state}
    autoencoder = {name: value for name, value in given.items() if value is not None}
    training = Training(
        columns=columns,
        width=width, stride=stride, task=task, max_gap=_gap(max_gap), before=before, label_column=label_column,
        autoencoder={"verbose": 0 if quiet else 1, **autoencoder, **dict(settings)},
        detector={"random_state": random_state, **dict(set_detector)} if task == "anomalies" else dict(set_detector),
        memory=memory,
    )  # fmt: skip
    train(input, model, training, overwrite=overwrite)


@cli.command("features", epilog="""\b
Examples:
  tsae features pumps.tsae pumps.csv out/
  tsae features pumps.tsae 'logs/2024-*.parquet' out/ --on-error skip --n-jobs 4
  tsae features --config nightly.toml

OUT/features/ holds one file per part of the input; pandas.read_parquet("OUT/features") reads them as one table.
OUT/manifest.json lists the state of each part. The same command continues an interrupted job.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("output", type=str, shell_complete=complete_files)
@dataset_options
@common_options
def features_command(model: Path, input: str, output: str, **options: Any) -> None:
    """Write the features of all windows of the tables INPUT to the directory OUTPUT.

    OUTPUT may be in an object store, such as s3://bucket/out. INPUT is as for "tsae train". The times of a series must
    increase within a part and from part to part; parts are read in natural order of their names.
    """
    from tsae.jobs.features import run_features

    finish(run_features(make_job("features", model, input, output, options)))


@cli.command("anomalies", epilog="""\b
Examples:
  tsae anomalies pumps.tsae pumps.csv out/
  tsae anomalies pumps.tsae logs/ out/ --alpha 0.001 --label-column fault --report out/page.html

OUT/timeline/ holds one row per timestamp, in one file per part of INPUT.
OUT/events.csv lists the events.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("output", type=str, shell_complete=complete_files)
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of normal timestamps that may be flagged.  [default: as in training]")  # fmt: skip
@click.option("--gap", type=click.IntRange(0),
              help="Unflagged steps allowed within an event.  [default: half a window]")  # fmt: skip
@click.option("--min-length", type=click.IntRange(1), default=1, show_default=True,
              help="Flagged steps that an event needs.")  # fmt: skip
@click.option("--label-column", help="Compare with labels: a column that is not 0 in rows with an anomaly; or, for a "
              "name ending in .csv, the marks saved by a report page.")  # fmt: skip
@click.option("--report", metavar="FILE", shell_complete=complete_files,
              help="Write an HTML page with timelines and events; reads the whole input into memory.")  # fmt: skip
@dataset_options
@common_options
def anomalies_command(
    model: Path, input: str, output: str, alpha: float | None, gap: int | None, min_length: int,
    label_column: str | None, report: str | None, **options: Any,
) -> None:  # fmt: skip
    """Score every timestamp of the tables INPUT, and list the events, in the directory OUTPUT.

    INPUT and OUTPUT are as for "tsae features"; MODEL comes from "tsae train --task anomalies".
    """
    from tsae.jobs.anomalies import EventRule, run_anomalies
    from tsae.jobs.places import place_of

    job = make_job("timeline", model, input, output, options)
    page = None if report is None else place_of(report, "the report")
    if page is not None or label_column is not None:
        from tsae.jobs.report import check_report

        check_report(job, label_column, page)
    rule = EventRule(alpha, gap, min_length)
    manifest = run_anomalies(job, rule)
    if page is not None or label_column is not None:
        _report(job, rule, page, label_column)
    finish(manifest)


def _report(job: Any, rule: Any, page: Any, label_column: str | None) -> None:
    from tsae.jobs.report import compare_with_labels, lines_of, read_scored, write_page

    scored = read_scored(job, label_column)
    if page is not None:
        write_page(scored, rule, page)
    if label_column is not None:
        click.echo(lines_of(compare_with_labels(scored)))


@cli.command("recalibrate", epilog="""\b
Examples:
  tsae recalibrate faults.tsae july.csv faults_july.tsae
  tsae recalibrate faults.tsae july.csv faults_july.tsae --marks marks.csv""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str, shell_complete=complete_files)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--marks", metavar="FILE.csv",
              help="Take only what the marks saved by a report page call normal.  [default: all rows]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
@common_options
def recalibrate_command(
    model: Path, input: str, output: Path, marks: str | None, overwrite: bool, quiet: bool, log_json: bool
) -> None:
    """Take the normal data INPUT into the calibration of the detector MODEL, and write it to OUTPUT.

    Nothing is trained. INPUT is as for "tsae train", and is read into memory.
    """
    from tsae.jobs.logs import set_up_logging
    from tsae.jobs.recalibrate import recalibrate

    set_up_logging(quiet=quiet, log_json=log_json)
    recalibrate(model, input, output, marks, overwrite=overwrite)


@cli.command("inspect", epilog="""\b
Example:
  tsae inspect pumps.tsae --json | jq .summary""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def inspect_command(model: Path, as_json: bool) -> None:
    """Describe a model file, without loading the model."""
    from tsae.jobs.models import describe_model
    from tsae.jobs.report import lines_of

    description = describe_model(model)
    click.echo(json.dumps(description, indent=1, ensure_ascii=False) if as_json else lines_of(description))


@cli.command("export-onnx", epilog="""\b
Examples:
  tsae export-onnx pumps.tsae pumps.onnx --complete
  tsae export-onnx faults.tsae faults.onnx""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--any-steps", is_flag=True, help="Accept windows of any length.  [default: of the length in training]")
@click.option("--dtype", type=click.Choice(["float32", "float64"]),
              help="Type of the input.  [default: float32 for features, float64 for a detector]")  # fmt: skip
@click.option("--complete", is_flag=True, help="A smaller graph, for windows without missing values.")
@common_options
def export_onnx_command(
    model: Path, output: Path, any_steps: bool, dtype: str | None, complete: bool, quiet: bool, log_json: bool
) -> None:
    """Write MODEL to OUTPUT as an ONNX graph: windows in; features, or the scores and p-values of a detector, out.

    Scaling, missing values, pooling, decoders and scores are in the graph; the batch may be of any size. Needs
    tsae[onnx]; the detector then runs without TensorFlow, as tsae.OnnxDetector.from_onnx(OUTPUT) and elsewhere.
    """
    from tsae.jobs.logs import log_event, set_up_logging
    from tsae.jobs.models import export_model

    set_up_logging(quiet=quiet, log_json=log_json)
    export_model(model, output, fixed_steps=False if any_steps else None, dtype=dtype, missing=not complete)
    log_event(f"wrote {output}", event="end", path=str(output))


@cli.command("demo")
@click.option("--output", type=click.Path(path_type=Path), default=Path("demo_output"), show_default=True,
              help="Directory for all output.")  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path), help="Directory with machines/machines.csv.  [default: simulated]"
)
@common_options
def demo_command(output: Path, data: Path | None, quiet: bool, log_json: bool) -> None:
    """Run all jobs once on the sample data, and print how well they did.

    Trains on six simulated pumps, exports features, trains a classifier on them, and detects the labelled faults.
    """
    from tsae.jobs.demo import run_demo
    from tsae.jobs.logs import set_up_logging

    set_up_logging(quiet=quiet, log_json=log_json)
    click.echo(run_demo(output, data))


for command in (*data_commands.COMMANDS, *result_commands.COMMANDS):
    cli.add_command(command)


def _gap(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


# -- the process --------------------------------------------------------------------------------------------------


class Terminated(BaseException):
    """SIGTERM: the job stops as at Ctrl-C, with the manifest saved."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit the process with its exit code."""
    # TensorFlow logs only errors: its notes would appear between our lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    before = signal.signal(signal.SIGTERM, _terminate)
    run: dict[str, Any] = {}
    try:
        cli.main(args=arguments, prog_name="tsae", standalone_mode=False, obj=run)
        code = errors.OK
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _fail(f"interrupted; {_after(run)}", errors.INTERRUPTED)
    except Terminated:
        code = _fail(f"terminated; {_after(run)}", errors.TERMINATED)
    except errors.JobError as error:
        code = _fail(str(error), errors.ERROR)
    except OSError as error:
        text = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else error.strerror or error
        kept = "" if run.get("command") in ANEW else "finished parts are kept, and "
        code = _fail(f"{text}; {kept}{_after(run)}", errors.ERROR)
    except MemoryError as error:
        code = _fail(f"out of memory ({error}); split the input into smaller parts", errors.ERROR)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _after(run: dict[str, Any]) -> str:
    """Say what the same command does after an interruption."""
    return ANEW.get(run.get("command", ""), "the same command continues")


def _terminate(_number: int, _frame: Any) -> NoReturn:
    raise Terminated


def _fail(message: str, code: int) -> int:
    from tsae.jobs.logs import log_failure

    log_failure(message, exit_code=code)
    return code


if __name__ == "__main__":
    main()
