"""Progress of a job on a data set: parts, rows, rate and time left."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tsae.jobs.logs import log_event, logger, logs_json
from tsae.progress import LinePacer, progress_bar

JobProgress = Callable[[int, int], None]


@contextmanager
def job_progress(kind: str, n_parts: int, n_bytes: int, verb: str = "written") -> Iterator[JobProgress]:
    """Give a function to call after each part, with the bytes read and the rows written (or what `verb` says).

    The time left is estimated from the bytes of the input.
    """
    count = _Count(n_parts, n_bytes)
    if logger.isEnabledFor(logging.INFO) and sys.stderr.isatty() and not logs_json():
        columns = ("part {task.fields[part]}", "{task.fields[rate]:,.0f}/s")
        with progress_bar(kind, *columns, total=max(1, n_bytes), part=count.part, rate=0.0) as update:

            def show(part_bytes: int, part_rows: int) -> None:
                count.add(part_bytes, part_rows)
                update(completed=count.bytes, part=count.part, rate=count.rate)

            yield show
    else:
        yield _lines(kind, count, verb)


def _lines(kind: str, count: _Count, verb: str) -> JobProgress:
    pacer = LinePacer()

    def log_part(part_bytes: int, part_rows: int) -> None:
        count.add(part_bytes, part_rows)
        if pacer.is_due(always=count.parts == count.n_parts):
            left = count.seconds_left
            log_event(
                f"{kind}: part {count.part}, {count.rows:,} rows {verb}, {count.rate:,.0f}/s, "
                f"about {left:,.0f} s left",
                event="progress", parts=count.parts, n_parts=count.n_parts, rows=count.rows,
                seconds_left=round(left, 1),
            )  # fmt: skip

    return log_part


class _Count:
    def __init__(self, n_parts: int, n_bytes: int) -> None:
        self.n_parts, self.n_bytes = n_parts, n_bytes
        self.began = time.monotonic()
        self.parts = self.bytes = self.rows = 0

    def add(self, part_bytes: int, part_rows: int) -> None:
        self.parts += 1
        self.bytes += part_bytes
        self.rows += part_rows

    @property
    def part(self) -> str:
        return f"{self.parts}/{self.n_parts}"

    @property
    def rate(self) -> float:
        return self.rows / max(1e-9, time.monotonic() - self.began)

    @property
    def seconds_left(self) -> float:
        return (time.monotonic() - self.began) * (self.n_bytes - self.bytes) / max(1, self.bytes)
