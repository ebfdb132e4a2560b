"""How scores and events compare with labels."""

from __future__ import annotations

import numpy as np
import pandas as pd


def without_unclear(table: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set aside what is not known to be normal or an anomaly.

    Parameters
    ----------
    table : DataFrame
        `series`, `time`, `score` and `label`, which is NaN where it is unclear.
    events : DataFrame

    Returns
    -------
    table : DataFrame
        The same rows, with labels that are True or False; those that were unclear have neither label nor score.
    events : DataFrame
        Those that overlap no unclear row.
    """
    unclear = table["label"].isna().to_numpy()
    table = table.assign(label=table["label"].fillna(0).astype(bool), score=table["score"].where(~unclear))
    if not unclear.any():
        return table, events
    doubtful = _overlaps(labelled_stretches(table.assign(label=unclear)), events)["event"]
    return table, events[~events.index.isin(doubtful)]


def compare_scores(table: pd.DataFrame, *, volumes: bool = True) -> dict[str, float]:
    """Compare scores with labels, from the columns `series`, `time`, `score` and `label`, rows in order of time.

    Without `volumes`, `vus_pr`, which takes most of the time, is left out.
    """
    from sklearn.metrics import average_precision_score

    known = table[table["score"].notna()]
    if not known["label"].any():
        return {"labelled_share": float(known["label"].mean()) if len(known) else 0.0}
    measures = {
        "labelled_share": float(known["label"].mean()),
        "auc_pr": float(average_precision_score(known["label"], known["score"])),
    }
    if not volumes:
        return measures
    try:
        from aeon.benchmarking.metrics.anomaly_detection import range_pr_vus_score
    except ImportError:
        return measures
    found = [
        range_pr_vus_score(rows["label"].to_numpy(np.int64), rows["score"].to_numpy(), max_buffer_size=50)
        for _, rows in known.groupby("series")
        if rows["label"].any() and not rows["label"].all()
    ]
    return {**measures, "vus_pr": float(np.mean(found))} if found else measures


def compare_events(table: pd.DataFrame, events: pd.DataFrame) -> dict[str, int]:
    """Count the stretches of labels that events overlap, and the events that overlap none."""
    truth = labelled_stretches(table)
    hits = _overlaps(truth, events)
    return {
        "n_labelled_events": len(truth),
        "n_found": int(hits["truth"].nunique()),
        "n_events": len(events),
        "n_false_events": len(events) - int(hits["event"].nunique()),
    }


def _overlaps(stretches: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """List the pairs of a stretch (its index as `truth`) and an event (`event`) that overlap."""
    pairs = stretches.reset_index(names="truth").merge(
        events.reset_index(names="event"), on="series", suffixes=("", "_event")
    )
    return pairs[(pairs["start_event"] <= pairs["end"]) & (pairs["end_event"] >= pairs["start"])]


def compare_ranges(table: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """Compare the ranges of labels and events (Tatbul et al., NeurIPS 2018) by aeon; empty without aeon.

    `event_recall` is the share of labelled stretches that an event overlaps; `range_precision` the share of each event
    that is labelled, averaged over the events, and NaN without any.
    """
    flags = rows_of_events(table, events)
    groups = table.assign(flag=flags).groupby("series", sort=False)
    return range_measures(*([rows[name].to_numpy() for _, rows in groups] for name in ("label", "flag")))


def rows_of_events(table: pd.DataFrame, events: pd.DataFrame) -> np.ndarray:
    """Mark the rows of `table` (`series`, `time`) that lie within an event: bool of shape (n_rows,)."""
    flagged = np.zeros(len(table), dtype=bool)
    for name, rows in table.reset_index(drop=True).groupby("series", sort=False):
        times = rows["time"]
        for event in events[events["series"] == name].itertuples():
            flagged[rows.index[times.between(event.start, event.end)]] = True
    return flagged


def compare_rows(table: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """Compare the rows within events with the rows that are labelled; NaN for a share of nothing.

    Only rows with a score count. `point_precision` is the share of the rows within events that are labelled,
    `point_recall` the share of the labelled rows that lie within events, `point_f1` their harmonic mean.
    """
    known = table["score"].notna().to_numpy()
    flagged, label = rows_of_events(table, events)[known], table["label"].to_numpy()[known]
    both = int(np.count_nonzero(flagged & label))
    return {
        "point_precision": share(both, int(flagged.sum())),
        "point_recall": share(both, int(label.sum())),
        "point_f1": share(2 * both, int(flagged.sum()) + int(label.sum())),
    }


def share(part: int, whole: int) -> float:
    """Return a ratio, NaN where the whole is nothing."""
    return part / whole if whole else float("nan")


def range_measures(labels: list[np.ndarray], flags: list[np.ndarray]) -> dict[str, float]:
    """Compute the measures of `compare_ranges` from one array of labels and one of flags per series."""
    try:
        from aeon.benchmarking.metrics.anomaly_detection import range_precision, range_recall
    except ImportError:
        return {}
    if not any(part.any() for part in flags):
        return {"event_recall": 0.0, "range_precision": float("nan")}
    # A row between the series keeps their ranges apart.
    truth, found = (np.concatenate([np.append(part, 0) for part in side]).astype(int) for side in (labels, flags))
    return {
        "event_recall": float(range_recall(truth, found, alpha=1)),
        "range_precision": float(range_precision(truth, found)),
    }


def labelled_stretches(table: pd.DataFrame) -> pd.DataFrame:
    """List `series`, `start` and `end` of each run of labelled rows."""
    label = table["label"].to_numpy()
    edge = np.diff(label.astype(np.int8), prepend=0) != 0
    edge |= table["series"].ne(table["series"].shift()).to_numpy()
    runs = table.assign(run=np.cumsum(edge))[label].groupby("run", sort=True)
    return runs.agg(series=("series", "first"), start=("time", "first"), end=("time", "last")).reset_index(drop=True)
