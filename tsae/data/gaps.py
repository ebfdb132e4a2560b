"""How long a step of time may usually be: the limit beyond which a step is a gap, from the steps alone.

A gap is a step longer than `GAP_IN_STEPS` usual steps. The usual step is the longest of 95 % of the steps that are no
gaps themselves, found by repetition from the median on. So it grows with jitter, and with steps of one or two units
that take turns, and a single lost sample (two usual steps, and jitter) is no gap; but holes do not count, however many
or long they are, as long as less than half of the steps are holes.
"""

from __future__ import annotations

import numpy as np

GAP_IN_STEPS = 2.5  # a lost sample makes two steps of one; the rest is for jitter
USUAL_SHARE = 0.95  # of the steps that are no gaps, those that are no longer than the usual step
MIN_STEPS = 3  # series of fewer steps do not tell their own usual step


def usual_step(steps: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Return the longest of 95 % of the steps that are no gaps.

    Parameters
    ----------
    steps : float ndarray of shape (n,)
        Ascending and positive, at least one.
    counts : int64 ndarray of shape (n,), default=None
        How often each step occurs; None: once.

    Returns
    -------
    float
        One of the steps, at least the (lower) median.

    Examples
    --------
    >>> usual_step(np.array([1.0, 1, 1, 1, 2, 60]))
    1.0
    >>> usual_step(np.array([1.0, 1, 1, 2, 2, 2, 60]))
    2.0
    >>> usual_step(np.array([1.0, 2, 60]), counts=np.array([3, 3, 1]))
    2.0
    """
    until = None if counts is None else np.cumsum(counts)

    def step_at(place: int) -> float:
        return float(steps[place if until is None else np.searchsorted(until, place, side="right")])

    def count_up_to(limit: float) -> int:
        n_distinct = int(np.searchsorted(steps, limit, side="right"))
        return n_distinct if until is None else int(until[n_distinct - 1])

    usual = step_at((count_up_to(np.inf) - 1) // 2)
    while True:
        longest = step_at(int(USUAL_SHARE * (count_up_to(GAP_IN_STEPS * usual) - 1)))
        if longest <= usual:
            return usual
        usual = longest


def usual_steps(steps: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the usual step of each series.

    Series of about one sampling rate share the usual step of them all, as do series too short to tell; where the
    rates differ by more than `GAP_IN_STEPS`, each series has its own.

    Parameters
    ----------
    steps : float ndarray of shape (n_rows - 1,)
        Time from each row to the next; what lies between two series is ignored.
    offsets : int64 ndarray of shape (n_series + 1,)
        First row of each series.

    Returns
    -------
    float ndarray of shape (n_series,)
        Infinite where no series has a step.
    """
    own = [steps[begin : max(begin, end - 1)] for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]
    own = [np.sort(part[part > 0]) for part in own]
    usual = np.array([usual_step(part) if len(part) >= MIN_STEPS else np.nan for part in own])
    if has_several_rates(usual):
        return np.where(np.isnan(usual), np.nanmax(usual), usual)
    if len(own) == 1 and not np.isnan(usual[0]):
        return usual
    together = np.sort(np.concatenate([*own, np.zeros(0)]))
    return np.full(len(own), usual_step(together) if len(together) else np.inf)


def has_several_rates(usual: np.ndarray) -> bool:
    """Tell whether series differ so much in their usual steps that each has its own.

    Parameters
    ----------
    usual : float ndarray of shape (n_series,)
        Usual step of each series; NaN where a series is too short to tell.

    Returns
    -------
    bool
    """
    known = usual[~np.isnan(usual)]
    return bool(len(known) and known.max() > GAP_IN_STEPS * known.min())
