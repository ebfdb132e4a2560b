"""How many neighbouring scores count as one independent score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tsae.data.windows import Windows


def estimate_block_length(scores: ArrayLike, series: ArrayLike | None = None) -> int:
    r"""Estimate how many neighbouring scores count as one independent score.

    The integrated autocorrelation time :math:`1 + 2 \sum_k \rho_k` of the ranks of the scores (ranks, since a
    few huge scores would hide the rest), summed up to the first lag that is at least five times the sum so
    far.

    Parameters
    ----------
    scores : array-like of shape (n,)
        In time order within each series; pairs with a NaN are left out.
    series : array-like of shape (n,), optional
        Which series each score belongs to; scores of different series are taken to be independent.

    Returns
    -------
    int
        At least 1.

    References
    ----------
    Sokal, "Monte Carlo methods in statistical mechanics" (1997), section 3, for the self-consistent window.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=20_000)
    >>> estimate_block_length(noise)
    1
    >>> 15 <= estimate_block_length(np.convolve(noise, np.ones(20), "valid")) <= 25
    True
    """
    from scipy.stats import rankdata

    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores must be one-dimensional; got shape {scores.shape}")
    known = ~np.isnan(scores)
    if known.sum() < 2 or np.ptp(scores[known]) == 0:
        return 1
    centred = np.zeros(scores.shape)
    centred[known] = rankdata(scores[known])
    centred[known] -= centred[known].mean()
    rho = _autocorrelation(centred, known, _runs(scores.size, series))
    # A lag with no pair to estimate it from ends the sum as a lag of zero would.
    time = 1 + 2 * np.cumsum(np.nan_to_num(rho[1:]))
    lags = np.arange(1, rho.size)
    enough = np.flatnonzero(lags >= 5 * time)
    total = time[enough[0]] if enough.size else (time.max() if time.size else 1.0)
    return max(1, math.ceil(total - 0.5))


def max_windows_per_row(windows: Windows) -> int:
    """Return how many windows share a row at most."""
    starts, ends = np.sort(windows.starts), np.sort(windows.starts + windows.lengths)
    n_ended = np.searchsorted(ends, starts, side="right")
    return int((np.arange(1, len(starts) + 1) - n_ended).max())


def _runs(n: int, series: ArrayLike | None) -> list[slice]:
    """Ranges of consecutive positions that belong to one series."""
    if series is None:
        return [slice(0, n)]
    series = np.asarray(series)
    if series.shape != (n,):
        raise ValueError(f"series must have one entry for each of the {n} scores; got shape {series.shape}")
    edges = np.flatnonzero(series[1:] != series[:-1]) + 1
    bounds = np.r_[0, edges, n]
    return [slice(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def _autocorrelation(centred: np.ndarray, known: np.ndarray, runs: list[slice]) -> np.ndarray:
    """Autocorrelation at lags 0, 1, ... of values centred at 0, over all pairs within a run; NaN: no pair."""
    longest = max(run.stop - run.start for run in runs)
    size = 1 << (2 * longest - 1).bit_length()
    products, pairs, possible = np.zeros(longest), np.zeros(longest), np.zeros(longest)
    for run in runs:
        length = run.stop - run.start
        for total, part in ((products, centred[run]), (pairs, known[run].astype(np.float64))):
            spectrum = np.fft.rfft(part, size)
            total[:length] += np.fft.irfft(spectrum * spectrum.conj(), size)[:length]
        possible[:length] += np.arange(length, 0, -1)
    pairs = np.round(pairs)
    # The mean over the pairs there are, drawn towards 0 at far lags, where even a full series has few.
    covariance = np.where(pairs > 0, products / np.maximum(pairs, 1) * possible / possible[0], np.nan)
    rho: np.ndarray = covariance / covariance[0]
    return rho
