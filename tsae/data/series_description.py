"""What series hold, and which windows suit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import detrend, find_peaks

from tsae.data.fit_time import FIRST_LOOK, fit_seconds, rough_time
from tsae.data.inspection import dominating_values, find_labels
from tsae.data.series import GroupedSeries
from tsae.data.times import find_gaps, length_of_time, time_differences, time_numbers

LONGEST = 20_000  # rows of a stretch that are searched for a period
N_STRETCHES = 3  # so many, the longest, are searched
PEAK = 0.3  # least height and prominence of a period's autocorrelation
MIN_CYCLES = 3  # a period must come so often in a stretch
WIDTHS = 16, 256  # the narrowest and widest suggestion
USUAL_WIDTH = 64  # suggested where there is no period
N_WINDOWS = 4000  # about so many are enough to train on


@dataclass(frozen=True, eq=False)
class Description:
    """What series hold, and which windows suit them; printed as text.

    Parameters
    ----------
    n_series, n_rows : int
        Number of series, and of rows in all of them.
    row_range : tuple of two int
        Rows of the shortest and of the longest series.
    step : pandas.Timedelta, float or None
        Median step of time; None where there are no times.
    jitter : float
        Share of the steps that differ from the median by more than 1 %, gaps left out.
    n_gaps : int
        Steps longer than the inferred `max_gap` of `make_windows`.
    max_gap : pandas.Timedelta, float or None
        As inferred by `make_windows`.
    longest_stretch : int
        Rows of the longest stretch without a gap.
    channels : DataFrame
        One row per channel (the index): `missing` (share of the rows), `min`, `median`, `max`, `constant`, `period` (in
        rows; NaN for none), `note` (suspected labels and markers of missing values).
    width, stride : int
        Suggested for `make_windows`.
    windows : str
        Which windows have been cut, as `Windows.describe` says.
    fit_seconds : float or None
        Rough time that training takes here: see `tsae.data.fit_time`.
    first_look_seconds : float or None
        The same for 3 epochs of a network of 16 units.
    """

    n_series: int
    n_rows: int
    row_range: tuple[int, int]
    step: Any
    jitter: float
    n_gaps: int
    max_gap: Any
    longest_stretch: int
    channels: pd.DataFrame
    width: int
    stride: int
    windows: str = ""
    fit_seconds: float | None = None
    first_look_seconds: float | None = None

    def __str__(self) -> str:
        shortest, longest = self.row_range
        each = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        lines = [f"{self.n_series:,} series of {each} rows, {self.n_rows:,} in all, {len(self.channels)} channel"]
        if self.step is not None:
            lines += [
                f"step of time {self.step}; {self.jitter:.1%} of the steps differ from it by more than 1 %",
                f"{self.n_gaps:,} gaps (steps longer than {self.max_gap}); longest stretch without a gap: "
                f"{self.longest_stretch:,} rows",
            ]
        lines[0] += "s" * (len(self.channels) != 1)
        table = self.channels.to_string(float_format="{:.4g}".format, na_rep="-").splitlines()
        lines += ["", *(line.rstrip() for line in table), ""]
        lines.append(f"suggested: width={self.width}, stride={self.stride}")
        lines += [self.windows] if self.windows else []
        if self.fit_seconds is not None:
            lines.append(
                f"LSTMAutoencoder().fit on them: {rough_time(self.fit_seconds)} (estimated from a timed LSTM step)"
            )
        if self.first_look_seconds is not None:
            rough = rough_time(self.first_look_seconds)
            units, epochs = FIRST_LOOK["units"], FIRST_LOOK["epochs"]
            lines.append(f"faster: units={units}, epochs={epochs} for a first look ({rough}), or a smaller width")
        return "\n".join(lines)

    def timed(self, n_windows: int, width: int) -> Description:
        """Return a copy with the rough time that training on so many windows takes."""
        return replace(
            self,
            fit_seconds=fit_seconds(n_windows, width),
            first_look_seconds=fit_seconds(n_windows, width, **FIRST_LOOK),
        )


def describe_series(grouped: GroupedSeries) -> Description:
    """Describe series that have been read; as `tsae.describe`."""
    lengths = np.diff(grouped.offsets)
    max_gap, _, after_gaps = find_gaps(grouped, None)
    begins = np.union1d(grouped.offsets[:-1], after_gaps)
    stretches = np.diff(begins, append=len(grouped.values))
    channels = _channels(grouped, begins, stretches)
    longest = int(stretches.max(initial=0))
    width = suggest_width(channels["period"].dropna().astype(int).tolist(), longest)
    step, jitter = _step(grouped, begins)
    return Description(
        n_series=len(lengths),
        n_rows=len(grouped.values),
        row_range=(int(lengths.min(initial=longest)), int(lengths.max(initial=0))),
        step=step,
        jitter=jitter,
        n_gaps=len(begins) - int(np.count_nonzero(lengths)),
        max_gap=max_gap,
        longest_stretch=longest,
        channels=channels,
        width=width,
        stride=int(np.clip(len(grouped.values) // N_WINDOWS, 1, max(1, width // 2))),
    )


def suggest_width(periods: Sequence[int], longest_stretch: int) -> int:
    """Suggest a width: whole periods, within the limits.

    Parameters
    ----------
    periods : sequence of int
        In rows; may be empty.
    longest_stretch : int
        Rows of the longest stretch without a gap.

    Returns
    -------
    int

    Examples
    --------
    >>> suggest_width([12], 732), suggest_width([24, 168], 9000), suggest_width([], 9000), suggest_width([], 20)
    (24, 24, 64, 5)
    """
    narrowest, widest = WIDTHS
    width = median_low(periods) if periods else USUAL_WIDTH
    width *= max(1, -(-narrowest // width))
    return int(max(1, min(width, widest, longest_stretch // 4)))


def _step(grouped: GroupedSeries, begins: np.ndarray) -> tuple[Any, float]:
    """Return the median step of time, and the share of the steps, without gaps, that differ from it."""
    if grouped.times is None:
        return None, 0.0
    numbers = time_numbers(grouped.times)
    steps = np.delete(time_differences(numbers[:-1], numbers[1:]), begins[(begins > 0)] - 1)
    if not len(steps):
        return None, 0.0
    median = float(np.median(steps))
    return length_of_time(median, grouped.times), float(np.mean(np.abs(steps - median) > 0.01 * median))


def _channels(grouped: GroupedSeries, begins: np.ndarray, stretches: np.ndarray) -> pd.DataFrame:
    labels, flags = find_labels(grouped)
    longest = np.argsort(-stretches, kind="stable")[:N_STRETCHES]
    rows = {}
    for channel, name in enumerate(grouped.channel_names):
        column = grouped.values[:, channel]
        notes = ["named like a label"] * (name in labels) + ["holds only 0 and 1"] * (name in flags)
        notes += [f"{count} rows of {value:.9g}: missing?" for value, count in dominating_values(column)]
        seen = column[~np.isnan(column)]
        lowest, median, highest = np.quantile(seen, [0, 0.5, 1]) if len(seen) else [np.nan] * 3
        parts = [column[begins[at] : begins[at] + stretches[at]][:LONGEST] for at in longest]
        rows[name] = {
            "missing": 1 - len(seen) / max(1, len(column)),
            "min": lowest,
            "median": median,
            "max": highest,
            "constant": bool(len(seen)) and bool(lowest == highest),
            "period": find_period(parts),
            "note": ", ".join(notes),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def find_period(stretches: Sequence[np.ndarray]) -> float:
    """Find the period of a channel from stretches of it.

    Parameters
    ----------
    stretches : sequence of ndarray of shape (n_i,)
        NaN is a missing value; stretches of which more than half is missing are left out.

    Returns
    -------
    float
        In rows; NaN where there is none. The median over stretches, if most of them have one.

    Examples
    --------
    >>> find_period([np.sin(np.arange(300) * 2 * np.pi / 24)])
    24.0
    """
    found = []
    for stretch in stretches:
        lags = _autocorrelation(np.asarray(stretch, dtype=np.float64))
        peaks, facts = find_peaks(lags, height=PEAK, prominence=PEAK)
        heights = facts["peak_heights"]
        found.append(float(peaks[np.argmax(heights >= 0.8 * heights.max())]) if len(peaks) else np.nan)
    known = [period for period in found if not np.isnan(period)]
    return float(np.round(np.median(known))) if 2 * len(known) > len(found) else np.nan


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Return the autocorrelation at the lags 0 to a third of the length, without a linear trend; empty for none."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < max(4 * MIN_CYCLES, len(values) / 2):
        return np.zeros(0)
    n = len(values)
    values = detrend(np.interp(np.arange(n), known, values[known]))
    power = np.abs(np.fft.rfft(values, 2 * n)) ** 2
    products = np.fft.irfft(power)[: n // MIN_CYCLES + 1]
    if products[0] <= 1e-20 * n:
        return np.zeros(0)
    return np.asarray(products / products[0] * n / (n - np.arange(len(products))))
