"""From flagged timestamps to events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import CONTRIBUTION
from tsae.anomaly.tolerance import raised

COLUMNS = ["series", "start", "end", "peak", "score", "p_value", "channels"]


def find_events(timeline: pd.DataFrame, flagged: np.ndarray, *, gap: int, min_length: int, top: int) -> pd.DataFrame:
    """Merge nearby flags into events.

    Parameters
    ----------
    timeline : DataFrame
        As from `AnomalyDetector.score_timeline`: the rows of a series are contiguous and in time order.
    flagged : bool array of shape (n_rows,)
    gap : int
        Flags of a series with at most so many unflagged rows between them belong to one event.
    min_length : int
        Events with fewer flagged rows are dropped.
    top : int
        Number of channels to name, largest contribution first.

    Returns
    -------
    DataFrame
        One row per event, in the order of the rows; see `AnomalyDetector.events`.
    """
    rows = np.flatnonzero(flagged)
    if rows.size == 0:
        return _empty(timeline)
    code = pd.factorize(timeline["series"])[0][rows]
    breaks = np.flatnonzero((np.diff(rows) > gap + 1) | (np.diff(code) != 0)) + 1
    groups = [group for group in np.split(rows, breaks) if group.size >= min_length]
    if not groups:
        return _empty(timeline)
    score = timeline["score"].to_numpy()
    first = np.array([group[0] for group in groups])
    last = np.array([group[-1] for group in groups])
    peak = np.array([group[np.argmax(raised(score[group]) >= score[group].max())] for group in groups])
    names = [column for column in timeline.columns if column.startswith(CONTRIBUTION)]
    shares = timeline[names].to_numpy()
    channels = []
    for begin, end in zip(first, last, strict=True):
        weight = np.nansum(shares[begin : end + 1], axis=0)
        channels.append(
            tuple(names[i].removeprefix(CONTRIBUTION) for i in _largest_first(weight)[:top] if weight[i] > 0)
        )
    return pd.DataFrame(
        {
            "series": timeline["series"].to_numpy()[first],
            "start": timeline["time"].array[first],
            "end": timeline["time"].array[last],
            "peak": timeline["time"].array[peak],
            "score": score[peak],
            "p_value": timeline["p_value"].to_numpy()[peak],
            "channels": pd.Series(channels, dtype=object),
        },
        columns=COLUMNS,
    )


def _largest_first(values: np.ndarray) -> np.ndarray:
    """Positions by falling value; of values that differ by rounding alone, the earlier position comes first."""
    order = np.argsort(-values, kind="stable")
    falls = raised(values[order[1:]]) < values[order[:-1]]
    rank = np.cumsum(np.r_[False, falls])
    return np.asarray(order[np.lexsort((order, rank))])


def is_timeline(X: Any) -> bool:
    """Tell whether X is a table as from `AnomalyDetector.score_timeline`."""
    return isinstance(X, pd.DataFrame) and {"series", "time", "score", "p_value"} <= set(X.columns)


def _empty(timeline: pd.DataFrame) -> pd.DataFrame:
    """No event, with the columns and dtypes that events have."""
    time, nothing = timeline["time"].iloc[:0], timeline["score"].iloc[:0]
    return pd.DataFrame(
        {
            "series": timeline["series"].iloc[:0],
            "start": time,
            "end": time,
            "peak": time,
            "score": nothing,
            "p_value": nothing,
            "channels": pd.Series([], dtype=object),
        },
        columns=COLUMNS,
    )
