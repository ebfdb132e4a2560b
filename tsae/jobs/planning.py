"""The first pass of a job in several processes: checksums and counts of all parts, computed by the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tsae.jobs.carries import CARRY_FOLDER, Carries
from tsae.jobs.continuation import Carry
from tsae.jobs.grid import CarryPlan, CountResult, CountTask, Grid, count_part, sum_part
from tsae.jobs.job import Job
from tsae.jobs.manifest import DONE, Record
from tsae.jobs.parts import Part
from tsae.jobs.progress import job_progress


@dataclass(frozen=True)
class PlannedStep:
    """A part: with what is carried into it; or up to date (`carry` is None); or a hole, with its reason."""

    position: int
    carry: CarryPlan | None = None
    hole: str | None = None


class Planning:
    """Knows which rows every part needs from the parts before it, without reading any rows in this process.

    Parameters
    ----------
    job : Job
    carries : Carries
        The parts, their records, and reasons of parts that can be read, but not used.
    sums : dict
        Size and checksum of parts, by name; those that workers compute are added.
    """

    def __init__(self, job: Job, carries: Carries, sums: dict[str, dict[str, Any]]):
        self.job, self.carries, self.sums = job, carries, sums
        self._counted: dict[str, CountResult] = {}
        self._n_ready = 0  # of the first parts: up to date, so that they need not be counted
        self._start = Carry.empty()

    def sum_parts(self) -> None:
        """Compute the checksums of the parts that may be up to date, or of all if none needs to be counted."""
        records = self.carries.manifest.records
        parts = [
            part for part in self.carries.parts
            if self.job.whole_series or (part.name in records and records[part.name].status == DONE)
        ]  # fmt: skip
        for result in self._in_workers("checksums", sum_part, parts, parts):
            if result.error is None:
                self.sums[result.name] = result.sums

    def prepare(self, is_ready: Callable[[Record, dict[str, Any], str], bool]) -> None:
        """Count the rows of all parts but the first ones that are up to date; what is known already stays.

        Parameters
        ----------
        is_ready : callable(record, sums, carry_in) -> bool
            Whether the output of a part is up to date.
        """
        if self.job.whole_series:
            return
        self._n_ready, self._start = self._ready(is_ready)
        self._count(self.carries.parts[self._n_ready :])
        may_end = self.job.is_timeline and 0 < self._n_ready < len(self.carries.parts)
        if may_end and next(self._steps_from_counts()).hole is not None:  # series end with the part before
            self._n_ready, self._start = 0, Carry.empty()
            self._count(self.carries.parts)

    def steps(self) -> Iterator[PlannedStep]:
        """Give all parts in order."""
        yield from map(PlannedStep, range(self._n_ready))
        yield from self._steps_from_counts()

    def drop(self) -> None:
        """Remove the files of the counts."""
        for file in (self.carries.folder / CARRY_FOLDER).glob("tail-*.npz"):
            file.unlink(missing_ok=True)

    def _steps_from_counts(self) -> Iterator[PlannedStep]:
        grid = Grid(self.job.spec, list(self.job.spec.columns.values))
        if self._start.rows is not None:
            grid.start(self._start, self.carries.file(self._start.digest))
        for position, part in enumerate(self.carries.parts[self._n_ready :], self._n_ready):
            counted, plan = self._counted[part.name], grid.plan()
            reason = self.carries.failed.get(part.name) or counted.error
            if reason is None:
                assert counted.counts is not None
                try:
                    grid.add(counted.counts)
                except ValueError as error:
                    reason = f"{part.name}, read after the parts before it in natural order of their names: {error}"
            if reason is not None:
                grid.end()
            yield PlannedStep(position, None if reason else plan, reason)

    def _ready(self, is_ready: Callable[[Record, dict[str, Any], str], bool]) -> tuple[int, Carry]:
        """Number of the first parts that are up to date, and what they carry over; none if that is not in a file."""
        parts, records = self.carries.parts, self.carries.manifest.records
        n_ready, carry_in = 0, Carry.empty().digest
        for part in parts:
            record, sums = records[part.name], self.sums.get(part.name)
            ends = self.job.is_timeline and part is parts[-1]
            if sums is None or record.last != ends or not is_ready(record, sums, carry_in):
                break
            n_ready, carry_in = n_ready + 1, str(record.carry_out)
        if n_ready == len(parts):
            return n_ready, Carry.empty()
        stored = self.carries.stored(n_ready)
        return (0, Carry.empty()) if stored is None else (n_ready, stored)

    def _count(self, parts: list[Part]) -> None:
        parts = [part for part in parts if part.name not in self._counted]
        folder = self.carries.folder / CARRY_FOLDER
        tasks = [CountTask(part, self.job.spec, folder, self.sums.get(part.name)) for part in parts]
        for result in self._in_workers("counts", count_part, tasks, parts):
            self._counted[result.name] = result
            if result.sums:
                self.sums[result.name] = result.sums

    def _in_workers(
        self, what: str, function: Callable[[Any], CountResult], tasks: Iterable[Any], parts: list[Part]
    ) -> Iterator[CountResult]:
        """Give the results of workers, with progress."""
        sizes = {part.name: part.size for part in parts}
        if not sizes:
            return
        with job_progress(what, len(sizes), sum(sizes.values()), "read") as advance:
            for result in self.job.execution.map(function, tasks):
                rows = 0 if result.counts is None else int(result.counts.n_rows.sum())
                advance(sizes[result.name], rows)
                yield result
