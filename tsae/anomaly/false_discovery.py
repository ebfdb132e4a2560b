"""Control of the false discovery rate over many p-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def benjamini_hochberg(pvalues: ArrayLike) -> np.ndarray:
    """Adjust p-values so that they control the false discovery rate over a batch.

    Rejecting where the adjusted value is at most ``alpha`` keeps the expected share of false alarms among
    all alarms at ``alpha``, for independent or positively dependent p-values; conformal p-values of one
    calibration set are positively dependent (Bates et al. 2023).

    Parameters
    ----------
    pvalues : array-like of shape (n,)
        In [0, 1]; NaN (unknown) takes no part.

    Returns
    -------
    adjusted : ndarray of shape (n,), float64
        NaN where ``pvalues`` is.

    Raises
    ------
    ValueError
        If a p-value lies outside [0, 1], or the array is not one-dimensional.

    References
    ----------
    Benjamini, Hochberg, "Controlling the false discovery rate" (JRSS B, 1995). Bates, Candes, Lei, Romano,
    Sesia, "Testing for outliers with conformal p-values" (Annals of Statistics, 2023), section 2.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.9, float("nan")])
    array([0.03, 0.03, 0.9 ,  nan])
    """
    from scipy.stats import false_discovery_control

    pvalues = np.asarray(pvalues, dtype=np.float64)
    if pvalues.ndim != 1:
        raise ValueError(f"pvalues must be one-dimensional; got shape {pvalues.shape}")
    known = ~np.isnan(pvalues)
    outside = known & ((pvalues < 0) | (pvalues > 1))
    if outside.any():
        position = int(np.flatnonzero(outside)[0])
        raise ValueError(f"pvalues must be in [0, 1]; got {pvalues[position]:g} at position {position}")
    adjusted = np.full(pvalues.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(pvalues[known], method="bh")
    return adjusted
