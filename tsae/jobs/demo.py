"""The demo: all jobs once on the sample data, and their results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.datasets import PUMP_SENSORS
from tsae.jobs.anomalies import EVENTS, EventRule, run_anomalies
from tsae.jobs.errors import JobError
from tsae.jobs.features import run_features
from tsae.jobs.job import Job
from tsae.jobs.logs import log_event
from tsae.jobs.models import open_model
from tsae.jobs.outputs import check_target
from tsae.jobs.report import read_parts, read_scored, write_page
from tsae.jobs.sample_data import write_pumps
from tsae.jobs.spec import Columns
from tsae.jobs.table_writer import read_result
from tsae.jobs.train import Training, train
from tsae.report.comparison import compare_events, compare_scores

WIDTH, STRIDE = 48, 6  # windows of eight hours, one per hour
ALPHA = 0.005  # share of normal timestamps that may be flagged
HEALTHY_UNTIL = "2024-01-22"  # no faults before
SAMPLE_COLUMNS = Columns("machine", "time", tuple(PUMP_SENSORS))


def run_demo(output: Path, data: Path | None = None) -> str:
    """Train, export features, classify operating regimes, detect faults; return a report as text.

    Parameters
    ----------
    output : Path
        Directory for all output.
    data : Path, default=None
        Directory with ``machines/machines.csv``; None: the pumps are simulated, and written to `output`.

    Returns
    -------
    str
    """
    check_target(output / "pumps.csv", "the output")
    began = time.monotonic()
    source = write_pumps(output / "pumps.csv") if data is None else find_data(data)
    readings = pd.read_csv(source, parse_dates=["time"])
    models = {task: output / f"{task}.tsae" for task in ("features", "anomalies")}

    log_event("1/4 train an autoencoder on the three weeks without faults")
    training = Training(
        SAMPLE_COLUMNS, WIDTH, STRIDE, before=HEALTHY_UNTIL, autoencoder={"random_state": 0, "verbose": 1}
    )
    train(str(source), models["features"], training, overwrite=True)

    log_event("2/4 export features, and classify the operating regimes of pumps that were not in the training data")
    run_features(_job("features", models["features"], source, output / "features"))
    accuracy = classify_regimes(readings, read_parts(output / "features"))

    log_event("3/4 train a detector on the same three weeks")
    detecting = Training(
        SAMPLE_COLUMNS, WIDTH, STRIDE, task="anomalies", before=HEALTHY_UNTIL,
        autoencoder={"random_state": 0, "verbose": 1}, detector={"random_state": 0, "threshold": "pot"},
    )  # fmt: skip
    train(str(source), models["anomalies"], detecting, overwrite=True)

    log_event("4/4 score all five weeks, and list the events")
    job, rule = _job("timeline", models["anomalies"], source, output / "anomalies"), EventRule(ALPHA)
    run_anomalies(job, rule)
    write_page(read_scored(job, "fault"), rule, output / "anomalies.html")
    timeline = read_parts(output / "anomalies")
    events = read_result(output / "anomalies" / EVENTS)
    found = compare_with_faults(readings, timeline, events)
    plot = plot_timeline(timeline, events, readings, output / "timeline.png")
    return _report(output, accuracy, found, plot, time.monotonic() - began)


def find_data(folder: Path) -> Path:
    """Find the readings of the pumps in a directory of sample data."""
    source = folder / "machines" / "machines.csv"
    if not source.is_file():
        raise JobError(f"there is no machines/machines.csv in {folder}; without --data the pumps are simulated")
    return source


def _job(kind: str, model: Path, source: Path, output: Path) -> Job:
    file = open_model(model)
    return Job(kind, file, str(source), output, file.spec, format=_format(), on_change="redo")


def _format() -> str:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return "csv"
    return "parquet"


# -- regimes -----------------------------------------------------------------------------------------------------


def classify_regimes(readings: pd.DataFrame, features: pd.DataFrame) -> dict[str, float]:
    """Compute the accuracy of ridge classifiers of the regime, on features and on summary statistics of windows.

    Only windows within one regime and without a fault count. Cross-validated: each classifier is tested on two pumps
    that were not in its training data.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regimes, statistics = describe_windows(readings, features)
    kept = regimes.notna().to_numpy()
    classifier = make_pipeline(StandardScaler(), RidgeClassifier(alpha=10.0))
    tables = {
        "LSTM autoencoder features": features.drop(columns=["series", "start", "end"]).to_numpy(),
        "summary statistics": statistics,
    }
    groups = features["series"].to_numpy()[kept]
    return {
        name: float(np.mean(cross_val_score(classifier, X[kept], regimes[kept], groups=groups, cv=GroupKFold(3))))
        for name, X in tables.items()
    }


def describe_windows(readings: pd.DataFrame, features: pd.DataFrame) -> tuple[pd.Series, np.ndarray]:
    """Return the regime of each window (missing if it changes or there is a fault) and its summary statistics.

    The statistics are mean, standard deviation, minimum, maximum and median of each sensor.
    """
    row = readings.reset_index().set_index(["machine", "time"])["index"]
    first = row.loc[pd.MultiIndex.from_frame(features[["series", "start"]])].to_numpy()
    steps = first[:, np.newaxis] + np.arange(WIDTH)
    regime, fault = readings["regime"].to_numpy()[steps], readings["fault"].to_numpy()[steps]
    pure = (regime == regime[:, :1]).all(axis=1) & ~fault.any(axis=1)
    values = readings[PUMP_SENSORS].to_numpy()[steps]
    summaries = (np.mean, np.std, np.min, np.max, np.median)
    statistics = np.concatenate([summary(values, axis=1) for summary in summaries], axis=1)
    return pd.Series(regime[:, 0]).where(pure), statistics


# -- faults ------------------------------------------------------------------------------------------------------


def compare_with_faults(readings: pd.DataFrame, timeline: pd.DataFrame, events: pd.DataFrame) -> dict[str, Any]:
    """Compare scores and events with the labelled faults, in the two weeks that were not trained on."""
    labels = readings[["machine", "time", "fault"]].rename(columns={"machine": "series", "fault": "label"})
    table = labels.merge(timeline[["series", "time", "score"]], on=["series", "time"])
    table = table[table["time"] >= HEALTHY_UNTIL].assign(label=lambda t: t["label"] == 1)
    later = events[events["end"] >= pd.Timestamp(HEALTHY_UNTIL)]
    return {**compare_scores(table), **compare_events(table, later)}


def plot_timeline(timeline: pd.DataFrame, events: pd.DataFrame, readings: pd.DataFrame, path: Path) -> Path | None:
    """Draw scores, events and labelled faults of every pump; return None if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    from tsae.plotting.timeline import TimelineDisplay

    names = timeline["series"].unique()
    figure = Figure(figsize=(14, 10), layout="constrained")
    faults = readings.rename(columns={"machine": "series"})[["series", "time", "fault"]]
    labels = timeline[["series", "time"]].merge(faults, on=["series", "time"], how="left")["fault"]
    TimelineDisplay(timeline, events, labels=labels).plot(ax=figure.subplots(len(names), sharex=True))
    figure.suptitle("Anomaly score of each timestamp (logarithmic)")
    figure.savefig(path, dpi=100)
    return path


def _report(output: Path, accuracy: dict[str, float], found: dict[str, Any], plot: Path | None, seconds: float) -> str:
    lines = [
        "",
        "Accuracy of classifying the operating regime (steady, cycling, filling, draining), on unseen pumps:",
        *(f"  {name:28s} {share:.3f}" for name, share in accuracy.items()),
        "",
        f"Labelled faults in the two weeks after training, with alpha = {ALPHA}:",
        f"  detected                     {found['n_found']} of {found['n_labelled_events']}",
        f"  events without a fault       {found['n_false_events']} of {found['n_events']}",
        f"  area under precision-recall  {found['auc_pr']:.3f}  (random scores {found['labelled_share']:.3f})",
        *([f"  VUS-PR                       {found['vus_pr']:.3f}"] if "vus_pr" in found else []),
        "",
        f"Output ({seconds:.0f} s):",
        f"  models    {output / 'features.tsae'}, {output / 'anomalies.tsae'}",
        f"  features  {output / 'features' / 'features'}",
        f"  scores    {output / 'anomalies' / 'timeline'}",
        f"  events    {output / 'anomalies' / EVENTS}",
        f"  report    {output / 'anomalies.html'}",
        *([f"  plot      {plot}"] if plot else []),
    ]
    return "\n".join(lines)
