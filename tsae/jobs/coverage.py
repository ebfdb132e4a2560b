"""How much of a part got a result, and why the rest did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsae.data.times import time_numbers
from tsae.jobs.continuation import PartWindows
from tsae.jobs.errors import listed
from tsae.jobs.manifest import DONE, Record
from tsae.jobs.spec import WindowSpec, plain_step

STEP_RATIO = 1.25  # median time steps that differ by more are another sampling rate
MIN_STEPS = 10  # fewer steps tell nothing about the sampling rate
OF_TIMESTAMPS = {"timeline": "scored", "reconstruction": "reconstructed"}  # jobs that give one row per timestamp
MIN_SHARE = 0.5  # warn if a smaller share of the rows got a result


@dataclass(frozen=True)
class Coverage:
    """Facts about the rows of one part, those carried into it included.

    Attributes
    ----------
    rows, empty_rows : int
        All rows, and those in which every value is missing.
    steps, long_steps : int
        Time steps within series, and those longer than the longest that a window allows.
    median_step : str, float or None
        Text for a duration; None without steps.
    longest_stretch : int
        Rows of the longest stretch without a gap.
    """

    rows: int
    empty_rows: int
    steps: int
    long_steps: int
    median_step: str | float | None
    longest_stretch: int


def coverage_of(part: PartWindows) -> Coverage:
    """Describe the rows of a part."""
    grouped, begins = part.windows.grouped, part.windows.layout.begins
    n_rows = len(grouped.values)
    n_filled = int(np.count_nonzero(np.diff(grouped.offsets)))
    missing_begins, missing_ends = grouped.missing_stretches
    return Coverage(
        rows=n_rows,
        empty_rows=int((missing_ends - missing_begins).sum()),
        steps=n_rows - n_filled,
        long_steps=len(begins) - n_filled if n_rows else 0,
        median_step=None if grouped.times is None else median_step(grouped.times, grouped.offsets),
        longest_stretch=int(np.diff(begins, append=n_rows).max(initial=0)) if n_rows else 0,
    )


def median_step(times: pd.Index, offsets: np.ndarray) -> str | float | None:
    """Return the median time step within series, as plain value; None without steps."""
    steps = np.diff(time_numbers(times)).astype(np.float64)
    firsts = offsets[(offsets > 0) & (offsets <= len(steps))]
    steps[firsts - 1] = np.nan
    steps = steps[~np.isnan(steps)]
    return plain_step(float(np.median(steps)), times) if len(steps) else None


def series_with_result(part: PartWindows, kind: str) -> set[str]:
    """Names of the series for which this part gives at least one result."""
    windows = part.windows[part.covering if kind in OF_TIMESTAMPS else part.new]
    if not len(windows):
        return set()
    return set(windows.grouped.names_at(windows.starts[windows.observed]).tolist())


# -- warnings ----------------------------------------------------------------------------------------------------


def has_no_result(records: Sequence[Record]) -> bool:
    """Tell whether a finished job gave no result at all."""
    return all(record.scored == 0 for record in records if record.status == DONE)


def explain_unscored(records: Sequence[Record], spec: WindowSpec, kind: str) -> str | None:
    """Say how much got no result and why; None if most got one."""
    done = [record for record in records if record.status == DONE]
    scored, rows = (sum(getattr(record, name) or 0 for record in done) for name in ("scored", "rows"))
    written = sum(record.windows or 0 for record in done)
    verb, unit = OF_TIMESTAMPS.get(kind, "computed"), "rows" if kind in OF_TIMESTAMPS else "windows"
    if not done:
        return f"nothing was {verb}: no part could be used"
    if any(record.scored is None for record in done):
        return None  # made by an earlier version
    if has_no_result(records):
        count = f"nothing was {verb}: {rows:,} rows read, no window of {spec.width} rows with values"
    elif scored < MIN_SHARE * written:
        count = f"only {scored:,} of {written:,} {unit} got a result"
    else:
        return None
    return f"{count}. {_reasons([record.coverage or {} for record in done], spec)}"


def _reasons(parts: Sequence[dict[str, int | str | float | None]], spec: WindowSpec) -> str:
    total = {name: sum(int(part.get(name) or 0) for part in parts)
             for name in ("rows", "empty_rows", "steps", "long_steps")}  # fmt: skip
    if not total["rows"]:
        return "The input has no rows."
    reasons = []
    step = _typical_step(parts)
    if total["long_steps"]:
        reasons.append(
            f"{total['long_steps'] / max(1, total['steps']):.0%} of the time steps are longer than max_gap="
            f"{spec.max_gap} and end a window; the median step is {step}"
            + (f", in training it was {spec.step}" if spec.step is not None else "")
            + ". Are the times in the unit of the training data, and the series sampled as often?"
        )
    longest = max(int(part.get("longest_stretch") or 0) for part in parts)
    if longest < spec.width:
        reasons.append(f"The longest stretch without a gap has {longest} rows, a window needs {spec.width}.")
    if total["empty_rows"]:
        reasons.append(f"Every value is missing in {total['empty_rows'] / total['rows']:.0%} of the rows.")
    return " ".join(reasons or ["The windows hold no values."])


def _typical_step(parts: Sequence[dict[str, int | str | float | None]]) -> str | float | None:
    """Return the median step of the part that holds the median row."""
    known = [(part["median_step"], int(part["steps"] or 0)) for part in parts if part.get("median_step") is not None]
    if not known:
        return None
    known.sort(key=lambda item: _number(item[0]))
    weights = np.cumsum([weight for _, weight in known])
    return known[int(np.searchsorted(weights, weights[-1] / 2))][0]


def differs_in_step(record: Record, spec: WindowSpec) -> bool:
    """Tell whether the time step of a part is clearly not that of the training data."""
    found = (record.coverage or {}).get("median_step")
    steps = (record.coverage or {}).get("steps") or 0
    if spec.step is None or found is None or int(steps) < MIN_STEPS:
        return False
    ratio = _number(found) / _number(spec.step)
    return not 1 / STEP_RATIO <= ratio <= STEP_RATIO


def explain_step(records: Sequence[Record], spec: WindowSpec) -> str | None:
    """Name the parts whose time step is not that of the training data; None without any."""
    others = [record for record in records if record.status == DONE and differs_in_step(record, spec)]
    if not others:
        return None
    return (
        f"the median time step of {others[0].input}" + (f" and {len(others) - 1} more parts" if others[1:] else "")
        + f" is {(others[0].coverage or {})['median_step']}, but the model was trained on steps of {spec.step}: its "
        f"windows of {spec.width} rows span another length of time. Resample the input, or train a model for it"
    )  # fmt: skip


def explain_series(seen: set[str], scored: set[str], spec: WindowSpec) -> str | None:
    """Name series without any result; None if there are none, or if nothing has a result."""
    lost = sorted(seen - scored)
    if not lost or not scored:
        return None
    return (
        f"{len(lost)} of {len(seen)} series got no result ({listed(lost)}): no stretch of {spec.width} rows without a "
        "gap in time and with values"
    )


def _number(step: str | float | int | None) -> float:
    return pd.Timedelta(step).total_seconds() if isinstance(step, str) else float(step or 0)
