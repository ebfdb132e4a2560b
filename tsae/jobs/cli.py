"""The command ``tsae``. Everything heavy is imported by the command that needs it, so that help comes at once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from tsae.jobs import errors

EXIT_CODES = """\b
Exit codes:
  0    all done
  1    error: the message says what to do; finished parts stay, and the same command continues
  2    wrong usage
  3    done, but parts were skipped (--on-error skip); the manifest says which and why
  130  interrupted (Ctrl-C); 143 terminated: the same command continues"""


# -- options that several commands share --------------------------------------------------------------------------


class Names(click.ParamType):
    """Names with commas between them; a list in a configuration file."""

    name = "NAME,NAME..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(str(part).strip() for part in parts)


class Numbers(click.ParamType):
    """One integer or several with commas between them; a number or list in a configuration file."""

    name = "INT,INT..."

    def convert(self, value: Any, param: Any, ctx: Any) -> int | tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in (str(value).strip("[]() ").split(",")))
        except ValueError:
            self.fail(f"{value!r} is not an integer or several with commas between them", param, ctx)
        return numbers if len(numbers) > 1 else numbers[0]


class Setting(click.ParamType):
    """``name=value`` with the value in JSON, or text."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals:
            self.fail(f"{value!r} is not of the form name=value", param, ctx)
        try:
            return name.strip(), json.loads(text)
        except ValueError:
            return name.strip(), text


def common_options(command: Callable) -> Callable:
    for option in (
        click.option("--config", type=click.Path(path_type=Path), is_eager=True, expose_value=False,
                     callback=_use_config, help="TOML file with options, in a table named like the command."),
        click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors."),
        click.option("--log-json", is_flag=True, help="Log to standard error as lines of JSON."),
    ):  # fmt: skip
        command = option(command)
    return command


def _use_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
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


def dataset_options(command: Callable) -> Callable:
    """What the jobs on data sets have in common."""
    for option in (
        click.option("--stride", type=click.IntRange(1), help="Rows from window to window.  [default: as in training]"),
        click.option("--format", type=click.Choice(["parquet", "csv"]), default="parquet",
                     show_default=True, help="Of the parts that are written."),
        click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
                     help="At a part that cannot be used: stop, or leave it out and go on."),
        click.option("--on-change", type=click.Choice(["refuse", "redo"]), default="refuse", show_default=True,
                     help="Where input, model or options are not those that OUTPUT was made from."),
        click.option("--whole-series", is_flag=True,
                     help="Every series lies within one part, so parts may be worked on in any order and place."),
        click.option("--n-jobs", type=int, default=1, show_default=True,
                     help="Local processes; 1 uses all cores in one process. -1: one a core."),
        click.option("--dask", metavar="tcp://HOST:PORT", help="Work on this Dask cluster."),
    ):  # fmt: skip
        command = option(command)
    return command


# -- commands -----------------------------------------------------------------------------------------------------


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tsae", prog_name="tsae")
def cli() -> None:
    """Feature vectors and anomalies of time series, by LSTM autoencoders.

    \b
    A first tour on the sample data:  tsae demo
    Your own data:                    tsae train, then tsae features or tsae anomalies
    """


@cli.command("train", epilog="""\b
Examples:
  tsae train pumps.csv pumps.tsae --id-column machine --time-column time \\
      --value-columns speed,current,pressure --width 48 --stride 6
  tsae train logs/ pumps.tsae --task anomalies --id-column machine --time-column time --width 48 \\
      --before 2024-01-22 --label-column fault
  tsae train pumps.csv pumps.tsae --width 48 --units 32,32 --epochs 20 --set cell=gru --set dropout=0.1""")  # fmt: skip
@click.argument("input", type=str)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--width", type=click.IntRange(1), required=True, help="Steps in a window.")
@click.option("--stride", type=click.IntRange(1), default=1, show_default=True, help="Rows from window to window.")
@click.option("--id-column", help="Column that says which series a row belongs to.  [default: all rows are one series]")
@click.option("--time-column", help="Column of timestamps (ISO 8601) or numbers.  [default: rows are numbered]")
@click.option("--value-columns", type=Names(), default=(), help="The channels.  [default: all other columns]")
@click.option("--time-format", help="How timestamps are written, such as '%d.%m.%Y %H:%M'.")
@click.option("--id-from-file", is_flag=True, help="Every file is a series of its own, named by its path.")
@click.option("--max-gap", help="Longest step of time within a window, such as 15min.  [default: 1.5 median steps]")
@click.option("--before", metavar="TIME", help="Train on windows that end before this time.")
@click.option("--label-column", help="Leave out windows with rows where this column is not 0.")
@click.option("--task", type=click.Choice(["features", "anomalies"]), default="features", show_default=True,
              help="features: an autoencoder; anomalies: a detector, which makes features too.")  # fmt: skip
@click.option("--units", type=Numbers(), help="Units of each layer of the encoder.")
@click.option("--decoder", help="What the autoencoder learns: reconstruction, prediction, composite or imputation.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the windows.")
@click.option("--set", "settings", type=Setting(), multiple=True, help="Any other parameter of LSTMAutoencoder.")
@click.option("--set-detector", type=Setting(), multiple=True, help="A parameter of AnomalyDetector.")
@click.option("--random-state", type=int, default=0, show_default=True, help="Seed.")
@common_options
def train_command(
    input: str, model: Path, width: int, stride: int, id_column: str | None, time_column: str | None,
    value_columns: tuple[str, ...], time_format: str | None, id_from_file: bool, max_gap: str | None,
    before: str | None, label_column: str | None, task: str, units: Any, decoder: str | None, epochs: int | None,
    settings: Sequence[tuple[str, Any]], set_detector: Sequence[tuple[str, Any]], random_state: int, quiet: bool,
    log_json: bool,
) -> None:  # fmt: skip
    """Train a model on the tables INPUT and write it to the file MODEL.

    INPUT is a .csv or .parquet file, a directory of such files or a pattern in quotes, read as one table.
    """
    from tsae.jobs.progress import set_up_logging
    from tsae.jobs.tables import Columns
    from tsae.jobs.train import Training, train

    set_up_logging(quiet=quiet, log_json=log_json)
    if id_from_file and id_column:
        raise click.UsageError("--id-from-file and --id-column exclude each other")
    given = {"units": units, "decoder": decoder, "epochs": epochs, "random_state": random_state}
    autoencoder = {name: value for name, value in given.items() if value is not None}
    training = Training(
        columns=Columns(id_column, time_column, value_columns, time_format, id_from_file=id_from_file),
        width=width, stride=stride, task=task, max_gap=_gap(max_gap), before=before, label_column=label_column,
        autoencoder={"verbose": 0 if quiet else 1, **autoencoder, **dict(settings)},
        detector={"random_state": random_state, **dict(set_detector)} if task == "anomalies" else dict(set_detector),
    )  # fmt: skip
    train(input, model, training)


@cli.command("features", epilog="""\b
Examples:
  tsae features pumps.tsae pumps.csv out/
  tsae features pumps.tsae 'logs/2024-*.parquet' out/ --on-error skip --n-jobs 4
  tsae features --config nightly.toml

OUT/features/ holds one file a part of the input, which pandas.read_parquet("OUT/features") reads as one table;
OUT/manifest.json says what became of each part. An interrupted job is continued by the same command.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str)
@click.argument("output", type=click.Path(path_type=Path))
@dataset_options
@common_options
def features_command(model: Path, input: str, output: Path, **options: Any) -> None:
    """Write the features of all windows of the tables INPUT to the directory OUTPUT.

    INPUT is a .csv or .parquet file, a directory of such files or a pattern in quotes. Rows of a series must be in
    order of time, within a part and from part to part, parts in natural order of their names.
    """
    from tsae.jobs.features import run_features

    _finish(run_features(_job("features", model, input, output, options)))


@cli.command("anomalies", epilog="""\b
Examples:
  tsae anomalies pumps.tsae pumps.csv out/
  tsae anomalies pumps.tsae logs/ out/ --alpha 0.001 --label-column fault --report out/page.html

OUT/timeline/ holds a score for every timestamp, one file a part of INPUT;
OUT/events.csv lists the events.""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input", type=str)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of normal timestamps that may be flagged.  [default: the model's]")  # fmt: skip
@click.option("--gap", type=click.IntRange(0), help="Steps between flags of one event.  [default: half a window]")
@click.option("--min-length", type=click.IntRange(1), default=1, show_default=True, help="Flags that an event needs.")
@click.option("--label-column", help="Compare with labels: a column that is not 0 where there is an anomaly.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page of HTML with timelines and events; reads the whole input into memory.")  # fmt: skip
@dataset_options
@common_options
def anomalies_command(
    model: Path, input: str, output: Path, alpha: float | None, gap: int | None, min_length: int,
    label_column: str | None, report: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Score every timestamp of the tables INPUT, and list the events, in the directory OUTPUT.

    INPUT is as for "tsae features"; MODEL comes from "tsae train --task anomalies".
    """
    from tsae.jobs.anomalies import EventRule, run_anomalies

    job = _job("timeline", model, input, output, options)
    rule = EventRule(alpha, gap, min_length)
    manifest = run_anomalies(job, rule)
    if report is not None or label_column is not None:
        _report(job, rule, report, label_column)
    _finish(manifest)


def _report(job: Any, rule: Any, page: Path | None, label_column: str | None) -> None:
    from tsae.jobs.report import compare_with_labels, lines_of, read_scored, write_page

    scored = read_scored(job, label_column)
    if page is not None:
        write_page(scored, rule, page)
    if label_column is not None:
        click.echo(lines_of(compare_with_labels(scored)))


@cli.command("inspect", epilog="""\b
Example:
  tsae inspect pumps.tsae --json | jq .summary""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def inspect_command(model: Path, as_json: bool) -> None:
    """Say what a model file holds, without loading the model."""
    from tsae.jobs.models import describe_model
    from tsae.jobs.report import lines_of

    description = describe_model(model)
    click.echo(json.dumps(description, indent=1, ensure_ascii=False) if as_json else lines_of(description))


@cli.command("export-onnx", epilog="""\b
Example:
  tsae export-onnx pumps.tsae pumps.onnx --complete""")  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--any-steps", is_flag=True, help="Windows of any length.  [default: of that of training]")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True,
              help="Of the input.")  # fmt: skip
@click.option("--complete", is_flag=True, help="A smaller graph, for windows without missing values.")
@common_options
def export_onnx_command(
    model: Path, output: Path, any_steps: bool, dtype: str, complete: bool, quiet: bool, log_json: bool
) -> None:
    """Write the encoder of MODEL to OUTPUT as an ONNX graph: windows in, features out.

    Scaling, missing values and pooling are in the graph; the batch may be of any size. Needs tsae[onnx].
    """
    from tsae.jobs.models import export_encoder
    from tsae.jobs.progress import say, set_up_logging

    set_up_logging(quiet=quiet, log_json=log_json)
    export_encoder(model, output, fixed_steps=False if any_steps else None, dtype=dtype, missing=not complete)
    say(f"wrote {output}", event="end", path=str(output))


@cli.command("demo")
@click.option("--output", type=click.Path(path_type=Path), default=Path("demo_output"), show_default=True,
              help="Directory for all that is made.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), help="Directory of the sample data.  [default: sample_data]")
@common_options
def demo_command(output: Path, data: Path | None, quiet: bool, log_json: bool) -> None:
    """Run everything once on the sample data, and say how well it did.

    Trains on six simulated pumps, exports features, trains a classifier on them, finds the labelled faults.
    """
    from tsae.jobs.demo import run_demo
    from tsae.jobs.progress import set_up_logging

    set_up_logging(quiet=quiet, log_json=log_json)
    click.echo(run_demo(output, data))


def _job(kind: str, model: Path, source: str, output: Path, options: dict[str, Any]) -> Any:
    from tsae.jobs.execution import Execution
    from tsae.jobs.export import Job
    from tsae.jobs.models import open_model
    from tsae.jobs.progress import set_up_logging

    set_up_logging(quiet=options["quiet"], log_json=options["log_json"])
    if options["n_jobs"] == 0:
        raise click.UsageError("--n-jobs 0 leaves nobody to work; 1 is this process, -1 one process a core")
    file = open_model(model)
    return Job(
        kind=kind, model=file, source=source, output=output, reading=file.reading.with_stride(options["stride"]),
        format=options["format"], whole_series=options["whole_series"], on_error=options["on_error"],
        on_change=options["on_change"], execution=Execution(options["n_jobs"], options["dask"]),
    )  # fmt: skip


def _gap(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _finish(manifest: Any) -> None:
    if any(record.status == "skipped" for record in manifest.records.values()):
        sys.exit(errors.SKIPPED_PARTS)


# -- the process --------------------------------------------------------------------------------------------------


class Terminated(BaseException):
    """SIGTERM: work stops as at Ctrl-C, with the manifest saved."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    # TensorFlow's own notes would stand between our lines; its errors may.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        cli.main(args=arguments, prog_name="tsae", standalone_mode=False)
        code = errors.OK
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _fail("interrupted; the same command continues", errors.INTERRUPTED)
    except Terminated:
        code = _fail("terminated; the same command continues", errors.TERMINATED)
    except errors.JobError as error:
        code = _fail(str(error), errors.ERROR)
    except OSError as error:
        code = _fail(f"{error}; what was finished stays, and the same command continues", errors.ERROR)
    except MemoryError as error:
        code = _fail(f"out of memory ({error}); split the input into smaller parts", errors.ERROR)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise Terminated


def _fail(message: str, code: int) -> int:
    from tsae.jobs.progress import fail

    fail(message, exit_code=code)
    return code


if __name__ == "__main__":
    main()
