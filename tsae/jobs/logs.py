"""Logging of the command line: plain lines or JSON lines on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

logger = logging.getLogger("tsae.jobs")


def set_up_logging(*, quiet: bool = False, log_json: bool = False) -> None:
    """Send what tsae logs to standard error; with `quiet` only warnings and errors."""
    handler = _StandardError()
    handler.setFormatter(_JsonLines() if log_json else logging.Formatter("%(message)s"))
    tsae = logging.getLogger("tsae")
    tsae.handlers[:] = [handler]
    tsae.setLevel(logging.WARNING if quiet else logging.INFO)
    tsae.propagate = False


def log_event(message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log a line; `fields` are additional fields of JSON lines."""
    logger.log(level, message, extra={"fields": fields})


def log_warning(message: str, **fields: Any) -> None:
    """Log a warning; `fields` are additional fields of JSON lines."""
    log_event(f"warning: {message}", level=logging.WARNING, event="warning", **fields)


def log_failure(message: str, **fields: Any) -> None:
    """Log why the command failed, even if logging has not been set up yet."""
    if not logging.getLogger("tsae").handlers:
        set_up_logging()
    text = message if logs_json() else f"tsae: error: {message}"
    log_event(text, level=logging.ERROR, event="error", **fields)


def logs_json() -> bool:
    """Return whether lines are JSON."""
    return any(isinstance(handler.formatter, _JsonLines) for handler in logging.getLogger("tsae").handlers)


class _StandardError(logging.Handler):
    """Write to the current `sys.stderr`: a progress bar replaces it, so that lines appear above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


@contextmanager
def suppressed_stderr() -> Iterator[None]:
    """Discard what C libraries write to standard error; exceptions propagate."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
