"""One job at a time on an output: the lock of a local folder, and that of a folder in an object store.

A store knows no processes, so its lock is a numbered file that its holder writes anew every few seconds. Stores can
refuse to replace a file that is there: of all who try to create the next number, one succeeds. A file that stays as it
is for a minute is that of a job that was killed; on the machine of that job, its process tells at once.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tsae.jobs.errors import JobError
from tsae.jobs.logs import log_event
from tsae.jobs.places import Place, StoredPath

LOCK = ".lock"
BEAT_SECONDS = 10.0  # between two writes of the holder
LEASE_SECONDS = 60.0  # without a write, after which the holder is taken for dead
POLL_SECONDS = 1.0
_held: set[str] = set()  # holders in this process; one that could not release its lock is none of them
SAME_START = 2.0  # seconds; the start of a process is only known so well


@contextmanager
def locked(folder: Place) -> Iterator[Callable[[], None]]:
    """Refuse a second job on the same output. The lock ends with the process, however it ends.

    Gives a function that raises `JobError` if another job has taken the lock since, which happens in stores alone, to
    a job that could not write to its store for a minute.
    """
    if isinstance(folder, StoredPath):
        lock = _StoreLock(folder)
        lock.acquire()
        try:
            yield lock.check
        finally:
            lock.release()
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as file:
        _lock_file(file, folder)
        yield lambda: None


def _lock_file(file: Any, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows: there, users must not run two jobs on one output
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JobError(f"another job is writing to {folder}") from error


class _StoreLock:
    """The lock of a folder in a store: the file with the highest number is that of the holder."""

    def __init__(self, folder: StoredPath):
        self.folder, self.files = folder, folder / LOCK
        self.number = 0
        self._content = {"holder": secrets.token_hex(8), **_this_process(), "beat": 0, "released": False}
        self._end = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def acquire(self) -> None:
        _held.add(self._content["holder"])
        try:
            self._take()
            self._check_store()
        except BaseException:
            _held.discard(self._content["holder"])
            raise
        for number in self._numbers():
            if number < self.number:
                (self.files / str(number)).unlink(missing_ok=True)
        self._thread.start()

    def _take(self) -> None:
        while True:
            newest = max(self._numbers(), default=0)
            if newest:
                self._wait_for(self.files / str(newest))
            self.number = newest + 1
            if not self._own.create(self._bytes()):
                continue  # another job was faster: it is the holder to look at now
            if max(self._numbers(), default=0) == self.number:
                return
            self._own.unlink(missing_ok=True)  # a later number was there, and this one had been removed

    def release(self) -> None:
        """Leave the file: its number must not be given again."""
        _held.discard(self._content["holder"])
        self._end.set()
        self._thread.join()
        if self._is_lost:
            return
        self._content["released"] = True
        try:
            self._own.write(self._bytes())
        except JobError as error:  # it ends as the lock of a job that was killed
            log_event(f"the lock cannot be released: {error}", event="lock")

    def check(self) -> None:
        if self._is_lost:
            raise JobError(f"another job has taken over {self.folder}, to which this one could not write for too long")

    @property
    def _own(self) -> StoredPath:
        return self.files / str(self.number)

    def _bytes(self) -> bytes:
        return json.dumps(self._content).encode()

    def _numbers(self) -> list[int]:
        return [int(file.name) for file in self.files.glob("*") if file.name.isdecimal()]

    def _check_store(self) -> None:
        """Refuse a store that replaces a file although it was asked not to."""
        if self._own.create(b"not to be written"):
            self._own.unlink(missing_ok=True)
            raise JobError(
                f"the store of {self.folder} ignores conditions of requests (If-None-Match), so that a second job on "
                "the same output could not be refused; write to a folder, and copy it"
            )

    def _wait_for(self, file: StoredPath) -> None:
        """Return once a lock is free; an error if its holder is alive."""
        seen = _read(file)
        if seen is None or seen["released"]:
            return
        is_alive = _is_alive(seen)
        if is_alive is None:
            log_event(
                f"{self.folder} is locked by a job on {seen['machine'].split()[0]}; waiting up to {LEASE_SECONDS:.0f} "
                "s to see whether it is alive", event="wait",
            )  # fmt: skip
            is_alive = self._changes(file, seen)
        if is_alive:
            raise JobError(f"another job is writing to {self.folder}")

    def _changes(self, file: StoredPath, seen: dict[str, Any]) -> bool:
        began = time.monotonic()
        while time.monotonic() - began < LEASE_SECONDS:
            time.sleep(POLL_SECONDS)
            now = _read(file)
            if now is None or now["released"]:
                return False
            if now != seen:
                return True
        return False

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            try:
                if max(self._numbers(), default=0) > self.number:
                    self._is_lost = True
                    return
                self._content["beat"] += 1
                self._own.write(self._bytes())
            except JobError as error:  # the job's own requests fail as well, and end it if this goes on
                log_event(f"the lock cannot be renewed: {error}", event="lock")


def _read(file: StoredPath) -> dict[str, Any] | None:
    try:
        with file.open() as stored:
            content: dict[str, Any] = json.loads(stored.read())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JobError(f"the lock {file} is damaged; remove it if no job is writing") from error
    return content


# -- processes ---------------------------------------------------------------------------------------------------------


def _this_process() -> dict[str, Any]:
    import psutil

    return {"machine": _machine(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def _machine() -> str:
    """Tell machines and containers apart, within each of which a number of a process means one process."""
    import psutil

    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        namespace = ""
    return f"{socket.gethostname()} {psutil.boot_time():.0f} {namespace}"


def _is_alive(holder: dict[str, Any]) -> bool | None:
    """Tell whether a job runs; None if it is one of another machine."""
    import psutil

    if holder["machine"] != _machine():
        return None
    try:
        process = psutil.Process(holder["pid"])
        if process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - holder["started"]) > SAME_START:
            return False
    except psutil.NoSuchProcess:
        return False
    return process.pid != os.getpid() or holder["holder"] in _held
