"""Lines that arrive one after the other: of a pipe, or of a file that grows."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NamedTuple

from tsae.jobs.errors import InputError

BLOCK = 1 << 18  # bytes that are read at once
PATIENCE = 0.1  # seconds between looks at what has arrived, and at whether to stop


class Line(NamedTuple):
    """A line without its end, its number from 1, and the position after it in the file."""

    text: str
    number: int
    end: int


@dataclass
class Stop:
    """Whether to stop, and the signal that asks for it."""

    number: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self.number is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as notes, instead of interrupting whatever is being done."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number


@dataclass
class LineSplitter:
    """Cut blocks of bytes into lines; what follows the last line end waits for the rest of its line."""

    number: int = 0
    position: int = 0
    rest: bytes = field(default=b"")

    def lines(self, block: bytes) -> list[Line]:
        """Return the lines that are complete."""
        *complete, self.rest = (self.rest + block).split(b"\n")
        return [self._line(text, len(text) + 1) for text in complete]

    def last(self) -> list[Line]:
        """Return what is left at the end: a line without a line end, if there is any."""
        rest, self.rest = self.rest, b""
        return [self._line(rest, len(rest))] if rest else []

    def _line(self, raw: bytes, size: int) -> Line:
        self.number += 1
        self.position += size
        # What is not UTF-8 stays recognisable, and is refused with its line.
        text = raw.rstrip(b"\r").decode("utf-8-sig" if self.number == 1 else "utf-8", "surrogateescape")
        return Line(text, self.number, self.position)


def lines_of_pipe(file: BinaryIO, name: str, stop: Stop) -> Iterator[list[Line]]:
    """Give the lines of a pipe as they arrive, until it ends or `stop` is asked for; no line that was read is lost.

    Parameters
    ----------
    file : raw binary file
        Without a buffer, so that the thread that waits for it holds no lock.
    name : str
        For messages.
    stop : Stop

    Yields
    ------
    list of Line
    """
    blocks: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()

    def read() -> None:
        block = b"-"
        while block:
            try:
                block = os.read(file.fileno(), BLOCK)
            except OSError as error:
                blocks.put(error)
                return
            blocks.put(block)

    threading.Thread(target=read, daemon=True).start()
    splitter = LineSplitter()
    while True:
        try:
            block = blocks.get(timeout=PATIENCE)
        except queue.Empty:
            if stop.is_asked:
                return
            continue
        if isinstance(block, OSError):
            raise InputError(f"{name} cannot be read: {block}") from block
        if not block:
            yield splitter.last()
            return
        yield splitter.lines(block)
        if stop.is_asked and blocks.empty():
            return


def lines_of_file(path: Path, stop: Stop, *, follow: bool, start: Line | None = None) -> Iterator[list[Line]]:
    """Give the lines of a file, from its header or from after a line on; with `follow` as the file grows.

    Parameters
    ----------
    path : Path
    stop : Stop
    follow : bool
        Wait for further lines at the end, until `stop` is asked for.
    start : Line or None
        The last line that was read before; the header is given again first.

    Yields
    ------
    list of Line

    Raises
    ------
    InputError
        If the file is shorter than before, or was replaced by another.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115, closed below
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    with file:
        splitter = LineSplitter()
        if start is not None:
            _check_whole(path, file, start.end)
            yield splitter.lines(file.readline())
            file.seek(start.end)
            splitter = LineSplitter(start.number, start.end)
        while not stop.is_asked:
            block = file.read(BLOCK)
            if block:
                yield splitter.lines(block)
            elif follow:
                _check_whole(path, file, file.tell())
                time.sleep(PATIENCE)
            else:
                yield splitter.last()
                return


def _check_whole(path: Path, file: BinaryIO, position: int) -> None:
    """Refuse a file that has become shorter, or whose name is another file's now."""
    mine = os.fstat(file.fileno())
    try:
        named = os.stat(path)
    except FileNotFoundError:
        named = None
    if mine.st_size < position:
        raise InputError(
            f"{path} has {mine.st_size:,} bytes, {position:,} of it were read before: it was cut or replaced"
        )
    if named is None or (named.st_dev, named.st_ino) != (mine.st_dev, mine.st_ino):
        raise InputError(f"{path} was removed or replaced by another file while it was read")
