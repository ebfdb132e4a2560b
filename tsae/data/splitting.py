"""Splits of windows in which training and test data share no rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.times import duration_number, time_numbers
from tsae.data.windows import Windows

Split = tuple[np.ndarray, np.ndarray]


class _Splitter:
    """The interface that scikit-learn expects of a splitter; positions are ascending."""

    def __init__(self, n_splits: int = 5):
        self.n_splits = n_splits

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002
        """Return the number of splits.

        Parameters
        ----------
        X : object, default=None
            Ignored, as `y` and `groups`; scikit-learn passes them.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Returns
        -------
        int
            As `n_splits`.
        """
        return self.n_splits

    def split(self, X: Windows, y: Any = None, groups: Any = None) -> Iterator[Split]:  # noqa: ARG002
        """Generate the positions of the windows to train on and of those to test on.

        Parameters
        ----------
        X : Windows
            The windows to split.
        y : object, default=None
            Ignored; scikit-learn passes it.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train : int64 ndarray
            Positions of the windows to train on, ascending.
        test : int64 ndarray
            Positions of the windows to test on, ascending.

        Raises
        ------
        TypeError
            If X is not `Windows`.
        ValueError
            If a part of a split would be empty.
        """
        if not isinstance(X, Windows):
            raise TypeError(f"X is a {type(X).__name__}; {type(self).__name__} splits the Windows of make_windows")
        if not isinstance(self.n_splits, (int, np.integer)) or self.n_splits < 2:
            raise ValueError(f"n_splits={self.n_splits!r}; it must be an integer of at least 2")
        for number, (train, test) in enumerate(self._masks(X)):
            for part, mask in (("training", train), ("test", test)):
                if not mask.any():
                    raise ValueError(
                        f"split {number} of {self} has no {part} window once those that share time with the "
                        f"other part are left out ({X}); use fewer splits, narrower windows or a smaller gap"
                    )
            yield np.flatnonzero(train), np.flatnonzero(test)

    def _masks(self, windows: Windows) -> Iterator[Split]:
        raise NotImplementedError

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({parameters})"


class PurgedTimeSeriesSplit(_Splitter):
    """Train on the past, test on the time that follows, as `sklearn.model_selection.TimeSeriesSplit`.

    The last ``n_splits / (n_splits + 1)`` of the windows, by start, are tested in `n_splits` blocks of time.
    Training windows end before the block begins: those that reach into it, up to one window width before it, are
    purged. Time is that of `Windows.index`, the same for all series; step numbers where there are no times.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    gap : number, timedelta or str such as "1h", default=0
        Time that must lie between the end of the last training window and the start of the first test window,
        for targets that look beyond their window.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(12.0), width=3)
    >>> for train, test in PurgedTimeSeriesSplit(n_splits=2).split(windows):
    ...     print(train, test)
    [0] [3 4 5]
    [0 1 2 3] [6 7 8 9]
    """

    def __init__(self, n_splits: int = 5, *, gap: Any = 0):
        super().__init__(n_splits)
        self.gap = gap

    def _masks(self, windows: Windows) -> Iterator[Split]:
        starts, ends, gap = _start_and_end_times(windows, self.gap)
        for test in _time_blocks(starts, self.n_splits + 1)[1:]:
            yield starts[test].min() - ends > gap, test


class PurgedKFold(_Splitter):
    """Test each block of time once; train on what lies before and after it.

    Windows that share time with the test block are purged from training on both sides [1]_. Time is
    that of `Windows.index`, the same for all series.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    gap : number, timedelta or str such as "1h", default=0
        Time that must lie between training and test windows, on both sides.

    References
    ----------
    .. [1] M. Lopez de Prado, "Advances in Financial Machine Learning", 2018, section 7.4.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(12.0), width=3)
    >>> for train, test in PurgedKFold(n_splits=2).split(windows):
    ...     print(train, test)
    [7 8 9] [0 1 2 3 4]
    [0 1 2] [5 6 7 8 9]
    """

    def __init__(self, n_splits: int = 5, *, gap: Any = 0):
        super().__init__(n_splits)
        self.gap = gap

    def _masks(self, windows: Windows) -> Iterator[Split]:
        starts, ends, gap = _start_and_end_times(windows, self.gap)
        for test in _time_blocks(starts, self.n_splits):
            yield (starts[test].min() - ends > gap) | (starts - ends[test].max() > gap), test


class SeriesKFold(_Splitter):
    """Test each series once; train on the others.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2 and at most the number of series.
    shuffle : bool, default=False
        Whether to draw the series of a fold at random; otherwise folds hold about the same number of windows each.
    random_state : int, RandomState or None, default=None
        For `shuffle`.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows({"a": np.arange(4.0), "b": np.arange(5.0)}, width=3)
    >>> for train, test in SeriesKFold(n_splits=2).split(windows):
    ...     print(train, test)
    [0 1] [2 3 4]
    [2 3 4] [0 1]
    """

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None):
        super().__init__(n_splits)
        self.shuffle = shuffle
        self.random_state = random_state

    def _masks(self, windows: Windows) -> Iterator[Split]:
        for test in _series_folds(windows, self.n_splits, self.shuffle, self.random_state):
            yield ~test, test


class PurgedSeriesKFold(_Splitter):
    """Test series that were not trained on, at times that were not trained on.

    As `SeriesKFold`, but a fold is tested on the last part of time alone, and trained on the windows of the other
    series that end before it. All other windows are left out.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2 and at most the number of series.
    test_fraction : float in (0, 1), default=0.3
        Tests are drawn from this share of all windows, those that start last.
    gap : number, timedelta or str such as "1h", default=0
        Time that must lie between the end of the last training window and the start of the first test window.
    shuffle : bool, default=False
        As in `SeriesKFold`.
    random_state : int, RandomState or None, default=None
        For `shuffle`.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows({"a": np.arange(8.0), "b": np.arange(8.0)}, width=3)
    >>> for train, test in PurgedSeriesKFold(n_splits=2).split(windows):
    ...     print(train, test)
    [0 1] [10 11]
    [6 7] [4 5]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_fraction: float = 0.3,
        gap: Any = 0,
        shuffle: bool = False,
        random_state: Any = None,
    ):
        super().__init__(n_splits)
        self.test_fraction = test_fraction
        self.gap = gap
        self.shuffle = shuffle
        self.random_state = random_state

    def _masks(self, windows: Windows) -> Iterator[Split]:
        _check_fraction(self.test_fraction, "test_fraction")
        starts, ends, gap = _start_and_end_times(windows, self.gap)
        cut = np.sort(starts)[int((1 - self.test_fraction) * len(starts))]
        for fold in _series_folds(windows, self.n_splits, self.shuffle, self.random_state):
            yield ~fold & (cut - ends > gap), fold & (starts >= cut)


def holdout(windows: Windows, fraction: float, rng: Any) -> Split:
    """Choose windows to validate on that share no row with those to train on.

    Where windows share rows, the last windows of every series are held out, and windows that reach into them
    are in neither part. Otherwise windows are drawn at random.

    Parameters
    ----------
    windows : Windows
        The windows to choose from.
    fraction : float
        Share of the windows to hold out, between 0 and 1.
    rng : numpy.random.Generator or numpy.random.RandomState
        For the random draw.

    Returns
    -------
    train : int64 ndarray
        Positions of the windows to train on, ascending.
    validation : int64 ndarray
        Positions of the windows to validate on, ascending.

    Raises
    ------
    ValueError
        If either part would be empty.

    Examples
    --------
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(12.0), width=3)
    >>> train, validation = holdout(windows, 0.2, np.random.default_rng(0))
    >>> print(train, validation)
    [0 1 2 3 4 5] [8 9]
    """
    _check_fraction(fraction, "fraction")
    if windows.overlapping():
        train, validation = _last_of_each_series(windows, fraction)
    else:
        order = rng.permutation(len(windows))
        n_validation = max(1, round(fraction * len(windows)))
        train, validation = order[n_validation:], order[:n_validation]
    for part, positions in (("train", train), ("validate", validation)):
        if len(positions) == 0:
            raise ValueError(
                f"holding out {fraction} of the windows, and those that share rows with them, leaves none to "
                f"{part} on, of {windows}; use longer series or narrower windows, or hold nothing out"
            )
    return np.sort(train), np.sort(validation)


def _last_of_each_series(windows: Windows, fraction: float) -> Split:
    order = np.argsort(windows.starts, kind="stable")  # by series, and by time within a series
    in_order = windows[order]
    starts, ends = in_order.starts, in_order.starts + in_order.lengths
    n_windows = np.bincount(in_order.series)
    n_windows = n_windows[n_windows > 0]
    until = np.cumsum(n_windows)
    # rounding errors are carried from series to series, so that the shares of many short ones add up to `fraction`
    n_held_out = np.diff(np.floor(fraction * until + 0.5).astype(np.int64), prepend=0)
    first_held_out = np.repeat(until - n_held_out, n_windows)
    is_validation = np.arange(len(order)) >= first_held_out
    is_train = ends <= np.append(starts, ends.max())[first_held_out]
    return order[is_train], order[is_validation]


def _start_and_end_times(windows: Windows, gap: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Return first and last time of every window, counted from the first of all, and the gap, in one unit."""
    index = windows.index
    times = pd.Index(index["start"])
    starts, ends = time_numbers(times), time_numbers(pd.Index(index["end"]))
    if starts.dtype.kind in "iu" and len(starts):  # exact, as differences wrap around
        starts, ends = (numbers.astype(np.uint64) - starts.min().astype(np.uint64) for numbers in (starts, ends))
        dtype = np.int64 if ends.max() <= np.iinfo(np.int64).max else np.float64
        starts, ends = starts.astype(dtype), ends.astype(dtype)
    return starts, ends, duration_number(gap, times, "gap")


def _time_blocks(starts: np.ndarray, n_blocks: int) -> list[np.ndarray]:
    """Return masks of about as many windows each, by start; windows with the same start stay together."""
    cuts = np.sort(starts)[np.arange(n_blocks) * len(starts) // n_blocks]
    if len(np.unique(cuts)) < n_blocks:
        raise ValueError(
            f"{len(starts)} windows start at {len(np.unique(starts))} different times, too few (or too "
            f"unevenly spread) for {n_blocks} blocks of time; where each window is a series of its own, nothing "
            "needs purging"
        )
    block = np.searchsorted(cuts, starts, side="right") - 1
    return [block == number for number in range(n_blocks)]


def _series_folds(windows: Windows, n_splits: int, shuffle: bool, random_state: Any) -> Iterator[np.ndarray]:
    """Generate masks of the windows whose series are tested."""
    from sklearn.model_selection import GroupKFold

    series = windows.series
    n_series = len(np.unique(series))
    if n_series < n_splits:
        raise ValueError(f"n_splits={n_splits}, but there are windows of only {n_series} series")
    folds = GroupKFold(n_splits, shuffle=shuffle, random_state=random_state if shuffle else None)
    for _, test in folds.split(series, groups=series):
        mask = np.zeros(len(windows), dtype=bool)
        mask[test] = True
        yield mask


def _check_fraction(fraction: Any, name: str) -> None:
    if not isinstance(fraction, (float, np.floating)) or not 0 < fraction < 1:
        raise ValueError(f"{name}={fraction!r}; it must be a number between 0 and 1")


def evenly_spaced(n: int, at_most: int) -> np.ndarray:
    """Return positions of evenly spaced entries, the first and the last among them.

    Parameters
    ----------
    n : int
        Number of entries.
    at_most : int
        How many to choose, where there are more.

    Returns
    -------
    int64 ndarray

    Examples
    --------
    >>> evenly_spaced(9, 3)
    array([0, 4, 8])
    """
    return np.linspace(0, n - 1, min(at_most, n)).astype(np.int64)
