"""Model files of jobs: an estimator, and how the tables that it was trained on are read.

The reading rides along as an attribute of the estimator, `table_`, in plain values.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.errors import ModelFileError
from tsae.io.archive import read_archive
from tsae.jobs.continuation import Grid
from tsae.jobs.errors import JobError
from tsae.jobs.progress import hushed
from tsae.jobs.tables import Columns


@dataclass(frozen=True)
class Reading:
    """How tables become windows for a model: columns, width, stride and gaps, as in training.

    `max_gap` is text for a duration, a number for times that are numbers, None for no limit.
    """

    columns: Columns
    width: int
    stride: int
    max_gap: str | float | None = None

    @property
    def grid(self) -> Grid:
        gap = self.max_gap
        return Grid(
            self.width, self.stride, np.inf if gap is None else pd.Timedelta(gap) if isinstance(gap, str) else gap
        )

    def with_stride(self, stride: int | None) -> Reading:
        return self if stride is None else replace(self, stride=stride)

    def as_dict(self) -> dict:
        plain = asdict(self)
        plain["columns"]["values"] = list(self.columns.values)
        return plain

    @classmethod
    def from_dict(cls, plain: dict) -> Reading:
        columns = {**plain["columns"], "values": tuple(plain["columns"]["values"])}
        return cls(Columns(**columns), plain["width"], plain["stride"], plain["max_gap"])


@dataclass(frozen=True)
class ModelFile:
    """What a job needs to know of a model file before anything is computed; TensorFlow is not loaded for it."""

    path: Path
    kind: str
    model_id: str
    reading: Reading


def save_model(estimator: Any, reading: Reading, path: Path) -> None:
    """Write a model file for jobs."""
    estimator.table_ = reading.as_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    estimator.save(path)


def open_model(path: Path) -> ModelFile:
    """Check a model file and read what is needed to plan a job."""
    try:
        archive = read_archive(path)
    except FileNotFoundError as error:
        raise JobError(f"there is no model file {path}") from error
    except (ModelFileError, OSError) as error:
        raise JobError(str(error)) from error
    try:
        reading = Reading.from_dict(archive.state["state"]["table_"])
    except (KeyError, TypeError) as error:
        raise JobError(
            f"{path} holds a model, but not how to read tables for it; make the file with 'tsae train', or save the "
            "estimator with tsae.jobs.models.save_model"
        ) from error
    return ModelFile(path, archive.manifest["kind"], archive.manifest["model_id"], reading)


def load_estimator(path: Path) -> Any:
    """The estimator of a model file."""
    import tsae

    load_tensorflow()
    try:
        return tsae.load(path)
    except (ModelFileError, OSError) as error:
        raise JobError(str(error)) from error


def load_tensorflow() -> None:
    """Load TensorFlow without its remarks on build and devices, which no setting of its own keeps quiet."""
    if "tensorflow" not in sys.modules:
        with hushed():
            training = import_module("tsae.networks.training")
            training.shards_for(1 << 20)  # asks for the devices


@lru_cache(maxsize=1)
def estimator_of(path: Path, model_id: str) -> Any:
    """As `load_estimator`, once a process; refuses a file that has changed since the job began."""
    if open_model(path).model_id != model_id:
        raise JobError(f"{path} was replaced while the job was running; start the job again")
    return load_estimator(path)


def autoencoder_of(estimator: Any) -> Any:
    """The fitted autoencoder: the estimator itself, or that of a detector."""
    autoencoder = getattr(estimator, "autoencoder_", estimator)
    if not hasattr(autoencoder, "transform"):
        raise JobError(f"the model is a {type(estimator).__name__}, which makes no features")
    return autoencoder


def export_encoder(path: Path, target: Path, **options: Any) -> None:
    """Write the encoder of a model file as an ONNX graph; `options` as of `tsae.export_onnx`."""
    import tsae

    file = open_model(path)
    try:
        # An autoencoder's file is read without TensorFlow.
        model = path if file.kind == "LSTMAutoencoder" else autoencoder_of(load_estimator(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        tsae.export_onnx(model, target, **options)
    except (ImportError, ModelFileError, ValueError) as error:
        raise JobError(str(error)) from error
