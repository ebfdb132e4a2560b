"""Comparison of scores that rounding cannot change."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# Relative difference up to which two scores count as equal.
#
# A score depends a little on how windows are batched, since matrix products of other sizes add up in another order:
# by about 1e-15 of its size in float64, and by up to 1e-5 (measured, a stream against a timeline) for a network that
# computes in float32. P-values are steps at the calibration scores, and when calibration data are scored again, their
# scores are exactly at the steps: an exact comparison would let rounding move p-values by a whole step.
#
# Rounding scores to a grid would only move the problem to the edges of the grid. Instead, each calibration score is
# raised by this share. A score that equals it up to rounding is then a whole tolerance away from the edge. Rounding
# decides only where a score is, by chance, within rounding of the edge of an unrelated calibration score.
#
# More calibration scores count as "at least as large", never fewer. So p-values are never too small for it, and too
# large only by the share of calibration scores within the tolerance.
TOLERANCE = 5e-5


def raised(scores: ArrayLike) -> np.ndarray:
    """Return the largest scores that count as equal to the given ones; the order stays."""
    values: np.ndarray = np.asarray(scores, dtype=np.float64)
    return np.asarray(values + TOLERANCE * np.abs(values))


def largest_first(values: ArrayLike) -> np.ndarray:
    """Return positions by falling value; of values that differ by rounding alone, the earlier comes first."""
    values = np.asarray(values, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    falls = raised(values[order[1:]]) < values[order[:-1]]
    rank = np.cumsum(np.r_[False, falls]) if order.size else order
    return np.asarray(order[np.lexsort((order, rank))])
