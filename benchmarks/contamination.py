"""How much a detector loses when its training data hold anomalies, with and without `trim_fraction`.

    python -m benchmarks.contamination --tsb FOLDER --half odd --seeds 1

In the rows that a file of TSB-AD is fitted on, pieces of its labelled anomalies replace as many normal rows, at random
places, until a share of the windows holds some. The whole series is then scored as it was, the same anomalies among
the rest: what a detector has learned as normal it does not find. Each result is appended to ``--results``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.anomalies import chosen_files, read_results
from benchmarks.anomaly_sets import ROOT, Problem
from benchmarks.vus import vus_pr, without_gaps
from tsae import AnomalyDetector, Windows, make_windows

MAX_PIECE = 50  # rows
# Shares of contaminated windows, and of windows that are trimmed. Twice the share is what a user would choose who has
# an idea of it; trimming clean data shows what the option costs.
SETTINGS = [(0.0, 0.0), (0.0, 0.1), (0.02, 0.0), (0.02, 0.04), (0.05, 0.0), (0.05, 0.1), (0.1, 0.0), (0.1, 0.2)]


def contaminated(problem: Problem, share: float, seed: int) -> Windows:
    """Windows to train on, of which at least a share holds rows of labelled anomalies."""
    rng, width = np.random.default_rng(seed), problem.width
    rows, pasted = problem.train.values.copy(), np.zeros(len(problem.train.values), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], problem.labels, [0]])))
    anomalies = [(first, end) for first, end in edges.reshape(-1, 2) if first >= len(rows)]
    while problem.train.touching(pasted).mean() < share:
        first, end = anomalies[rng.integers(len(anomalies))]
        length = min(end - first, MAX_PIECE)
        source, target = rng.integers(first, end - length + 1), rng.integers(0, len(rows) - length)
        if not pasted[max(0, target - width) : target + length + width].any():
            rows[target : target + length] = problem.test.values[source : source + length]
            pasted[target : target + length] = True
    return make_windows(rows, width)


def measure(problem: Problem, share: float, trim: float, seed: int) -> dict[str, float]:
    begin = time.perf_counter()
    detector = AnomalyDetector(trim_fraction=trim, random_state=seed).fit(contaminated(problem, share, seed))
    scores = detector.score_timeline(problem.test)["score"].to_numpy()
    vus = vus_pr(problem.labels, without_gaps(scores), problem.max_buffer)
    return {"vus_pr": vus, "seconds": round(time.perf_counter() - begin, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tsb", type=Path, required=True, help="a folder with files of TSB-AD")
    parser.add_argument("--half", choices=["odd", "even", "all"], default="all", help="which files")
    parser.add_argument("--sets", help="comma-separated numbers of files; default: those with 3,000 rows to train on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "contamination.jsonl")
    arguments = parser.parse_args()
    done = {(r["set"], r["share"], r["trim"], r["seed"]) for r in read_results(arguments.results)}
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    wanted = None if arguments.sets is None else set(arguments.sets.split(","))
    for name, read in chosen_files(arguments.tsb, arguments.half).items():
        n_train = int(name.split("_tr_")[1].split("_")[0])
        if name.split("_")[0] not in wanted if wanted else n_train < 3000:
            continue
        problem = read()
        for seed in range(arguments.seeds):
            for share, trim in SETTINGS:
                if (name, share, trim, seed) in done:
                    continue
                row = {"set": name, "group": problem.group, "share": share, "trim": trim, "seed": seed}
                row |= measure(problem, share, trim, seed)
                print(json.dumps(row), flush=True)
                with arguments.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print(table(arguments.results))


def table(path: Path) -> str:
    """Mean VUS-PR by share of contaminated windows and of trimmed ones, as Markdown."""
    frame = pd.DataFrame(read_results(path))
    means = frame.groupby(["share", "trim"])["vus_pr"].mean()
    lines = ["| contaminated | trim_fraction | VUS-PR | against clean data |", "|---|---|---|---|"]
    for (share, trim), mean in means.items():
        lines.append(f"| {share:.0%} | {trim:g} | {mean:.3f} | {mean - means[0.0, 0.0]:+.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
