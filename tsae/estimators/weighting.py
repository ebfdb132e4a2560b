"""Weights of windows in training."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length

from tsae.data.windows import Windows


def check_weights(windows: Windows, sample_weight: Any) -> np.ndarray:
    """Weights of windows, (n_windows,) float32; None: all are 1.

    Raises
    ------
    ValueError
        For weights of another number or shape, that are not finite, negative, or all 0.
    """
    if sample_weight is None:
        return np.ones(len(windows), np.float32)
    weights = check_array(sample_weight, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError(f"sample_weight has shape {weights.shape}; it must be 1D, one weight per window")
    check_consistent_length(windows, weights)
    if weights.min() < 0:
        raise ValueError(f"sample_weight holds {weights.min()} at {weights.argmin()}; weights must not be negative")
    if not weights.any():
        raise ValueError("sample_weight is zero for all windows: there is nothing to train on")
    return weights.astype(np.float32)


def weighted(windows: Windows, sample_weight: Any) -> tuple[Windows, np.ndarray]:
    """The windows that count, and their weights: those of weight 0 are left out, also of the scale of channels."""
    weights = check_weights(windows, sample_weight)
    return (windows, weights) if weights.all() else (windows[weights > 0].compact(), weights[weights > 0])
