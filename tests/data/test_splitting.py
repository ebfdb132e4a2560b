"""Splitters and holdout: nothing that is tested was trained on, and nothing is left out without need."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import naive
from tsae import make_windows
from tsae.data.containers import as_windows
from tsae.data.splitting import PurgedKFold, PurgedSeriesKFold, PurgedTimeSeriesSplit, SeriesKFold, holdout


@st.composite
def cut_windows(draw, min_series=1):
    """Windows of random width and stride over series that begin at different times and have gaps."""
    times, ids = [], []
    for number in range(draw(st.integers(min_series, 5))):
        steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 3]), min_size=8, max_size=30))
        times += (np.cumsum(steps) + draw(st.integers(0, 10))).tolist()
        ids += [number] * len(steps)
    frame = pd.DataFrame({"id": ids, "time": times, "x": 0.0})
    width, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return make_windows(frame, width, stride, id_column="id", time_column="time", max_gap=np.inf)


def spans(windows):
    """First and last times of the windows, as lists."""
    index = windows.index
    return index["start"].tolist(), index["end"].tolist()


def splits(splitter, windows):
    """The splits, if there are any."""
    try:
        return list(splitter.split(windows))
    except ValueError:
        assume(False)


# ------------------------------------------------------------------------------------------ by time


@settings(deadline=None, max_examples=100)
@given(windows=cut_windows(), n_splits=st.integers(2, 4), gap=st.sampled_from([0, 1, 2.5]))
def test_time_series_split_trains_on_all_that_ends_before_the_test(windows, n_splits, gap):
    starts, ends, tested = *spans(windows), []
    for train, test in splits(PurgedTimeSeriesSplit(n_splits, gap=gap), windows):
        first = min(starts[i] for i in test)
        assert train.tolist() == [i for i, end in enumerate(ends) if end + gap < first]
        tested += test.tolist()
    assert len(set(tested)) == len(tested)
    last_untested = max(start for i, start in enumerate(starts) if i not in tested)
    assert all(starts[i] > last_untested for i in tested)


@settings(deadline=None, max_examples=100)
@given(windows=cut_windows(), n_splits=st.integers(2, 4), gap=st.sampled_from([0, 1, 2.5]))
def test_purged_k_fold_trains_on_all_that_shares_no_time_with_the_test(windows, n_splits, gap):
    starts, ends, tested = *spans(windows), []
    for train, test in splits(PurgedKFold(n_splits, gap=gap), windows):
        first, last = min(starts[i] for i in test), max(ends[i] for i in test)
        apart = [i for i in range(len(windows)) if ends[i] + gap < first or last + gap < starts[i]]
        assert train.tolist() == apart
        tested += test.tolist()
    assert sorted(tested) == list(range(len(windows)))


@pytest.mark.parametrize("splitter", [PurgedTimeSeriesSplit(3), PurgedKFold(3)])
def test_windows_are_purged_at_least_one_width_before_the_test(splitter):
    windows = make_windows(np.arange(100.0), width=10)
    for train, test in splitter.split(windows):
        between = np.abs(windows.starts[train][:, np.newaxis] - windows.starts[test])
        assert between.min() == windows.width


def test_folds_hold_about_as_many_windows_each():
    windows = make_windows(np.arange(1000.0), width=10)
    sizes = [len(test) for _, test in PurgedTimeSeriesSplit(4).split(windows)]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == pytest.approx(len(windows) * 4 / 5, abs=2)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_gap_is_a_length_of_time(zone):
    times = pd.date_range("2024-01-01", periods=60, freq="h", tz=zone)
    windows = make_windows(pd.DataFrame({"x": 0.0}, index=times), 4)
    for gap in ("6h", pd.Timedelta("6h"), np.timedelta64(6, "h")):
        for train, test in PurgedTimeSeriesSplit(2, gap=gap).split(windows):
            between = windows.index["start"][test].min() - windows.index["end"][train].max()
            assert between == pd.Timedelta("7h")
    with pytest.raises(ValueError, match="gap=6 does not fit the times"):
        next(PurgedTimeSeriesSplit(2, gap=6).split(windows))


def test_windows_that_all_start_together_cannot_be_split_by_time():
    with pytest.raises(ValueError, match="20 windows start at 1 different times, too few"):
        next(PurgedKFold(2).split(as_windows(np.zeros((20, 5)))))


# ------------------------------------------------------------------------------------------ by series


@settings(deadline=None, max_examples=50)
@given(windows=cut_windows(min_series=2), shuffle=st.booleans())
def test_series_k_fold_tests_each_series_once(windows, shuffle):
    n_splits = min(3, len(set(windows.series)))
    tested = []
    for train, test in SeriesKFold(n_splits, shuffle=shuffle, random_state=0).split(windows):
        assert not set(windows.series[train]) & set(windows.series[test])
        assert sorted([*train, *test]) == list(range(len(windows)))
        tested += test.tolist()
    assert sorted(tested) == list(range(len(windows)))


def test_series_k_fold_is_reproducible():
    windows = make_windows([np.zeros(6)] * 8, 3)
    first, again, other = (
        [test.tolist() for _, test in SeriesKFold(4, shuffle=True, random_state=seed).split(windows)]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_there_must_be_a_series_for_each_fold():
    with pytest.raises(ValueError, match="n_splits=3, but there are windows of only 2 series"):
        next(SeriesKFold(3).split(make_windows([np.zeros(6)] * 2, 3)))


# ------------------------------------------------------------------------------------------ by both


@settings(deadline=None, max_examples=100)
@given(windows=cut_windows(min_series=2), gap=st.sampled_from([0, 2]), fraction=st.sampled_from([0.3, 0.6]))
def test_purged_series_k_fold_shares_neither_series_nor_time(windows, gap, fraction):
    n_splits = min(3, len(set(windows.series)))
    starts, ends, tested = *spans(windows), []
    for train, test in splits(PurgedSeriesKFold(n_splits, test_fraction=fraction, gap=gap), windows):
        assert not set(windows.series[train]) & set(windows.series[test])
        assert max(ends[i] for i in train) + gap < min(starts[i] for i in test)
        tested += test.tolist()
    cut = min(starts[i] for i in tested)
    assert sorted(tested) == [i for i, start in enumerate(starts) if start >= cut]
    assert len(tested) / len(windows) >= fraction


# ------------------------------------------------------------------------------------------ all of them


SPLITTERS = [PurgedTimeSeriesSplit(2), PurgedKFold(2), SeriesKFold(2), PurgedSeriesKFold(2)]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_splitters_work_within_scikit_learn(splitter):
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import GridSearchCV, cross_validate

    class Reader(BaseEstimator):
        def __init__(self, power=1):
            self.power = power

        def fit(self, X, y=None):
            self.rows_ = set().union(*naive.covered_rows(X))
            return self

        def score(self, X, y=None):
            return -len(self.rows_ & set().union(*naive.covered_rows(X)))

    windows = make_windows([np.arange(30.0), np.arange(40.0)], 4)
    assert cross_validate(Reader(), windows, cv=splitter)["test_score"].tolist() == [0, 0]
    search = GridSearchCV(Reader(), {"power": [1, 2]}, cv=splitter).fit(windows, np.zeros(len(windows)))
    assert search.best_score_ == 0
    assert splitter.get_n_splits() == 2


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_splits_follow_the_windows_however_they_are_chosen(splitter):
    windows = make_windows([np.arange(30.0), np.arange(30.0)], 4)
    order = np.random.default_rng(0).permutation(len(windows))
    for (train, test), (train_of, test_of) in zip(splitter.split(windows), splitter.split(windows[order]), strict=True):
        assert sorted(order[train_of]) == train.tolist()
        assert sorted(order[test_of]) == test.tolist()


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_only_windows_can_be_split(splitter):
    with pytest.raises(TypeError, match=f"X is a ndarray; {type(splitter).__name__} splits the Windows"):
        next(splitter.split(np.zeros((10, 3))))


def test_bad_parameters_are_refused():
    windows = make_windows([np.arange(30.0), np.arange(30.0)], 10)
    with pytest.raises(ValueError, match="n_splits=1; it must be an integer of at least 2"):
        next(PurgedKFold(1).split(windows))
    with pytest.raises(ValueError, match="gap=-1"):
        next(PurgedKFold(2, gap=-1).split(windows))
    with pytest.raises(ValueError, match="test_fraction=1.0; it must be a number between 0 and 1"):
        next(PurgedSeriesKFold(2, test_fraction=1.0).split(windows))
    with pytest.raises(
        ValueError, match=r"split 0 of PurgedTimeSeriesSplit\(n_splits=3, gap=0\) has no training window"
    ):
        next(PurgedTimeSeriesSplit(3).split(windows))


def test_repr_shows_the_parameters():
    assert repr(PurgedKFold(3, gap="1h")) == "PurgedKFold(n_splits=3, gap='1h')"


# ------------------------------------------------------------------------------------------ holdout


@settings(deadline=None, max_examples=200)
@given(windows=cut_windows(), fraction=st.sampled_from([0.05, 0.1, 0.3, 0.5]), data=st.data())
def test_holdout_shares_no_row_and_leaves_out_only_what_does(windows, fraction, data):
    if data.draw(st.booleans()):
        windows = windows[data.draw(st.permutations(range(len(windows))))]
    overlapping = windows.overlapping()
    try:
        train, validation = holdout(windows, fraction, np.random.default_rng(0))
    except ValueError:
        assume(False)
    rows = naive.covered_rows(windows)
    assert overlapping == (sum(map(len, rows)) > len(set().union(*rows)))
    held_out = set().union(*(rows[i] for i in validation))
    kept = [i for i in range(len(windows)) if i not in set(validation) and not rows[i] & held_out]
    assert train.tolist() == kept
    assert validation.tolist() == sorted(validation)
    assert len(validation) == pytest.approx(fraction * len(windows), abs=1)
    if overlapping:
        for i in train:
            later = [windows.starts[j] for j in validation if windows.series[j] == windows.series[i]]
            assert all(windows.starts[i] < start for start in later)


@pytest.mark.parametrize("make_rng", [np.random.default_rng, np.random.RandomState])
def test_holdout_draws_windows_that_share_nothing_at_random(make_rng):
    windows = as_windows(np.zeros((200, 5)))
    train, validation = holdout(windows, 0.1, make_rng(0))
    assert len(validation) == 20
    assert sorted([*train, *validation]) == list(range(200))
    assert validation.tolist() != list(range(180, 200))
    assert holdout(windows, 0.1, make_rng(0))[1].tolist() == validation.tolist()
    assert holdout(windows, 0.1, make_rng(1))[1].tolist() != validation.tolist()


def test_holdout_takes_its_share_of_many_short_series():
    windows = make_windows([np.zeros(6)] * 100, 4)
    train, validation = holdout(windows, 0.1, None)
    assert len(validation) == 30
    assert len(train) == 300 - 30 * 3


def test_holdout_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves none to train on, of Windows"):
        holdout(make_windows(np.zeros(25), 20), 0.2, None)
    with pytest.raises(ValueError, match="leaves none to train on"):
        holdout(as_windows(np.zeros((1, 5))), 0.2, np.random.default_rng(0))
    for fraction in (0, 1.0, -0.1, None, "a"):
        with pytest.raises(ValueError, match="fraction="):
            holdout(as_windows(np.zeros((9, 5))), fraction, None)


# ------------------------------------------------------------------------------------------ the leak itself


def test_splits_prevent_the_leak_of_overlapping_windows():
    """A label that has nothing to do with the series, but changes slowly, cannot be foretold.

    Split at random, every test window has a near copy in training, one step off and with the same label: nearest
    neighbours score as if they knew it. With purged splits they score by chance, as they do on another series.
    """
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def flat(X):
        return X.gather().reshape(len(X), -1)

    model = make_pipeline(FunctionTransformer(flat), KNeighborsClassifier(1))
    splitters = {
        "random": KFold(5, shuffle=True, random_state=0),
        "time": PurgedTimeSeriesSplit(5),
        "time, both sides": PurgedKFold(5),
        "series": SeriesKFold(4),
        "series and time": PurgedSeriesKFold(4),
    }
    scores = {name: [] for name in splitters}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        windows = make_windows([rng.normal(size=(400, 3)).cumsum(axis=0) for _ in range(4)], width=20)
        y = np.concatenate([np.repeat(rng.permutation(np.arange(8) % 2), 50)[19:] for _ in range(4)])
        for name, splitter in splitters.items():
            scores[name].append(cross_val_score(model, windows, y, cv=splitter).mean())
    at_random = np.mean(scores.pop("random"))
    assert at_random > 0.95
    for name, purged in scores.items():
        assert 0.35 < np.mean(purged) < 0.65, name
