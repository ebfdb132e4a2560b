"""What a report page shows, as plain values: facts, series, overview and events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.events import EXTRAPOLATED, RAISED_BY
from tsae.report.calibration import calibration, history
from tsae.report.comparison import compare_events, without_unclear
from tsae.report.details import detail
from tsae.report.material import Material
from tsae.report.numbers import extremes, number, numbers, runs, thin
from tsae.report.overview import SMALLEST_SCORE, overview

# Limits on the size of the page: longer series are shown by the lowest and highest values of short stretches, and where
# there are too many series for that, the least interesting ones by their strips alone.
TIMELINE_VALUES = 600_000
MAX_POINTS, MIN_POINTS = 20_000, 600
MAX_SERIES = 100


def collect(material: Material, title: str, facts: Mapping[str, Any], max_events: int) -> dict[str, Any]:
    """Collect everything that the page shows."""
    events, axis = material.events, material.axis
    shown = _series_to_show(material)
    top = events.sort_values("score", ascending=False, kind="stable").head(max_events)
    places = {row: place for place, row in enumerate(top.index)}
    return {
        "title": title,
        "key": _key(material),
        "is_time": axis.is_time,
        "is_span": axis.is_span,
        "alpha": material.alpha,
        "threshold": number(material.threshold),
        "channels": material.channel_names,
        "facts": [*_facts(material, len(shown)), *([str(name), str(value)] for name, value in facts.items())],
        "overview": overview(material, set(shown)),
        "series": [_series(material, series, len(shown)) for series in shown],
        "events": _events(material, places),
        "details": [detail(material, event) for event in top.itertuples()],
        "calibration": None if material.detector is None else calibration(material),
        "history": None if material.detector is None else history(material.detector),
    }


# -- facts -------------------------------------------------------------------------------------------------------


def _facts(material: Material, n_shown: int) -> list[list[str]]:
    """Facts at the top of the page: name and value."""
    timeline, n_series = material.timeline, len(material.spans)
    known = timeline["score"].notna()
    facts = [
        ["Period", f"{_time_text(timeline['time'].min())} – {_time_text(timeline['time'].max())}"],
        ["Events", f"{len(material.events):,}"],
        ["Series", f"{n_series:,}" + (f" ({n_shown} with curves)" if n_shown < n_series else "")],
        ["Timestamps", f"{len(timeline):,}" + ("" if known.all() else f" ({(~known).sum():,} without a score)")],
    ]
    if material.channel_names:
        facts.append(["Channels", f"{len(material.channel_names):,}"])
    if material.alpha is not None:
        flagged = (timeline["p_value"] <= material.alpha).sum() / max(known.sum(), 1)
        facts.append(["Alpha", f"{material.alpha:.4g}"])
        facts.append(["Flagged timestamps", f"{flagged:.2%} (of normal ones {100 * material.alpha:.3g}% by chance)"])
    if material.labels is not None:
        facts += _comparison(material)
    if material.detector is not None:
        facts += _facts_of_detector(material.detector)
    return [*facts, ["Created", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")]]


def _comparison(material: Material) -> list[list[str]]:
    """How many labelled stretches have an event, and how many events are on labels."""
    counts = compare_events(*without_unclear(material.timeline.assign(label=material.labels), material.events))
    n_true = counts["n_events"] - counts["n_false_events"]
    return [
        ["Recall", _share(counts["n_found"], counts["n_labelled_events"], "labelled stretches have an event")],
        ["Precision", _share(n_true, counts["n_events"], "events are on labels")],
    ]


def _share(part: int, whole: int, of: str) -> str:
    return f"{part / whole:.0%} ({part:,} of {whole:,} {of})" if whole else f"– (0 of 0 {of})"


def _facts_of_detector(detector: Any) -> list[list[str]]:
    calibrator = detector.timeline_threshold_
    threshold = f"{detector.threshold}, on {calibrator.n_scores_:,} held-out normal timestamps"
    if calibrator.block_length > 1:
        threshold += f" ({calibrator.block_length} neighbours count as one)"
    return [
        ["Window", "of any length" if detector.n_timesteps_ is None else f"{detector.n_timesteps_} steps"],
        ["Threshold", threshold],
        ["Scores", ", ".join(detector.combination_.names)],
        ["Errors of", ", ".join(str(name or "the decoder") for name in detector.decoders_)],
    ]


def _time_text(time: Any) -> str:
    if isinstance(time, pd.Timestamp):
        return time.strftime("%Y-%m-%d %H:%M")
    return f"{time:.15g}" if isinstance(time, float) else str(time)


# -- series and events -------------------------------------------------------------------------------------------


def _series_to_show(material: Material) -> list[Any]:
    """All series, or those with the highest event scores if there are too many."""
    spans = material.spans
    longest = min(MIN_POINTS, max(end - begin for begin, end in spans.values()))
    room = int(np.clip(TIMELINE_VALUES // (longest * (len(material.channel_names) + 2)), 1, MAX_SERIES))
    if len(spans) <= room:
        return list(spans)
    strongest = material.events.groupby("series", sort=False)["score"].max().sort_values(ascending=False)
    chosen = set(list(dict.fromkeys([*strongest.index, *spans]))[:room])
    return [series for series in spans if series in chosen]


def _series(material: Material, series: Any, n_shown: int) -> dict[str, Any]:
    """Score, channels and labels of one series, thinned to fit into the page."""
    begin, end = material.spans[series]
    budget = TIMELINE_VALUES // (n_shown * (len(material.channel_names) + 2))
    positions, group = thin(end - begin, int(np.clip(budget, MIN_POINTS, MAX_POINTS)))
    score = material.timeline["score"].to_numpy(dtype=np.float64)[begin:end]
    times = material.axis.numbers[begin:end]
    labels = None
    if material.labels is not None:
        labels = [[number(times[a], 15), number(times[b - 1], 15)] for a, b in runs(material.labels[begin:end] > 0)]
    return {
        "name": str(series),
        "time": numbers(times[positions], digits=15),
        "score": numbers(np.maximum(extremes(score, group, highest_only=True), SMALLEST_SCORE)),
        "values": [numbers(extremes(values, group)) for values in material.values[begin:end].T],
        "thinned": group,
        "labels": labels,
    }


def _events(material: Material, places: dict[Any, int]) -> list[dict[str, Any]]:
    """All events; `detail` is the place of those that have one, `text` their times as they are written to files."""
    events, axis = material.events, material.axis
    start, end, peak = (axis.of(events[name]) for name in ("start", "end", "peak"))
    raised_by = events[RAISED_BY] if RAISED_BY in events else [None] * len(events)
    extrapolated = events[EXTRAPOLATED] if EXTRAPOLATED in events else np.full(len(events), np.nan)
    return [
        {
            "series": str(event.series),
            "start": number(start[row], 15),
            "end": number(end[row], 15),
            "peak": number(peak[row], 15),
            "text": [str(event.start), str(event.end), str(event.peak)],
            "score": number(event.score),
            "p": number(event.p_value),
            "extrapolated": number(tail),
            "channels": [str(name) for name in event.channels],
            "raised_by": name,
            "detail": places.get(row),
        }
        for row, (event, name, tail) in enumerate(zip(events.itertuples(), raised_by, extrapolated, strict=True))
    ]


def _key(material: Material) -> str:
    """A name for these events: a browser keeps the marks of each report apart."""
    text = material.events[["series", "start", "end"]].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
