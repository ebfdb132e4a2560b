"""A job with light work: window means instead of a network. Run as a program, it can be killed.

python -m tests.jobs.light_job SOURCE OUTPUT KIND PERMITS N_JOBS   # SOURCE and OUTPUT may be addresses

PERMITS is a folder with one file for each part that may be finished. The other parts stay half-written until the folder
is removed, so that a test which kills the program does not depend on how fast the machine is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsae.jobs.execution import Execution
from tsae.jobs.export import export
from tsae.jobs.job import Job
from tsae.jobs.places import place_of
from tsae.jobs.spec import Columns, WindowSpec
from tsae.jobs.work import Written

SPEC = WindowSpec(Columns("machine", "time", ("load", "heat")), width=12, stride=5, max_gap="15min")
PERMITS = "LIGHT_JOB_PERMITS"  # in the environment, so that worker processes know it


@dataclass
class NoModel:
    """In place of a model file."""

    model_id: str
    estimator: None = None


def wait_for_permit():
    folder = os.environ.get(PERMITS)
    while folder and os.path.exists(folder):
        for permit in Path(folder).glob("*"):
            try:
                permit.unlink()
            except FileNotFoundError:  # another worker has taken it
                continue
            return
        time.sleep(0.01)


def write_means(estimator, part, spec, append):
    """Like features: one row per new window."""
    windows = part.windows[part.new]
    means = np.nanmean(windows.gather(), axis=1) if len(windows) else np.zeros((0, 2))
    table = pd.concat([windows.index, pd.DataFrame(means, columns=["load", "heat"])], axis=1)
    append_with_permit(append, table)
    return Written(len(table), len(table))


def append_with_permit(append, table):
    half = len(table) // 2
    append(table[:half])
    wait_for_permit()
    append(table[half:])


def write_rows(estimator, part, spec, append):
    """Like a timeline: one row per timestamp that is final, with the number of windows that cover it."""
    rows = np.flatnonzero(part.final)
    windows, grouped = part.windows[part.covering], part.windows.grouped
    starts = windows.starts[:, np.newaxis]
    n_covering = ((starts <= rows) & (rows < starts + windows.width)).sum(axis=0)
    table = pd.DataFrame({"series": grouped.names_at(rows), "time": grouped.times_at(rows), "score": n_covering})
    append_with_permit(append, table)
    return Written(len(rows), int((n_covering > 0).sum()))


def light_job(source, output, kind="features", **options) -> Job:
    spec = options.pop("spec", SPEC)
    return Job(kind, NoModel(options.pop("model_id", "m1")), str(source), place_of(str(output)), spec, **options)


def run_light(source, output, kind="features", write=None, **options):
    return export(light_job(source, output, kind, **options), write or WRITERS[kind])


def run_kinds(source, folder):
    """Write the results of both kinds of job to folders named like them; the manifest of each."""
    return {kind: run_light(source, folder / kind, kind) for kind in KINDS}


def start_light_job(source, output, kind, n_permits, n_jobs=1, permits=None, **options):
    """The process of a job that waits after `n_permits` parts, and the folder whose removal lets it go on."""
    permits = Path(output).with_name("permits") if permits is None else permits
    permits.mkdir()
    for number in range(n_permits):
        (permits / str(number)).touch()
    command = [sys.executable, "-m", "tests.jobs.light_job", *map(str, [source, output, kind, permits, n_jobs])]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], **options)
    folder = place_of(str(output)) / kind
    while process.poll() is None and len(list(folder.glob("*.parquet"))) < n_permits:
        time.sleep(0.01)
    return process, permits


WRITERS = {"features": write_means, "timeline": write_rows}
KINDS = list(WRITERS)

if __name__ == "__main__":
    from tests.jobs import light_job  # workers import what they run from this module, not from the program

    os.environ[PERMITS] = sys.argv[4]
    light_job.run_light(*sys.argv[1:4], execution=Execution(int(sys.argv[5])))
