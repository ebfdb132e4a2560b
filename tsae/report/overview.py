"""The overview of all series: one strip of colours each."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.report.material import Material
from tsae.report.numbers import number, runs

N_CELLS = 240  # cells of a strip
MAX_STRIPS = 2_000
SMALLEST_SCORE = 1e-3  # scores below are raised to it: scales are logarithmic
UNKNOWN = "."


def overview(material: Material, shown: set[Any]) -> dict[str, Any]:
    """Describe each series in a few hundred characters.

    Returns
    -------
    dict
        `range`: first and last time of all series. `series`: for each its `name`, whether its curves are in the page
        (`shown`), number of `events` and highest score (`top`), and a `strip` of one character per stretch of time:
        0 to 4 for highest scores below the threshold, 5 to 9 for those above, a point where there is no score;
        `labels` holds the first and last cells of labelled stretches. `left_out`: number of further series.
    """
    times = material.axis.numbers
    first, last = float(times.min()), float(times.max())
    cells = np.minimum((times - first) / max(last - first, 1e-9) * N_CELLS, N_CELLS - 1).astype(np.int64)
    levels = _levels(material)
    scores = material.timeline["score"].to_numpy(dtype=np.float64)
    counts = material.events["series"].value_counts()
    names = list(material.spans)[:MAX_STRIPS]
    rows = []
    for name in names:
        own = slice(*material.spans[name])
        known = scores[own][~np.isnan(scores[own])]
        rows.append(
            {
                "name": str(name),
                "shown": name in shown,
                "events": int(counts.get(name, 0)),
                "top": number(known.max()) if known.size else None,
                "strip": _strip(cells[own], levels[own]),
                "labels": None if material.labels is None else _labelled_cells(cells[own], material.labels[own] > 0),
            }
        )
    return {"range": [number(first, 15), number(last, 15)], "series": rows, "left_out": len(material.spans) - len(rows)}


def _levels(material: Material) -> np.ndarray:
    """The level of each row, int64: -1 without a score, 0 to 4 below the threshold, 5 to 9 from it on."""
    scores = material.timeline["score"].to_numpy(dtype=np.float64)
    levels = np.full(len(scores), -1)
    known = ~np.isnan(scores)
    if not known.any():
        return levels
    sizes = np.log(np.maximum(scores[known], SMALLEST_SCORE))
    usual, highest = np.median(sizes), sizes.max()
    border = np.inf if np.isnan(material.threshold) else np.log(max(material.threshold, SMALLEST_SCORE))
    above = sizes >= border
    below_top = min(border, highest)
    steps = np.where(
        above,
        5 + 5 * (sizes - border if np.isfinite(border) else 0) / max(highest - border, 1e-9),
        5 * (sizes - usual) / max(below_top - usual, 1e-9),
    )
    levels[known] = np.where(above, np.clip(steps, 5, 9), np.clip(steps, 0, 4)).astype(np.int64)
    return levels


def _strip(cells: np.ndarray, levels: np.ndarray) -> str:
    """The highest level of the rows in each cell. A row lasts until the next one, but over no more than a few cells."""
    strip = np.full(N_CELLS, -1)
    begins = np.flatnonzero(np.diff(cells, prepend=-1))
    strip[cells[begins]] = np.maximum.reduceat(levels, begins)
    usual = int(np.median(np.diff(cells[begins]))) if len(begins) > 1 else 1
    for offset in range(1, usual):  # rows further apart than a cell
        empty = cells[begins] + offset
        empty = empty[empty < N_CELLS]
        strip[empty] = np.where(strip[empty] < 0, strip[empty - 1], strip[empty])
    return "".join(UNKNOWN if level < 0 else str(level) for level in strip)


def _labelled_cells(cells: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    return [[int(cells[a]), int(cells[b - 1])] for a, b in runs(labels)]
