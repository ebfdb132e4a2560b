"""A series and a detector that many tests use as they are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomaly.linear import TwoDecoderAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.detector import AnomalyDetector


@pytest.fixture(scope="session")
def series():
    return waves(np.random.default_rng(0), 3000)


@pytest.fixture(scope="session")
def detector(series):
    return AnomalyDetector(TwoDecoderAutoencoder(8), random_state=0).fit(make_windows(series, 20))
