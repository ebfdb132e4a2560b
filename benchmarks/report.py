"""The report page of a large fleet: its size, and how soon a browser shows it.

    python -m benchmarks.report --series 20 --rows 100000

The scores are made up: what is measured is the page. Paint and answer times need playwright and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tsae import write_report
from tsae.anomaly.events import find_events

ALPHA = 0.01
EVENTS_PER_SERIES = 25

# When the charts were drawn, and when the page could answer after that.
WATCH = """
new PerformanceObserver(() => {}).observe({ type: "paint", buffered: true });
new MutationObserver((_, watcher) => {
  if (!document.body?.dataset.ready) return;
  watcher.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.answers = performance.now(); }));
}).observe(document, { attributes: true, subtree: true, childList: true });
"""


def fleet(n_series: int, n_rows: int, n_channels: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Scores, events, values and labels of series with faults at random."""
    rng = np.random.default_rng(0)
    n = n_series * n_rows
    score = np.convolve(rng.lognormal(-1, 0.5, n), np.full(30, 1 / 30), mode="same")
    labels = np.zeros(n, dtype=bool)
    for series in range(n_series):
        for begin in rng.integers(0, n_rows - 200, EVENTS_PER_SERIES) + series * n_rows:
            rows = slice(begin, begin + rng.integers(1, 200))
            score[rows] += rng.uniform(1, 8)
            labels[rows] = rng.random() < 0.5
    channels = [f"channel_{number}" for number in range(n_channels)]
    timeline = pd.DataFrame(
        {
            "series": np.repeat([f"pump_{number:03d}" for number in range(n_series)], n_rows),
            "time": np.tile(pd.date_range("2024-01-01", periods=n_rows, freq="min"), n_series),
            "score": score,
            "p_value": 10.0**-score,
            **{f"contribution_{name}": score / n_channels for name in channels},
        }
    )
    events = find_events(timeline, timeline["p_value"].to_numpy() <= ALPHA, gap=30, min_length=1, n_channels=3)
    values = pd.DataFrame(rng.normal(size=(n, n_channels)).cumsum(axis=0), columns=channels)
    return timeline, events, values, labels


def seconds_in_browser(path: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds until the first paint and until the page answers, for each of some visits."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"first paint": [], "answers": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(repeats):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.add_init_script(WATCH)
            page.goto(path.as_uri())
            page.wait_for_timeout(3000)
            paint = page.evaluate("performance.getEntriesByType('paint').map((entry) => entry.startTime)")
            found["first paint"].append(min(paint) / 1000)
            found["answers"].append(page.evaluate("window.answers") / 1000)
            page.context.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each series")
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="visits of the browser")
    options = parser.parse_args()
    timeline, events, values, labels = fleet(options.series, options.rows, options.channels)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        path = write_report(Path(folder) / "report.html", timeline, events, values=values, labels=labels, alpha=ALPHA)
        print(f"{len(events)} events, written in {time.perf_counter() - began:.1f} s")
        print(f"{path.stat().st_size / 1e6:.1f} MB")
        if shutil.which("chromium") is None:
            print("no chromium: the times in a browser were not measured")
            return
        for name, seconds in seconds_in_browser(path, options.repeats).items():
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            print(f"{name}: {np.median(seconds):.2f} s (median of {len(seconds)}; {spread})")


if __name__ == "__main__":
    main()
