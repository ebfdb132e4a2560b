"""Where a job writes: paths of local files, and of files in an object store, which are put there as a whole."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from tsae.io.archive import replacing
from tsae.jobs.errors import JobError
from tsae.jobs.stores import (
    AZURE,
    StoredFile,
    is_address,
    refuse_password,
    store_errors,
    system_of,
    tag_of,
    with_retries,
    without_secrets,
)

WRITABLE = ("s3", "s3a", "gs", "gcs", *AZURE)  # stores that can refuse to replace a file

PIECES = 2  # of a large file, 50 MB each, that are sent, and held in memory, at a time
ONE_PIECE = ("gs:", "gcs:")  # whose client library sends one after the other


class FileFacts(NamedTuple):
    """Size of a file, and what a store names its content by (None for a local file)."""

    bytes: int
    tag: str | None = None


@dataclass(frozen=True)
class StoredPath:
    """A file or folder in a store to write to, with the interface of `pathlib.Path` as far as jobs use it.

    A file is put there in one request, or in parts that the store joins at the end: nobody ever sees half of it.
    Requests that fail are repeated, as in reading.

    Attributes
    ----------
    address : str
        Without credentials, which are left to the client library.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> StoredPath:
        return StoredPath(f"{self.address}/{name}")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(self.address).name

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return PurePosixPath(self.address).suffix

    @property
    def parent(self) -> StoredPath:
        """The folder above."""
        return StoredPath(self.address.rpartition("/")[0])

    def facts(self) -> FileFacts | None:
        """Ask the store for the size and the tag of the file; None if there is no file."""
        system, path = self._system()
        with store_errors(self.address):
            try:
                info = with_retries(lambda: system.info(path))
            except FileNotFoundError:
                return None
        return FileFacts(int(info["size"]), tag_of(info)) if info["type"] == "file" else None

    def exists(self) -> bool:
        """Tell whether there is such a file."""
        return self.facts() is not None

    def open(self, _mode: str = "rb") -> Any:
        """Open the file for reading.

        Raises
        ------
        FileNotFoundError
        """
        facts = self.facts()
        if facts is None:
            raise FileNotFoundError(self.address)
        return StoredFile(self.address, facts.bytes, facts.tag or "").open()

    def glob(self, pattern: str) -> list[StoredPath]:
        """List the files of this folder whose names match a pattern."""
        system, path = self._system()
        with store_errors(self.address):
            try:
                found = with_retries(lambda: system.ls(path, detail=False))
            except FileNotFoundError:
                return []
        names = [PurePosixPath(file).name for file in found]
        return [self / name for name in names if fnmatch(name, pattern)]

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the file."""
        system, path = self._system()
        with store_errors(self.address, "removed"):
            try:
                with_retries(lambda: system.rm_file(path))
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def check_writable(self, what: str) -> None:
        """Write a small file beside this one, and remove it; `what`: how errors call this file.

        Raises
        ------
        JobError
        """
        if not urlsplit(self.address).path:
            raise JobError(f"{what} {self} is a bucket; name a file in it")
        probe = self.parent / f".{self.name}.{secrets.token_hex(6)}.tmp"
        probe.write(b"tsae")
        probe.unlink(missing_ok=True)

    def put(self, file: Path) -> None:
        """Put a local file there, in place of one that is there.

        Raises
        ------
        JobError
            If it cannot be written.
        """
        system, path = self._system()
        size = file.stat().st_size

        def request() -> None:
            system.put_file(str(file), path)
            arrived = int(system.info(path)["size"])
            if arrived != size:
                raise OSError(f"{arrived} of {size} bytes arrived")

        with store_errors(self.address, "written"):
            with_retries(request)

    def write(self, content: bytes) -> None:
        """Put a small file there, in place of one that is there."""
        system, path = self._system()
        with store_errors(self.address, "written"):
            with_retries(lambda: system.pipe_file(path, content))

    def create(self, content: bytes) -> bool:
        """Put a small file there unless there is one; tell whether the file that is there now is this one."""
        system, path = self._system()

        def request() -> bool:
            try:
                system.pipe_file(path, content, mode="create")
            except PermissionError:
                raise
            except Exception:  # there is one, or the answer was lost, also to a request that succeeded
                try:
                    stored: bytes = system.cat_file(path)
                except FileNotFoundError:
                    stored = b""
                if not stored:
                    raise
                return stored == content
            return True

        with store_errors(self.address, "written"):
            return with_retries(request)

    def _system(self) -> tuple[Any, str]:
        # What others have written since must be seen.
        options = {} if self.address.startswith(ONE_PIECE) else {"max_concurrency": PIECES}
        return system_of(self.address, use_listings_cache=False, **options)


Place: TypeAlias = Path | StoredPath


def place_of(text: str, what: str = "the output") -> Place:
    """Return the path of a file or folder to write to, which may be an address such as ``s3://bucket/out``.

    Parameters
    ----------
    text : str
    what : str
        How errors call it.

    Raises
    ------
    JobError
        For an address to which nothing can be written, or that holds a password or signature.
    """
    if not is_address(text):
        return Path(text)
    refuse_password(text, what)
    shown = without_secrets(text)
    if shown != text:
        raise JobError(f"{what} {shown} has a question mark in its address; write to a store by its own credentials")
    parts = urlsplit(text)
    if parts.scheme not in WRITABLE or not parts.netloc:
        raise JobError(f"{what} {shown} is no folder or file, nor in a store to write to: s3://, gs:// or abfs://")
    system_of(text)
    return StoredPath(text.rstrip("/"))


def folder_of(source: str) -> Place | None:
    """Return a source as the folder that a job may have written; None for an address where none can have."""
    if not is_address(source):
        return Path(source)
    return StoredPath(source.rstrip("/")) if source.partition(":")[0] in WRITABLE else None


def facts_of(place: Place) -> FileFacts | None:
    """Return size and tag of a file; None if there is none."""
    if isinstance(place, StoredPath):
        return place.facts()
    return FileFacts(place.stat().st_size) if place.exists() else None


@contextmanager
def local_file(place: Place) -> Iterator[Path]:
    """Give a local path to write to; what is written there is put to its place, whole, if the block succeeds."""
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="tsae-") as folder:
        path = Path(folder, place.name)
        yield path
        place.put(path)


@contextmanager
def replaced(place: Place) -> Iterator[BinaryIO]:
    """Open a new file that replaces the one at a place if the block succeeds; its folder is made if needed."""
    with local_file(place) as path, replacing(path) as file:
        yield file


def remove_leftovers(folder: Place) -> None:
    """Remove what writers that were killed have left; in a store they leave nothing."""
    if isinstance(folder, Path):
        for leftover in folder.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
