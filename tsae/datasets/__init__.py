"""Small data sets that come with the package: nothing is downloaded.

`load_pumps` and `load_pump_faults` simulate their tables, `load_sea_surface_temperature` reads a measured series.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PUMP_SENSORS", "load_pump_faults", "load_pumps", "load_sea_surface_temperature"]

PUMP_SENSORS = ["speed", "current", "pressure", "temperature", "vibration"]
"""The columns of `load_pumps` that are measured: pass them as ``value_columns``."""


def load_pumps() -> pd.DataFrame:
    """Simulate six pumps of a waterworks: five sensors, five weeks at ten-minute steps, labelled faults.

    The first 21 days of every pump are free of faults; the last 14 days hold four faults per pump, listed by
    `load_pump_faults`. Drawn from one seed: the table is the same at every call.

    Returns
    -------
    DataFrame of shape (30240, 9)
        One row per pump and timestamp: `machine` (``pump_1`` to ``pump_6``), `time`, `speed` (rpm), `current` (A),
        `pressure` (bar), `temperature` (degrees C), `vibration` (mm/s RMS), `regime` (steady, cycling, filling or
        draining) and `fault` (1 while a fault lasts, otherwise 0).

    Examples
    --------
    >>> from tsae import make_windows
    >>> pumps = load_pumps()
    >>> make_windows(pumps, 48, 24, id_column="machine", time_column="time", value_columns=PUMP_SENSORS).shape
    (1254, 48, 5)
    """
    from tsae.datasets.pumps import simulate_pumps

    return simulate_pumps()[0]


def load_pump_faults() -> pd.DataFrame:
    """List the faults of the simulated pumps.

    Returns
    -------
    DataFrame of shape (24, 4)
        One row per fault: `machine`, `start` and `end` (first and last timestamp) and `kind`.

    Examples
    --------
    >>> load_pump_faults()["kind"].nunique()
    6
    """
    from tsae.datasets.pumps import simulate_pumps

    return simulate_pumps()[1]


def load_sea_surface_temperature() -> pd.DataFrame:
    """Read the monthly sea surface temperature off Peru and Ecuador, 1950 to 2010.

    Measured by the National Oceanic and Atmospheric Administration of the United States (ERSST.V3B, region Nino 1+2);
    in the public domain. A yearly cycle with rare large departures, such as the El Nino events of 1982-83 and 1997-98.

    Returns
    -------
    DataFrame of shape (732, 2)
        `time` (first day of the month) and `temperature` (degrees C); nothing is missing.

    Examples
    --------
    >>> load_sea_surface_temperature().head(2)
            time  temperature
    0 1950-01-01        23.11
    1 1950-02-01        24.20
    """
    import pandas as pd

    with files("tsae.datasets").joinpath("sea_surface_temperature.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, parse_dates=["time"])
