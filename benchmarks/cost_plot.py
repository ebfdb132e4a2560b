"""Accuracy against what it costs: a picture of the results that `benchmarks.quality` kept.

    python -m benchmarks.quality --ucr DIR --half even --methods trained untrained catch22 minirocket multirocket
    python -m benchmarks.cost_plot build/quality/results.jsonl docs/quality.png

One point for each method: the mean over the sets that all methods have of the seconds for `fit` on the training series
and `transform` of all series, and of the test accuracy with ridge and with the support vector classifier. Classifiers
are not part of the seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.comparing import row_of
from benchmarks.quality import LABELS

NAMES = LABELS | {"trained": "tsae", "untrained": "tsae, epochs=0"}
SCORES = {"ridge": "ridge", "svc": "support vector classifier"}


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Means of each method over the sets that all have: seconds and both accuracies."""
    rows = rows.assign(seconds=rows["fit_seconds"] + rows["transform_seconds"])
    by_set = rows.groupby(["set", "method"])[["seconds", *SCORES]].mean().unstack("method").dropna()
    means = by_set.mean().unstack(0).sort_values("seconds")
    means.attrs["n_sets"] = len(by_set)
    return means


def table(means: pd.DataFrame) -> str:
    """The means as a Markdown table."""
    lines = [row_of(["method", "seconds for fit and transform", *SCORES.values()]), row_of(["---"] * 4)]
    for method, row in means.iterrows():
        lines.append(row_of([NAMES[method], f"{row['seconds']:.2f}", *(f"{row[score]:.3f}" for score in SCORES)]))
    return "\n".join(lines)


def draw(means: pd.DataFrame, path: Path) -> None:
    """One panel for each classifier, seconds on a logarithmic axis."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import ScalarFormatter

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
    for axes, (score, title) in zip(panels, SCORES.items(), strict=True):
        for method, row in means.iterrows():
            colour = "#d55e00" if method in ("trained", "untrained") else "#0072b2"
            axes.scatter(row["seconds"], row[score], color=colour, zorder=3)
            axes.annotate(NAMES[method], (row["seconds"], row[score]), xytext=(0, 6), textcoords="offset points",
                          ha="center", fontsize=9)  # fmt: skip
        axes.set(xscale="log", title=title, xlabel="seconds for fit and transform of a set")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.margins(0.16, 0.14)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"mean accuracy on {means.attrs['n_sets']} sets")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results.jsonl of benchmarks.quality")
    parser.add_argument("picture", type=Path, help="the .png to write")
    parser.add_argument("--methods", nargs="+", choices=LABELS, help="methods to show (default: all there are)")
    arguments = parser.parse_args()
    rows = pd.read_json(arguments.results, lines=True)
    if arguments.methods:
        rows = rows[rows["method"].isin(arguments.methods)]
    means = costs(rows[rows["method"].isin(LABELS)])
    print(table(means))
    draw(means, arguments.picture)


if __name__ == "__main__":
    main()
