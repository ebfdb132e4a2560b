"""Which windows a detector trains and calibrates on, and whether they are enough for its alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tsae.anomaly.thresholds import THRESHOLDS, Calibrator
from tsae.data.layout import covered_rows
from tsae.data.splitting import holdout
from tsae.data.windows import Windows
from tsae.estimators.validation import check_number, draw_seed
from tsae.messages import warn_in_lines

AUTO = "auto"
WANTED_ALPHA = 0.02  # of alpha="auto", where there are enough held-out scores
_ANY_ALPHA = 1 - 1e-6  # the level that the fewest scores are enough for


def normal_windows(windows: Windows, given: Windows, anomalies: Any) -> Windows:
    """Select the windows without a known anomaly.

    Parameters
    ----------
    windows : Windows
        To select from.
    given : Windows
        The same windows over the rows that `anomalies` marks.
    anomalies : bool array or None
        As in `AnomalyDetector.fit`.

    Returns
    -------
    Windows
    """
    if anomalies is None:
        return windows
    marks = np.asarray(anomalies)
    n_windows, n_rows = len(given), len(given.values)
    if marks.dtype != bool or marks.shape not in ((n_windows,), (n_rows,)):
        raise ValueError(
            f"anomalies is {marks.dtype} of shape {marks.shape}; it must be bool, one entry per window "
            f"({n_windows},) or per row ({n_rows},)"
        )
    if marks.shape == (n_rows,):
        touched = given.touching(marks)
        if n_rows == n_windows and not np.array_equal(touched, marks):
            raise ValueError(
                f"anomalies has {n_rows} entries, but there are as many windows as rows: it could mean either. Leave "
                "the windows out yourself: fit(X[~marks]) for marks per window, fit(X[~X.touching(marks)]) per row"
            )
        marks = touched
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


def check_alpha_or_auto(alpha: Any) -> None:
    """Refuse what is neither a level nor "auto"."""
    if not (isinstance(alpha, str) and alpha == AUTO):
        check_number("alpha", alpha, 0, 1, open_low=True, open_high=True, or_else="'auto'")


def check_enough(threshold: str, block_length: int, alpha: float | str, calibration: Windows, n_windows: int) -> None:
    """Refuse, before training, fewer scores than ``alpha`` needs even if all of them are independent."""
    level = _ANY_ALPHA if isinstance(alpha, str) else alpha
    needed = THRESHOLDS[threshold](block_length).required(level)
    if calibration.overlapping():
        # Timelines are calibrated by row. Whether there are enough windows is checked when they are scored.
        available, unit = _n_covered_rows(calibration), "rows in held-out windows"
    else:
        available, unit = len(calibration), "held-out windows"
    if available < needed:
        raise ValueError(
            f"threshold={threshold!r} with alpha={alpha if isinstance(alpha, str) else f'{alpha:g}'} needs at least "
            f"{needed} {unit}; calibration_fraction holds out {len(calibration)} of {n_windows} windows, which gives "
            f"{available}. Fit on at least {math.ceil(needed / (available / n_windows))} windows"
            + ("" if isinstance(alpha, str) else ", or choose a larger alpha, or alpha='auto'")
            + _other_methods(block_length, level, available)
        )


def choose_alpha(calibrator: Calibrator, alpha: float | str) -> float:
    """Return the level for ``alpha``: "auto" is `WANTED_ALPHA`, or the smallest that there are enough scores for.

    Parameters
    ----------
    calibrator : Calibrator
        Fitted.
    alpha : float or "auto"

    Returns
    -------
    float
        NaN where "auto" finds none.
    """
    if not isinstance(alpha, str):
        return alpha
    return WANTED_ALPHA if _is_enough(calibrator, WANTED_ALPHA) else calibrator.smallest_alpha_


def warn_of_alpha(timestamps: Calibrator, windows: Calibrator, alpha: float | str) -> None:
    """Warn, at the end of `fit`, where ``alpha`` cannot be used, or is not what "auto" wants to be."""
    reports = [_report(timestamps, alpha, "timestamps", "events"), _report(windows, alpha, "windows", "predict")]
    sentences = [sentence for report in reports for sentence in report]
    if sentences:
        advice = "Fit on more normal data for a smaller one; events(X, top=20) ranks events without any."
        warn_in_lines(*sentences, advice, stacklevel=3)


def _report(calibrator: Calibrator, alpha: float | str, unit: str, method: str) -> list[str]:
    wanted = WANTED_ALPHA if isinstance(alpha, str) else alpha
    if _is_enough(calibrator, wanted):
        return []
    smallest, shortage = calibrator.smallest_alpha_, f"{calibrator.shortage(wanted)}."
    if math.isnan(smallest):
        return [f"for {unit} no alpha can be used, and {method} will raise.", shortage]
    if isinstance(alpha, str):
        return [f"for {unit} alpha='auto' is {_rounded_up(smallest)}.", shortage]
    return [
        f"for {unit} alpha={alpha:g} cannot be used, and {method} will raise.",
        shortage,
        f"The smallest alpha is {_rounded_up(smallest)}; set_params(alpha='auto') chooses it, without a new fit.",
    ]


def find_threshold(calibrator: Calibrator, alpha: float, unit: str) -> float:
    """Return the threshold for ``alpha``; where there is none, the error names the remedies."""
    alpha = WANTED_ALPHA if math.isnan(alpha) else alpha  # "auto" found none: the error explains why
    try:
        return calibrator.threshold(alpha)
    except ValueError as error:
        smallest = calibrator.smallest_alpha_
        raise ValueError(
            f"{error} ({unit} of the calibration part). Fit on more data"
            + (f", or choose a larger alpha (at least {_rounded_up(smallest)})" if smallest > alpha else "")
            + _other_methods(calibrator.block_length, alpha, calibrator.n_scores_)
        ) from None


def _is_enough(calibrator: Calibrator, alpha: float) -> bool:
    return calibrator.n_scores_ >= calibrator.required(alpha)


def _rounded_up(alpha: float) -> str:
    """Three digits of a level, never below it: what a message names can be used."""
    if alpha <= 0:
        return "0"
    step = 10.0 ** (math.floor(math.log10(alpha)) - 2)
    shown = math.ceil(alpha / step) * step
    return f"{shown:.3g}" if shown < 1 else repr(alpha)


def _other_methods(block_length: int, alpha: float, n_scores: int) -> str:
    enough = [name for name, method in THRESHOLDS.items() if method(block_length).required(alpha) <= n_scores]
    return "".join(f", or threshold={name!r}" for name in enough)


def _n_covered_rows(windows: Windows) -> int:
    covered = covered_rows(windows.starts, windows.lengths, len(windows.values))
    return len(windows.values) if covered is None else int(covered.sum())
