"""Figures, Axes and colours of plots. matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

# The palette of Okabe and Ito, whose colours people with any kind of colour blindness can tell apart.
CLASS_COLORS = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000"
CLASS_MARKERS = "o", "^", "s"  # the next one where the colours begin again
DATA_COLOR, RECONSTRUCTION_COLOR, EVENT_COLOR, LABEL_COLOR, OTHER_COLOR = (
    "#0072B2",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "0.75",
)
MOST_PANELS = 30


def import_pyplot() -> Any:
    """Import matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "tsae[plot]"') from error
    return matplotlib.pyplot


def one_axes(ax: Any, size: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """Return the given Axes and its Figure, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure, ax = import_pyplot().subplots(figsize=size, layout="constrained")
    return figure, ax


def panels(ax: Any, n: int, what: str = "one per channel", width: float = 8) -> tuple[Any, np.ndarray]:
    """Return the given Axes for n panels, or new ones, one above the other."""
    if ax is None:
        size = (width, min(1.2 + 1.5 * n, 40))
        figure, axes = import_pyplot().subplots(n, 1, sharex=True, squeeze=False, figsize=size, layout="constrained")
        return figure, axes[:, 0]
    axes = np.atleast_1d(np.asarray(ax, dtype=object))
    if axes.shape != (n,):
        raise ValueError(f"ax holds {axes.size} Axes; {n} are needed, {what}")
    return axes[0].figure, axes


def legend_above(ax: Any, side: str = "right", **options: Any) -> None:
    """Put the legend above the Axes, where it hides nothing; none without labels."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        place = {"loc": f"lower {side}", "bbox_to_anchor": (float(side == "right"), 1.0), "borderaxespad": 0.1}
        ax.legend(handles, names, **place, ncols=min(8, len(names)), frameon=False, fontsize="small", **options)


def class_look(number: int) -> dict[str, str]:
    """Return colour and marker of a class; those of the first twenty-one differ."""
    cycle, color = divmod(number, len(CLASS_COLORS))
    return {"color": CLASS_COLORS[color], "marker": CLASS_MARKERS[cycle % len(CLASS_MARKERS)]}


def label_dates(ax: Any, times: Any) -> None:
    """Label a horizontal axis of datetimes briefly, without repeating what they share; leave other axes alone."""
    if np.asarray(times).dtype.kind == "M" or isinstance(getattr(times, "dtype", None), pd.DatetimeTZDtype):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=getattr(times, "tz", None)))
