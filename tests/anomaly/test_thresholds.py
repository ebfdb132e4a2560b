"""Calibrators: the rates that theory promises, and errors where there are too few scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, genpareto, norm

from tests.anomaly.series import autoregression
from tsae.anomaly.dependence import estimate_block_length
from tsae.anomaly.detector import AnomalyDetector
from tsae.anomaly.thresholds import (
    MIN_PEAKS,
    THRESHOLDS,
    Calibrator,
    ConformalThreshold,
    PeaksOverThreshold,
    QuantileThreshold,
    check_alpha,
    extrapolated_pvalues,
    threshold_method,
)
from tsae.estimators.autoencoder import LSTMAutoencoder
from tsae.loading import load
from tsae.storable import storable_classes

KINDS = list(THRESHOLDS)


def moving_mean(values, width):
    return np.convolve(values, np.ones(width) / width, "valid")


# -- the formulas


@pytest.mark.parametrize("block_length", [1, 3])
def test_conformal_pvalues_are_the_counted_ones(block_length):
    rng = np.random.default_rng(0)
    normal = np.round(rng.normal(size=200), 1)  # with ties
    scores = np.round(rng.normal(size=50), 1)
    p = ConformalThreshold(block_length).fit(normal).pvalues(scores)
    expected = [(block_length + sum(s >= score for s in normal)) / (block_length + 200) for score in scores]
    np.testing.assert_allclose(p, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("block_length", [1, 5])
def test_above_the_threshold_and_small_pvalue_are_the_same_thing(kind, alpha, block_length):
    rng = np.random.default_rng(1)
    calibrator = THRESHOLDS[kind](block_length).fit(rng.exponential(size=1000))
    scores = np.r_[rng.exponential(size=500), calibrator.scores_]
    flagged = scores > calibrator.threshold(alpha)
    np.testing.assert_array_equal(flagged, calibrator.pvalues(scores) <= alpha)
    assert flagged.any()


@pytest.mark.parametrize("kind", KINDS)
def test_pvalues_fall_as_scores_rise_and_stay_in_the_unit_interval(kind):
    rng = np.random.default_rng(2)
    calibrator = THRESHOLDS[kind]().fit(rng.normal(size=400))
    p = calibrator.pvalues(np.linspace(-10, 10, 1001))
    assert (np.diff(p) <= 1e-12).all()
    assert p.min() >= 0
    assert p.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_unknown_in_and_out(kind):
    rng = np.random.default_rng(3)
    normal = rng.normal(size=400)
    with_gaps = np.insert(normal, [0, 10, 400], np.nan)
    p = THRESHOLDS[kind]().fit(with_gaps).pvalues([np.nan, 1.0])
    assert np.isnan(p[0])
    assert p[1] == THRESHOLDS[kind]().fit(normal).pvalues([1.0])[0]


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
            THRESHOLDS[kind]().fit(scores).threshold(1e-5)


# -- false alarm rates


@pytest.mark.statistics
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_rate_on_independent_scores_is_within_the_binomial_interval(kind, alpha):
    rng = np.random.default_rng(6)
    calibrator = THRESHOLDS[kind]().fit(rng.chisquare(3, size=50_000))
    false_alarms = (calibrator.pvalues(rng.chisquare(3, size=5000)) <= alpha).sum()
    low, high = binom.interval(0.99, 5000, alpha)
    assert low <= false_alarms <= high


@pytest.mark.statistics
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_conformal_rate_is_exact_for_small_calibration_sets_too(alpha):
    # One new score a calibration set of 99: the promise is about this average.
    rng = np.random.default_rng(7)
    scores = rng.exponential(size=(20_000, 100))
    false_alarms = sum(ConformalThreshold().fit(s[:99]).pvalues(s[99:])[0] <= alpha for s in scores[:4000])
    low, high = binom.interval(0.99, 4000, alpha)
    assert low <= false_alarms <= high


@pytest.mark.statistics
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_rate_on_overlapping_windows_of_autocorrelated_series_is_within_a_factor_of_two(kind, alpha):
    rates = []
    for seed in range(100):
        path = autoregression(np.random.default_rng(seed), 9000) ** 2
        scores = moving_mean(path, 16)  # as of windows of 16 steps at stride 1
        normal, new = scores[:6000], scores[6100:]
        calibrator = THRESHOLDS[kind](estimate_block_length(normal)).fit(normal)
        rates.append((calibrator.pvalues(new) <= alpha).mean())
    assert alpha / 2 <= np.mean(rates) <= alpha * 2


@pytest.mark.statistics
def test_without_blocks_dependent_scores_give_too_many_false_alarms():
    """The reason for ``block_length``: 40 effective scores cannot hold alpha = 0.01, whatever their number."""
    plain, blocked = [], []
    for seed in range(200):
        scores = moving_mean(np.random.default_rng(seed).exponential(size=3000), 50)
        normal, new = scores[:1000], scores[1100:]
        plain.append((ConformalThreshold().fit(normal).pvalues(new) <= 0.01).mean())
        blocked.append((ConformalThreshold(50).fit(normal).pvalues(new) <= 0.01).mean())
    assert np.mean(plain) > 0.02
    assert np.mean(blocked) <= 0.01


# -- refusals


@pytest.mark.parametrize(
    ("kind", "block_length", "alpha", "needed"),
    [
        ("conformal", 1, 0.01, 99),
        ("conformal", 1, 0.05, 19),
        ("conformal", 10, 0.01, 990),
        ("quantile", 1, 0.01, 100),
        ("quantile", 4, 0.05, 80),
        ("pot", 1, 1e-6, 10 * MIN_PEAKS),
    ],
)
def test_too_few_scores_is_an_error_that_says_how_many_are_needed(kind, block_length, alpha, needed):
    scores = np.random.default_rng(8).exponential(size=needed)
    assert THRESHOLDS[kind](block_length).required(alpha) == needed
    THRESHOLDS[kind](block_length).fit(scores).threshold(alpha)  # just enough
    with pytest.raises(ValueError, match=rf"at least {needed} held-out .*there are {needed - 1}"):
        THRESHOLDS[kind](block_length).fit(scores[1:]).threshold(alpha)


@pytest.mark.parametrize("kind", ["conformal", "quantile"])
def test_the_smallest_alpha_is_the_smallest_that_is_accepted(kind):
    calibrator = THRESHOLDS[kind](3).fit(np.arange(100.0))
    smallest = calibrator.smallest_alpha_
    calibrator.threshold(smallest)
    with pytest.raises(ValueError, match="needs at least"):
        calibrator.threshold(smallest * 0.99)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan"), "0.1", None, True])
def test_alpha_outside_the_unit_interval(alpha):
    with pytest.raises(ValueError, match="alpha=.* is not allowed; it must be a number above 0 and below 1"):
        check_alpha(alpha)


def test_bad_input_is_named():
    for block_length in (0, 1.5, True):
        with pytest.raises(
            ValueError, match=f"block_length={block_length} is not allowed; it must be an integer of at least 1"
        ):
            ConformalThreshold(block_length)
    with pytest.raises(ValueError, match="tail=0.9 is not allowed"):
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


# -- a method of one's own


@pytest.fixture
def one_more_method():
    """One class is all that a new threshold method takes."""

    @threshold_method("normal")
    class NormalThreshold(Calibrator):
        """Scores are normally distributed."""

        @property
        def smallest_alpha_(self):
            return 0.0

        def required(self, alpha):
            return 2

        def _pvalues(self, scores):
            return norm.sf(scores, self.scores_.mean(), self.scores_.std())

        def _threshold(self, alpha):
            return float(norm.isf(alpha, self.scores_.mean(), self.scores_.std()))

    yield NormalThreshold
    del THRESHOLDS["normal"]
    del storable_classes()["NormalThreshold"]


def test_a_new_method_is_one_class(one_more_method, tmp_path):
    X = np.sin(np.arange(1200) / 5).reshape(60, 20)
    autoencoder = LSTMAutoencoder(units=2, decoder="reconstruction", epochs=1, random_state=0)
    detector = AnomalyDetector(autoencoder, threshold="normal", alpha=1e-4, random_state=0).fit(X)
    assert isinstance(detector.timeline_threshold_, one_more_method)
    X[3, 5] = 40
    assert detector.predict(X)[3] == -1
    assert 0 in detector.events(X[3:4])["series"].tolist()
    detector.save(tmp_path / "model.tsae")
    again = load(tmp_path / "model.tsae")
    pd.testing.assert_frame_equal(again.score_timeline(X), detector.score_timeline(X))


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match="threshold='normal' is not allowed; choose from 'conformal', 'quantile', 'pot'"
    ):
        AnomalyDetector(threshold="normal").fit(np.zeros((10, 4)))


@pytest.mark.parametrize("name", list(THRESHOLDS))
def test_beyond_the_calibration_scores_a_tail_goes_on(name):
    scores = np.random.default_rng(0).exponential(size=4000)
    calibrator = THRESHOLDS[name]().fit(scores)
    inside, new = np.array([0.1, 3.0, scores.max(), np.nan]), np.array([10.0, 14.0, 20.0])
    assert np.isnan(extrapolated_pvalues(calibrator, inside)).all()
    found = extrapolated_pvalues(calibrator, new)
    assert (np.diff(found) < 0).all()
    assert (np.abs(np.log10(found[:2] / np.exp(-new[:2]))) < 1.5).all()  # of the distribution they were drawn from
    heavy = scores**2
    tail = PeaksOverThreshold().fit(heavy)
    assert tail.shape_ > 0
    new = heavy.max() * np.array([1.5, 3.0])
    np.testing.assert_allclose(extrapolated_pvalues(THRESHOLDS[name]().fit(heavy), new), tail.pvalues(new))
    bounded = np.random.default_rng(1).uniform(size=4000)
    assert PeaksOverThreshold().fit(bounded).pvalues([2.0]) == 0
    assert 0 < extrapolated_pvalues(THRESHOLDS[name]().fit(bounded), np.array([2.0])) < 1e-4


@pytest.mark.parametrize("scores", [np.arange(100.0), np.minimum(np.arange(1000.0), 900)])
def test_without_a_tail_nothing_is_extrapolated(scores):
    """Too few scores, and ties."""
    assert np.isnan(extrapolated_pvalues(ConformalThreshold().fit(scores), np.array([1e6]))).all()
