"""Which files make up a data set, and in what order."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsae.jobs.errors import JobError

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Part:
    """A file of a data set; `name` is its path within the data set, with forward slashes."""

    path: Path
    name: str

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rsplit(".", 1)[0]


def list_parts(source: str | os.PathLike[str]) -> list[Part]:
    """List the files of a data set, in natural order of their names: ``part_2`` comes before ``part_10``.

    Parameters
    ----------
    source : path-like
        A .csv or .parquet file, a directory (searched with its subdirectories, except names that start with a dot or
        an underscore), or a pattern such as ``"logs/2024-*.csv"``.

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
    path = Path(source)
    if path.is_dir():
        found = [Part(file, file.relative_to(path).as_posix()) for file in path.rglob("*") if _is_table(file, path)]
        what = f"the directory {source} holds no .csv or .parquet file"
    elif path.exists():
        if path.suffix.lower() not in SUFFIXES:
            raise JobError(f"{source} is neither a .csv nor a .parquet file")
        found, what = [Part(path, path.name)], ""
    elif glob.has_magic(source):
        root = Path(os.path.dirname(re.split(r"[*?\[]", source)[0]) or ".")
        files = [Path(file) for file in glob.glob(source, recursive=True)]
        found = [Part(file, file.relative_to(root).as_posix()) for file in files if _is_table(file, root)]
        what = f"no .csv or .parquet file matches {source}"
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


def checksum(path: Path) -> dict[str, Any]:
    """Compute the size in bytes and the SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _is_table(file: Path, root: Path) -> bool:
    hidden = any(step.startswith((".", "_")) for step in file.relative_to(root).parts)
    return not hidden and file.suffix.lower() in SUFFIXES and file.is_file()
