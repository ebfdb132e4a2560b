"""Errors of jobs, how their messages name things, and exit codes of the command."""

from __future__ import annotations

from collections.abc import Iterable

OK = 0
ERROR = 1
USAGE = 2
SKIPPED_PARTS = 3
NOTHING_SCORED = 4
INTERRUPTED = 130
TERMINATED = 143


class JobError(Exception):
    """A job cannot go on. The message says why and what to do, and is shown without a traceback."""


class InputError(JobError):
    """A part of the input cannot be used. The message names the part, and the row and column if there is one."""


def listed(names: Iterable[str], most: int = 3, *, quoted: bool = True) -> str:
    """Name the first of many, and count the others."""
    shown = [repr(name) if quoted else name for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
