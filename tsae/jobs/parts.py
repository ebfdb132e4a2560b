"""Which files make up a data set, and in what order."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tsae.jobs.errors import JobError, listed
from tsae.jobs.logs import log_warning
from tsae.jobs.stores import StoredFile, is_address, list_files, without_secrets

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
KINDS = ".csv (also .csv.gz, .csv.zst) or .parquet file"


@dataclass(frozen=True)
class Part:
    """A file of a data set, local or in a store; `name` is its path within the data set, with forward slashes."""

    path: Path | StoredFile
    name: str

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self.path.bytes if isinstance(self.path, StoredFile) else self.path.stat().st_size

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return stem(self.name)


def list_parts(source: str | os.PathLike[str]) -> list[Part]:
    """List the files of a data set, in natural order of their names: ``part_2`` comes before ``part_10``.

    Parameters
    ----------
    source : path-like
        A .csv, .csv.gz, .csv.zst or .parquet file, a directory (searched with its subdirectories, also linked ones,
        except names that start with a dot or an underscore), or a pattern such as ``"logs/2024-*.csv"``, in which
        ``**`` stands for any subdirectories; or the address of one of these in a store, such as ``s3://bucket/logs``.
        Other files are named in a warning.

    Returns
    -------
    list of Part

    Raises
    ------
    JobError
        If there is no such file, or two files differ in their suffix alone.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("part_10.csv", "part_2.csv", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     print([part.name for part in list_parts(folder)])
    ['part_2.csv', 'part_10.csv']
    """
    source = os.fspath(source)
    if not source.strip():
        raise JobError("the input is empty; name a file, a directory or a pattern ('.' is the current directory)")
    path = Path(source)
    if is_address(source):
        found, what = _stored_tables(source), f"{without_secrets(source)} holds no {KINDS}"
    elif path.is_dir():
        found, what = _tables(_walk(path), path), f"the directory {source} holds no {KINDS}"
    elif path.exists():
        if not _suffix(path.name):
            raise JobError(f"{source} is not a {KINDS}")
        found, what = [Part(path, path.name)], ""
    elif glob.has_magic(source):
        root = Path(os.path.dirname(re.split(r"[*?\[]", source)[0]) or ".")
        files = [Path(file) for file in glob.glob(source, recursive=True)]
        if "**" in source:  # in directories that are linked in a circle, each file once, as in the directory form
            once = set(_walk(root))
            files = [file for file in files if file in once]
        found, what = _tables(files, root), f"no {KINDS} matches {source}"
    elif path.is_symlink():
        raise JobError(f"{source} is a link to a file that is not there")
    else:
        raise JobError(f"there is no file or directory {source}")
    if not found:
        raise JobError(what)
    found.sort(key=lambda part: (natural_key(part.stem), part.name))
    for one, other in zip(found, found[1:], strict=False):
        if one.stem == other.stem:
            raise JobError(f"{one.name} and {other.name} would give output files of the same name; rename one of them")
    return found


def natural_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key that orders numbers within names by value."""
    return [(int(run), "") if run.isdigit() else (-1, run) for run in re.split(r"(\d+)", text)]


def checksum(path: Path | StoredFile) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file; of one in a store the tag of its content, if it has one."""
    if isinstance(path, StoredFile) and path.tag:
        return {"bytes": path.bytes, "sha256": f"tag:{path.tag}"}
    digest, size = hashlib.sha256(), 0
    with path.open() if isinstance(path, StoredFile) else open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


def stem(name: str) -> str:
    """Return the name of a table without its suffix, also that of its compression."""
    return name[: len(name) - len(_suffix(name))]


def _suffix(name: str) -> str:
    """Return the suffix of a table, as written; empty for other files."""
    return next((name[-len(suffix) :] for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def _walk(root: Path) -> Iterator[Path]:
    """Give all files below a directory, with those of linked directories; no directory twice within itself."""
    for folder, folders, names in os.walk(root, followlinks=True):
        above = {os.path.realpath(step) for step in [Path(folder), *Path(folder).parents] if _is_within(step, root)}
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(folder, name)) not in above]
        yield from (Path(folder, name) for name in names)


def _is_within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def _stored_tables(address: str) -> list[Part]:
    """Return the tables among the files of a store that are not hidden; warn of the others."""
    files = list_files(address)
    shown, is_pattern = str(StoredFile(address, 0).path), any(mark in address for mark in "*?[")
    root = (
        PurePosixPath(re.split(r"[*?\[]", shown)[0].rpartition("/")[0] or "/") if is_pattern else PurePosixPath(shown)
    )
    found, others = [], []
    for file in files:
        name = file.name if file.path == root else file.path.relative_to(root).as_posix()
        if any(step.startswith((".", "_")) for step in name.split("/")):
            continue
        if _suffix(name):
            found.append(Part(file, name))
        else:
            others.append(name)
    _warn_of_others(without_secrets(address), others, f"no {KINDS}")
    return found


def _tables(files: Iterable[Path], root: Path) -> list[Part]:
    """Return the tables among files that are not hidden; warn of the others."""
    found, others, dead = [], [], []
    for file in files:
        name = file.relative_to(root).as_posix()
        if file.is_dir() or any(step.startswith((".", "_")) for step in file.relative_to(root).parts):
            continue
        if not file.exists():
            dead.append(name)
        elif _suffix(name) and file.is_file():
            found.append(Part(file, name))
        else:
            others.append(name)
    _warn_of_others(root, dead, "links to files that are not there")
    _warn_of_others(root, others, f"no {KINDS}")
    return found


def _warn_of_others(root: Path | str, names: list[str], what: str) -> None:
    """Name files that are passed over, if there are any."""
    if names:
        log_warning(f"passed over in {root}, {what}: {listed(sorted(names), quoted=False)}", passed_over=sorted(names))
