"""Model files: a zip of JSON and plain arrays that can be read without running anything that is in it.

A file holds ``manifest.json`` (format, versions, summary, size and SHA-256 of every other member), ``state.json``
(a tree of plain values) and ``arrays/0.npy``, ``arrays/1.npy``, ... This module knows the container only;
`tsae.io.state` gives the tree its meaning.

Reading trusts nothing. Members are stored without compression, so that no member can be larger than the file; their
names, sizes and checksums must be those of the manifest; JSON is strict; array headers are checked against the bytes
that follow before anything is allocated, and pickled arrays are refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import secrets
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, BinaryIO

import numpy as np

from tsae.errors import ModelFileError
from tsae.io.upgrade import upgrade

FORMAT = "tsae-model"
FORMAT_VERSION = 2  # of what is written; all versions from 1 on are read
LIBRARIES = ("tsae", "numpy", "pandas", "scikit-learn", "keras", "tensorflow")

MAX_JSON_BYTES = 64 << 20
MAX_MEMBERS = 10_000
MAX_DIMENSIONS = 8

_EPOCH = (1980, 1, 1, 0, 0, 0)  # members carry no time: equal models give equal members
_ARRAY_NAME = re.compile(r"arrays/(0|[1-9]\d{0,4})\.npy")
_ARRAY_KINDS = "biufcUMm"  # numbers, bools, fixed-width text, times; no objects
_ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError,
    EOFError, KeyError, IndexError, ValueError, OverflowError, OSError,
)  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """What a model file holds: its manifest, a tree of plain values, and the arrays that the tree refers to."""

    manifest: dict[str, Any]
    state: dict[str, Any]
    arrays: list[np.ndarray]


# -- writing ---------------------------------------------------------------------------------------------------------


def write_archive(
    path: str | os.PathLike[str] | BinaryIO,
    kind: str,
    state: dict[str, Any],
    arrays: list[np.ndarray],
    summary: dict[str, Any],
) -> None:
    """Write a model file, whole or not at all.

    It is written to a temporary file in the same folder and then renamed, so that neither an error nor a power cut
    leaves half a file at `path`, and a reader sees the old file or the new one.

    Parameters
    ----------
    path : path-like or binary file
        An existing file is replaced; an open file is written to.
    kind : str
        Name of the class of what is stored.
    state : dict[str, Any]
        Of dicts with text keys, lists, text, numbers, bools and None.
    arrays : list of ndarray
        No arrays of objects.
    summary : dict
        Plain values for a human reader; nothing is rebuilt from them.
    """
    members = _members(kind, state, arrays, summary)
    if not isinstance(path, (str, os.PathLike)):
        _write_zip(path, members)
        return
    with replacing(path) as file:
        _write_zip(file, members)


def archive_bytes(kind: str, state: dict[str, Any], arrays: list[np.ndarray], summary: dict[str, Any]) -> bytes:
    """The content of the file that `write_archive` writes.

    Parameters
    ----------
    kind, state, arrays, summary : object
        As of `write_archive`.

    Returns
    -------
    bytes
    """
    buffer = io.BytesIO()
    _write_zip(buffer, _members(kind, state, arrays, summary))
    return buffer.getvalue()


def _members(kind: str, state: dict[str, Any], arrays: list[np.ndarray], summary: dict[str, Any]) -> dict[str, bytes]:
    members = {"state.json": _json_bytes(state)}
    members.update((f"arrays/{position}.npy", _array_bytes(array)) for position, array in enumerate(arrays))
    checksums = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in members.items()}
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "model_id": _model_id(checksums),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"python": python_version(), **{name: _version(name) for name in LIBRARIES}},
        "summary": summary,
        "members": checksums,
    }
    return {"manifest.json": _json_bytes(manifest, indent=1), **members}


def _write_zip(file: BinaryIO, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` if the block succeeds, and is removed if it fails."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _json_bytes(tree: Any, indent: int | None = None) -> bytes:
    return json.dumps(tree, allow_nan=False, ensure_ascii=False, indent=indent).encode()


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _model_id(members: dict[str, dict[str, Any]]) -> str:
    """One name for the content: equal for equal models, whenever and wherever they were saved."""
    return _sha256("".join(f"{name} {members[name]['sha256']}\n" for name in sorted(members)).encode())[:32]


# -- reading ---------------------------------------------------------------------------------------------------------


def read_archive(path: str | os.PathLike[str] | BinaryIO) -> Archive:
    """Read a model file and check all of it.

    Parameters
    ----------
    path : path-like or binary file that can seek

    Returns
    -------
    Archive

    Raises
    ------
    ModelFileError
        If it is not a model file, is damaged, or is of a format version that this tsae does not know.
    OSError
        If the file cannot be opened.
    """
    with _opened(path) as (read, names, manifest):
        members = _checked_members(names, manifest)
        state = _parse_json(_checked(read, "state.json", members), "state.json")
        if not isinstance(state, dict):
            raise ModelFileError("state.json does not hold an object")
        arrays = [
            _parse_array(_checked(read, f"arrays/{i}.npy", members), f"arrays/{i}.npy") for i in range(len(members) - 1)
        ]
    return Archive(manifest, upgrade(state, manifest["format_version"]), arrays)


def read_manifest(path: str | os.PathLike[str] | BinaryIO) -> dict[str, Any]:
    """Read the manifest of a model file: kind, model_id, created, versions, summary, members.

    Only this part is read and checked; `read_archive` checks the whole file.

    Raises
    ------
    ModelFileError, OSError
        As `read_archive`.
    """
    with _opened(path) as (_, names, manifest):
        _checked_members(names, manifest)
    return manifest


@contextmanager
def _opened(
    path: str | os.PathLike[str] | BinaryIO,
) -> Iterator[tuple[Callable[[str], bytes], list[str], dict[str, Any]]]:
    """A function that reads a member, the members' names, and the manifest of an open model file."""
    if not isinstance(path, (str, os.PathLike)):
        yield from _open_zip(path)
        return
    with open(path, "rb") as file:
        try:
            yield from _open_zip(file)
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(path)}: {error}") from error


def _open_zip(file: BinaryIO) -> Iterator[tuple[Callable[[str], bytes], list[str], dict[str, Any]]]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    _refuse_other_formats(file.read(8), size)
    with _zip_errors():
        archive = zipfile.ZipFile(file)
    with archive:
        names = _checked_directory(archive, size)

        def read(name: str) -> bytes:
            with _zip_errors(f"member {name}: "):
                return archive.read(name)

        yield read, names, _checked_manifest(_parse_json(read("manifest.json"), "manifest.json"))


@contextmanager
def _zip_errors(what: str = "") -> Iterator[None]:
    try:
        yield
    except ModelFileError:
        raise
    except _ZIP_ERRORS as error:
        raise ModelFileError(f"{what}the zip is damaged or truncated ({error})") from error


def _refuse_other_formats(head: bytes, size: int) -> None:
    if head.startswith(b"PK\x03\x04"):
        return
    if not size:
        raise ModelFileError("the file is empty")
    if head[:1] == b"\x80" or head.startswith(b"\x93NUMPY"):
        raise ModelFileError(
            "this is a pickle or NumPy file, not a tsae model file. Reading a pickle can run any code, so it is not "
            "read here; if you trust it, open it with pickle or joblib and call save(path) on the estimator"
        )
    if head.startswith(b"\x89HDF"):
        raise ModelFileError("this is an HDF5 file, such as Keras writes, not a tsae model file")
    raise ModelFileError("this is not a tsae model file: it is not a zip archive")


def _checked_directory(archive: zipfile.ZipFile, size: int) -> list[str]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise ModelFileError(f"the file has {len(infos)} members; at most {MAX_MEMBERS} are allowed")
    names = [info.filename for info in infos]
    if "manifest.json" not in names or "state.json" not in names:
        raise ModelFileError("this zip is not a tsae model file: it has no manifest.json and state.json")
    for info in infos:
        if info.filename not in ("manifest.json", "state.json") and not _ARRAY_NAME.fullmatch(info.filename):
            raise ModelFileError(f"member {info.filename!r} has no place in a model file")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise ModelFileError(f"member {info.filename} is compressed or encrypted; model files are neither")
        if info.file_size != info.compress_size:
            raise ModelFileError(f"member {info.filename} has two different sizes in the zip's directory")
        if info.filename.endswith(".json") and info.file_size > MAX_JSON_BYTES:
            raise ModelFileError(f"member {info.filename} has {info.file_size} bytes; allowed are {MAX_JSON_BYTES}")
    if len(set(names)) < len(names):
        raise ModelFileError("a member appears twice")
    if sum(info.file_size for info in infos) > size:
        raise ModelFileError("the members claim to be larger than the whole file")
    return names


def _checked_manifest(manifest: Any) -> dict[str, Any]:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelFileError(f"this zip is not a tsae model file: its manifest has not format={FORMAT!r}")
    found = manifest.get("format_version")
    if type(found) is not int or found < 1:
        raise ModelFileError(f"format_version={found!r} is not a version")
    if found > FORMAT_VERSION:
        written_by = manifest["versions"].get("tsae") if isinstance(manifest.get("versions"), dict) else None
        raise ModelFileError(
            f"the file has format version {found}, written by tsae {written_by}; this tsae, {_version('tsae')}, reads "
            f"versions up to {FORMAT_VERSION}. Update tsae to read it"
        )
    for key, kind in {"kind": str, "model_id": str, "created": str, "versions": dict, "summary": dict}.items():
        if not isinstance(manifest.get(key), kind):
            raise ModelFileError(f"the manifest has no {key}, or one of a wrong type")
    return manifest


def _checked_members(names: list[str], manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    members = manifest.get("members")
    if not isinstance(members, dict) or {*members, "manifest.json"} != set(names):
        raise ModelFileError("the members of the file are not those that its manifest lists")
    if set(members) != {"state.json", *(f"arrays/{position}.npy" for position in range(len(members) - 1))}:
        raise ModelFileError("the arrays of the file are not numbered from 0 without a gap")
    for name, entry in members.items():
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or type(entry.get("sha256")) is not str:
            raise ModelFileError(f"the manifest does not give the size and checksum of {name}")
    if manifest["model_id"] != _model_id(members):
        raise ModelFileError("the manifest's model_id does not match its checksums: the file is damaged")
    return members


def _checked(read: Callable[[str], bytes], name: str, members: dict[str, dict[str, Any]]) -> bytes:
    data = read(name)
    if len(data) != members[name]["bytes"] or _sha256(data) != members[name]["sha256"]:
        raise ModelFileError(f"the checksum of {name} does not match: the file is damaged")
    return data


def _parse_json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{name} is not valid JSON ({error})") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _parse_array(data: bytes, name: str) -> np.ndarray:
    """An array from .npy bytes; its size is checked before it is made."""
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ModelFileError(f"{name} is not a .npy array of version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(buffer)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, struct.error) as error:
        raise ModelFileError(f"{name} is not a .npy array ({error})") from error
    if dtype.hasobject or dtype.fields or dtype.subdtype or dtype.kind not in _ARRAY_KINDS:
        raise ModelFileError(f"{name} holds {dtype}: objects, which would have to be unpickled, are not read")
    if fortran_order or len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise ModelFileError(f"{name} has a layout or shape {shape} that is not allowed")
    rest = data[buffer.tell() :]
    if dtype.itemsize * math.prod(shape) != len(rest) or not dtype.itemsize:
        raise ModelFileError(f"{name} should hold {dtype} of shape {shape}, but has {len(rest)} bytes")
    try:
        return np.frombuffer(rest, dtype).reshape(shape).copy()
    except ValueError as error:  # such as an empty array of absurd width
        raise ModelFileError(f"{name} has a shape {shape} that is not allowed") from error
