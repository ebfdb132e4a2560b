"""How much memory training may use, and how many rows fit into it."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tsae.jobs.errors import JobError
from tsae.jobs.parts import Part
from tsae.jobs.spec import Columns
from tsae.jobs.table_files import open_table

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
FREE_SHARE = 0.25  # the default is this share of the free memory, and at least LEAST_ROWS
LEAST_ROWS = 128 << 20
# Python, TensorFlow and the default network in training, and what a batch takes for each step of a window; Python and
# what reading needs besides the rows. Measured by `python -m benchmarks.training memory`.
RESERVED, STEP_BYTES, READING = 904 << 20, 2800 << 10, 320 << 20
# Per channel, and per row beside: in training (float64, scaled to float32, TensorFlow's copy), and while a whole data
# set is read (its parts, all of them together, and in the order of the series).
COPIES, ROW_BYTES = 20, 24
READ_COPIES, READ_ROW_BYTES = 24, 64
TEXT_BYTES = 200  # per row of the largest file while its ids and times are text
CHUNK_BYTES = 16 << 20  # of values in a part of a file that is read at once


def parse_size(text: str) -> int:
    """Convert a size such as "2GiB", "500 MB" or "1000000" to bytes.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> parse_size("1.5 KiB")
    1536
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)?\s*", text, re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 2GiB, 500MB or a number of bytes")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])


def size_text(n_bytes: int) -> str:
    """Return a size as text that `parse_size` reads, in whole MiB."""
    return f"{n_bytes >> 20}MiB"


def free_memory() -> int:
    """Return the bytes of memory that are free: of the machine, or of the container if it has a lower limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = (_number(Path("/sys/fs/cgroup", name)) for name in ("memory.max", "memory.current"))
    return free if limit is None or used is None else max(0, min(free, limit - used))


def default_memory(width: int) -> int:
    """Return the bytes that training on windows of `width` steps may use if nothing else is asked for."""
    return max(int(FREE_SHARE * free_memory()), reserved(width) + LEAST_ROWS)


def reserved(width: int) -> int:
    """Return the bytes that training on windows of `width` steps needs besides the rows."""
    return RESERVED + STEP_BYTES * width


def _number(path: Path) -> int | None:
    """Return the number in a file of the system; None if there is no such file, or no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def rows_within(memory: int, n_channels: int, width: int) -> int:
    """Return how many rows training on windows of `width` steps can hold within so many bytes.

    Raises
    ------
    JobError
        If the memory is too small for training itself, or for a window.
    """
    rows = (memory - reserved(width)) // row_bytes(n_channels)
    if rows < 2 * width:
        raise JobError(
            f"--memory {size_text(memory)} is too little: Python, TensorFlow and training on windows of {width} steps "
            f"need {size_text(reserved(width))}, and rows of {n_channels} channels come on top"
        )
    return rows


def row_bytes(n_channels: int) -> int:
    """Return the bytes that a row takes in training, with all copies."""
    return COPIES * n_channels + ROW_BYTES


def fits(parts: Sequence[Part], columns: Columns, n_channels: int, width: int, memory: int) -> bool:
    """Tell whether a data set can be read and trained on as a whole within so many bytes."""
    n_rows = [open_table(part.path, part.name, columns).most_rows() for part in parts]
    read = sum(n_rows) * (READ_COPIES * n_channels + READ_ROW_BYTES) + max(n_rows) * TEXT_BYTES
    return sum(n_rows) <= rows_within(memory, n_channels, width) and read <= memory - READING


def release_memory() -> None:
    """Give memory that was freed back to the system, where an allocator keeps it (glibc, Arrow)."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    trim = None if os.name == "nt" else getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def chunk_rows(n_channels: int) -> int:
    """Return how many rows of a file to read at once."""
    return max(1, CHUNK_BYTES // (8 * (n_channels + 2)))
