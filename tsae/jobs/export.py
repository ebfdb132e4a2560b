"""Run a job on a data set: part by part, resumable, each part of the output complete or absent.

A part is up to date if its input, the rows carried into it, the model and the settings are those in the manifest, and
its output exists. Every other part is computed again. So the same command continues an interrupted job, and adds parts
that were added to the input.

A part that is skipped is a hole: all series end before it, with their scores, and begin anew after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, pairwise
from typing import Any

from tsae.jobs.carries import CARRY_FOLDER, Carries, PartRead
from tsae.jobs.continuation import Carry, PartWindows
from tsae.jobs.coverage import differs_in_step, explain_series, explain_step, explain_unscored
from tsae.jobs.errors import InputError, JobError, listed
from tsae.jobs.job import Job
from tsae.jobs.locks import locked
from tsae.jobs.logs import log_event, log_warning
from tsae.jobs.manifest import DONE, PENDING, SKIPPED, Manifest, Record
from tsae.jobs.parts import Part, checksum, list_parts
from tsae.jobs.places import FileFacts, facts_of, remove_leftovers
from tsae.jobs.planning import Planning
from tsae.jobs.progress import job_progress
from tsae.jobs.spec import WindowSpec
from tsae.jobs.work import Result, Task, Write, work_on


def export(job: Job, write: Write) -> Manifest:
    """Run a job to its end, or continue it.

    Parameters
    ----------
    job : Job
    write : callable(estimator, part, spec, append) -> Written
        Compute one part, a `PartWindows`, pass tables to `append`, return the numbers of rows. A function of a
        module, since worker processes import it.

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
    with locked(job.output) as check_lock:
        return _Run(job, write, parts, check_lock).run()


@dataclass
class _Step:
    """A part of a job whose series run across parts: read, up to date (`read` is None), or a hole with its reason."""

    position: int
    sums: dict[str, Any]
    carry_in: str | None = None
    read: PartRead | None = None
    hole: str | None = None


class _Run:
    """One run of a job, while its output is locked."""

    def __init__(self, job: Job, write: Write, parts: list[Part], check_lock: Callable[[], None]):
        self.job, self.write, self.parts, self._check_lock = job, write, parts, check_lock
        self.manifest = Manifest(job.output, job.identity())
        self.carries = Carries(job.output, parts, self.manifest, job.spec)
        self._sums: dict[str, dict[str, Any]] = {}
        self._planning = Planning(job, self.carries, self._sums)
        self._planned: dict[str, Record] = {}
        self._homes: dict[str, str] = {}  # the part in which each series was found
        self._with_result: set[str] = set()
        self._n_computed = 0
        self._step_is_known = False  # whether another time step than in training has been warned about

    def run(self) -> Manifest:
        self._load_earlier_run()
        self.manifest.save()
        try:
            try:
                self._compute()
            finally:
                self._check_lock()
                self.manifest.save()
        except JobError as error:
            raise JobError(f"{error} ({self._summary()}; the same command continues)") from error
        self.carries.drop()
        self._planning.drop()
        log_event(f"{self.job.kind}: {self._summary()}", event="end", **self._counts())
        return self.manifest

    def _compute(self) -> None:
        while True:
            n_failed = len(self.carries.failed)
            if not self.job.execution.in_process:
                self._planning.prepare(self._is_up_to_date)
            with job_progress(self.job.kind, len(self.parts), self._n_bytes()) as self._advance_bar:
                for result in self.job.execution.map(work_on, self._tasks()):
                    self._record(result)
            if len(self.carries.failed) == n_failed:
                break  # otherwise the parts next to those that failed are computed again, next to a hole
        self._warn()

    def _n_bytes(self) -> int:
        return sum(part.size for part in self.parts)

    # -- the existing output --------------------------------------------------------------------------------------

    def _load_earlier_run(self) -> None:
        """Take over the records of an earlier run, without those of parts that have changed since."""
        remove_leftovers(self.job.output)
        stored = self.manifest.read_stored()
        if stored is not None and isinstance(stored.get("window_spec"), dict):  # may lack settings of later versions
            stored["window_spec"] = WindowSpec.from_dict(stored["window_spec"]).as_dict()
        old = self.manifest.records
        if not self.job.execution.in_process:
            self._planning.sum_parts()
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
            f"another {'model' if key == 'model_id' else key} ({_difference(stored.get(key), value)})"
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
        return [f"parts {what}: {listed(which, quoted=False)}" for what, which in found.items() if which]

    def _forget(self, record: Record) -> None:
        (self.job.output / record.output).unlink(missing_ok=True)
        record.status = PENDING

    def _sum(self, part: Part) -> dict[str, Any]:
        if part.name not in self._sums:
            self._sums[part.name] = checksum(part.path)
        return self._sums[part.name]

    def _is_up_to_date(self, record: Record, sums: dict[str, Any], carry_in: str | None) -> bool:
        return record.carry_in == carry_in and self._has_output(record, sums)

    def _has_output(self, record: Record, sums: dict[str, Any]) -> bool:
        if record.status != DONE or record.sha256 != sums["sha256"] or record.output_bytes is None:
            return False
        return facts_of(self.job.output / record.output) == FileFacts(record.output_bytes, record.output_tag)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Task]:
        if self.job.whole_series:
            return self._independent_tasks()
        return self._chained_tasks() if self.job.execution.in_process else self._planned_tasks()

    def _independent_tasks(self) -> Iterator[Task]:
        for part in self.parts:
            record = self.manifest.records[part.name]
            try:
                sums = self._readable_sum(part)
            except InputError as error:
                self._skip(part, str(error), {})
                continue
            if self._is_up_to_date(record, sums, None):
                self._advance_bar(sums["bytes"], 0)
                continue
            self._planned[part.name] = replace(record, **sums, carry_in=None, carry_out=None, last=False)
            yield self._task(part, None, None)

    def _chained_tasks(self) -> Iterator[Task]:
        """Compute the parts that are not up to date, in order; all timelines end before a hole and at the end."""
        is_timeline, skips = self.job.is_timeline, self.job.on_error == "skip"
        steps = self._steps()
        pairs: Iterable[tuple[_Step, _Step | None]] = (
            pairwise(chain(steps, [None])) if is_timeline else ((step, None) for step in steps)  # type: ignore
        )
        for step, following in pairs:
            part = self.parts[step.position]
            if step.hole is not None:
                self._skip(part, step.hole, step.sums)
                continue
            ends = is_timeline and (following is None or (skips and following.hole is not None))
            record = self.manifest.records[part.name]
            if step.read is None and record.last == ends:
                self._advance_bar(step.sums["bytes"], 0)
                continue
            read = step.read or self.carries.read(step.position)
            step.read = None  # what was passed on need not stay in memory
            self._planned[part.name] = replace(
                record, **step.sums, carry_in=step.carry_in, carry_out=read.after.digest, last=ends
            )
            yield self._task(part, read.ended(self.job.spec) if ends else read.windows, len(read.rows.values))
            del read

    def _planned_tasks(self) -> Iterator[Task]:
        """Compute all parts in any order; workers know which rows are carried into them, and whether they changed."""
        is_timeline, skips = self.job.is_timeline, self.job.on_error == "skip"
        steps = chain(self._planning.steps(), [None])
        for step, following in pairwise(steps):
            assert step is not None
            part = self.parts[step.position]
            sums = self._sums.get(part.name, {})
            if step.hole is not None:
                self._skip(part, step.hole, sums)
                continue
            ends = is_timeline and (following is None or (skips and following.hole is not None))
            record = self.manifest.records[part.name]
            if step.carry is None:
                self._advance_bar(sums["bytes"], 0)
                continue
            known = record.carry_in if record.last == ends and self._has_output(record, sums) else None
            self._planned[part.name] = replace(record, **sums, last=ends)
            keep = self.job.output / CARRY_FOLDER
            yield replace(self._task(part, None, None), carry=step.carry, known_carry=known, ends=ends, keep=keep)

    def _steps(self) -> Iterator[_Step]:
        """Read the parts in order, each with the rows carried over from the parts before."""
        carry: Carry | None = Carry.empty()
        carry_in = Carry.empty().digest
        for position, part in enumerate(self.parts):
            step = _Step(position, {}, carry_in)
            try:
                step.sums = self._readable_sum(part)
                if self._is_up_to_date(self.manifest.records[part.name], step.sums, carry_in):
                    carry, carry_in = None, str(self.manifest.records[part.name].carry_out)
                else:
                    step.read = self.carries.read(position, carry)
                    carry, carry_in = step.read.after, step.read.after.digest
                    self.carries.keep(carry)
                    self._forget_follower(position, carry_in)
            except InputError as error:
                step.hole = str(error)
                carry, carry_in = Carry.empty(), Carry.empty().digest
            yield step

    def _forget_follower(self, position: int, digest: str) -> None:
        """Mark the next part as pending if it was computed with other rows carried into it."""
        if position + 1 < len(self.parts):
            following = self.manifest.records[self.parts[position + 1].name]
            if following.status == DONE and following.carry_in != digest:
                self._forget(following)

    def _task(self, part: Part, windows: PartWindows | None, n_rows: int | None) -> Task:
        target = self.job.output / self.manifest.records[part.name].output
        return Task(self.write, self.job.kind, self.job.model, self.job.spec, part, target, windows, n_rows)

    def _readable_sum(self, part: Part) -> dict[str, Any]:
        """Size and checksum of a part; `InputError` if it cannot be read."""
        try:
            return self._sum(part)
        except OSError as error:
            raise InputError(f"{part.name} cannot be read: {error.strerror or error}") from error

    # -- results -------------------------------------------------------------------------------------------------

    def _record(self, result: Result) -> None:
        self._check_lock()
        planned = self._planned.pop(result.name)
        if result.error is not None:
            if result.is_fatal:
                raise JobError(f"{result.name}: {result.error}")
            if not self.job.whole_series:
                self.carries.failed[result.name] = result.error
            self._skip_planned(planned, result.error)
            return
        if result.is_unchanged:
            self._advance_bar(planned.bytes or 0, 0)
            return
        self._refuse_divided(result)
        if result.carries is not None:
            planned = replace(planned, carry_in=result.carries[0], carry_out=result.carries[1])
        self._with_result |= result.with_result
        written = facts_of(self.job.output / planned.output)
        if written is None:
            raise JobError(f"{self.job.output / planned.output} was removed while the job was running")
        record = replace(
            planned, status=DONE, reason=None, rows=result.rows, windows=result.written.rows,
            scored=result.written.scored, coverage=None if result.coverage is None else asdict(result.coverage),
            output_bytes=written.bytes, output_tag=written.tag, seconds=round(result.seconds, 3),
        )  # fmt: skip
        self.manifest.records[result.name] = record
        self._n_computed += 1
        if differs_in_step(record, self.job.spec) and not self._step_is_known:
            self._step_is_known = True
            self._log_warning(explain_step([record], self.job.spec))
        self._advance_bar(planned.bytes or 0, result.written.rows)
        if self.manifest.save(now=False):
            self.carries.drop()

    def _warn(self) -> None:
        """Write to the manifest, and log, what got no result."""
        records, spec = list(self.manifest.records.values()), self.job.spec
        step = explain_step(records, spec)
        found = [explain_unscored(records, spec, self.job.kind)]
        if self._n_computed == sum(
            record.status == DONE for record in records
        ):  # otherwise the series of the other parts are not known
            found.append(explain_series(set(self._homes), self._with_result, spec))
        for message in [*found, *([] if self._step_is_known else [step])]:
            self._log_warning(message)
        self.manifest.warnings = [message for message in (*found, step) if message]

    def _log_warning(self, message: str | None) -> None:
        if message:
            log_warning(message, warning=message)

    def _refuse_divided(self, result: Result) -> None:
        for series in result.series:
            home = self._homes.setdefault(series, result.name)
            if self.job.whole_series and home != result.name:
                raise JobError(
                    f"series {series!r} lies in {home} and in {result.name}: without --whole-series, series may run "
                    "across parts"
                )

    def _skip(self, part: Part, reason: str, sums: dict[str, Any]) -> None:
        planned = replace(self.manifest.records[part.name], **sums, carry_in=None, carry_out=None, last=False)
        self._skip_planned(planned, reason)

    def _skip_planned(self, planned: Record, reason: str) -> None:
        if self.job.on_error == "fail":
            raise InputError(reason if planned.input in reason else f"{planned.input}: {reason}")
        self._forget(planned)
        self.manifest.records[planned.input] = replace(
            planned,
            status=SKIPPED,
            reason=reason,
            rows=None,
            windows=None,
            scored=None,
            coverage=None,
            output_bytes=None,
            output_tag=None,
            seconds=None,
        )
        self._advance_bar(planned.bytes or 0, 0)
        log_event(f"skipped: {reason}", level=logging.WARNING, event="skip", part=planned.input, reason=reason)

    def _counts(self) -> dict[str, int]:
        records = self.manifest.records.values()
        counts = {status: sum(record.status == status for record in records) for status in (DONE, SKIPPED, PENDING)}
        rows = {"rows_written": sum(record.windows or 0 for record in records)}
        return {**counts, **rows, "rows_with_result": sum(record.scored or 0 for record in records)}

    def _summary(self) -> str:
        counts = self._counts()
        skipped = f", {counts[SKIPPED]} skipped" if counts[SKIPPED] else ""
        return f"{counts[DONE]} of {len(self.parts)} parts done{skipped}, {counts['rows_written']:,} rows written"


def _difference(stored: Any, now: Any) -> str:
    """Describe a changed setting; of settings that hold others, those that differ."""
    if not (isinstance(stored, dict) and isinstance(now, dict)):
        return f"{stored}, now {now}"
    names = [name for name in now if stored.get(name) != now[name]]
    return "; ".join(f"{name} {_difference(stored.get(name), now[name])}" for name in names)
