"""Which windows of training data that are not clean a detector had better not learn from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsae.anomaly.neighbors import NeighborErrors
from tsae.anomaly.residuals import mean_steps, position_chunks
from tsae.data.layout import covered_rows
from tsae.data.timeline import to_timeline
from tsae.data.windows import Windows

N_BLOCKS = 5  # of time in each series
LEAST_SHARE = 1e-6  # of a channel's variance; smaller errors are all alike


def unusual_windows(windows: Windows, share: float) -> np.ndarray:
    """Find the windows that hold the rows least like those of other times.

    Each series is cut into five blocks of time, and each window is compared with the nearest one of the other blocks
    that shares no row with its own: the squared errors of the score "neighbors". A row is as unusual as the windows
    that cover it are on average, and a window as its most unusual row: a window that has only the end of an anomaly
    does not look unusual, but what is learned from it hides that anomaly later.

    Parameters
    ----------
    windows : Windows
        Of one length.
    share : float
        How many of them to find, in [0, 1).

    Returns
    -------
    bool array of shape (n_windows,)
        At most ``share * n_windows`` are True.

    Raises
    ------
    ValueError
        If a block has no other windows to be compared with, or windows have different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import make_windows
    >>> series = np.sin(np.arange(600) / 5)
    >>> series[300:310] = 3
    >>> windows = make_windows(series, width=20)
    >>> starts = windows.starts[unusual_windows(windows, 0.05)]
    >>> print(280 < starts.min(), starts.max() < 310)
    True True
    """
    if windows.is_ragged:
        raise ValueError(f"trim_fraction={share} needs windows of one length; cut the series with make_windows")
    errors = _errors_from_other_blocks(windows)
    ratios, known = errors / _usual_errors(windows, errors), ~np.isnan(errors)
    by_window = np.log1p(np.where(known, ratios, 0)).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    by_row = to_timeline(windows, by_window)["value"].to_numpy()
    starts, steps = windows.starts[:, np.newaxis], np.arange(windows.width)
    worst = np.concatenate([by_row[starts[chunk] + steps].max(axis=1) for chunk in position_chunks(windows)])
    return worst > np.sort(worst)[len(worst) - 1 - int(share * len(worst))]


def _errors_from_other_blocks(windows: Windows) -> np.ndarray:
    """Return mean squared errors from the nearest window, (n_windows, n_channels)."""
    errors = np.empty((len(windows), windows.n_channels))
    block = _blocks(windows)
    for number in np.unique(block):
        own = np.flatnonzero(block == number)
        covered = covered_rows(windows.starts[own], windows.lengths[own], len(windows.values))
        others = windows[np.zeros(len(windows), bool) if covered is None else ~windows.touching(covered)]
        if not len(others):
            raise ValueError(
                f"trim_fraction needs windows of other times to compare with, and all of the {len(windows)} windows "
                f"share rows with those of one of {N_BLOCKS} blocks of time; fit on longer series, or set "
                "trim_fraction=0"
            )
        score = NeighborErrors().fit(None, others, ())
        for chunk in position_chunks(windows[own]):
            part = windows[own[chunk]]
            errors[own[chunk]] = mean_steps(score.values(None, part, part))[:, 0]
    return errors


def _usual_errors(windows: Windows, errors: np.ndarray) -> np.ndarray:
    """Return the median error of each channel, which anomalies do not raise, and at least a share of its variance."""
    usual = np.ones(windows.n_channels)
    for channel in range(windows.n_channels):
        known = errors[~np.isnan(errors[:, channel]), channel]
        if known.size:
            variance = np.nanvar(windows.values[:, channel], dtype=np.float64)
            usual[channel] = max(np.median(known), LEAST_SHARE * variance) or 1.0
    return usual


def _blocks(windows: Windows) -> np.ndarray:
    """Return the block of each window. Series begin with different ones, so that short series fill all blocks."""
    series = pd.factorize(windows.series)[0]
    by_series = pd.Series(windows.starts).groupby(series)
    rank, size = by_series.rank(method="first").to_numpy() - 1, by_series.transform("size").to_numpy()
    return (np.floor(rank * N_BLOCKS / size).astype(np.int64) + series) % N_BLOCKS
