"""The measure of the benchmarks, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.vus import period, vus_pr


def naive_vus_pr(labels, scores, max_buffer):
    """The definition, one threshold and one buffer at a time."""
    n = len(labels)
    edges = np.flatnonzero(np.diff(np.r_[0, labels, 0]))
    anomalies = list(zip(edges[::2], edges[1::2] - 1, strict=True))
    falling = np.sort(scores)[::-1]
    areas = []
    for buffer in range(max_buffer + 1):
        extended = np.zeros(n)
        for row in range(n):
            for first, last in anomalies:
                distance = max(first - row, row - last, 0)
                if distance == 0:
                    extended[row] += 1
                elif distance <= buffer // 2:
                    extended[row] += np.sqrt(1 - distance / buffer)
        extended = np.minimum(extended, 1)
        regions = []
        for first, last in anomalies:
            rows = set(range(max(first - buffer // 2, 0), min(last + buffer // 2, n - 1) + 1))
            if regions and regions[-1] & rows:
                regions[-1] |= rows
            else:
                regions.append(rows)
        area, recall_before = 0.0, 0.0
        for position in np.linspace(0, n - 1, 250).astype(int):
            flagged = scores >= falling[position]
            found = sum(any(flagged[row] for row in region) for region in regions) / len(regions)
            weights = np.where(labels == 1, 1, extended * flagged)
            hits = (weights * flagged).sum()
            recall = min(hits / ((labels.sum() + weights.sum()) / 2), 1) * found
            area += (recall - recall_before) * hits / flagged.sum()
            recall_before = recall
        areas.append(area)
    return np.mean(areas)


@pytest.mark.parametrize("anomalies", [[(0, 5)], [(40, 60), (66, 70), (115, 119)], [(20, 20), (21, 80)]])
def test_vus_pr_is_that_of_the_definition(anomalies):
    rng = np.random.default_rng(0)
    labels = np.zeros(120, dtype=int)
    for first, last in anomalies:
        labels[first : last + 1] = 1
    scores = rng.normal(size=120).round(1) + labels  # with ties
    assert vus_pr(labels, scores, 12) == pytest.approx(naive_vus_pr(labels, scores, 12))


def test_perfect_and_constant_scores():
    labels = np.zeros(1000, dtype=int)
    labels[300:400] = 1
    assert vus_pr(labels, labels, 0) == pytest.approx(1)
    assert vus_pr(labels, np.zeros(1000), 0) == pytest.approx(0.1)


def test_period():
    assert period(np.sin(2 * np.pi * np.arange(2000) / 50)) == 50
    assert period(np.zeros(500)) == 125
