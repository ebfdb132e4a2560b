"""How a detector shows itself in a notebook: scikit-learn's diagram, and what was found in `fit`."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

MOST_CHANNELS = 8


class NotebookView:
    """The part of `AnomalyDetector` that adds a table of facts to the HTML of a fitted detector."""

    def _repr_html_inner(self: Any) -> str:
        return super()._repr_html_inner() + facts_html(self)  # type: ignore[misc]

    def _repr_mimebundle_(self: Any, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += facts_html(self)
        return bundle


def facts_html(detector: Any) -> str:
    """Return a table of facts on a fitted detector; nothing before `fit`."""
    if not hasattr(detector, "combination_"):
        return ""
    names, threshold = detector.channel_names_, detector.timeline_threshold_
    more = f" and {len(names) - MOST_CHANNELS} more" if len(names) > MOST_CHANNELS else ""
    alpha = detector.alpha_
    known = not np.isnan(alpha) and threshold.n_scores_ >= threshold.required(alpha)
    facts = {
        "channels": ", ".join(map(str, names[:MOST_CHANNELS])) + more,
        "steps per window": "different lengths" if detector.n_timesteps_ is None else detector.n_timesteps_,
        "scores": ", ".join(detector.combination_.names),
        "held-out timestamps": f"{threshold.n_scores_:,}",
        "alpha of events": f"{alpha:.4g} (smallest: {detector.smallest_alpha_:.4g})",
        "threshold of events": f"{threshold.threshold(alpha):.4g}" if known else "none at this alpha",
    }
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
    return f'<table class="tsae-detector">{rows}</table>'
