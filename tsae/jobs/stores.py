"""Files in object stores and on web servers: ``s3://``, ``gs://``, ``abfs://``, ``https://``, and others of fsspec."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tsae.jobs.errors import JobError

T = TypeVar("T")

BLOCK_BYTES = 8 << 20  # of a request
ATTEMPTS = 5  # of a request that the client library has given up
AZURE = ("abfs", "abfss", "az")
FIRST_WAIT = 0.05  # seconds before the second attempt; twice as long before each further one
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/+")  # of a `Path` one slash is left; "C:/" is none


def is_address(source: str) -> bool:
    """Tell whether a source is an address such as ``s3://bucket/logs``, not a path."""
    return _ADDRESS.match(source) is not None


def without_secrets(address: str) -> str:
    """Return an address as it may be shown: a signature may follow its question mark."""
    return address.partition("?")[0]


@dataclass(frozen=True)
class StoredFile:
    """A file in a store, with the interface of `pathlib.Path` as far as tables are read by it.

    Credentials are those that the client library finds (environment, configuration files, roles of the machine); they
    are no part of this object, nor is a signature in what is shown of it.

    Attributes
    ----------
    address : str
    bytes : int
        Its size, as listed.
    tag : str
        What the store names its content by; empty if it does not.
    """

    address: str
    bytes: int
    tag: str = ""

    def __str__(self) -> str:
        return without_secrets(self.address)

    def __repr__(self) -> str:
        return f"StoredFile({str(self)!r})"

    @property
    def path(self) -> PurePosixPath:
        """Its path within the store, the bucket included."""
        return PurePosixPath(_ADDRESS.sub("/", without_secrets(self.address)))

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return self.path.suffix

    @property
    def parent(self) -> PurePosixPath:
        """The path of its folder."""
        return self.path.parent

    def open(self, *, in_order: bool = True) -> Any:
        """Open it for reading, with random access; what fails is requested again.

        Parameters
        ----------
        in_order : bool, default=True
            Whether to request large blocks; otherwise every read is a request.

        Raises
        ------
        JobError
            If the store cannot be reached, or fails again and again: also on reading.
        """
        with store_errors(self.address):
            blocks = _Blocks(self)
        return io.BufferedReader(blocks, BLOCK_BYTES) if in_order else blocks


class _Blocks(io.RawIOBase):
    """Reads a stored file by requests for ranges of bytes, and requests again what fails or arrives in part."""

    def __init__(self, file: StoredFile):
        self._file, self._at = file, 0
        self._system, self._path = system_of(file.address)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.bytes}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._file.bytes - self._at))
        if not wanted:
            return 0
        with store_errors(self._file.address):
            block = with_retries(lambda: self._request(self._at, self._at + wanted))
        buffer[:wanted] = block
        self._at += wanted
        return wanted

    def _request(self, begin: int, end: int) -> bytes:
        block: bytes = self._system.cat_file(self._path, start=begin, end=end)
        if len(block) != end - begin:
            raise OSError(f"{len(block)} of {end - begin} bytes arrived")
        return block


def with_retries(request: Callable[[], T]) -> T:
    """Return what a request gives; one that fails is repeated, unless the store answers that it never will succeed."""
    failure: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_WAIT * 2**attempt)
        try:
            return request()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each client library has errors of its own
            failure = error
    assert failure is not None
    raise failure


def list_files(address: str) -> list[StoredFile]:
    """List the files at an address: a file, all files below a folder, or those that match a pattern.

    Raises
    ------
    JobError
        For an address with a password, a store that cannot be read, and an address at which nothing is.
    """
    refuse_password(address, "the input")
    with store_errors(address):
        system, path = system_of(address)
        system.invalidate_cache()
        if address.startswith("http"):
            found = {path: system.info(path)}
        elif any(mark in path for mark in "*?["):
            found = system.glob(path, detail=True)
        else:
            found = system.find(path, detail=True)
        files = [info for info in found.values() if info["type"] == "file"]
        if any(info["size"] is None for info in files):
            raise OSError("the server does not state the size of the file")
        return [
            StoredFile(str(system.unstrip_protocol(info["name"])), int(info["size"]), tag_of(info)) for info in files
        ]


def refuse_password(address: str, what: str) -> None:
    """Refuse an address that logs and manifests must not show.

    Raises
    ------
    JobError
    """
    scheme, netloc = urlsplit(address)[:2]
    user, at, _ = netloc.rpartition("@")
    is_container = scheme in AZURE and ":" not in user  # abfs://container@account.dfs.core.windows.net/...
    if at and not is_container:
        raise JobError(
            f"the address of {what} holds a user or password; leave them to the environment or the configuration of "
            "the store's client library, where no log shows them"
        )


def tag_of(info: dict[str, Any]) -> str:
    """Return what a store names the content of a file by: of S3, Google and Azure, and of web servers."""
    names = ("ETag", "etag", "md5Hash", "content_md5", "content_settings.content_md5")
    return next((str(info[name]).strip('"') for name in names if info.get(name)), "")


def system_of(address: str, **options: Any) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, and the path within it.

    Raises
    ------
    JobError
        For an unknown protocol, and without the library that it needs.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise JobError(f"{without_secrets(address)} needs fsspec: pip install 'tsae[cloud]'") from error
    try:
        system, path = url_to_fs(address, **options)
    except (ImportError, ValueError) as error:  # an unknown protocol, or one whose client library is not installed
        raise JobError(f"{without_secrets(address)} cannot be used: {error}. Try pip install 'tsae[cloud]'") from error
    return system, str(path)


@contextmanager
def store_errors(address: str, verb: str = "read") -> Iterator[None]:
    """Make errors of all client libraries one kind; their messages may hold signatures, and are not shown."""
    shown = without_secrets(address)
    try:
        yield
    except JobError:
        raise
    except FileNotFoundError:
        if verb != "read":
            raise JobError(f"{shown} cannot be {verb}: there is no such bucket") from None
        silent = ", or its server does not answer" if shown.startswith("http") else ""  # fsspec takes one for the other
        raise JobError(f"there is no file {shown}{silent}") from None
    except PermissionError:
        raise JobError(f"{shown} may not be {verb} with the credentials that were found") from None
    except Exception as error:
        status = getattr(error, "status", None)
        detail = f" (status {status})" if status else f" ({error})" if type(error) is OSError else ""
        raise JobError(f"{shown} cannot be {verb}: {type(error).__name__}{detail}") from None
