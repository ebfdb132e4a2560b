"""The data sets of the package, and the copies of them in `sample_data/`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsae.datasets import PUMP_SENSORS, load_pump_faults, load_pumps, load_sea_surface_temperature

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(scope="module")
def pumps():
    return load_pumps()


def assert_same(made, kept):
    """Compare tables; the last decimal may differ where a processor rounds another way."""
    assert list(kept.columns) == list(made.columns)
    for name in kept:
        if kept[name].dtype.kind == "f":
            np.testing.assert_allclose(made[name], kept[name], atol=0.11 if name == "speed" else 0.011)
        else:
            assert (made[name] == kept[name]).all(), name


def test_the_files_that_are_kept_hold_the_same(pumps):
    machines = SAMPLE_DATA / "machines"
    assert_same(pumps, pd.read_csv(machines / "machines.csv", parse_dates=["time"]))
    assert_same(load_pump_faults(), pd.read_csv(machines / "faults.csv", parse_dates=["start", "end"]))
    series = SAMPLE_DATA / "sea_surface_temperature" / "sea_surface_temperature.csv"
    assert_same(load_sea_surface_temperature(), pd.read_csv(series, parse_dates=["time"]))


def test_faults_and_labels_agree(pumps):
    faults = load_pump_faults()
    listed = np.zeros(len(pumps), dtype=bool)
    for fault in faults.itertuples():
        at = (pumps["machine"] == fault.machine) & pumps["time"].between(fault.start, fault.end)
        assert not listed[at].any()
        listed |= at
    assert (listed == (pumps["fault"] == 1)).all()
    assert (pumps.loc[listed, "time"] >= "2024-01-22").all()
    assert faults["kind"].nunique() == 6
    assert pumps[PUMP_SENSORS].notna().all(axis=None)


def test_the_measured_series_is_complete():
    series = load_sea_surface_temperature()
    assert len(series) == 61 * 12
    assert (series["time"] == pd.date_range("1950-01-01", periods=len(series), freq="MS")).all()
    assert series["temperature"].between(15, 30).all()


def test_the_sample_data_stay_small():
    assert sum(file.stat().st_size for file in SAMPLE_DATA.rglob("*") if file.is_file()) < 3_000_000
