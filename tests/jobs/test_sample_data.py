import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
MACHINES = SAMPLE_DATA / "machines"


def load_script():
    spec = importlib.util.spec_from_file_location("make_machines", MACHINES / "make_machines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_files_that_are_kept():
    readings, faults = load_script().make_machines()
    kept = pd.read_csv(MACHINES / "machines.csv", parse_dates=["time"])
    assert list(kept.columns) == list(readings.columns)
    for name in kept:
        if kept[name].dtype.kind == "f":  # the last decimal may differ where a processor rounds another way
            np.testing.assert_allclose(readings[name], kept[name], atol=0.11 if name == "speed" else 0.011)
        else:
            assert (readings[name] == kept[name]).all(), name
    kept_faults = pd.read_csv(MACHINES / "faults.csv", parse_dates=["start", "end"])
    assert (kept_faults == faults).all(axis=None)


def test_faults_and_labels_agree():
    readings = pd.read_csv(MACHINES / "machines.csv", parse_dates=["time"])
    faults = pd.read_csv(MACHINES / "faults.csv", parse_dates=["start", "end"])
    listed = np.zeros(len(readings), dtype=bool)
    for fault in faults.itertuples():
        at = (readings["machine"] == fault.machine) & readings["time"].between(fault.start, fault.end)
        assert not listed[at].any()
        listed |= at
    assert (listed == (readings["fault"] == 1)).all()
    assert (readings.loc[listed, "time"] >= "2024-01-22").all()
    assert faults["kind"].nunique() == 6


def test_the_measured_series_is_complete():
    series = pd.read_csv(SAMPLE_DATA / "sea_surface_temperature" / "sea_surface_temperature.csv", parse_dates=["time"])
    assert len(series) == 61 * 12
    assert (series["time"] == pd.date_range("1950-01-01", periods=len(series), freq="MS")).all()
    assert series["temperature"].between(15, 30).all()


def test_the_sample_data_stay_small():
    assert sum(file.stat().st_size for file in SAMPLE_DATA.rglob("*") if file.is_file()) < 3_000_000
