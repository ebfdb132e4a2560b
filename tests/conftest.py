"""Fitted models that several test files read, trained once in a session.

Tests must leave them as they are: no `fit`, `partial_fit` or `set_params`; a test that changes a model fits its own.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from tsae import AnomalyDetector, LSTMAutoencoder, Windows, make_windows


@pytest.fixture
def loggers_as_before():
    """Leave the loggers that the command and the pipelines set up as they were."""
    changed = [logging.getLogger(name) for name in ("tsae", "tensorflow")]
    kept = [(logger.handlers[:], logger.level, logger.propagate) for logger in changed]
    yield
    for logger, (handlers, level, propagate) in zip(changed, kept, strict=True):
        logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


@pytest.fixture(scope="session")
def plant_windows() -> Windows:
    """All windows of 12 hourly rows of two channels, `load` and `heat`, with a fault in the load at rows 950-959."""
    steps = np.arange(1000)
    frame = pd.DataFrame(
        {"load": np.sin(steps / 4), "heat": np.cos(steps / 7)}, index=pd.date_range("2024", periods=1000, freq="h")
    )
    frame.iloc[950:960, 0] += 5
    return make_windows(frame, 12)


@pytest.fixture(scope="session")
def fitted_detector(plant_windows) -> AnomalyDetector:
    """A small detector, fitted on the windows of `plant_windows` before the fault."""
    network = LSTMAutoencoder(units=4, bidirectional=False, epochs=2, validation_fraction=0.2, random_state=0)
    return AnomalyDetector(network, alpha=0.05, random_state=0).fit(plant_windows[:900])


@pytest.fixture(scope="session")
def fitted_autoencoder(fitted_detector) -> LSTMAutoencoder:
    """The autoencoder of `fitted_detector`."""
    return fitted_detector.autoencoder_


@pytest.fixture(scope="session")
def autoencoder_path(fitted_autoencoder, tmp_path_factory):
    """The model file of `fitted_autoencoder`."""
    path = tmp_path_factory.mktemp("models") / "autoencoder.tsae"
    fitted_autoencoder.save(path)
    return path


@pytest.fixture(scope="session")
def detector_path(fitted_detector, tmp_path_factory):
    """The model file of `fitted_detector`."""
    path = tmp_path_factory.mktemp("models") / "detector.tsae"
    fitted_detector.save(path)
    return path
