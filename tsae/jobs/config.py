"""Configuration files: TOML, one table per command, keys named like the options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tsae.jobs.errors import JobError


def read_config(path: Path, command: str, known: set[str]) -> dict[str, Any]:
    r"""Read the options of a command from a configuration file.

    Parameters
    ----------
    path : Path
        A TOML file.
    command : str
        Name of the command, and of the table in the file.
    known : set of str
        Names of its options and arguments, with underscores.

    Returns
    -------
    dict
        Values by name, with underscores.

    Raises
    ------
    JobError
        If the file cannot be read or names an option that the command does not have.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "job.toml")
    ...     _ = path.write_text('[features]\nmodel = "pumps.tsae"\non-error = "skip"')
    ...     read_config(path, "features", {"model", "on_error"})
    {'model': 'pumps.tsae', 'on_error': 'skip'}
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"the configuration {path} cannot be read: {error}") from error
    table = content.get(command, {})
    if not isinstance(table, dict):
        raise JobError(f"{path}: [{command}] must be a table of options")
    values = {key.replace("-", "_"): value for key, value in table.items()}
    unknown = sorted(set(values) - known)
    if unknown:
        raise JobError(f"{path}: [{command}] has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return values
