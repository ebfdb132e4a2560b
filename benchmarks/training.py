"""Training on data sets that do not fit into memory: peak of memory, seconds of each pass, and quality.

    python -m benchmarks.training memory --parts 200 --rows 1000000 --memory 1GiB   # 200 million rows
    python -m benchmarks.training quality                                          # drawn windows against all

`memory` ends with an error if the process needs more than it may. `quality` trains on drawn windows and on all of
them, and compares both on rows that neither has seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tsae.jobs.memory import parse_size

WIDTH, CHANNELS, SERIES = 32, 4, 20
COLUMNS = ["--id-column", "id", "--time-column", "time", "--width", str(WIDTH)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["memory", "quality"])
    parser.add_argument("--parts", type=int, default=10, help="files of the data set")
    parser.add_argument("--rows", type=int, default=500_000, help="rows of a file")
    parser.add_argument("--memory", default="1GiB", help="what training may use")
    parser.add_argument("--task", choices=["features", "anomalies"], default="features")
    parser.add_argument("--epochs", type=int, help="of training; by default as many as tsae chooses")
    parser.add_argument("--folder", help="working directory; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        {"memory": memory, "quality": quality}[options.what](folder, options)


def make_parts(folder: Path, n_parts: int, n_rows: int, first: int = 0) -> Path:
    """Series with periods of their own, which drift; they run through all parts, as Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    periods = np.geomspace(6, 60, SERIES)
    for part in range(first, first + n_parts):
        path = folder / f"part_{part + 1}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng(part)
        step = np.repeat(np.arange(part * n_rows // SERIES, (part + 1) * n_rows // SERIES), SERIES)
        series = np.tile(np.arange(SERIES), len(step) // SERIES)
        period = periods[series] * (1 + 0.2 * np.sin(step / 5000))
        phase = 2 * np.pi * step / period
        values = np.sin(phase[:, np.newaxis] * np.array([1, 2, 0.5, 1]) + np.arange(CHANNELS))
        values *= 1 + series[:, np.newaxis] / SERIES
        values += rng.normal(0, 0.1, values.shape)
        table = pd.DataFrame(values, columns=[f"c{number}" for number in range(CHANNELS)])
        table.insert(0, "time", pd.Timestamp("2020-01-01") + pd.to_timedelta(step, unit="s"))
        table.insert(0, "id", pd.Categorical.from_codes(series, [f"s{number}" for number in range(SERIES)]).astype(str))
        table.to_parquet(path, index=False)
    return folder


def train(source: Path, model: Path, options: argparse.Namespace, limit: str) -> tuple[list[dict], float, float]:
    """Train by the command in a process of its own: lines of its log, seconds, and peak of its memory in MiB."""
    program = """if True:
        import sys
        from benchmarks.peak import peak_mib
        from tsae.jobs.cli import main
        try:
            main(sys.argv[1:])
        finally:
            print(peak_mib())"""
    epochs = [] if options.epochs is None else ["--epochs", options.epochs]
    command = [sys.executable, "-c", program, "train", source, model, *COLUMNS, "--memory", limit, "--log-json",
               "--task", options.task, "--overwrite", *epochs]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return lines, time.monotonic() - began, float(done.stdout)


def memory(folder: Path, options: argparse.Namespace) -> None:
    source = make_parts(folder / "in", options.parts, options.rows)
    lines, seconds, peak = train(source, folder / "model.tsae", options, options.memory)
    times = {name: [pd.Timestamp(line["time"]) for line in lines if line["message"].startswith(name)]
             for name in ("statistics", "sampling", "training on")}  # fmt: skip
    sample = next(line for line in lines if line.get("event") == "sample")
    end = next(line for line in lines if line.get("event") == "end")
    draw = (pd.Timestamp(sample["time"]) - times["statistics"][-1]).total_seconds()
    fit = (pd.Timestamp(end["time"]) - times["training on"][0]).total_seconds()
    print("| rows | windows drawn | memory allowed | peak | first pass, with start-up | second pass | training |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {options.parts * options.rows:,} | {sample['windows']:,} of {sample['n_windows']:,} | {options.memory} | "
        f"{peak:,.0f} MiB | {seconds - draw - fit:,.1f} s | {draw:,.1f} s | {fit:,.1f} s |"
    )
    assert peak < parse_size(options.memory) / 2**20, "more memory than allowed"


def quality(folder: Path, options: argparse.Namespace) -> None:
    from tsae import load, make_windows

    source = make_parts(folder / "in", options.parts, options.rows)
    unseen = pd.read_parquet(make_parts(folder / "unseen", 1, 100_000, first=options.parts + 1))
    windows = make_windows(unseen, WIDTH, WIDTH, id_column="id", time_column="time")
    print("| trained on | windows | epochs | error on unseen windows, in shares of the variance |\n|---|---|---|---|")
    for name, limit in (("drawn windows", options.memory), ("all windows", "1TiB")):
        model = folder / f"{name.split()[0]}.tsae"
        lines, _, _ = train(source, model, options, limit)
        trained = next(line["message"] for line in lines if line["message"].startswith("training on"))
        estimator = load(model)
        estimator = getattr(estimator, "autoencoder_", estimator)
        errors = np.square(estimator.reconstruct(windows) - windows.gather()).mean(axis=(0, 1))
        share = (errors / unseen.iloc[:, 2:].to_numpy().var(axis=0)).mean()
        print(f"| {name} | {trained.split()[2]} | {len(estimator.history_)} | {share:.4f} |", flush=True)


if __name__ == "__main__":
    main()
