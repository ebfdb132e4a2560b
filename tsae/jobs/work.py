"""The work on one part of a data set, in this process or in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tsae.jobs.continuation import Carry, PartWindows, continue_series
from tsae.jobs.coverage import Coverage, coverage_of, series_with_result
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.grid import CarryPlan
from tsae.jobs.models import ModelFile
from tsae.jobs.parts import Part
from tsae.jobs.places import Place
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_reader import read_rows
from tsae.jobs.table_writer import Append, result_writer


class Written(NamedTuple):
    """Rows that were written, and how many of them hold a result."""

    rows: int
    scored: int


Write = Callable[[Any, PartWindows, WindowSpec, Append], Written]


@dataclass(frozen=True)
class Task:
    """One part to be computed.

    Attributes
    ----------
    write : callable
        As of `tsae.jobs.export.export`.
    kind : str
        Of the job.
    model : ModelFile
    spec : WindowSpec
    part : Part
    target : Path or StoredPath
        The file to be written.
    windows : PartWindows or None
        None: the worker reads the part.
    n_rows : int or None
        Rows of the part, where it has been read.
    carry : CarryPlan or None
        Which rows are carried into a part that the worker reads; None: every series lies within the part.
    known_carry : str or None
        Digest of the rows that were carried into the part when its output was written; nothing is done if they are
        the same.
    ends : bool
        Whether all series end with this part.
    keep : Path, StoredPath or None
        Folder for the rows that the part carries over, which a job that is continued may need.
    """

    write: Write
    kind: str
    model: ModelFile
    spec: WindowSpec
    part: Part
    target: Place
    windows: PartWindows | None
    n_rows: int | None
    carry: CarryPlan | None = None
    known_carry: str | None = None
    ends: bool = True
    keep: Place | None = None


@dataclass(frozen=True)
class Result:
    """What became of a part.

    Attributes
    ----------
    name : str
        Of the part.
    rows : int or None
        Rows of the part.
    written : Written
    seconds : float
    series, with_result : frozenset of str
        Names of all series, and of those with at least one result.
    coverage : Coverage or None
    carries : tuple of str or None
        Digests of the rows carried into the part and out of it, where the worker has read them.
    is_unchanged : bool
        Whether the output of an earlier run was left as it was.
    error : str or None
    is_fatal : bool
        Whether every other part would fail in the same way.
    """

    name: str
    rows: int | None = None
    written: Written = Written(0, 0)
    seconds: float = 0.0
    series: frozenset[str] = frozenset()
    with_result: frozenset[str] = frozenset()
    coverage: Coverage | None = None
    carries: tuple[str, str] | None = None
    is_unchanged: bool = False
    error: str | None = None
    is_fatal: bool = False


def work_on(task: Task) -> Result:
    """Compute and write one part; errors are returned, so that the job can decide."""
    began = time.monotonic()
    name = task.part.name
    try:
        windows, n_rows, carries = task.windows, task.n_rows, None
        if windows is None:
            carry = Carry.empty() if task.carry is None else task.carry.read()
            if carry.digest == task.known_carry:
                return Result(name, is_unchanged=True)
            windows, n_rows, carries = _read_part(task, carry)
        estimator = task.model.estimator
        with result_writer(task.target) as append:
            written = task.write(estimator, windows, task.spec, append)
    except (InputError, ValueError) as error:
        return Result(name, error=str(error))
    except (JobError, OSError) as error:
        return Result(name, error=str(error), is_fatal=True)
    return Result(
        name, n_rows, written, time.monotonic() - began, frozenset(windows.windows.grouped.names.tolist()),
        frozenset(series_with_result(windows, task.kind)), coverage_of(windows), carries,
    )  # fmt: skip


def _read_part(task: Task, carry: Carry) -> tuple[PartWindows, int, tuple[str, str] | None]:
    """Read a part, and cut it and the rows carried into it into windows."""
    rows = read_rows(task.part.path, task.spec.columns, name=task.part.name).series
    if task.carry is None:
        return continue_series(carry, rows, task.spec, last=True)[0], len(rows.values), None
    windows, after = continue_series(carry, rows, task.spec, last=False)
    if task.keep is not None and after.rows is not None:
        after.save(task.keep / f"{after.digest}.npz")
    if task.ends:
        windows, _ = continue_series(carry, rows, task.spec, last=True)
    return windows, len(rows.values), (carry.digest, after.digest)
