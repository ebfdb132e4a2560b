"""Calibrators: exact rates where theory promises them, refusals where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, genpareto

from tsae.anomaly.thresholds import (
    MIN_PEAKS,
    ConformalThreshold,
    PeaksOverThreshold,
    QuantileThreshold,
    benjamini_hochberg,
    block_length,
    check_alpha,
    make_threshold,
)

KINDS = ["conformal", "quantile", "pot"]


def autoregression(rng, n, coefficient=0.9):
    """A stationary AR(1) path, written out."""
    noise = rng.normal(size=n)
    path = np.empty(n)
    path[0] = noise[0] / np.sqrt(1 - coefficient**2)
    for i in range(1, n):
        path[i] = coefficient * path[i - 1] + noise[i]
    return path


def moving_mean(values, width):
    return np.convolve(values, np.ones(width) / width, "valid")


# ---------------------------------------------------------------------------------------------- the formulas


@pytest.mark.parametrize("block", [1, 3])
def test_conformal_pvalues_are_the_counted_ones(block):
    rng = np.random.default_rng(0)
    normal = np.round(rng.normal(size=200), 1)  # with ties
    scores = np.round(rng.normal(size=50), 1)
    p = ConformalThreshold(block).fit(normal).pvalues(scores)
    expected = [(block + sum(s >= score for s in normal)) / (block + 200) for score in scores]
    np.testing.assert_allclose(p, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("block", [1, 5])
def test_above_the_threshold_and_small_pvalue_are_the_same_thing(kind, alpha, block):
    rng = np.random.default_rng(1)
    calibrator = make_threshold(kind, block=block).fit(rng.exponential(size=1000))
    scores = np.r_[rng.exponential(size=500), calibrator.scores_]
    flagged = scores > calibrator.threshold(alpha)
    np.testing.assert_array_equal(flagged, calibrator.pvalues(scores) <= alpha)
    assert flagged.any()


@pytest.mark.parametrize("kind", KINDS)
def test_pvalues_fall_as_scores_rise_and_stay_in_the_unit_interval(kind):
    rng = np.random.default_rng(2)
    calibrator = make_threshold(kind).fit(rng.normal(size=400))
    p = calibrator.pvalues(np.linspace(-10, 10, 1001))
    assert (np.diff(p) <= 1e-12).all()
    assert p.min() >= 0
    assert p.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_unknown_in_and_out(kind):
    rng = np.random.default_rng(3)
    normal = rng.normal(size=400)
    with_gaps = np.insert(normal, [0, 10, 400], np.nan)
    p = make_threshold(kind).fit(with_gaps).pvalues([np.nan, 1.0])
    assert np.isnan(p[0])
    assert p[1] == make_threshold(kind).fit(normal).pvalues([1.0])[0]


def test_the_pareto_fit_recovers_a_pareto_tail():
    scores = genpareto.rvs(0.2, scale=3.0, size=200_000, random_state=0)
    calibrator = PeaksOverThreshold().fit(scores)
    # The excess over a level u of a GPD(xi, sigma) is GPD(xi, sigma + xi u).
    assert calibrator.shape_ == pytest.approx(0.2, abs=0.03)
    assert calibrator.scale_ == pytest.approx(3.0 + 0.2 * calibrator.level_, rel=0.05)
    exact = genpareto.isf(1e-4, 0.2, scale=3.0)
    assert calibrator.threshold(1e-4) == pytest.approx(exact, rel=0.1)
    assert calibrator.pvalues([exact])[0] == pytest.approx(1e-4, rel=0.25)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_pareto_fit_does_not_depend_on_the_unit(unit):
    scores = np.random.default_rng(4).exponential(size=1000)
    p = PeaksOverThreshold().fit(scores).pvalues(scores)
    np.testing.assert_allclose(PeaksOverThreshold().fit(scores * unit).pvalues(scores * unit), p, rtol=1e-6)


def test_pot_refuses_to_guess_a_tail_from_few_scores():
    calibrator = PeaksOverThreshold().fit(np.arange(50.0))
    for ask in (lambda: calibrator.pvalues([1.0]), lambda: calibrator.threshold(0.01)):
        with pytest.raises(ValueError, match="needs at least 200 held-out normal scores.*there are 50"):
            ask()


def test_pot_answers_for_an_alpha_that_the_others_must_refuse():
    scores = np.random.default_rng(5).exponential(size=500)
    threshold = PeaksOverThreshold().fit(scores).threshold(1e-5)
    assert scores.max() < threshold < 40
    for kind in ("conformal", "quantile"):
        with pytest.raises(ValueError, match="needs at least"):
            make_threshold(kind).fit(scores).threshold(1e-5)


# ------------------------------------------------------------------------------------------ false alarm rates


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_rate_on_independent_scores_is_within_the_binomial_interval(kind, alpha):
    rng = np.random.default_rng(6)
    calibrator = make_threshold(kind).fit(rng.chisquare(3, size=50_000))
    false_alarms = (calibrator.pvalues(rng.chisquare(3, size=5000)) <= alpha).sum()
    low, high = binom.interval(0.99, 5000, alpha)
    assert low <= false_alarms <= high


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_conformal_rate_is_exact_for_small_calibration_sets_too(alpha):
    # One new score a calibration set of 99: the promise is about this average.
    rng = np.random.default_rng(7)
    scores = rng.exponential(size=(20_000, 100))
    false_alarms = sum(ConformalThreshold().fit(s[:99]).pvalues(s[99:])[0] <= alpha for s in scores[:4000])
    low, high = binom.interval(0.99, 4000, alpha)
    assert low <= false_alarms <= high


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_rate_on_overlapping_windows_of_autocorrelated_series_is_within_a_factor_of_two(kind, alpha):
    rates = []
    for seed in range(100):
        path = autoregression(np.random.default_rng(seed), 9000) ** 2
        scores = moving_mean(path, 16)  # as of windows of 16 steps at stride 1
        normal, new = scores[:6000], scores[6100:]
        calibrator = make_threshold(kind, block=block_length(normal)).fit(normal)
        rates.append((calibrator.pvalues(new) <= alpha).mean())
    assert alpha / 2 <= np.mean(rates) <= alpha * 2


def test_without_blocks_few_dependent_scores_cry_wolf():
    """The reason for ``block``: 40 effective scores cannot hold alpha = 0.01, whatever their number."""
    plain, blocked = [], []
    for seed in range(200):
        scores = moving_mean(np.random.default_rng(seed).exponential(size=3000), 50)
        normal, new = scores[:1000], scores[1100:]
        plain.append((ConformalThreshold().fit(normal).pvalues(new) <= 0.01).mean())
        blocked.append((ConformalThreshold(50).fit(normal).pvalues(new) <= 0.01).mean())
    assert np.mean(plain) > 0.02
    assert np.mean(blocked) <= 0.01


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("kind", "block", "alpha", "needed"),
    [
        ("conformal", 1, 0.01, 99),
        ("conformal", 1, 0.05, 19),
        ("conformal", 10, 0.01, 990),
        ("quantile", 1, 0.01, 100),
        ("quantile", 4, 0.05, 80),
        ("pot", 1, 1e-6, 10 * MIN_PEAKS),
    ],
)
def test_too_few_scores_is_an_error_that_says_how_many_are_needed(kind, block, alpha, needed):
    scores = np.random.default_rng(8).exponential(size=needed)
    assert make_threshold(kind, block=block).required(alpha) == needed
    make_threshold(kind, block=block).fit(scores).threshold(alpha)  # just enough
    with pytest.raises(ValueError, match=rf"at least {needed} held-out .*there are {needed - 1}"):
        make_threshold(kind, block=block).fit(scores[1:]).threshold(alpha)


@pytest.mark.parametrize("kind", ["conformal", "quantile"])
def test_the_smallest_alpha_is_the_one_that_is_just_granted(kind):
    calibrator = make_threshold(kind, block=3).fit(np.arange(100.0))
    smallest = calibrator.smallest_alpha_
    calibrator.threshold(smallest)
    with pytest.raises(ValueError, match="needs at least"):
        calibrator.threshold(smallest * 0.99)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan"), "0.1", None, True])
def test_alpha_outside_the_unit_interval(alpha):
    with pytest.raises(ValueError, match=r"alpha must be a number in \(0, 1\)"):
        check_alpha(alpha)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="threshold must be one of 'conformal', 'quantile', 'pot'; got 'magic'"):
        make_threshold("magic")
    for block in (0, 1.5, True):
        with pytest.raises(ValueError, match="block must be an integer >= 1"):
            ConformalThreshold(block)
    with pytest.raises(ValueError, match="tail must be in"):
        PeaksOverThreshold(tail=0.9)
    for calibrator in (ConformalThreshold(), QuantileThreshold(), PeaksOverThreshold()):
        with pytest.raises(ValueError, match="no value to calibrate on"):
            calibrator.fit([np.nan])
        with pytest.raises(ValueError, match="inf at position 1"):
            calibrator.fit([1.0, np.inf])
        with pytest.raises(ValueError, match="one-dimensional"):
            calibrator.fit([[1.0]])
    with pytest.raises(ValueError, match="ties"):
        PeaksOverThreshold().fit(np.ones(1000))


# ----------------------------------------------------------------------------------------- Benjamini-Hochberg


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


# ----------------------------------------------------------------------------------------------- block length


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_block_length_of_an_autoregression(coefficient):
    path = autoregression(np.random.default_rng(10), 50_000, coefficient)
    exact = (1 + coefficient) / (1 - coefficient)
    assert block_length(path) == pytest.approx(exact, rel=0.15, abs=0.5)


def test_block_length_does_not_look_across_series_and_skips_gaps():
    rng = np.random.default_rng(11)
    levels = np.repeat(rng.normal(size=2000), 10)  # ten equal scores, then ten others
    assert 8 <= block_length(levels) <= 12
    assert block_length(levels, series=np.arange(levels.size)) == 1
    path = autoregression(rng, 20_000)
    gappy = np.where(rng.random(path.size) < 0.3, np.nan, path)
    assert 0.8 * block_length(path) <= block_length(gappy) <= 1.2 * block_length(path)


def test_block_length_of_little_or_constant_data():
    assert block_length([]) == 1
    assert block_length([np.nan, 3.0]) == 1
    assert block_length(np.ones(50)) == 1
    assert 1 <= block_length(np.arange(10.0)) <= 10
    with pytest.raises(ValueError, match="one entry for each of the 3 scores"):
        block_length([1.0, 2.0, 3.0], series=[0, 1])
