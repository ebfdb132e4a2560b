"""One detector for a fleet: series it was fitted on, series it never saw, and what a few normal rows of these change.

    python -m benchmarks.fleet --tsb FOLDER --sets 021,023,025,027,029 --seeds 1

The files are series of one kind, with the same channels. Each is scored as a whole by a detector of its own, by one
that was fitted on the first rows of all of them, and by one that was fitted on those of the others; that one also
after ``recalibrate`` with the first rows of the series, of which there are 1,000 or all. VUS-PR asks for the order of
the scores of one series alone; the share of normal rows that are flagged, and the events found, ask for its level too.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.anomalies import chosen_files, read_results
from benchmarks.anomaly_sets import ROOT, Problem
from benchmarks.vus import vus_pr, without_gaps
from tsae import AnomalyDetector, Windows, make_windows
from tsae.report.comparison import range_measures

STRIDE = 4  # of the windows that are fitted on
FEW = 1000  # rows of a series that is new


def detectors(problems: dict[str, Problem], name: str, seed: int) -> Iterator[tuple[str, str, AnomalyDetector]]:
    """Detectors for one series: what they were fitted on, the calibration, and the fitted detector."""
    width = problems[name].width
    own = problems[name].train.values
    others = {key: problem.train.values for key, problem in problems.items() if key != name}

    def windows(series: dict[str, np.ndarray]) -> Windows:
        return make_windows(series, width, STRIDE)

    yield "its own rows", "all", AnomalyDetector(random_state=seed).fit(windows({name: own}))
    for calibration in ("all", "series"):
        new = AnomalyDetector(calibration=calibration, random_state=seed)
        yield "all series", calibration, copy.deepcopy(new).fit(windows({**others, name: own}))
        new.fit(windows(others))
        yield "the other series", calibration, new
        for n_rows in (FEW, len(own)):
            again = copy.deepcopy(new).recalibrate(windows({name: own[:n_rows]}))
            yield f"the other series, recalibrated with {n_rows:,} rows", calibration, again


def measure(problem: Problem, name: str, detector: AnomalyDetector) -> dict[str, float]:
    windows = make_windows({name: problem.test.values}, problem.width)
    timeline = detector.score_timeline(windows)
    scores, flags = timeline["score"].to_numpy(), timeline["p_value"].to_numpy() <= detector.alpha_
    normal = (problem.labels == 0) & (np.arange(len(scores)) >= len(problem.train.values))
    return {
        "vus_pr": vus_pr(problem.labels, without_gaps(scores), problem.max_buffer),
        "flagged_normal_rows": float(flags[normal].mean()),
        "alpha": float(detector.alpha_),
        **range_measures([problem.labels], [flags]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tsb", type=Path, required=True, help="a folder with files of TSB-AD")
    parser.add_argument("--sets", required=True, help="comma-separated numbers of files with the same channels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "fleet.jsonl")
    arguments = parser.parse_args()
    wanted, readers = arguments.sets.split(","), chosen_files(arguments.tsb, "all")
    problems = {name: read() for name, read in readers.items() if name.split("_")[0] in wanted}
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["set"], row["seed"]) for row in read_results(arguments.results)}
    for name, problem in problems.items():
        for seed in range(arguments.seeds):
            if (name, seed) in done:
                continue
            rows = [
                {"set": name, "seed": seed, "fitted": fitted, "calibration": calibration}
                | measure(problem, name, detector)
                for fitted, calibration, detector in detectors(problems, name, seed)
            ]
            print(*map(json.dumps, rows), sep="\n", flush=True)
            with arguments.results.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
    print(table(arguments.results))


def table(path: Path) -> str:
    """Means over the series, as Markdown."""
    columns = ["vus_pr", "flagged_normal_rows", "event_recall", "range_precision"]
    frame = pd.DataFrame(read_results(path))
    means = frame.groupby(["fitted", "calibration"], sort=False)[columns].mean()
    lines = ["| fitted on | calibration | VUS-PR | normal rows flagged | events found | precision |", "|" + "---|" * 6]
    for (fitted, calibration), row in means.iterrows():
        lines.append(f"| {fitted} | {calibration} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
