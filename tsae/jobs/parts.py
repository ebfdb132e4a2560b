"""Which files make up a data set, and in what order."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsae.jobs.errors import JobError
from tsae.jobs.logs import log_event

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
KINDS = ".csv (also .csv.gz, .csv.zst) or .parquet file"


@dataclass(frozen=True)
class Part:
    """A file of a data set; `name` is its path within the data set, with forward slashes."""

    path: Path
    name: str

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
        ``**`` stands for any subdirectories. Other files are named in a warning.

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
    if path.is_dir():
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


def checksum(path: Path) -> dict[str, Any]:
    """Compute the size in bytes and the SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
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
    for names, what in ((dead, "links to files that are not there"), (others, f"no {KINDS}")):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            log_event(
                f"warning: passed over in {root}, {what}: {shown}", level=logging.WARNING, event="warning",
                passed_over=sorted(names),
            )  # fmt: skip
    return found
