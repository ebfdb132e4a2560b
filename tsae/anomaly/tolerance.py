"""Comparison of scores that rounding cannot change."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# Relative difference up to which two scores count as equal.
#
# A score depends a little on how windows are batched: matrix products of other sizes add up in another order. In
# float64 this moves a score by some 1e-15 of its size, in the float32 of a network by up to 1e-5 (measured: a stream
# against a timeline). P-values are steps at the calibration scores, and scored calibration data lie exactly on them,
# so comparing exactly would let rounding move a p-value by a whole step.
#
# Rounding scores to a grid would only move the problem to the edges of the grid. Here each calibration score is
# raised by this share instead. A score that equals it up to rounding then lies in the middle of the tolerance, far
# from the edge, on whichever side rounding puts it. Rounding decides only where the score lies by chance within
# rounding of the edge of another one. More calibration scores count as "at least as large", never fewer: p-values
# are never too small for it, and too large by no more than the share of calibration scores that lie so near.
TOLERANCE = 5e-5


def raised(scores: ArrayLike) -> np.ndarray:
    """Return the largest scores that count as equal to the given ones; the order stays."""
    values: np.ndarray = np.asarray(scores, dtype=np.float64)
    return np.asarray(values + TOLERANCE * np.abs(values))
