"""What a fitted detector adds to a report page: its calibration and its training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.report.material import Material
from tsae.report.numbers import numbers
from tsae.report.overview import SMALLEST_SCORE


def calibration(material: Material) -> dict[str, Any]:
    """Share of timestamps at or above each score: of held-out normal timestamps, and of those in the report."""
    detector = material.detector
    normal = np.sort(detector.calibration_scores_)
    observed = np.sort(material.timeline["score"].dropna().to_numpy(dtype=np.float64))
    highest = max(normal[-1], observed[-1] if observed.size else 0, 10 * SMALLEST_SCORE)
    lowest = max(min(normal[0], observed[0] if observed.size else normal[0]), SMALLEST_SCORE)
    grid = np.geomspace(lowest, highest, 200)

    def share_above(scores: np.ndarray) -> list[float | None]:
        share = 1 - np.searchsorted(scores, grid, side="left") / max(scores.size, 1)
        return numbers(np.where(share > 0, share, np.nan))

    return {
        "score": numbers(grid),
        "normal": share_above(normal),
        "observed": share_above(observed),
        "p_value": numbers(np.maximum(detector.timeline_threshold_.pvalues(grid), 1e-12)),
    }


def history(detector: Any) -> dict[str, Any] | None:
    """Losses by epoch; None where the autoencoder keeps none."""
    table = getattr(detector.autoencoder_, "history_", None)
    if table is None:
        return None
    return {column: numbers(table[column].to_numpy()) for column in ("epoch", "loss", "val_loss") if column in table}
