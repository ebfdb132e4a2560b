"""What a job says while it works: a bar on a terminal, log lines elsewhere, JSON lines where asked for."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

logger = logging.getLogger("tsae.jobs")

SECONDS_BETWEEN_LINES = 10.0


def set_up_logging(*, quiet: bool = False, log_json: bool = False) -> None:
    """Send what tsae logs to standard error, for the command line; `quiet` leaves warnings and errors."""
    handler = _StandardError()
    handler.setFormatter(_JsonLines() if log_json else logging.Formatter("%(message)s"))
    tsae = logging.getLogger("tsae")
    tsae.handlers[:] = [handler]
    tsae.setLevel(logging.WARNING if quiet else logging.INFO)
    tsae.propagate = False


def say(message: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """Log a line; `facts` are fields of their own in JSON lines."""
    logger.log(level, message, extra={"facts": facts})


class _StandardError(logging.StreamHandler):
    """Writes to what is standard error at the moment, so that lines appear above a bar and not across it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


Advance = Callable[[int, int], None]


@contextmanager
def job_progress(what: str, n_parts: int, n_bytes: int) -> Iterator[Advance]:
    """Give a function ``advance(n_bytes, n_rows)`` to call after each part: bytes read, windows or timestamps written.

    The time left is reckoned from the bytes of the input.
    """
    if logger.isEnabledFor(logging.INFO) and sys.stderr.isatty() and not _logs_json():
        with _bar(what, n_parts, n_bytes) as advance:
            yield advance
    else:
        yield _lines(what, n_parts, n_bytes)


def _logs_json() -> bool:
    return any(isinstance(handler.formatter, _JsonLines) for handler in logging.getLogger("tsae").handlers)


@contextmanager
def _bar(what: str, n_parts: int, n_bytes: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn(what), BarColumn(), TextColumn("part {task.fields[parts]}/{task.fields[n_parts]}"),
        TextColumn("{task.fields[rate]:,.0f}/s"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    count = _Count()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=max(1, n_bytes), parts=0, n_parts=n_parts, rate=0.0)

        def advance(part_bytes: int, part_rows: int) -> None:
            count.add(part_bytes, part_rows)
            bar.update(task, advance=part_bytes, parts=count.parts, rate=count.rate())

        yield advance


def _lines(what: str, n_parts: int, n_bytes: int) -> Advance:
    count = _Count()
    last = time.monotonic()

    def advance(part_bytes: int, part_rows: int) -> None:
        nonlocal last
        count.add(part_bytes, part_rows)
        if count.parts < n_parts and time.monotonic() - last < SECONDS_BETWEEN_LINES:
            return
        last = time.monotonic()
        left = count.seconds() * (n_bytes - count.bytes) / max(1, count.bytes)
        say(
            f"{what}: part {count.parts}/{n_parts}, {count.rows:,} rows written, {count.rate():,.0f}/s, "
            f"about {left:,.0f} s left",
            event="progress", parts=count.parts, n_parts=n_parts, rows=count.rows, seconds_left=round(left, 1),
        )  # fmt: skip

    return advance


class _Count:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.parts = self.bytes = self.rows = 0

    def add(self, part_bytes: int, part_rows: int) -> None:
        self.parts += 1
        self.bytes += part_bytes
        self.rows += part_rows

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def rate(self) -> float:
        return self.rows / max(1e-9, self.seconds())


def fail(message: str, **facts: Any) -> None:
    """Say why the command failed, also where logging was not set up yet."""
    if not logging.getLogger("tsae").handlers:
        set_up_logging()
    text = message if _logs_json() else f"tsae: error: {message}"
    say(text, level=logging.ERROR, event="error", **facts)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what C libraries write to standard error from the user; exceptions come through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
