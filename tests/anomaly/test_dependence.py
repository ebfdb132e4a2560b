"""Block lengths against processes whose autocorrelation time is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomaly.series import autoregression
from tsae.anomaly.dependence import estimate_block_length


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_block_length_of_an_autoregression(coefficient):
    path = autoregression(np.random.default_rng(10), 50_000, coefficient)
    exact = (1 + coefficient) / (1 - coefficient)
    assert estimate_block_length(path) == pytest.approx(exact, rel=0.15, abs=0.5)


def test_block_length_does_not_look_across_series_and_skips_gaps():
    rng = np.random.default_rng(11)
    levels = np.repeat(rng.normal(size=2000), 10)  # ten equal scores, then ten others
    assert 8 <= estimate_block_length(levels) <= 12
    assert estimate_block_length(levels, series=np.arange(levels.size)) == 1
    path = autoregression(rng, 20_000)
    gappy = np.where(rng.random(path.size) < 0.3, np.nan, path)
    assert 0.8 * estimate_block_length(path) <= estimate_block_length(gappy) <= 1.2 * estimate_block_length(path)


def test_block_length_of_little_or_constant_data():
    assert estimate_block_length([]) == 1
    assert estimate_block_length([np.nan, 3.0]) == 1
    assert estimate_block_length(np.ones(50)) == 1
    assert 1 <= estimate_block_length(np.arange(10.0)) <= 10
    with pytest.raises(ValueError, match="one entry for each of the 3 scores"):
        estimate_block_length([1.0, 2.0, 3.0], series=[0, 1])
