"""Jobs on data sets: memory, rate, and that nothing is lost or duplicated when they are killed.

    python -m benchmarks.jobs division                 # one file against 1, 7 and 50 parts
    python -m benchmarks.jobs memory --parts 200       # 2,000,000 windows from 200 parts: memory and rate
    python -m benchmarks.jobs kills --runs 30          # SIGKILL at random moments, then continued
    python -m benchmarks.jobs kills --n-jobs 2         # of the main process, of a worker, or of both
    python -m benchmarks.jobs dask                     # a cluster of two processes, one killed during the job

Every job runs as the command ``tsae`` in its own process. Ends with an error if output differs, memory is
above 1.5 GiB, or the rate is below 80 % of `transform` in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tsae.jobs.report import read_parts

WIDTH, CHANNELS = 64, 4
ALLOWED_MIB, ALLOWED_RATE = 1536, 0.8
COLUMNS = [f"c{number}" for number in range(CHANNELS)]
COMMAND = [sys.executable, "-m", "tsae.jobs.cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["division", "memory", "kills", "dask"])
    parser.add_argument("--parts", type=int, help="files of the data set")
    parser.add_argument("--rows", type=int, help="rows of a file")
    parser.add_argument("--runs", type=int, default=30, help="kills")
    parser.add_argument("--n-jobs", type=int, default=1, help="kills: processes; a worker, the main one or both die")
    parser.add_argument("--folder", help="working directory; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        {"division": division, "memory": memory, "kills": kills, "dask": dask}[options.what](folder, options)


# -- preparation --------------------------------------------------------------------------------------------------


def make_parts(folder: Path, n_parts: int, n_rows: int, n_series: int = 1, seed: int = 0) -> Path:
    """Series that continue through all parts, as Parquet files; rows of several series are mixed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for part in range(n_parts):
        step = np.repeat(np.arange(part * n_rows // n_series, (part + 1) * n_rows // n_series), n_series)
        values = np.sin(step[:, np.newaxis] / np.geomspace(3, 300, CHANNELS)) + rng.normal(
            0, 0.1, (len(step), CHANNELS)
        )
        table = pd.DataFrame(values, columns=COLUMNS)
        table.insert(0, "time", pd.Timestamp("2024-01-01") + pd.to_timedelta(step, unit="s"))
        table.insert(0, "id", np.tile([f"s{number}" for number in range(n_series)], len(step) // n_series))
        table.to_parquet(folder / f"part_{part + 1}.parquet", index=False)
    return folder


def make_model(folder: Path, units: int = 64, stride: int = 1) -> Path:
    """One layer of 64 units: a fast model, for which reading and writing matter most."""
    model = folder / "model.tsae"
    if not model.exists():
        source = make_parts(folder / "training", 1, 4000)
        tsae("train", source, model, "--id-column", "id", "--time-column", "time", "--width", WIDTH, "--stride", stride,
             "--units", units, "--epochs", 1, "--set", "bidirectional=false", "--quiet")  # fmt: skip
    return model


def tsae(*arguments) -> float:
    """Run the command; return its duration in seconds."""
    began = time.monotonic()
    subprocess.run([*COMMAND, *map(str, arguments)], check=True)
    return time.monotonic() - began


def largest_difference(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Largest difference between two outputs of the same windows; an error if the windows differ."""
    one, other = (table.sort_values(["series", "start"], ignore_index=True) for table in (one, other))
    pd.testing.assert_frame_equal(one.iloc[:, :3], other.iloc[:, :3])
    return float(np.abs(one.iloc[:, 3:].to_numpy() - other.iloc[:, 3:].to_numpy()).max())


# -- measurements -------------------------------------------------------------------------------------------------


def division(folder: Path, options: argparse.Namespace) -> None:
    model, n_rows = make_model(folder), options.rows or 35_000
    whole = pd.read_parquet(make_parts(folder / "whole", 1, n_rows, n_series=5))
    outputs = {}
    for n_parts in (1, 7, 50):
        source = folder / f"in_{n_parts}"
        source.mkdir()
        for number, rows in enumerate(np.array_split(np.arange(n_rows), n_parts)):
            whole.iloc[rows].to_parquet(source / f"part_{number}.parquet", index=False)
        tsae("features", model, source, folder / f"out_{n_parts}", "--quiet")
        outputs[n_parts] = read_parts(folder / f"out_{n_parts}")
    print("| parts | windows | largest difference from one file |\n|---|---|---|")
    for n_parts, output in outputs.items():
        difference = largest_difference(output, outputs[1])
        print(f"| {n_parts} | {len(output):,} | {difference:.1e} |")
        assert difference < 1e-5


def memory(folder: Path, options: argparse.Namespace) -> None:
    model, n_parts, n_rows = make_model(folder), options.parts or 200, options.rows or 10_000
    in_memory = transform_rate(model)
    print(f"`transform` in memory: {in_memory:,.0f} windows/s\n")
    print("| parts | windows | peak memory | windows/s, including start-up | in steady state | of `transform` |")
    print("|---|---|---|---|---|---|")
    for n in (max(1, n_parts // 4), n_parts):
        source = make_parts(folder / f"in_{n}", n, n_rows)
        seconds, peak = timed_with_peak("features", model, source, folder / f"out_{n}", "--quiet")
        manifest = json.loads((folder / f"out_{n}" / "manifest.json").read_text())
        steady = steady_rate(folder / f"out_{n}" / "features")
        share = steady / np.mean([in_memory, in_memory := transform_rate(model)])  # before and after
        print(
            f"| {n} | {manifest['windows']:,} | {peak:,.0f} MiB | {manifest['windows'] / seconds:,.0f} | "
            f"{steady:,.0f} | {share:.0%} |",
            flush=True,
        )
        assert manifest["windows"] == n * n_rows - WIDTH + 1
        assert peak < ALLOWED_MIB
        assert share > ALLOWED_RATE, "slower than allowed"


def transform_rate(model: Path, n_windows: int = 200_000) -> float:
    """Windows per second of `transform` in memory, in batches of the size of a part, best of three."""
    program = f"""if True:
        import time
        from pathlib import Path
        import numpy as np
        from tsae.jobs.models import open_model
        from tsae import make_windows
        model = open_model(Path({str(model)!r})).estimator
        rows = np.sin(np.arange({n_windows} + {WIDTH} - 1)[:, None] / np.geomspace(3, 300, {CHANNELS}))
        windows = make_windows(rows, {WIDTH})
        model.transform(windows[:10_000])
        best = 0
        for _ in range(3):
            began = time.monotonic()
            for first in range(0, len(windows), 10_000):
                model.transform(windows[first:first + 10_000])
            best = max(best, len(windows) / (time.monotonic() - began))
        print(best)"""
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def timed_with_peak(*arguments) -> tuple[float, float]:
    """Duration in seconds and peak resident memory in MiB of a command."""
    program = """if True:
        import sys
        from benchmarks.peak import peak_mib
        from tsae.jobs.cli import main
        try:
            main(sys.argv[1:])
        finally:
            print(peak_mib())"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return time.monotonic() - began, float(done.stdout)


def steady_rate(output: Path) -> float:
    """Windows per second from the end of the first part to the end of the last: without start-up."""
    import pyarrow.parquet

    files = sorted(output.glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    windows = sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files[1:])
    return windows / ((files[-1].stat().st_mtime_ns - files[0].stat().st_mtime_ns) / 1e9)


def kills(folder: Path, options: argparse.Namespace) -> None:
    model, n_parts = make_model(folder), options.parts or 40
    source = make_parts(folder / "in", n_parts, options.rows or 20_000, n_series=5)
    tsae("features", model, source, folder / "one_process", "--quiet")
    workers = ["--n-jobs", options.n_jobs]
    seconds = tsae("features", model, source, folder / "uninterrupted", "--quiet", *workers)
    expected = read_parts(folder / "uninterrupted")
    difference = largest_difference(expected, read_parts(folder / "one_process"))
    rng, left = random.Random(0), []
    for run in range(options.runs):
        output = folder / f"killed_{run}"
        command = [*COMMAND, *map(str, ("features", model, source, output, "--quiet", *workers))]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.1, 1.1) * seconds)
        victims = random_victims(process, rng, options.n_jobs)
        process.wait()
        done = list((output / "features").glob("part_*.parquet"))
        left.append(len(done))
        subprocess.run(command, check=True)
        pd.testing.assert_frame_equal(read_parts(output), expected, check_exact=True)
        assert len(list((output / "features").iterdir())) == n_parts
        for victim in victims:
            if victim.is_running():
                victim.kill()
        shutil.rmtree(output)
    print(f"{options.runs} runs killed within {1.1 * seconds:.0f} s, with {sorted(left)} of {n_parts} parts done;")
    print(f"each one, continued, gave the {len(expected):,} rows of the uninterrupted run, bit for bit")
    print(f"largest difference of {options.n_jobs} processes from one: {difference:.1e}")


def random_victims(process: subprocess.Popen, rng: random.Random, n_jobs: int) -> list:
    """Kill the main process, a worker or both; return all worker processes, some of which may live on for a while."""
    import psutil

    try:
        children = psutil.Process(process.pid).children() if n_jobs > 1 else []
        workers = [child for child in children if "popen_loky" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []
    what = rng.choice(["main", "worker", "both"]) if workers else "main"
    if what != "main":
        rng.choice(workers).kill()
    if what != "worker":
        process.kill()
    return workers


def dask(folder: Path, options: argparse.Namespace) -> None:
    from distributed import LocalCluster

    model, n_parts = make_model(folder), options.parts or 40
    source = make_parts(folder / "in", n_parts, options.rows or 20_000, n_series=5)
    in_process = tsae("features", model, source, folder / "uninterrupted", "--quiet")
    expected = read_parts(folder / "uninterrupted")
    local = tsae("features", model, source, folder / "local", "--quiet", "--n-jobs", 2)
    print("| where | seconds, including start-up | windows/s in steady state |\n|---|---|---|")
    report("in this process", in_process, folder / "uninterrupted")
    report("--n-jobs 2", local, folder / "local")
    for name, kill in (("cluster", False), ("cluster_killed", True)):
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            output = folder / name
            command = [*COMMAND, "features", model, source, output, "--quiet", "--dask", cluster.scheduler_address]
            began = time.monotonic()
            process = subprocess.Popen(list(map(str, command)))
            while kill and len(list((output / "features").glob("part_*.parquet"))) < n_parts // 3:
                time.sleep(0.05)
            if kill:
                os.kill(cluster.workers[0].pid, signal.SIGKILL)
            assert process.wait() == 0
            report("Dask, two workers" + (", one killed" if kill else ""), time.monotonic() - began, output)
        assert largest_difference(read_parts(output), expected) < 1e-5
    print("\nidentical rows each time")


def report(where: str, seconds: float, output: Path) -> None:
    print(f"| {where} | {seconds:.1f} | {steady_rate(output / 'features'):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
