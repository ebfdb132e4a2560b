"""The sample data as files: what `tsae.datasets` loads, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tsae.jobs.outputs import check_target

if TYPE_CHECKING:
    import pandas as pd


def write_sample_data(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write all sample data as CSV files.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    overwrite : bool, default=False
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        ``pumps.csv``, ``pump_faults.csv`` and ``sea_surface_temperature.csv``.

    Raises
    ------
    JobError
        If a file exists and may not be replaced; then nothing is written.
    """
    from tsae.datasets import load_sea_surface_temperature
    from tsae.datasets.pumps import simulate_pumps

    paths = [folder / f"{name}.csv" for name in ("pumps", "pump_faults", "sea_surface_temperature")]
    for path in paths:
        check_target(path, "the sample data", overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for path, table in zip(paths, (*simulate_pumps(), load_sea_surface_temperature()), strict=True):
        _write(table, path)
    return paths


def write_pumps(path: Path) -> Path:
    """Write the readings of the pumps to a file, which is replaced if it exists."""
    from tsae.datasets import load_pumps

    path.parent.mkdir(parents=True, exist_ok=True)
    _write(load_pumps(), path)
    return path


def _write(table: pd.DataFrame, path: Path) -> None:
    date_format = "%Y-%m-%d" if path.name == "sea_surface_temperature.csv" else "%Y-%m-%d %H:%M"
    table.to_csv(path, index=False, date_format=date_format)
