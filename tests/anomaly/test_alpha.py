"""The smallest usable alpha, and a default that always works."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import make_windows
from tsae.anomaly.calibration import WANTED_ALPHA
from tsae.anomaly.detector import AnomalyDetector
from tsae.anomaly.thresholds import THRESHOLDS


@pytest.fixture
def few():
    """636 held-out scores, of which 67 count as one: alpha=0.02 needs 3,283."""
    windows = make_windows(waves(np.random.default_rng(0), 3102), 20)
    return AnomalyDetector(LinearAutoencoder(8), block_length=67, random_state=0), windows


def faulty():
    test = waves(np.random.default_rng(1), 400)
    test[200:205, 0] += 50
    return make_windows(test, 20)


def test_the_default_has_an_answer_for_636_scores_where_3283_are_needed(few):
    detector, windows = few
    with pytest.warns(UserWarning, match="for timestamps") as found:
        detector.fit(windows)
    assert detector.timeline_threshold_.n_scores_ == 636
    [warning] = found
    lines = str(warning.message).splitlines()  # a sentence each: two on timestamps, two on windows, what to do
    assert lines[0] == "for timestamps alpha='auto' is 0.0954."
    assert lines[1].startswith("  alpha=0.02 needs at least 3283")
    assert lines[1].endswith("there are 636.")
    assert lines[2].startswith("  for windows alpha='auto' is")
    assert "events(X, top=20)" in lines[4]
    assert warning.filename == __file__
    assert detector.alpha_ == detector.smallest_alpha_ == 67 / (636 + 67)
    events = detector.events(faulty())
    assert ((events["start"] <= 204) & (events["end"] >= 200)).any()
    # At the smallest level, flags are the scores above all held-out ones.
    timeline = detector.score_timeline(faulty())
    flagged = timeline["p_value"] <= detector.alpha_
    np.testing.assert_array_equal(flagged, timeline["score"] > detector.timeline_threshold_.threshold(detector.alpha_))


def test_windows_are_told_apart_from_timestamps(few):
    detector, windows = few
    detector.set_params(block_length=None)
    with pytest.warns(UserWarning, match="for windows alpha='auto' is"):
        detector.fit(windows)
    assert detector.alpha_ == WANTED_ALPHA
    assert WANTED_ALPHA < detector.window_alpha_ == detector.smallest_window_alpha_ < 1
    assert -detector.offset_ == detector.window_threshold_.threshold(detector.window_alpha_)
    assert (detector.predict(faulty()) == -1).any()
    assert (detector.predict(windows[:100]) == 1).all()


def test_enough_scores_give_the_level_that_is_wanted_without_a_warning():
    windows = np.random.default_rng(0).normal(size=(600, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = AnomalyDetector(LinearAutoencoder(), random_state=0).fit(windows)
    assert detector.alpha_ == detector.window_alpha_ == WANTED_ALPHA


def test_fit_warns_of_a_level_that_cannot_be_used_and_another_needs_no_new_fit(few):
    detector, windows = few
    with pytest.raises(ValueError, match="at least 3283 rows .* gives 636.*alpha='auto'"):  # certain before training
        detector.set_params(alpha=0.02).fit(windows)
    detector.set_params(alpha=0.002, block_length=None)
    with pytest.warns(UserWarning, match="for timestamps alpha=0.002 cannot be used, and events will raise") as found:
        detector.fit(windows)
    smallest = float(re.search(r"smallest alpha is ([\d.]+)", str(found[0].message)).group(1))
    assert detector.alpha_ == 0.002 < detector.smallest_alpha_ <= smallest < 0.1
    with pytest.raises(ValueError, match="choose a larger alpha") as error:
        detector.events(windows)
    named = float(re.search(r"at least ([\d.]+)\)", str(error.value)).group(1))
    for usable in (smallest, named, "auto"):  # what a message names can be used
        assert len(detector.events(faulty(), alpha=usable))
    assert len(detector.set_params(alpha="auto").events(faulty()))


@pytest.mark.parametrize("threshold", list(THRESHOLDS))
@pytest.mark.parametrize("n_scores", [1, 2, 7, 50, 201, 3000])
@pytest.mark.parametrize("block_length", [1, 3, 67])
def test_the_smallest_alpha_can_be_used_and_no_smaller_one(threshold, n_scores, block_length):
    calibrator = THRESHOLDS[threshold](block_length).fit(np.random.default_rng(0).exponential(size=n_scores))
    smallest = calibrator.smallest_alpha_
    if np.isnan(smallest):
        with pytest.raises(ValueError, match="needs at least"):
            calibrator.threshold(1 - 1e-6)
        assert threshold != "conformal"
        return
    assert calibrator.threshold(max(smallest, 1e-9)) > 0
    if smallest > 0:
        with pytest.raises(ValueError, match="needs at least"):
            calibrator.threshold(smallest * 0.999)


def test_fit_warns_of_too_few_scores_for_pot(few):
    detector, windows = few
    detector = clone(detector).set_params(threshold="pot")
    with pytest.warns(UserWarning, match=r"for windows no alpha can be used, and predict will raise.\n.*at least 200"):
        detector.fit(windows[:905])
    assert np.isnan(detector.window_alpha_)
    assert np.isnan(detector.offset_)
    with pytest.raises(ValueError, match="needs at least 200"):
        detector.predict(windows)


@pytest.mark.parametrize("alpha", [0, 1, 2, 5.0, "2%", "automatic", None, True, float("nan")])
def test_what_is_no_level_is_refused_before_training(few, alpha):
    detector, windows = few
    with pytest.raises(ValueError, match="alpha=.* is not allowed; .*'auto'"):
        detector.set_params(alpha=alpha).fit(windows)


def test_one_held_out_window_is_enough_for_the_default():
    windows = np.random.default_rng(0).normal(size=(3, 8))
    with pytest.warns(UserWarning, match="for timestamps alpha='auto' is"):
        detector = AnomalyDetector(LinearAutoencoder(1), random_state=0).fit(windows)
    assert detector.window_alpha_ == 0.5
    assert (detector.predict(windows + 100) == -1).all()
