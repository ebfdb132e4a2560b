"""Checks of files to be written, before the work whose result they are to hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tsae.jobs.errors import JobError
from tsae.jobs.parts import Part
from tsae.jobs.places import Place, StoredPath
from tsae.jobs.stores import StoredFile, is_address, without_secrets
from tsae.jobs.table_files import import_parquet


def check_output(output: Place, source: str, parts: Sequence[Part]) -> None:
    """Refuse a folder for results that is a file, and one within the input or around it.

    Raises
    ------
    JobError
    """
    if isinstance(output, StoredPath):
        is_file, address = output.exists(), f"{output}/"
        inputs = [part.path.address for part in parts if isinstance(part.path, StoredFile)]
        is_within = any(f"{each}/".startswith(address) for each in [*inputs, source]) or address.startswith(
            f"{source.rstrip('/')}/"
        )
    else:
        is_file, resolved, folder = output.exists() and not output.is_dir(), output.resolve(), Path(source)
        is_within = any(resolved in part.path.resolve().parents for part in parts if isinstance(part.path, Path)) or (
            folder.is_dir() and folder.resolve() in [resolved, *resolved.parents]
        )
    if is_file:
        raise JobError(f"the output {output} is a file; name a directory")
    if is_within:
        raise JobError(f"the output {output} and the input {without_secrets(source)} lie within each other")


def check_target(path: Place, what: str, *, overwrite: bool = True) -> None:
    """Refuse a file that cannot be written, or that exists and must not be replaced.

    Parameters
    ----------
    path : Path or StoredPath
    what : str
        How errors call the file, such as "the model".
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    JobError
    """
    if isinstance(path, StoredPath):
        if not overwrite and path.exists():
            raise JobError(f"{what} {path} exists; use --overwrite to replace it, or choose another name")
        path.check_writable(what)
        return
    if is_address(path.as_posix()):
        raise JobError(f"{what} goes to a local file, not to an address in a store; write it to a file, and copy it")
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


def check_table_target(path: Place, parts: Sequence[Part], *, overwrite: bool) -> None:
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


def check_not_input(path: Place, what: str, parts: Sequence[Part]) -> None:
    """Refuse a file to write that is one of those to read.

    Raises
    ------
    JobError
    """
    if isinstance(path, StoredPath):
        if path.address in [part.path.address for part in parts if isinstance(part.path, StoredFile)]:
            raise JobError(f"{what} {path} would replace the input")
        return
    local = [part.path for part in parts if isinstance(part.path, Path)] if path.exists() else []
    if any(part.samefile(path) for part in local):
        raise JobError(f"{what} {path} would replace the input")
