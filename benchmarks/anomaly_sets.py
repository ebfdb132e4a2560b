"""The sets of `benchmarks.anomalies`: four from installed packages and this project, and files of TSB-AD."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.vus import period
from tsae import Windows, make_windows

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100  # of the univariate sets, and at most of those of TSB-AD
MACHINE_WIDTH = 72  # twelve hours


@dataclass(frozen=True)
class Problem:
    """Windows of normal data to fit on, windows of the series to score, and a label for each of its rows."""

    name: str
    train: Windows
    test: Windows
    labels: np.ndarray
    max_buffer: int = WIDTH
    group: str = "packages"
    causes: list[dict] = field(default_factory=list)  # first and last row of an anomaly, and its channels

    @property
    def width(self) -> int:
        return self.test.width


def package_file(package: str, path: str) -> Path:
    """A data file of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{path} of {package} is needed: pip install --no-deps {package}")
    return Path(spec.submodule_search_locations[0]) / path


def kdd_tsad_135() -> Problem:
    """Blood pressure with one short anomaly (UCR archive); fitted on the packaged normal part."""
    folder = "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_"
    train = pd.read_csv(package_file("aeon", folder + "TRAIN.csv"))
    test = pd.read_csv(package_file("aeon", folder + "TEST.csv"))
    return univariate("KDD-TSAD_135", train["value"], test["value"], test["is_anomaly"])


def ecg_diff_count_3() -> Problem:
    """A synthetic ECG with three anomalies (GutenTAG); fitted on the packaged part without any."""
    folder = "datasets/data/UnitTest/ecg-diff-count-3_"
    train = pd.read_csv(package_file("aeon", folder + "TRAIN_NA.csv"))
    test = pd.read_csv(package_file("aeon", folder + "TEST.csv"))
    return univariate("ecg-diff-count-3", train["value-0"], test["value-0"], test["is_anomaly"])


def mitdb() -> Problem:
    """An ECG with one long arrhythmia (MIT-BIH); fitted on its first quarter."""
    table = pd.read_csv(package_file("sktime", "datasets/data/mitdb/mitdb.csv"))
    return univariate("mitdb", table["data"][: len(table) // 4], table["data"], table["label"])


def univariate(name: str, train: pd.Series, test: pd.Series, labels: pd.Series) -> Problem:
    windows = [make_windows(values.to_numpy(dtype=np.float64), WIDTH) for values in (train, test)]
    return Problem(name, *windows, labels.to_numpy().astype(int))


def machines() -> Problem:
    """Six simulated pumps, five sensors (sample_data/machines): fitted on 21 days without faults, 14 days with."""
    table = pd.read_csv(ROOT / "sample_data" / "machines" / "machines.csv", parse_dates=["time"])
    columns = {
        "id_column": "machine",
        "time_column": "time",
        "value_columns": ["speed", "current", "pressure", "temperature", "vibration"],
    }
    healthy = table["time"] < "2024-01-22"
    train = make_windows(table[healthy], MACHINE_WIDTH, 4, **columns)
    test = make_windows(table[~healthy], MACHINE_WIDTH, **columns)
    return Problem("machines", train, test, table.loc[~healthy, "fault"].to_numpy(), MACHINE_WIDTH)


SETS: dict[str, Callable[[], Problem]] = {
    "KDD-TSAD_135": kdd_tsad_135,
    "ecg-diff-count-3": ecg_diff_count_3,
    "mitdb": mitdb,
    "machines": machines,
}


# -- TSB-AD


def tsb_sets(folder: Path) -> dict[str, Callable[[], Problem]]:
    """The files of a folder in TSB-AD's form, by name; each is read when it is needed."""
    files = sorted(folder.glob("*_tr_*.csv"))
    if not files:
        raise SystemExit(f"{folder} has no file with a name like 001_NAB_id_1_Facility_tr_1007_1st_2014.csv")
    return {path.stem: partial(tsb_set, path) for path in files}


def tsb_set(path: Path) -> Problem:
    """A series of TSB-AD: fitted on its first rows, as the name tells, all of it scored."""
    table = pd.read_csv(path)
    values, labels = table.iloc[:, :-1], table["Label"].to_numpy().astype(int)
    n_train = int(path.stem.split("_tr_")[1].split("_")[0])
    width = min(WIDTH, n_train // 4)
    windows = [make_windows(part.to_numpy(dtype=np.float64), width) for part in (values[:n_train], values)]
    causes = path.with_suffix(".causes.json")
    return Problem(
        path.stem,
        *windows,
        labels,
        max_buffer=period(values.iloc[:, 0].to_numpy()),
        group=path.stem.split("_")[1],
        causes=json.loads(causes.read_text()) if causes.exists() else [],
    )


def file_number(name: str) -> int:
    """The number that the name of a file of TSB-AD begins with."""
    return int(name.split("_")[0])
