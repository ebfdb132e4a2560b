"""One self-contained HTML page on the anomalies of a data set."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.windows import Windows
from tsae.estimators.validation import check_number
from tsae.report.content import collect
from tsae.report.material import Material

ASSETS = Path(__file__).parent / "assets"

# Joined in this order; the scripts share one scope.
STYLES = ("uplot.min.css", "page.css", "plots.css", "phone.css", "print.css")
SCRIPTS = (
    "data.js", "colors.js", "charts.js", "zoom.js", "marks.js", "overview.js", "timeline.js", "table.js", "events.js",
    "detail.js", "curves.js", "start.js",
)  # fmt: skip


def write_report(
    path: str | Path,
    timeline: pd.DataFrame,
    events: pd.DataFrame,
    *,
    values: Windows | pd.DataFrame | np.ndarray | None = None,
    labels: np.ndarray | None = None,
    detector: Any = None,
    alpha: float | None = None,
    title: str = "Anomalies",
    facts: Mapping[str, Any] | None = None,
    max_events: int = 30,
) -> Path:
    """Write an HTML page on scores and events, to be read in a browser.

    The page is one file that loads nothing from elsewhere: an overview of all series, the scores and values of one at
    a time, the events as a table that can be sorted, filtered and saved, and each event in detail. Events can be
    marked as normal, fault or unclear; ``tsae anomalies --label-column`` and ``tsae train --label-column`` read the
    file of marks that the page saves.

    Parameters
    ----------
    path : str or Path
        The HTML file; overwritten.
    timeline : DataFrame
        As from `AnomalyDetector.score_timeline`: one row per timestamp, with `series`, `time`, `score` and `p_value`,
        and the contributions of the channels if there are any.
    events : DataFrame
        As from `AnomalyDetector.events`.
    values : Windows, DataFrame or array of shape (n_rows, n_channels), default=None
        What was measured, one row per row of `timeline`. The windows that were scored bring their values along, and
        with `detector` also the reconstruction of the events.
    labels : bool or float array of shape (n_rows,), default=None
        Known anomalies, one entry per row of `timeline`: True or 1 for an anomaly, NaN where it is unclear. Drawn
        below the scores, and compared with the events.
    detector : fitted AnomalyDetector, default=None
        Adds its threshold, calibration and training.
    alpha : float, default=None
        The level that the events were made with, in (0, 1). None: the one that `events` remembers
        (``events.attrs["alpha"]``), or else the detector's.
    title : str, default="Anomalies"
    facts : mapping of str to values, default=None
        Further lines for the head of the page, such as ``{"Model": "pumps-7"}``.
    max_events : int, default=30
        Number of events that are shown in detail: those with the highest scores.

    Returns
    -------
    Path
        Of the HTML file.

    Raises
    ------
    TypeError
        If timeline or events are not DataFrames.
    ValueError
        If a column is missing; if values or labels are no numbers, or do not have one row per row of the timeline; if
        the rows of a series are not contiguous and in order of time; if events have larger p-values than `alpha`; and
        for an `alpha` or `max_events` that is not allowed.
    sklearn.exceptions.NotFittedError
        If the detector is not fitted.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from tsae import write_report
    >>> times = pd.date_range("2024-03-01", periods=4, freq="h")
    >>> timeline = pd.DataFrame(
    ...     {"series": "pump", "time": times, "score": [0.2, 0.3, 2.5, 0.1], "p_value": [0.6, 0.5, 0.001, 0.8]}
    ... )
    >>> event = {"series": "pump", "start": times[2], "end": times[2], "peak": times[2], "score": 2.5}
    >>> events = pd.DataFrame([{**event, "p_value": 0.001, "channels": ("load",)}])
    >>> load = pd.DataFrame({"load": [4.1, 4.0, 9.7, 4.2]})
    >>> path = write_report(tempfile.mkdtemp() + "/pump.html", timeline, events, values=load, alpha=0.01)
    >>> path.name
    'pump.html'
    """
    check_number("max_events", max_events, 0, integer=True)
    material = Material.of(timeline, events, values, labels, detector, alpha)
    data = collect(material, title, facts or {}, max_events)
    path = Path(path)
    path.write_text(render(data), encoding="utf-8")
    return path


def render(data: dict[str, Any]) -> str:
    """Fill the page template with styles, scripts and data."""
    parts = {
        "title": html.escape(data["title"]),
        "styles": _assets(*STYLES),
        "data": _as_json(data),
        "library": _assets("uplot.min.js"),
        "script": '"use strict";\n(() => {\n' + _assets(*SCRIPTS) + "})();\n",
    }
    page = _assets("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def _as_json(data: dict[str, Any]) -> str:
    """JSON that cannot close the element that contains it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _assets(*names: str) -> str:
    return "".join((ASSETS / name).read_text(encoding="utf-8") for name in names)
