"""Columns that may not be what they seem: labels among the inputs, and markers of missing values among the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsae.data.series import GroupedSeries
from tsae.messages import warn_in_lines

LABEL_NAMES = {
    "abnormal", "anomalous", "anomalies", "attack", "broken", "class", "classes", "failed", "failure", "faults",
    "faulty", "ground_truth", "is_anomaly", "is_failure", "is_fault", "is_outlier", "labels", "target", "targets", "y",
}  # fmt: skip
LABEL_WORDS = {"anomaly", "changepoint", "fault", "label", "outlier"}  # also as parts of a name, "fault_flag"
USUAL_MARKERS = {99.0, 999.0, 9999.0, 99999.0, 999999.0, 32767.0, 32768.0, 65535.0}  # or their negatives
FEW = 0.05  # at most this share of the rows holds a marker
MIN_ROWS = 20  # fewer rows do not tell
SAMPLED_ROWS = 100_000  # about so many make a sample


class MarkerWarning(UserWarning):
    """A few equal values, as of a marker of missing values, make up most of the spread of a channel."""


def warn_of_labels(series: GroupedSeries) -> None:
    """Warn if any of several channels, which were not chosen, is named like a label or holds nothing but 0 and 1.

    Parameters
    ----------
    series : GroupedSeries
        Read from a table.
    """
    names = series.channel_names
    labels, flags = find_labels(series)
    parts = [f"{_some(labels)} named like a label"] if labels else []
    parts += [f"{_some(flags)} 0 or 1 in every row"] if flags else []
    if parts:
        others = [name for name in names if name not in {*labels, *flags}]
        warn_in_lines(
            f"among the channels {' and '.join(parts)}.",
            f"If that is a label and not an input, leave it out with "
            f"value_columns={others if len(others) <= 8 else '[...]'}; if it is an input, name it in value_columns.",
            stacklevel=3,
        )


def find_labels(series: GroupedSeries) -> tuple[list[str], list[str]]:
    """Find channels that may be labels.

    Parameters
    ----------
    series : GroupedSeries
        Read from a table.

    Returns
    -------
    labels, flags : list of str
        Channels that are named like a label, and channels that hold nothing but 0 and 1. None where there is only one
        channel.
    """
    names = series.channel_names
    return suspected_labels(names, [_is_flag(column) for column in series.values.T])


def suspected_labels(names: Sequence[str], is_flag: Sequence[bool]) -> tuple[list[str], list[str]]:
    """Select channels that may be labels by their names and values.

    Parameters
    ----------
    names : sequence of str
        Of all channels.
    is_flag : sequence of bool
        Whether each holds nothing but 0 and 1.

    Returns
    -------
    labels, flags : list of str
        As from `find_labels`.

    Examples
    --------
    >>> suspected_labels(["load", "is_anomaly", "pump on"], [False, True, True])
    (['is_anomaly'], ['is_anomaly', 'pump on'])
    """
    if len(names) < 2:
        return [], []
    labels = [name for name in names if _sounds_like_label(name, names)]
    return labels, [name for name, flag in zip(names, is_flag, strict=True) if flag]


def warn_of_markers(
    values: np.ndarray, channel_names: Sequence[str], *, sample: bool = False, stacklevel: int = 3
) -> None:
    """Warn if a few equal values, as of a marker like -999, make up most of the spread of a channel.

    Parameters
    ----------
    values, channel_names, sample
        As of `describe_markers`.
    stacklevel : int, default=3
        As for ``warnings.warn``.
    """
    message, markers = describe_markers(values, channel_names, sample=sample)
    if message:
        advice = f"pass missing_values={markers[:5]} to make_windows (or put NaN in their place)"
        warn_in_lines(
            f"{message}.", f"If this marks missing values, {advice}.", category=MarkerWarning, stacklevel=stacklevel
        )


def describe_markers(
    values: np.ndarray, channel_names: Sequence[str], *, sample: bool = False
) -> tuple[str, list[float]]:
    """Describe few equal values, as of a marker like -999, that make up most of the spread of a channel.

    Parameters
    ----------
    values : float ndarray of shape (n_rows, n_channels)
        NaN is a missing value.
    channel_names : sequence of str
        For the message.
    sample : bool, default=False
        Whether to examine evenly spaced rows alone, where there are many.

    Returns
    -------
    message : str
        Names values and channels; empty where there are none.
    markers : list of float
        The values.
    """
    step = max(1, len(values) // SAMPLED_ROWS) if sample else 1
    values, rows = values[::step], "rows" if step == 1 else "sampled rows"
    found = []
    for name, column in zip(channel_names, values.T, strict=True):
        found += [(name, value, count, len(column)) for value, count in dominating_values(column)]
    if not found:
        return "", []
    parts = [
        f"{count} of {total} {rows} of channel {name!r} {'is' if count == 1 else 'are'} {value:.9g}"
        for name, value, count, total in found[:5]
    ]
    more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
    message = f"{', '.join(parts)}{more}, which makes up most of the spread, so that all else looks constant"
    return message, list(dict.fromkeys(float(f"{value:.9g}") for _, value, _, _ in found))


def dominating_values(column: np.ndarray) -> list[tuple[float, int]]:
    """Find the lowest and highest value of a channel, where few equal entries of it dominate the spread.

    Without them the standard deviation is less than a third, or less than a tenth where it is a single entry. Where
    all others are equal, only numbers that are often used as markers are found.

    Parameters
    ----------
    column : float ndarray of shape (n_rows,)
        NaN is a missing value.

    Returns
    -------
    list of (float, int)
        Value and number of entries.

    Examples
    --------
    >>> dominating_values(np.array([-999.0, -999.0, *np.sin(np.arange(98.0))]))
    [(-999.0, 2)]
    """
    column = column[~np.isnan(column)]
    if len(column) < MIN_ROWS:
        return []
    rest, extremes = column, []
    for value in dict.fromkeys((column.min(), column.max())):
        count = int(np.count_nonzero(column == value))
        if count <= FEW * len(column):
            extremes.append((float(value), count))
            rest = rest[rest != value]
    if not extremes or not len(rest):
        return []
    rest = rest.astype(np.float64)
    center, spread = rest.mean(), np.square(rest - rest.mean()).sum()
    return those_that_dominate(extremes, len(rest), center, spread, float(np.finfo(column.dtype).eps))


def those_that_dominate(
    extremes: Sequence[tuple[float, int]], n_rest: int, center: float, spread: float, eps: float = 2.0**-52
) -> list[tuple[float, int]]:
    """Select the extremes that dominate the spread of a channel.

    Parameters
    ----------
    extremes : sequence of (float, int)
        Value and number of entries.
    n_rest : int
        Number of all other entries, at least 1.
    center, spread : float
        Mean of all other entries, and the sum of squares of their distances from it.
    eps : float, default=2**-52
        Rounding error of the entries, relative to their size.

    Returns
    -------
    list of (float, int)
    """
    if spread <= (10 * eps * center) ** 2 * n_rest:
        return [(value, count) for value, count in extremes if abs(value) in USUAL_MARKERS]
    needed = {True: 99 * spread, False: 8 * spread}
    return [(value, count) for value, count in extremes if count * (value - center) ** 2 >= needed[count == 1]]


def _sounds_like_label(name: str, names: Sequence[str]) -> bool:
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    if plain == "y" and "x" in {other.strip().lower() for other in names}:
        return False  # coordinates
    return plain in LABEL_NAMES or plain == "change_point" or not LABEL_WORDS.isdisjoint(plain.split("_"))


def _is_flag(column: np.ndarray) -> bool:
    """Tell whether both 0 and 1, and nothing else, occur in a channel of more than a few rows."""
    if len(column) < MIN_ROWS:
        return False
    for part in (column[:1000], column):
        part = part[~np.isnan(part)]
        if not np.isin(part, [0, 1]).all():
            return False
    return bool((part == 0).any() and (part == 1).any())


def _some(names: list[str]) -> str:
    """Return up to five names, and the verb that fits the message."""
    shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"column{'s' * (len(names) > 1)} {shown} {'are' if len(names) > 1 else 'is'}"
