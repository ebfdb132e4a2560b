"""From flagged timestamps to events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import CONTRIBUTION, SINGLE
from tsae.anomaly.tolerance import largest_first, raised

COLUMNS = ["series", "start", "end", "peak", "score", "p_value", "channels"]
RAISED_BY = "raised_by"  # only for timelines of several scores
EXTRAPOLATED = "extrapolated_p_value"  # only of events of a detector


def find_events(
    timeline: pd.DataFrame, flagged: np.ndarray, *, gap: int, min_length: int, n_channels: int
) -> pd.DataFrame:
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
    n_channels : int
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
            tuple(names[i].removeprefix(CONTRIBUTION) for i in largest_first(weight)[:n_channels] if weight[i] > 0)
        )
    events = pd.DataFrame(
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
    singles = _single_columns(timeline)
    if not singles:
        return events
    highest = _largest_scores(timeline[singles].to_numpy()[peak])
    return events.assign(**{RAISED_BY: [singles[number].removeprefix(SINGLE) for number in highest]})


def _largest_scores(scores: np.ndarray) -> np.ndarray:
    """Return the position of the largest score in each row (n, n_scores); of those equal up to rounding, the first."""
    known = np.nan_to_num(scores)
    return np.asarray(np.argmax(raised(known) >= known.max(axis=1, keepdims=True), axis=1))


def _single_columns(timeline: pd.DataFrame) -> list[str]:
    return [column for column in timeline.columns if str(column).startswith(SINGLE)]


def is_timeline(X: Any) -> bool:
    """Tell whether X is a table as from `AnomalyDetector.score_timeline`."""
    return isinstance(X, pd.DataFrame) and {"series", "time", "score", "p_value"} <= set(X.columns)


def check_timeline(timeline: pd.DataFrame, channel_names: list[str], singles: list[str]) -> pd.DataFrame:
    """Check a timeline that was stored, selected or sorted since it was computed.

    Parameters
    ----------
    timeline : DataFrame
        As from `AnomalyDetector.score_timeline`, its columns in any order.
    channel_names : list of str
        Channels of the detector.
    singles : list of str
        Columns of the detector's scores by themselves; left out where the timeline does not have all of them.

    Returns
    -------
    DataFrame
        The same rows, the contributions in the order of the channels.

    Raises
    ------
    ValueError
        If the contributions are not those of the channels, scores or p-values are not numbers, the rows of a series
        are not contiguous, or its times do not increase.
    """
    if not len(timeline):
        return timeline
    names = [CONTRIBUTION + name for name in channel_names]
    found = [str(column) for column in timeline.columns if str(column).startswith(CONTRIBUTION)]
    if sorted(found) != sorted(names):
        raise ValueError(
            f"X is a timeline with the columns {found}, but the detector has the channels {channel_names}, each with "
            f"a column {CONTRIBUTION}<channel>"
        )
    singles = singles if set(singles) <= set(timeline.columns) else []
    for column in ("score", "p_value", *singles, *names):
        if not pd.api.types.is_numeric_dtype(timeline[column]):
            raise ValueError(f"X is a timeline whose column {column!r} has dtype {timeline[column].dtype}, not numbers")
    check_order(timeline)
    return timeline[["series", "time", "score", "p_value", *singles, *names]]


def check_order(timeline: pd.DataFrame, label: str = "X is a timeline in which") -> None:
    """Check that the rows of a series are contiguous, and its times increase; `label` begins the message.

    Raises
    ------
    ValueError
    """
    codes = pd.factorize(timeline["series"])[0]
    same = codes[1:] == codes[:-1]
    advice = "sort its rows by series and time, as score_timeline returns them"
    first_rows = np.flatnonzero(np.r_[True, ~same])
    again = first_rows[pd.Series(codes[first_rows]).duplicated().to_numpy()]
    if again.size:
        name = timeline["series"].iloc[again[0]]
        raise ValueError(f"{label} series {name!r} begins again in row {again[0]}; {advice}")
    times = timeline["time"]
    if pd.api.types.infer_dtype(times, skipna=True) == "string":
        try:
            times = pd.to_datetime(times, format="ISO8601", utc=True)
        except ValueError:
            raise ValueError(
                "X is a timeline whose column 'time' holds text that is not ISO 8601; parse it with pandas.to_datetime"
            ) from None
    wrong = np.flatnonzero(same & ~np.asarray(times.array[1:] > times.array[:-1], dtype=bool))
    if wrong.size:
        before, after = timeline["time"].iloc[wrong[0]], timeline["time"].iloc[wrong[0] + 1]
        raise ValueError(f"{label} {after} comes after {before} in row {wrong[0] + 1}; {advice}")


def _empty(timeline: pd.DataFrame) -> pd.DataFrame:
    """No event, with the columns and dtypes that events have."""
    time, nothing = timeline["time"].iloc[:0], timeline["score"].iloc[:0]
    events = pd.DataFrame(
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
    return events.assign(**{RAISED_BY: pd.Series([], dtype=object)}) if _single_columns(timeline) else events
