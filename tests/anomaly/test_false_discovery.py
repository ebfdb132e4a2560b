"""Benjamini and Hochberg: the rule of the paper, and the rate that it promises."""

from __future__ import annotations

import numpy as np
import pytest

from tsae.anomaly.false_discovery import benjamini_hochberg
from tsae.anomaly.thresholds import ConformalThreshold


def naive_benjamini_hochberg(p, alpha):
    """The step-up rule as in the paper: the largest k with p_(k) <= k alpha / m, and all below."""
    order = np.argsort(p)
    passing = [k for k in range(1, len(p) + 1) if p[order[k - 1]] <= k * alpha / len(p)]
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: max(passing, default=0)]] = True
    return rejected


def test_benjamini_hochberg_is_the_step_up_rule():
    rng = np.random.default_rng(9)
    for _ in range(50):
        p = rng.beta(0.4, 1, size=30)
        np.testing.assert_array_equal(benjamini_hochberg(p) <= 0.1, naive_benjamini_hochberg(p, 0.1))


def test_benjamini_hochberg_holds_the_false_discovery_rate_of_conformal_pvalues():
    shares = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        new = np.r_[rng.normal(size=90), rng.normal(4, 1, size=10)]
        rejected = benjamini_hochberg(ConformalThreshold().fit(rng.normal(size=1000)).pvalues(new)) <= 0.1
        shares.append(rejected[:90].sum() / max(rejected.sum(), 1))
    assert 0.04 < np.mean(shares) < 0.12  # the promise is 0.1 * 90 / 100


def test_benjamini_hochberg_input():
    np.testing.assert_array_equal(benjamini_hochberg([np.nan, 0.5]), [np.nan, 0.5])
    assert benjamini_hochberg([]).shape == (0,)
    with pytest.raises(ValueError, match="got 1.5 at position 1"):
        benjamini_hochberg([0.1, 1.5])
