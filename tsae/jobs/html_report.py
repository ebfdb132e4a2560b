"""One self-contained HTML page on the anomalies of a data set: timeline, events, calibration, training."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.residuals import decoder_output
from tsae.data.windows import Windows

PAGE = Path(__file__).parent / "report_page"

# Limits on the size of the page: longer series are shown by the lowest and highest values of short stretches.
TIMELINE_VALUES = 600_000
MAX_POINTS, MIN_POINTS = 20_000, 1_000
MAX_SERIES = 100
MAX_EVENT_STEPS = 1_000
SMALLEST_SCORE = 1e-3  # scores below are raised to it: the axis is logarithmic


def write_report(
    path: str | Path,
    detector: Any,
    windows: Windows,
    *,
    timeline: pd.DataFrame | None = None,
    events: pd.DataFrame | None = None,
    labels: np.ndarray | None = None,
    alpha: float | None = None,
    title: str = "Anomalies",
    max_events: int = 30,
) -> Path:
    """Write the page.

    Parameters
    ----------
    path : str or Path
        The HTML file; overwritten.
    detector : fitted AnomalyDetector
    windows : Windows
        Of the series that were scored.
    timeline, events : DataFrame, default=None
        Results of ``detector.score_timeline(windows)`` and ``detector.events``; None: computed.
    labels : bool array of shape (n_rows,), default=None
        Known anomalies, one entry per row of ``windows.values``; shaded in the timeline.
    alpha : float, default=None
        Level of the events; None: the detector's.
    title : str
    max_events : int, default=30
        Number of events whose reconstruction is shown: those with the highest scores.

    Returns
    -------
    Path
        Of the HTML file.

    Raises
    ------
    ValueError
        If the timeline or the labels do not have one row per row of the series.
    """
    timeline = detector.score_timeline(windows) if timeline is None else timeline
    events = detector.events(timeline, alpha=alpha) if events is None else events
    for name, rows in (("timeline", timeline), ("labels", labels)):
        if rows is not None and len(rows) != len(windows.values):
            raise ValueError(f"{name} has {len(rows)} rows, the series of the windows have {len(windows.values)}")
    data = collect(detector, windows, timeline.reset_index(drop=True), events, labels, alpha, title, max_events)
    path = Path(path)
    path.write_text(render(data), encoding="utf-8")
    return path


def render(data: dict[str, Any]) -> str:
    """Fill the page template with styles, scripts and data."""
    parts = {
        "title": html.escape(data["title"]),
        "styles": _asset("uplot.min.css") + _asset("page.css"),
        "data": _as_json(data),
        "library": _asset("uplot.min.js"),
        "script": _asset("page.js"),
    }
    page = _asset("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def collect(
    detector: Any, windows: Windows, timeline: pd.DataFrame, events: pd.DataFrame, labels: np.ndarray | None, alpha:
    float | None, title: str, max_events: int,
) -> dict[str, Any]:  # fmt: skip
    """Collect everything that the page shows, as plain values."""
    level = detector.alpha_ if alpha is None else alpha
    axis = _TimeAxis(timeline["time"])
    spans = _spans(timeline["series"])
    first_row = {series: rows[0] for series, rows in spans.items()}
    shown = _series_to_show(spans, events)
    top = events.sort_values("score", ascending=False, kind="stable").head(max_events)
    places = {row: place for place, row in enumerate(top.index)}
    return {
        "title": title,
        "is_time": axis.is_time,
        "alpha": level,
        "threshold": _number(_threshold(detector, level)),
        "channels": list(windows.channel_names),
        "facts": _facts(detector, windows, timeline, events, level, len(spans), len(shown)),
        "series": [_series(series, spans[series], windows, timeline, labels, axis, len(shown)) for series in shown],
        "events": [
            {
                "series": _label(event.series),
                "start": axis.number(event.start),
                "end": axis.number(event.end),
                "peak": axis.number(event.peak),
                "score": _number(event.score),
                "p": _number(event.p_value),
                "channels": list(event.channels),
                "detail": places.get(event.Index),
            }
            for event in events.itertuples()
        ],
        "details": [
            _detail(detector, windows, timeline, spans[event.series], axis, event) for event in top.itertuples()
        ],
        "calibration": _calibration(detector, timeline),
        "history": _history(detector),
        "n_series_left_out": len(first_row) - len(shown),
    }


# -- content -----------------------------------------------------------------------------------------------------


def _facts(
    detector: Any, windows: Windows, timeline: pd.DataFrame, events: pd.DataFrame, alpha: float, n_series: int,
    n_shown: int,
) -> list[list[str]]:  # fmt: skip
    """Facts at the top of the page: name and value."""
    calibrator = detector.timeline_threshold_
    known = timeline["score"].notna()
    flagged = (timeline["p_value"] <= alpha).sum() / max(known.sum(), 1)
    facts = [
        ["Events", f"{len(events):,}"],
        ["Series", f"{n_series:,}" + (f" ({n_shown} shown)" if n_shown < n_series else "")],
        ["Timestamps", f"{len(timeline):,}" + ("" if known.all() else f" ({(~known).sum():,} without a score)")],
        ["Channels", f"{windows.n_channels:,}"],
        ["Window", f"{windows.width} steps"],
        ["Flagged timestamps", f"{flagged:.2%} (of normal ones {100 * alpha:.3g}% by chance)"],
        ["Threshold", f"{detector.threshold}, on {calibrator.n_scores_:,} held-out normal timestamps"],
        ["Scores", ", ".join(detector.combination_.names)],
        ["Errors of", ", ".join(str(name or "the decoder") for name in detector.decoders_)],
    ]
    if calibrator.block_length > 1:
        facts[6][1] += f" ({calibrator.block_length} neighbours count as one)"
    return facts


def _series(
    series: Any, rows: tuple[int, int], windows: Windows, timeline: pd.DataFrame, labels: np.ndarray | None, axis:
    _TimeAxis, n_shown: int,
) -> dict[str, Any]:  # fmt: skip
    """Score, channels and labels of one series, thinned to fit into the page."""
    own = slice(*rows)
    budget = TIMELINE_VALUES // (n_shown * (windows.n_channels + 2))
    positions, group = thin(rows[1] - rows[0], int(np.clip(budget, MIN_POINTS, MAX_POINTS)))
    score = timeline["score"].to_numpy()[own]
    marks = None if labels is None else _ranges(np.asarray(labels[own], dtype=bool))
    times = axis.numbers[own]
    return {
        "name": _label(series),
        "time": _numbers(times[positions], digits=15),
        "score": _numbers(np.maximum(extremes(score, group, highest_only=True), SMALLEST_SCORE)),
        "values": [_numbers(extremes(values, group)) for values in windows.values[own].T],
        "thinned": group,
        "labels": None if marks is None else [[_number(times[a], 15), _number(times[b - 1], 15)] for a, b in marks],
    }


def _detail(
    detector: Any, windows: Windows, timeline: pd.DataFrame, rows: tuple[int, int], axis: _TimeAxis, event: Any
) -> dict[str, Any]:
    """Values and reconstruction around one event, at full resolution."""
    times = axis.numbers[rows[0] : rows[1]]
    at = [rows[0] + int(np.searchsorted(times, axis.number(time))) for time in (event.start, event.end, event.peak)]
    begin = max(rows[0], at[0] - windows.width)
    end = min(rows[1], at[1] + windows.width + 1)
    if end - begin > MAX_EVENT_STEPS:
        begin = max(begin, at[2] - MAX_EVENT_STEPS // 2)
        end = min(end, begin + MAX_EVENT_STEPS)
    reconstruction = _reconstruction(detector, windows, begin, end)
    shares = timeline[[f"contribution_{name}" for name in windows.channel_names]].to_numpy()[at[0] : at[1] + 1]
    weight = np.nansum(shares, axis=0)
    weight = weight / weight.sum() if weight.sum() > 0 else weight
    order = np.argsort(-weight, kind="stable")[:12]
    return {
        "time": _numbers(axis.numbers[begin:end], digits=15),
        "channels": [
            {
                "name": windows.channel_names[channel],
                "share": _number(weight[channel]),
                "values": _numbers(windows.values[begin:end, channel]),
                "reconstruction": _numbers(reconstruction[:, channel]),
            }
            for channel in order
        ],
        "n_channels_left_out": len(weight) - len(order),
    }


def _reconstruction(detector: Any, windows: Windows, begin: int, end: int) -> np.ndarray:
    """Mean reconstruction of the rows from begin to end, over all windows that cover them."""
    starts, lengths = windows.starts, windows.lengths
    near = windows[(starts < end) & (starts + lengths > begin)]
    near = near[near.observed]
    total, count = np.zeros((end - begin, windows.n_channels)), np.zeros((end - begin, windows.n_channels))
    batch_size = max(1, 2_000_000 // (windows.width * windows.n_channels))
    for first in range(0, len(near), batch_size):
        chunk = near[first : first + batch_size]
        values = decoder_output(detector.autoencoder_, chunk, detector.decoders_[0])
        place = chunk.starts[:, np.newaxis] + np.arange(windows.width) - begin
        inside = (place >= 0) & (place < end - begin)
        known = ~np.isnan(values[inside])
        np.add.at(total, place[inside], np.where(known, values[inside], 0.0))
        np.add.at(count, place[inside], known)
    with np.errstate(invalid="ignore"):
        return total / count


def _calibration(detector: Any, timeline: pd.DataFrame) -> dict[str, Any]:
    """Share of timestamps at or above each score: of held-out normal timestamps, and of those in this report."""
    normal = np.sort(detector.calibration_scores_)
    observed = np.sort(timeline["score"].dropna().to_numpy())
    highest = max(normal[-1], observed[-1] if observed.size else 0, 10 * SMALLEST_SCORE)
    lowest = max(min(normal[0], observed[0] if observed.size else normal[0]), SMALLEST_SCORE)
    grid = np.geomspace(lowest, highest, 200)

    def share_above(scores: np.ndarray) -> list[Any]:
        share = 1 - np.searchsorted(scores, grid, side="left") / max(scores.size, 1)
        return _numbers(np.where(share > 0, share, np.nan))

    return {
        "score": _numbers(grid),
        "normal": share_above(normal),
        "observed": share_above(observed),
        "p_value": _numbers(np.maximum(detector.timeline_threshold_.pvalues(grid), 1e-12)),
    }


def _history(detector: Any) -> dict[str, Any] | None:
    history = getattr(detector.autoencoder_, "history_", None)
    if history is None:
        return None
    return {
        column: _numbers(history[column].to_numpy()) for column in ("epoch", "loss", "val_loss") if column in history
    }


def _threshold(detector: Any, alpha: float) -> float:
    calibrator = detector.timeline_threshold_
    enough = calibrator.n_scores_ >= calibrator.required(alpha)
    return calibrator.threshold(alpha) if enough else float("nan")


def _spans(series: pd.Series) -> dict[Any, tuple[int, int]]:
    """First row of each series and the row after its last; the rows of a series are contiguous."""
    codes, names = pd.factorize(series)
    edges = np.flatnonzero(np.diff(codes, prepend=-1))
    return dict(zip(names, zip(edges.tolist(), [*edges[1:].tolist(), len(codes)], strict=True), strict=True))


def _series_to_show(spans: dict[Any, tuple[int, int]], events: pd.DataFrame) -> list[Any]:
    """All series, or those with the highest event scores if there are too many."""
    if len(spans) <= MAX_SERIES:
        return list(spans)
    strongest = events.groupby("series", sort=False)["score"].max().sort_values(ascending=False)
    chosen = set([*strongest.index, *spans][:MAX_SERIES])
    return [series for series in spans if series in chosen]


# -- thinning ----------------------------------------------------------------------------------------------------


def thin(n: int, n_points: int) -> tuple[np.ndarray, int]:
    """Choose up to `n_points` of n rows, in pairs.

    Returns
    -------
    positions : int64 ndarray
    group : int
        Number of rows that each pair represents; 1 if all rows are chosen.

    Examples
    --------
    >>> thin(10, 4)
    (array([0, 2, 5, 7]), 5)
    """
    if n <= n_points:
        return np.arange(n), 1
    group = int(np.ceil(n / (n_points // 2)))
    begins = np.arange(0, n, group)
    return np.stack([begins, np.minimum(begins + group // 2, n - 1)], axis=1).ravel(), group


def extremes(values: np.ndarray, group: int, *, highest_only: bool = False) -> np.ndarray:
    """Compute the lowest and the highest value of each group of rows (or the highest twice).

    Returns
    -------
    ndarray
        Two entries per group.

    Examples
    --------
    >>> extremes(np.array([1.0, 5.0, 2.0, 7.0, 0.0]), 3)
    array([1., 5., 0., 7.])
    """
    if group == 1:
        return values
    missing = -len(values) % group
    stretches = np.concatenate([values, np.full(missing, np.nan)]).reshape(-1, group)
    highest = np.fmax.reduce(stretches, axis=1)
    lowest = highest if highest_only else np.fmin.reduce(stretches, axis=1)
    return np.stack([lowest, highest], axis=1).ravel()


def _ranges(marks: np.ndarray) -> np.ndarray:
    """First rows and rows after the last of the stretches of True."""
    return np.flatnonzero(np.diff(marks, prepend=False, append=False)).reshape(-1, 2)


# -- numbers and text --------------------------------------------------------------------------------------------


class _TimeAxis:
    """Timestamps as numbers for the plots: local seconds since 1970 for datetimes, seconds for durations."""

    def __init__(self, times: pd.Series):
        self.is_time = pd.api.types.is_datetime64_any_dtype(times)
        self.is_span = pd.api.types.is_timedelta64_dtype(times)
        self.numbers = self._as_numbers(times)

    def _as_numbers(self, times: pd.Series) -> np.ndarray:
        if self.is_time:
            times = times.dt.tz_localize(None) if times.dt.tz is not None else times
            numbers = times.to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9
        else:
            numbers = times.dt.total_seconds() if self.is_span else times
        return np.asarray(numbers, dtype=np.float64)

    def number(self, time: Any) -> float:
        return float(self._as_numbers(pd.Series([time]))[0])


def _label(name: Any) -> str:
    return str(name)


def _number(value: Any, digits: int = 5) -> float | None:
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def _numbers(values: np.ndarray, digits: int = 5) -> list[Any]:
    return [_number(value, digits) for value in np.asarray(values, dtype=np.float64).tolist()]


def _as_json(data: dict[str, Any]) -> str:
    """JSON that cannot close the element that contains it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
