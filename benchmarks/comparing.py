"""Methods compared over many sets: paired differences with a sign test, mean ranks with a critical difference."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

PUBLISHED = " (published)"


def row_of(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def paired(scores: pd.DataFrame) -> str:
    """Each measured method against the others, over the sets that both have, with a two-sided sign test."""
    lines = [row_of(["pair", "sets", "mean difference", "better", "equal", "worse", "sign test p"])]
    lines.append(row_of(["---"] * 7))
    for one, other in combinations(scores.columns, 2):
        if one.endswith(PUBLISHED):
            continue
        gain = (scores[one] - scores[other]).dropna()
        better, worse = int((gain > 1e-9).sum()), int((gain < -1e-9).sum())
        p = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
        lines.append(row_of([
            f"{one} - {other}", str(len(gain)), f"{gain.mean():+.3f}", str(better), str(len(gain) - better - worse),
            str(worse), f"{p:.3f}",
        ]))  # fmt: skip
    return "\n".join(lines)


def ranking(scores: pd.DataFrame) -> str:
    """Mean ranks over the sets that all methods have, and Nemenyi's critical difference at .05 (Demsar 2006, 3.2.2)."""
    complete = scores.dropna()
    ranks = complete.rank(axis=1, ascending=False).mean().sort_values()
    k, n = len(ranks), len(complete)
    difference = stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n))
    named = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
    return f"Mean ranks on {n} sets: {named}; critical difference {difference:.2f}"


def archive_report(frame: pd.DataFrame, published: Path | None) -> str:
    """Means and paired differences of both classifiers, beside published accuracies (a CSV with a column `dataset`)."""
    known = pd.DataFrame() if published is None else pd.read_csv(published, index_col="dataset")
    lines = []
    for score, title in {"ridge": "ridge", "svc": "support vector classifier"}.items():
        own = frame.pivot_table(index="set", columns="method", values=score)
        table = own.join(known.rename(columns=lambda name: name + PUBLISHED), how="left").dropna(axis=1, how="all")
        spread = frame.groupby(["set", "method"])[score].std(ddof=0).groupby("method").mean()
        lines += [f"## {title}", ""]
        lines += [
            f"{name}: mean {column.mean():.3f} over {column.count()} sets"
            + (f" (standard deviation over seeds {spread[name]:.3f})" if name in spread else "")
            for name, column in table.items()
        ]
        lines += ["", ranking(table), "", paired(table), ""]
    gap = (frame["svc"] - frame["ridge"]).groupby([frame["set"], frame["method"]]).mean().unstack().min()
    lines.append("Support vector classifier minus ridge, lowest: " + ", ".join(f"{m} {g:+.3f}" for m, g in gap.items()))
    return "\n".join(lines)
