"""Windows and a detector that many tests use as they are."""

from __future__ import annotations

import pytest

from tests.onnx.graphs import WIDTH, waves
from tsae import export_onnx, make_windows


@pytest.fixture(scope="session")
def training():
    return make_windows(waves(2400), WIDTH, 2)


@pytest.fixture(scope="session")
def plant(plant_windows, fitted_detector, tmp_path_factory):
    """Windows with a fault, a detector and its ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "faults.onnx"
    export_onnx(fitted_detector, path)
    return plant_windows[900:], fitted_detector, path
