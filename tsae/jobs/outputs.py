"""Checks of files to be written, before the work whose result they are to hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tsae.jobs.errors import JobError
from tsae.jobs.parts import Part
from tsae.jobs.stores import is_address
from tsae.jobs.table_files import import_parquet


def check_target(path: Path, what: str, *, overwrite: bool = True) -> None:
    """Refuse a file that cannot be written, or that exists and must not be replaced.

    Parameters
    ----------
    path : Path
    what : str
        How errors call the file, such as "the model".
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    JobError
    """
    if is_address(path.as_posix()):
        raise JobError(f"{what} {path} is an address; it is written to a file")
    if path.is_dir():
        raise JobError(f"{what} {path} is a directory; name a file")
    if path.exists() and not overwrite:
        raise JobError(f"{what} {path} exists; use --overwrite to replace it, or choose another name")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise JobError(f"{what} {path} cannot be written: {folder} is not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise JobError(f"{what} {path} cannot be written: no permission to write to {folder}")


def check_table_target(path: Path, parts: Sequence[Part], *, overwrite: bool) -> None:
    """Refuse a file of results that is no table, cannot be written, or would replace one that is read.

    Raises
    ------
    JobError
    """
    if path.suffix not in (".csv", ".parquet"):
        raise JobError(f"the output {path} is no .csv or .parquet file; name one")
    check_target(path, "the output", overwrite=overwrite)
    if path.suffix == ".parquet":
        import_parquet()
    check_not_input(path, "the output", parts)


def check_not_input(path: Path, what: str, parts: Sequence[Part]) -> None:
    """Refuse a file to write that is one of those to read.

    Raises
    ------
    JobError
    """
    local = [part.path for part in parts if isinstance(part.path, Path)] if path.exists() else []
    if any(part.samefile(path) for part in local):
        raise JobError(f"{what} {path} would replace the input")
