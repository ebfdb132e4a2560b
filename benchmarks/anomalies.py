"""Anomaly detection on labelled series: tsae with its default settings against the usual baselines.

    python -m benchmarks.anomalies                          # four sets of installed packages
    python -m benchmarks.anomalies --sets mitdb --methods tsae,pca --seeds 1
    python -m benchmarks.anomalies --tsb FOLDER --half odd  # files of TSB-AD, by group

Every method reads the same windows: it is fitted on normal data, then the whole test series is scored, one score per
timestamp. Scores of windows, or of steps of windows, are averaged over all windows that cover the timestamp. The
measure is VUS-PR as TSB-AD computes it (`benchmarks.vus`; buffers from 0 to the width of a window, on files of TSB-AD
to the period of the first channel), beside AUC-PR and the distance of the highest score from the nearest anomaly.
There is no point-adjusted F1: random scores can win it (arXiv 2109.05257).

With ``--tsb`` each file is fitted on the first rows that its name tells, with windows of 100 steps or a quarter of
those rows, and scored as a whole. Means are taken over the files of a group, then over groups; ``--half`` takes the
files with an odd number, on which defaults are chosen, or an even one, which confirm them.

Each result is appended to ``--results`` (JSON lines); results in that file are not computed again.

The packaged series are in aeon and in sktime (``pip install --no-deps sktime``: only its data file is read, and its
dependencies may conflict with others). The method matrix-profile needs stumpy.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.anomaly_methods import DETERMINISTIC, METHODS, Scored
from benchmarks.anomaly_sets import ROOT, SETS, Problem, file_number, tsb_sets
from benchmarks.vus import vus_pr, without_gaps
from tsae import Windows
from tsae.report.comparison import range_measures

# -- the measures


def measure(problem: Problem, found: Scored) -> dict[str, float]:
    """VUS-PR, AUC-PR (means over the series with an anomaly), steps from the peak to the nearest one, hit rates."""
    from aeon.benchmarking.metrics.anomaly_detection import pr_auc_score

    by_series = series_rows(problem.test)
    scores, flags = without_gaps(found.scores), found.flags
    vus, auc = [], []
    for rows in by_series:
        labels = problem.labels[rows]
        if labels.any():
            vus.append(vus_pr(labels, scores[rows], problem.max_buffer))
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
        **hit_rates(problem, found.contributions),
    }


def hit_rates(problem: Problem, contributions: np.ndarray | None) -> dict[str, float]:
    """HitRate@100% and @150% of the causes: which share of an anomaly's true channels is among those that contribute
    most, of which as many count as there are true ones, or half as many more (Su et al., KDD 2019, section 4.2).

    Contributions are summed over the rows of an anomaly.
    """
    if contributions is None or not problem.causes:
        return {}
    rates = {}
    for percent in (100, 150):
        hits = []
        for cause in problem.causes:
            true = {int(name.removeprefix("m")) for name in cause["channels"]}
            weight = np.nansum(contributions[cause["first"] : cause["last"] + 1], axis=0)
            most = np.argsort(-weight, kind="stable")[: len(true) * percent // 100]
            hits.append(len(true & set(most.tolist())) / len(true))
        rates[f"hit_rate_{percent}"] = float(np.mean(hits))
    return rates


def series_rows(windows: Windows) -> list[slice]:
    """The rows of each series, from its first window's start to its last one's end."""
    series, starts = windows.series, windows.starts
    of_each = [starts[series == number] for number in np.unique(series)]
    return [slice(own.min(), own.max() + windows.width) for own in of_each]


# -- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tsb", type=Path, help="a folder with files of TSB-AD, instead of the packaged sets")
    parser.add_argument("--half", choices=["odd", "even", "all"], default="all", help="which files of TSB-AD")
    parser.add_argument("--sets", help="comma-separated; with --tsb, numbers of files")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method that draws random numbers")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "anomalies.jsonl")
    arguments = parser.parse_args()
    methods = arguments.methods.split(",")
    sets = SETS if arguments.tsb is None else chosen_files(arguments.tsb, arguments.half)
    if arguments.sets is not None:
        wanted = set(arguments.sets.split(","))
        sets = {name: read for name, read in sets.items() if wanted & {name, name.split("_")[0]}}
    run(sets, methods, arguments.seeds, arguments.results)
    print((table if arguments.tsb is None else table_by_group)(arguments.results, list(sets), methods))


def chosen_files(folder: Path, half: str) -> dict[str, Callable[[], Problem]]:
    """The files of one half, or all."""
    rest = {"odd": {1}, "even": {0}, "all": {0, 1}}[half]
    return {name: read for name, read in tsb_sets(folder).items() if file_number(name) % 2 in rest}


def run(sets: dict[str, Callable[[], Problem]], methods: list[str], n_seeds: int, results: Path) -> None:
    """Compute the results that are missing."""
    done = {(r["set"], r["method"], r["seed"]) for r in read_results(results)}
    results.parent.mkdir(parents=True, exist_ok=True)
    for name, read in sets.items():
        runs = [(method, seed) for method in methods for seed in range(1 if method in DETERMINISTIC else n_seeds)]
        missing = [(method, seed) for method, seed in runs if (name, method, seed) not in done]
        problem = read() if missing else None
        for method, seed in missing:
            begin = time.perf_counter()
            found = METHODS[method](problem, seed)
            seconds = time.perf_counter() - begin
            row = {"set": name, "group": problem.group, "method": method, "seed": seed, "seconds": round(seconds, 1)}
            row |= measure(problem, found if isinstance(found, Scored) else Scored(found))
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


def table_by_group(path: Path, sets: list[str], methods: list[str]) -> str:
    """VUS-PR of each method: mean over the files of a group, over groups, and against the first method, paired."""
    frame = pd.DataFrame(read_results(path))
    frame = frame[frame["set"].isin(sets) & frame["method"].isin(methods)]
    by_file = frame.groupby(["method", "group", "set"])["vus_pr"].mean().unstack("method")
    groups = by_file.groupby("group").mean()
    counts = by_file.groupby("group").size()
    heads = ["method", *(f"{group} ({counts[group]})" for group in groups.index), "mean over groups"]
    lines = ["| " + " | ".join([*heads, "above the first (files)", "seconds per file"]) + " |"]
    lines.append("|" + "---|" * (len(heads) + 2))
    for method in [method for method in methods if method in by_file]:
        above = (by_file[method] > by_file[methods[0]]).sum() if methods[0] in by_file else 0
        seconds = frame[frame["method"] == method]["seconds"].mean()
        cells = [method, *(f"{value:.3f}" for value in groups[method]), f"**{groups[method].mean():.3f}**"]
        lines.append("| " + " | ".join([*cells, f"{above} of {len(by_file)}", f"{seconds:.0f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning, module="aeon")
    main()
