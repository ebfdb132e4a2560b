"""Anomaly detection on labelled series: tsae with its default settings against the usual baselines.

    python -m benchmarks.anomalies                          # the whole table
    python -m benchmarks.anomalies --sets mitdb --methods tsae,pca --seeds 1

Every method reads the same windows: it is fitted on normal data, then the whole test series is scored, one score per
timestamp. Scores of windows, or of steps of windows, are averaged over all windows that cover the timestamp. The
measure is VUS-PR (Paparrizos et al., PVLDB 2022; aeon's implementation, buffers from 0 to the width of a window),
beside AUC-PR and the distance of the highest score from the nearest labelled anomaly. There is no point-adjusted F1:
random scores can win it (arXiv 2109.05257).

Each result is appended to ``--results`` (JSON lines); results in that file are not computed again.

The series are in installed packages: aeon, and ``pip install --no-deps sktime`` (only its data file is read, and its
dependencies may conflict with others).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from tsae import Windows, make_windows
from tsae.jobs.report import range_measures

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100  # of the univariate sets
MACHINE_WIDTH = 72  # twelve hours


# -- the sets


@dataclass(frozen=True)
class Problem:
    """Windows of normal data to fit on, windows of the series to score, and a label for each of its rows."""

    name: str
    train: Windows
    test: Windows
    labels: np.ndarray

    @property
    def width(self) -> int:
        return self.test.width


def package_file(package: str, path: str) -> Path:
    """A data file of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{path} of {package} is needed: pip install --no-deps {package}")
    return Path(spec.submodule_search_locations[0]) / path


def kdd_tsad_135() -> Problem:
    """Blood pressure with one short anomaly (UCR archive); fitted on the packaged normal part."""
    folder = "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_"
    train = pd.read_csv(package_file("aeon", folder + "TRAIN.csv"))
    test = pd.read_csv(package_file("aeon", folder + "TEST.csv"))
    return univariate("KDD-TSAD_135", train["value"], test["value"], test["is_anomaly"])


def ecg_diff_count_3() -> Problem:
    """A synthetic ECG with three anomalies (GutenTAG); fitted on the packaged part without any."""
    folder = "datasets/data/UnitTest/ecg-diff-count-3_"
    train = pd.read_csv(package_file("aeon", folder + "TRAIN_NA.csv"))
    test = pd.read_csv(package_file("aeon", folder + "TEST.csv"))
    return univariate("ecg-diff-count-3", train["value-0"], test["value-0"], test["is_anomaly"])


def mitdb() -> Problem:
    """An ECG with one long arrhythmia (MIT-BIH); fitted on its first quarter."""
    table = pd.read_csv(package_file("sktime", "datasets/data/mitdb/mitdb.csv"))
    return univariate("mitdb", table["data"][: len(table) // 4], table["data"], table["label"])


def univariate(name: str, train: pd.Series, test: pd.Series, labels: pd.Series) -> Problem:
    windows = [make_windows(values.to_numpy(dtype=np.float64), WIDTH) for values in (train, test)]
    return Problem(name, *windows, labels.to_numpy().astype(int))


def machines() -> Problem:
    """Six simulated pumps, five sensors (sample_data/machines): fitted on 21 days without faults, 14 days with."""
    table = pd.read_csv(ROOT / "sample_data" / "machines" / "machines.csv", parse_dates=["time"])
    columns = {
        "id_column": "machine",
        "time_column": "time",
        "value_columns": ["speed", "current", "pressure", "temperature", "vibration"],
    }
    healthy = table["time"] < "2024-01-22"
    train = make_windows(table[healthy], MACHINE_WIDTH, 4, **columns)
    test = make_windows(table[~healthy], MACHINE_WIDTH, **columns)
    return Problem("machines", train, test, table.loc[~healthy, "fault"].to_numpy())


SETS: dict[str, Callable[[], Problem]] = {
    "KDD-TSAD_135": kdd_tsad_135,
    "ecg-diff-count-3": ecg_diff_count_3,
    "mitdb": mitdb,
    "machines": machines,
}


# -- the methods


def per_timestamp(windows: Windows, step_scores: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mean score of each row over all windows that cover it, shape (n_rows,).

    ``step_scores`` maps windows (k, width, n_channels) to (k, width), or (k, 1) where a window has one score.
    """
    total, count = np.zeros(len(windows.values)), np.zeros(len(windows.values))
    for first in range(0, len(windows), 4096):
        chunk = windows[first : first + 4096]
        rows = chunk.starts[:, np.newaxis] + np.arange(windows.width)
        scores = np.broadcast_to(step_scores(chunk.gather()), rows.shape)
        np.add.at(total, rows, scores)
        np.add.at(count, rows, 1)
    with np.errstate(invalid="ignore"):
        return total / count


def standardise(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """Scale each channel to mean 0, standard deviation 1 over the training rows."""
    values = problem.train.gather()
    mean, std = np.nanmean(values, axis=(0, 1)), np.nanstd(values, axis=(0, 1))
    std = np.where(std > 0, std, 1)
    return lambda windows: (windows - mean) / std


def moving_z_score(problem: Problem, seed: int) -> np.ndarray:
    """Distance from the mean of the previous ``width`` steps, in standard deviations; largest over channels."""
    names = problem.test.index["series"]
    scores = np.full(len(problem.test.values), np.nan)
    for series in names.unique():
        starts = problem.test.starts[(names == series).to_numpy()]
        rows = slice(starts.min(), starts.max() + problem.width)
        frame = pd.DataFrame(problem.test.values[rows])
        before = frame.rolling(problem.width, min_periods=2)
        z = (frame - before.mean().shift()).abs() / (before.std().shift() + 1e-8)
        scores[rows] = z.max(axis=1)
    return scores


def isolation_forest(problem: Problem, seed: int) -> np.ndarray:
    """scikit-learn's IsolationForest on flattened windows."""
    from sklearn.ensemble import IsolationForest

    scale = standardise(problem)
    flat = scale(problem.train.gather()).reshape(len(problem.train), -1)
    forest = IsolationForest(random_state=seed, n_jobs=-1).fit(flat)

    def scores(windows: np.ndarray) -> np.ndarray:
        return -forest.score_samples(scale(windows).reshape(len(windows), -1))[:, np.newaxis]

    return per_timestamp(problem.test, scores)


def pca(problem: Problem, seed: int) -> np.ndarray:
    """Squared error of windows projected on the principal components with 95 % of their variance."""
    return _pca(problem, 0.95)


def pca_10(problem: Problem, seed: int) -> np.ndarray:
    """As `pca`, with ten components."""
    return _pca(problem, 10)


def _pca(problem: Problem, n_components: float) -> np.ndarray:
    from sklearn.decomposition import PCA

    scale = standardise(problem)
    normal = scale(problem.train.gather()).reshape(len(problem.train), -1)
    model = PCA(n_components, svd_solver="full").fit(normal)

    def errors(windows: np.ndarray) -> np.ndarray:
        flat = scale(windows).reshape(len(windows), -1)
        residual = flat - model.inverse_transform(model.transform(flat))
        return np.square(residual).reshape(windows.shape).mean(axis=2)

    return per_timestamp(problem.test, errors)


def dense_autoencoder(problem: Problem, seed: int) -> np.ndarray:
    """Flattened window -> 256 -> 64 -> 256 -> window, relu; the latent size is that of the LSTM recipe."""
    import keras

    size = problem.width * problem.test.n_channels
    layers = [
        keras.layers.Input((problem.width, problem.test.n_channels)),
        keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(size),
        keras.layers.Reshape((problem.width, problem.test.n_channels)),
    ]
    return _keras_autoencoder(problem, seed, layers, epochs=50)


def plain_keras(problem: Problem, seed: int) -> np.ndarray:
    """The tutorial recipe: LSTM 64, RepeatVector, LSTM 64, a dense output; 20 epochs, batches of 32."""
    import keras

    layers = [
        keras.layers.Input((problem.width, problem.test.n_channels)),
        keras.layers.LSTM(64),
        keras.layers.RepeatVector(problem.width),
        keras.layers.LSTM(64, return_sequences=True),
        keras.layers.TimeDistributed(keras.layers.Dense(problem.test.n_channels)),
    ]
    return _keras_autoencoder(problem, seed, layers, epochs=20)


def _keras_autoencoder(problem: Problem, seed: int, layers: list, epochs: int) -> np.ndarray:
    import keras

    keras.utils.set_random_seed(seed)
    scale = standardise(problem)
    normal = scale(problem.train.gather()).astype(np.float32)
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(normal, normal, epochs=epochs, batch_size=32, verbose=0)

    def errors(windows: np.ndarray) -> np.ndarray:
        scaled = scale(windows).astype(np.float32)
        return np.square(scaled - model.predict(scaled, batch_size=512, verbose=0)).mean(axis=2)

    return per_timestamp(problem.test, errors)


def tsae(problem: Problem, seed: int) -> np.ndarray:
    """AnomalyDetector with its default settings; its scores and the rows of its events.

    Scores do not depend on the threshold: it is "pot" with alpha=0.001 because two of the training series are too
    short for the default.
    """
    from tsae import AnomalyDetector

    detector = AnomalyDetector(threshold="pot", alpha=0.001, random_state=seed).fit(problem.train)
    timeline = detector.score_timeline(problem.test)
    flagged = np.zeros(len(timeline))
    for event in detector.events(timeline).itertuples():
        flagged[(timeline["series"] == event.series) & timeline["time"].between(event.start, event.end)] = 1
    return np.stack([timeline["score"].to_numpy(), flagged])


# Each returns scores (n_rows,), or scores and flags (2, n_rows).
METHODS: dict[str, Callable[[Problem, int], np.ndarray]] = {
    "tsae": tsae,
    "plain-keras": plain_keras,
    "pca": pca,
    "pca-10": pca_10,
    "isolation-forest": isolation_forest,
    "dense": dense_autoencoder,
    "z-score": moving_z_score,
}
DETERMINISTIC = {"pca", "pca-10", "z-score"}


# -- the measures


def measure(problem: Problem, scores: np.ndarray) -> dict[str, float]:
    """VUS-PR, AUC-PR (means over the series with an anomaly), steps from the peak to the nearest one."""
    from aeon.benchmarking.metrics.anomaly_detection import pr_auc_score, range_pr_vus_score

    by_series = series_rows(problem.test)
    scores, flags = scores if scores.ndim == 2 else (scores, None)
    # A timestamp without a score cannot be flagged: it gets the lowest score.
    scores = np.where(np.isnan(scores), np.nanmin(scores), scores)
    vus, auc = [], []
    for rows in by_series:
        labels = problem.labels[rows]
        if labels.any():
            vus.append(range_pr_vus_score(labels, scores[rows], max_buffer_size=problem.width))
            auc.append(pr_auc_score(labels, scores[rows]))
    anomalous = np.flatnonzero(problem.labels)
    events = {}
    if flags is not None:
        events = range_measures([problem.labels[rows] for rows in by_series], [flags[rows] for rows in by_series])
    return {
        "vus_pr": float(np.mean(vus)),
        "auc_pr": float(np.mean(auc)),
        "peak_distance": int(np.abs(anomalous - np.argmax(scores)).min()),
        **events,
    }


def series_rows(windows: Windows) -> list[slice]:
    """The rows of each series, from its first window's start to its last one's end."""
    series, starts = windows.series, windows.starts
    of_each = [starts[series == number] for number in np.unique(series)]
    return [slice(own.min(), own.max() + windows.width) for own in of_each]


# -- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method that draws random numbers")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "anomalies.jsonl")
    arguments = parser.parse_args()
    sets, methods = arguments.sets.split(","), arguments.methods.split(",")
    run(sets, methods, arguments.seeds, arguments.results)
    print(table(arguments.results, sets, methods))


def run(sets: list[str], methods: list[str], n_seeds: int, results: Path) -> None:
    """Compute the results that are missing."""
    done = {(r["set"], r["method"], r["seed"]) for r in read_results(results)}
    results.parent.mkdir(parents=True, exist_ok=True)
    for name in sets:
        problem = SETS[name]()
        for method in methods:
            for seed in range(1 if method in DETERMINISTIC else n_seeds):
                if (name, method, seed) in done:
                    continue
                begin = time.perf_counter()
                scores = METHODS[method](problem, seed)
                seconds = time.perf_counter() - begin
                row = {"set": name, "method": method, "seed": seed, "seconds": round(seconds, 1)}
                row |= measure(problem, scores)
                print(json.dumps(row), flush=True)
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def read_results(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(path: Path, sets: list[str], methods: list[str]) -> str:
    """Mean VUS-PR (spread over seeds) of each method on each set, as Markdown."""
    frame = pd.DataFrame(read_results(path))
    heads = ["method", *sets, "mean VUS-PR", "mean AUC-PR", "peak within 100 steps", "seconds"]
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("|" + "---|" * (len(sets) + 5))
    for method in methods:
        rows = frame[(frame["method"] == method) & frame["set"].isin(sets)]
        if rows.empty:
            continue
        by_set = rows.groupby("set")
        cells = [
            f"{by_set['vus_pr'].mean()[name]:.3f} ± {by_set['vus_pr'].std(ddof=0)[name]:.3f}"
            if name in by_set.groups
            else "-"
            for name in sets
        ]
        mean, auc = by_set["vus_pr"].mean().mean(), by_set["auc_pr"].mean().mean()
        near = f"{(rows['peak_distance'] <= 100).sum()} of {len(rows)}"
        lines.append(
            f"| {method} | " + " | ".join(cells) + f" | **{mean:.3f}** | {auc:.3f} | {near} | "
            f"{by_set['seconds'].mean().sum():.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning, module="aeon")
    main()
