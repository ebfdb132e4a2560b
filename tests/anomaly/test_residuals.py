"""Errors of windows."""

from __future__ import annotations

import numpy as np
import pytest

from tsae.anomaly.residuals import smooth_steps


def test_smoothing_is_the_mean_of_the_nearest_steps():
    rng = np.random.default_rng(5)
    errors = rng.exponential(size=(4, 12, 2, 3))
    errors[rng.random(errors.shape) < 0.2] = np.nan
    smooth = smooth_steps(errors, 5)
    for place in np.ndindex(*errors.shape):
        n, t, d, c = place
        near = errors[n, max(t - 2, 0) : t + 3, d, c]
        expected = np.nan if np.isnan(errors[place]) else np.nanmean(near)
        assert smooth[place] == pytest.approx(expected, nan_ok=True)
