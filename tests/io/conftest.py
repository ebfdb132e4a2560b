"""An estimator with missing values, and its model file."""

from __future__ import annotations

import numpy as np
import pytest

from tsae import LSTMAutoencoder


@pytest.fixture(scope="session")
def X():
    rng = np.random.default_rng(0)
    X = np.sin(np.linspace(0, 60, 30 * 16)).reshape(30, 16, 1) * [1, 30] + [0, 500] + rng.normal(size=(30, 16, 2))
    X[3, 4:7, 1] = np.nan
    return X


@pytest.fixture(scope="session")
def model(X):
    return LSTMAutoencoder(units=(3, 2), epochs=2, validation_fraction=0.2, random_state=0).fit(X)


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tsae"
    model.save(path)
    return path.read_bytes()
