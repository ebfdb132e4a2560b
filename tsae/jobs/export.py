"""Run a job on a data set: part by part, resumable, each part of the output complete or absent.

A part is up to date if its input, the rows carried into it, the model and the settings are those in the manifest, and
its output exists. Every other part is computed again. So the same command continues an interrupted job, and adds parts
that were added to the input.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsae.jobs.continuation import Carry, PartWindows, continue_series
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.job import Job
from tsae.jobs.logs import log_event
from tsae.jobs.manifest import DONE, PENDING, SKIPPED, Manifest, Record, locked
from tsae.jobs.models import ModelFile
from tsae.jobs.parts import Part, checksum, list_parts
from tsae.jobs.progress import job_progress
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_reader import read_rows
from tsae.jobs.table_writer import Append, result_writer

Write = Callable[[Any, PartWindows, WindowSpec, Append], int]

CARRY_FOLDER = "carry"


def export(job: Job, write: Write) -> Manifest:
    """Run a job to its end, or continue it.

    Parameters
    ----------
    job : Job
    write : callable(estimator, part, spec, append) -> int
        Compute one part, a `PartWindows`, pass tables to `append`, return the number of rows. A function of a module,
        since worker processes import it.

    Returns
    -------
    Manifest
        Of the finished job; parts may have been skipped with ``job.on_error == "skip"``.

    Raises
    ------
    JobError
        If the job cannot go on; finished parts are kept, and the same call continues.
    """
    parts = list_parts(job.source)
    job.check(parts)
    with locked(job.output):
        return _Run(job, write, parts).run()


@dataclass(frozen=True)
class _Task:
    """One part to be computed; the worker reads it if there are no `windows`."""

    write: Write
    model: ModelFile
    spec: WindowSpec
    part: Part
    target: Path
    windows: PartWindows | None
    n_rows: int | None


@dataclass(frozen=True)
class _Result:
    name: str
    rows: int | None = None
    written: int | None = None
    seconds: float | None = None
    series: tuple[str, ...] = ()
    error: str | None = None
    fatal: bool = False  # every other part would fail in the same way


def _work(task: _Task) -> _Result:
    """Compute and write one part; errors are returned, so that the job can decide."""
    began = time.monotonic()
    name = task.part.name
    series: tuple[str, ...] = ()
    try:
        windows, n_rows = task.windows, task.n_rows
        if windows is None:
            rows = read_rows(task.part.path, task.spec.columns, name=name).series
            windows, _ = continue_series(Carry.empty(), rows, task.spec, last=True)
            n_rows, series = len(rows.values), tuple(rows.names)
        estimator = task.model.estimator
        with result_writer(task.target) as append:
            written = task.write(estimator, windows, task.spec, append)
    except (InputError, ValueError) as error:
        return _Result(name, error=str(error))
    except (JobError, OSError) as error:
        return _Result(name, error=str(error), fatal=True)
    return _Result(name, n_rows, written, time.monotonic() - began, series)


class _Run:
    """One run of a job, while its output is locked."""

    def __init__(self, job: Job, write: Write, parts: list[Part]):
        self.job, self.write, self.parts = job, write, parts
        self.manifest = Manifest(job.output, job.identity())
        self.carry_folder = job.output / CARRY_FOLDER
        self._sums: dict[str, dict[str, Any]] = {}
        self._planned: dict[str, Record] = {}
        self._homes: dict[str, str] = {}  # with whole series: the part in which each was found

    def run(self) -> Manifest:
        self._load_earlier_run()
        self.manifest.save()
        sizes = [part.path.stat().st_size for part in self.parts]
        try:
            with job_progress(self.job.kind, len(self.parts), sum(sizes)) as self._advance_bar:
                for result in self.job.execution.map(_work, self._tasks()):
                    self._record(result)
        except JobError as error:
            raise JobError(f"{error} ({self._summary()}; the same command continues)") from error
        finally:
            self.manifest.save()
        self._drop_carries()
        log_event(f"{self.job.kind}: {self._summary()}", event="end", **self._counts())
        return self.manifest

    # -- the existing output --------------------------------------------------------------------------------------

    def _load_earlier_run(self) -> None:
        """Take over the records of an earlier run, without those of parts that have changed since."""
        for leftover in self.job.output.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        stored = self.manifest.read_stored()
        old = self.manifest.records
        changes = self._changes(stored, old)
        if changes and self.job.on_change == "refuse":
            raise JobError(
                f"{self.job.output} was made from other input or settings: {'; '.join(changes)}. Choose another "
                "output, or use --on-change redo to compute the affected parts again"
            )
        for change in changes:
            log_event(f"computed again because of a change: {change}", event="change", change=change)
        if stored is not None and stored != self.manifest.job:
            for record in old.values():
                self._forget(record)
            old = {}
        current = {part.name: part for part in self.parts}
        for name, record in old.items():
            if name not in current or (record.status == DONE and self._sum(current[name])["sha256"] != record.sha256):
                self._forget(record)
        self.manifest.records = {
            part.name: old.get(part.name) or Record(part.name, f"{self.job.kind}/{part.stem}.{self.job.format}")
            for part in self.parts
        }

    def _changes(self, stored: dict[str, Any] | None, old: dict[str, Record]) -> list[str]:
        """Describe the differences from what the output was made from."""
        if stored is None:
            return []
        changes = [
            f"another {'model' if key == 'model_id' else key} ({stored.get(key)}, now {value})"
            for key, value in self.manifest.job.items()
            if stored.get(key) != value
        ]
        if changes:
            return changes
        names = [part.name for part in self.parts]
        done = {name for name, record in old.items() if record.status == DONE}
        last_done = max((i for i, name in enumerate(names) if name in done), default=-1)
        found = {
            "changed": [p.name for p in self.parts if p.name in done and self._sum(p)["sha256"] != old[p.name].sha256],
            "missing": [name for name in old if name not in set(names)],
            "new, before others": []
            if self.job.whole_series
            else [name for name in names[:last_done] if name not in old],
        }
        return [f"parts {what}: {_some(which)}" for what, which in found.items() if which]

    def _forget(self, record: Record) -> None:
        (self.job.output / record.output).unlink(missing_ok=True)
        record.status = PENDING

    def _sum(self, part: Part) -> dict[str, Any]:
        if part.name not in self._sums:
            self._sums[part.name] = checksum(part.path)
        return self._sums[part.name]

    def _is_up_to_date(self, record: Record, sums: dict[str, Any], carry_in: str | None, last: bool) -> bool:
        output = self.job.output / record.output
        return (
            record.status == DONE
            and (record.sha256, record.carry_in, record.last) == (sums["sha256"], carry_in, last)
            and output.exists()
            and output.stat().st_size == record.output_bytes
        )

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[_Task]:
        return self._independent_tasks() if self.job.whole_series else self._chained_tasks()

    def _independent_tasks(self) -> Iterator[_Task]:
        for part in self.parts:
            record, sums = self.manifest.records[part.name], self._checked_sum(part)
            if sums is None:
                continue
            if self._is_up_to_date(record, sums, None, False):
                self._advance_bar(sums["bytes"], 0)
                continue
            self._planned[part.name] = replace(record, **sums, carry_in=None, carry_out=None, last=False)
            yield self._task(part, None, None)

    def _chained_tasks(self) -> Iterator[_Task]:
        """Read the parts that are not up to date, in order, each with the rows carried over from the parts before."""
        carry: Carry | None = Carry.empty()
        carry_in = Carry.empty().digest
        for position, part in enumerate(self.parts):
            record, sums = self.manifest.records[part.name], self._checked_sum(part)
            if sums is None:
                carry = Carry.empty()
                carry_in = carry.digest
                continue
            last = position == len(self.parts) - 1
            ends = last and self.job.kind == "timeline"
            if self._is_up_to_date(record, sums, carry_in, ends):
                self._advance_bar(sums["bytes"], 0)
                carry, carry_in = None, str(record.carry_out)
                continue
            try:
                windows, n_rows, after = self._read(part, carry or self._carry_into(position), last=ends)
            except InputError as error:
                self._skip(part, str(error), sums)
                carry = Carry.empty()
                carry_in = carry.digest
                continue
            after.save(self._carry_file(after.digest))
            self._forget_follower(position, after.digest)
            self._planned[part.name] = replace(record, **sums, carry_in=carry_in, carry_out=after.digest, last=ends)
            carry, carry_in = after, after.digest
            yield self._task(part, windows, n_rows)
            del windows

    def _forget_follower(self, position: int, digest: str) -> None:
        """Mark the next part as pending if it was computed with other rows carried into it."""
        if position + 1 < len(self.parts):
            following = self.manifest.records[self.parts[position + 1].name]
            if following.status == DONE and following.carry_in != digest:
                self._forget(following)

    def _task(self, part: Part, windows: PartWindows | None, n_rows: int | None) -> _Task:
        target = self.job.output / self.manifest.records[part.name].output
        return _Task(self.write, self.job.model, self.job.spec, part, target, windows, n_rows)

    def _read(self, part: Part, carry: Carry, *, last: bool) -> tuple[PartWindows, int, Carry]:
        rows = read_rows(part.path, self.job.spec.columns, name=part.name).series
        try:
            windows, after = continue_series(carry, rows, self.job.spec, last=last)
        except ValueError as error:
            raise InputError(
                f"{part.name}, read after the parts before it in natural order of their names: {error}"
            ) from error
        return windows, len(rows.values), after

    def _checked_sum(self, part: Part) -> dict[str, Any] | None:
        """Size and checksum of a part; None if it cannot be read and may be skipped."""
        try:
            return self._sum(part)
        except OSError as error:
            self._skip(part, f"{part.name} cannot be read: {error}", {})
            return None

    # -- rows carried from part to part -------------------------------------------------------------------------

    def _carry_file(self, digest: str) -> Path:
        return self.carry_folder / f"{digest}.npz"

    def _carry_into(self, position: int) -> Carry:
        """Rows carried into a part, from their file or else by spec the parts before it again."""
        first = position
        while first > 0 and not self._stored_carry(first):
            first -= 1
        carry = self._stored_carry(first) or Carry.empty()
        for part in self.parts[first:position]:
            try:
                _, _, carry = self._read(part, carry, last=False)
            except InputError:  # skipped, as it was the first time
                carry = Carry.empty()
        return carry

    def _stored_carry(self, position: int) -> Carry | None:
        digest = self.manifest.records[self.parts[position - 1].name].carry_out if position > 0 else None
        if digest is None or not self._carry_file(digest).exists():
            return None
        try:
            carry = Carry.load(self._carry_file(digest))
        except (OSError, ValueError, KeyError):
            return None  # damaged: computed again from the parts
        return carry if carry.digest == digest else None

    def _drop_carries(self) -> None:
        """Remove the files that no part needs any more; that of the last part is for parts added later."""
        records = list(self.manifest.records.values())
        needed: set[str | None] = set()
        used: set[str | None] = set()
        for record, following in zip(records, [*records[1:], None], strict=True):
            waiting = following is None or following.status != DONE
            (needed if waiting else used).add(record.carry_out)
        for digest in used - needed:
            if digest is not None:
                self._carry_file(digest).unlink(missing_ok=True)

    # -- results -------------------------------------------------------------------------------------------------

    def _record(self, result: _Result) -> None:
        planned = self._planned.pop(result.name)
        if result.error is not None:
            if result.fatal:
                raise JobError(f"{result.name}: {result.error}")
            self._skip_planned(planned, result.error)
            return
        self._refuse_divided(result)
        self.manifest.records[result.name] = replace(
            planned, status=DONE, reason=None, rows=result.rows, windows=result.written,
            output_bytes=(self.job.output / planned.output).stat().st_size, seconds=round(result.seconds or 0.0, 3),
        )  # fmt: skip
        self._advance_bar(planned.bytes or 0, result.written or 0)
        if self.manifest.save(now=False):
            self._drop_carries()

    def _refuse_divided(self, result: _Result) -> None:
        for series in result.series:
            home = self._homes.setdefault(series, result.name)
            if home != result.name:
                raise JobError(
                    f"series {series!r} lies in {home} and in {result.name}: without --whole-series, series may run "
                    "across parts"
                )

    def _skip(self, part: Part, reason: str, sums: dict[str, Any]) -> None:
        planned = replace(self.manifest.records[part.name], **sums, carry_in=None, carry_out=None)
        self._skip_planned(planned, reason)

    def _skip_planned(self, planned: Record, reason: str) -> None:
        if self.job.on_error == "fail":
            raise InputError(reason if planned.input in reason else f"{planned.input}: {reason}")
        self._forget(planned)
        self.manifest.records[planned.input] = replace(
            planned, status=SKIPPED, reason=reason, rows=None, windows=None, output_bytes=None, seconds=None
        )
        self._advance_bar(planned.bytes or 0, 0)
        log_event(f"skipped: {reason}", level=logging.WARNING, event="skip", part=planned.input, reason=reason)

    def _counts(self) -> dict[str, int]:
        records = self.manifest.records.values()
        counts = {status: sum(record.status == status for record in records) for status in (DONE, SKIPPED, PENDING)}
        return {**counts, "rows_written": sum(record.windows or 0 for record in records)}

    def _summary(self) -> str:
        counts = self._counts()
        skipped = f", {counts[SKIPPED]} skipped" if counts[SKIPPED] else ""
        return f"{counts[DONE]} of {len(self.parts)} parts done{skipped}, {counts['rows_written']:,} rows written"


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
