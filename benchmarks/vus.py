"""VUS-PR as the TSB-AD benchmark computes it, and the period that it takes as largest buffer.

The volume under the precision-recall surface (Paparrizos et al., PVLDB 15(11), 2022): labels are extended at both ends
of each anomaly by a slope of up to half a buffer, the area under the precision-recall curve is taken at 250 thresholds,
and averaged over all buffers from 0 to the largest. The formulas are those of TSB-AD (Liu, Paparrizos, NeurIPS 2024);
where it goes through all scores for each threshold and buffer, running sums in the order of the scores give the same
numbers in a fraction of a second. `tests/test_benchmarks.py` compares it with the definition.
"""

from __future__ import annotations

import numpy as np

N_THRESHOLDS = 250
NO_PERIOD = 125  # what TSB-AD takes where it finds no period


def without_gaps(scores: np.ndarray) -> np.ndarray:
    """Give timestamps without a score, which cannot be flagged, the lowest score."""
    return np.where(np.isnan(scores), np.nanmin(scores), scores)


def vus_pr(labels: np.ndarray, scores: np.ndarray, max_buffer: int) -> float:
    """Volume under the precision-recall surface.

    Parameters
    ----------
    labels : array of shape (n,), 0 or 1, with at least one 1
    scores : array of shape (n,), higher for anomalies, no NaN
    max_buffer : int
        Buffers from 0 to this are averaged.
    """
    labels, scores = np.asarray(labels) > 0, np.asarray(scores, dtype=np.float64)
    edges = np.flatnonzero(np.diff(labels, prepend=False, append=False))
    first, last = edges[::2], edges[1::2] - 1
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    thresholds = falling[np.linspace(0, len(scores) - 1, N_THRESHOLDS).astype(int)]
    n_flagged = np.searchsorted(-falling, -thresholds, side="right")
    areas = [
        _area(labels, scores, order, (first, last), thresholds, n_flagged, buffer) for buffer in range(max_buffer + 1)
    ]
    return float(np.mean(areas))


def _area(labels, scores, order, anomalies, thresholds, n_flagged, buffer) -> float:
    """Area under the precision-recall curve for one buffer."""
    slopes = np.where(labels, 0.0, _extended(labels, anomalies, buffer))
    found_inside, found_near = (np.cumsum(part[order])[n_flagged - 1] for part in (labels * 1.0, slopes))
    peaks = np.array([scores[a : b + 1].max() for a, b in _merged(anomalies, buffer, len(labels))])
    existence = (peaks[:, np.newaxis] >= thresholds).mean(axis=0)
    true_positives = found_inside + found_near
    recall = np.minimum(true_positives / (labels.sum() + found_near / 2), 1) * existence
    return float(np.sum(np.diff(recall, prepend=0.0) * true_positives / n_flagged))


def _extended(labels: np.ndarray, anomalies: tuple, buffer: int) -> np.ndarray:
    extended, half, n = labels * 1.0, buffer // 2, len(labels)
    for first, last in zip(*anomalies, strict=True):
        after, before = np.arange(last + 1, min(last + half + 1, n)), np.arange(max(first - half, 0), first)
        extended[after] += np.sqrt(1 - (after - last) / max(buffer, 1))
        extended[before] += np.sqrt(1 - (first - before) / max(buffer, 1))
    return np.minimum(extended, 1)


def _merged(anomalies: tuple, buffer: int, n: int) -> list[tuple[int, int]]:
    """Anomalies with their slopes; those that touch are one."""
    merged: list[tuple[int, int]] = []
    for first, last in zip(*anomalies, strict=True):
        first, last = max(first - buffer // 2, 0), min(last + buffer // 2, n - 1)
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def period(values: np.ndarray) -> int:
    """The lag of the largest local maximum of the autocorrelation, from 6 to 303 steps; 125 where there is none."""
    values = np.asarray(values, dtype=np.float64)[:20_000]
    values = values - values.mean()
    spectrum = np.fft.rfft(values, 2 * len(values))
    correlation = np.fft.irfft(spectrum * spectrum.conj())[3 : min(401, len(values))]
    inner = correlation[1:-1]
    maxima = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner > correlation[2:]))
    if not maxima.size or not values.any():
        return NO_PERIOD
    best = int(maxima[np.argmax(correlation[maxima])])
    return best + 3 if 3 <= best <= 300 else NO_PERIOD
