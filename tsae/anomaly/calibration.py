"""Which windows a detector trains and calibrates on, and whether they are enough for its alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tsae.anomaly.thresholds import THRESHOLDS, Calibrator
from tsae.data.scaling import covered_rows
from tsae.data.splitting import holdout
from tsae.data.windows import Windows
from tsae.estimators.validation import draw_seed


def normal_windows(windows: Windows, anomalies: Any) -> Windows:
    """Select the windows without a known anomaly, which are given as in `AnomalyDetector.fit`."""
    if anomalies is None:
        return windows
    marks = np.asarray(anomalies)
    n_windows, n_rows = len(windows), len(windows.values)
    if marks.dtype != bool or marks.shape not in ((n_windows,), (n_rows,)):
        raise ValueError(
            f"anomalies is {marks.dtype} of shape {marks.shape}; it must be bool, one entry per window "
            f"({n_windows},) or per row ({n_rows},)"
        )
    if marks.shape == (n_rows,) and n_rows != n_windows:
        marks = windows.touching(marks)
    if marks.all():
        raise ValueError(f"anomalies marks all of the {n_windows} windows; nothing normal is left to fit on")
    return windows[~marks]


def split_windows(windows: Windows, calibration_fraction: float, random_state: Any) -> tuple[Windows, Windows]:
    """Split windows into those to train on and those to calibrate on; a fraction of 1 uses all for both."""
    if calibration_fraction == 1:
        return windows, windows
    if len(windows) < 2:
        raise ValueError(f"n_samples = {len(windows)}: AnomalyDetector needs at least 2 windows to hold one out")
    training, calibration = holdout(windows, calibration_fraction, np.random.default_rng(draw_seed(random_state)))
    return windows[training], windows[calibration]


def check_enough(threshold: str, block_length: int, alpha: float, calibration: Windows, n_windows: int) -> None:
    """Refuse, before training, fewer scores than ``alpha`` needs even if all of them are independent."""
    needed = THRESHOLDS[threshold](block_length).required(alpha)
    if calibration.overlapping():
        # Timelines are calibrated by row. Whether there are enough windows is checked when they are scored.
        available, unit = _n_covered_rows(calibration), "rows in held-out windows"
    else:
        available, unit = len(calibration), "held-out windows"
    if available < needed:
        raise ValueError(
            f"threshold={threshold!r} with alpha={alpha:g} needs at least {needed} {unit}; "
            f"calibration_fraction holds out {len(calibration)} of {n_windows} windows, which gives {available}. "
            f"Fit on at least {math.ceil(needed / (available / n_windows))} windows, or choose a larger alpha"
            + _other_methods(block_length, alpha, available)
        )


def find_threshold(calibrator: Calibrator, alpha: float, unit: str) -> float:
    """Return the threshold for ``alpha``; where there is none, the error names the remedies."""
    try:
        return calibrator.threshold(alpha)
    except ValueError as error:
        smallest = calibrator.smallest_alpha_
        raise ValueError(
            f"{error} ({unit} of the calibration part). Fit on more data"
            + (f", or choose a larger alpha (at least {smallest:.2g})" if smallest > alpha else "")
            + _other_methods(calibrator.block_length, alpha, calibrator.n_scores_)
        ) from None


def _other_methods(block_length: int, alpha: float, n_scores: int) -> str:
    enough = [name for name, method in THRESHOLDS.items() if method(block_length).required(alpha) <= n_scores]
    return "".join(f", or threshold={name!r}" for name in enough)


def _n_covered_rows(windows: Windows) -> int:
    covered = covered_rows(windows.starts, windows.lengths, len(windows.values))
    return len(windows.values) if covered is None else int(covered.sum())
