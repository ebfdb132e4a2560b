import numpy as np
import pandas as pd
import pytest

from tsae.report.comparison import compare_events, compare_ranges, compare_scores, labelled_stretches


@pytest.fixture
def scored():
    """Two series; labels at 3-4 and 7 of the first, at 0-1 of the second."""
    label = np.zeros(20, dtype=bool)
    label[[3, 4, 7, 10, 11]] = True
    return pd.DataFrame(
        {"series": np.repeat(["a", "b"], 10), "time": np.tile(np.arange(10), 2), "score": label * 2.0, "label": label}
    )


def test_labelled_stretches_end_with_their_series(scored):
    scored.loc[9, "label"] = True
    assert labelled_stretches(scored).values.tolist() == [["a", 3, 4], ["a", 7, 7], ["a", 9, 9], ["b", 0, 1]]


def test_events_are_matched_by_overlap(scored):
    events = pd.DataFrame({"series": ["a", "a", "b", "b"], "start": [0, 4, 2, 5], "end": [1, 7, 4, 9]})
    found = {"n_labelled_events": 3, "n_found": 2, "n_events": 4, "n_false_events": 3}
    assert compare_events(scored, events) == found
    assert compare_events(scored, events[:0]) == {**found, "n_found": 0, "n_events": 0, "n_false_events": 0}


def test_ranges_of_events_and_labels_are_compared_series_by_series(scored):
    pytest.importorskip("aeon")
    events = pd.DataFrame({"series": ["a", "b"], "start": [3, 1], "end": [6, 4]})
    # of rows 3-6 of "a" two are labelled, of rows 1-4 of "b" one; the label at 7 of "a" is touched by none
    found = compare_ranges(scored, events)
    assert found["event_recall"] == pytest.approx(2 / 3)
    assert found["range_precision"] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert compare_ranges(scored, events[:0])["event_recall"] == 0


def test_scores_that_equal_the_labels_are_perfect_and_constant_ones_are_chance(scored):
    assert compare_scores(scored)["auc_pr"] == 1
    constant = compare_scores(scored.assign(score=1.0))
    assert constant["auc_pr"] == constant["labelled_share"] == 0.25


def test_timestamps_without_a_score_do_not_count(scored):
    scored.loc[[3, 5], "score"] = np.nan
    assert compare_scores(scored)["labelled_share"] == 4 / 18
