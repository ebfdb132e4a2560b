"""Slow twins of the fast paths, written the obvious way; the tests compare the two."""

from __future__ import annotations

import math
import statistics

import numpy as np

# ---------------------------------------------------------------------------------------------- windows


def cut_windows(rows, width, stride, max_gap):
    """Windows of `rows`, a list of (id, time, values): a list of (id, first time, last time, list of values)."""
    series = {}
    for name, time, values in rows:
        series.setdefault(name, []).append((time, values))
    windows = []
    for name, steps in series.items():
        for stretch in split_at_gaps(steps, max_gap):
            for begin in range(0, len(stretch) - width + 1, stride):
                window = stretch[begin : begin + width]
                windows.append((name, window[0][0], window[-1][0], [values for _, values in window]))
    return windows


def split_at_gaps(steps, max_gap):
    """Parts of a list of (time, values) between which more than `max_gap` passes."""
    stretches = [[steps[0]]]
    for before, after in zip(steps, steps[1:], strict=False):
        if after[0] - before[0] > max_gap:
            stretches.append([])
        stretches[-1].append(after)
    return stretches


def infer_max_gap(rows):
    """1.5 times the median step of time within a series."""
    last, steps = {}, []
    for name, time, _ in rows:
        if name in last:
            steps.append(time - last[name])
        last[name] = time
    return 1.5 * statistics.median(steps) if steps else math.inf


def covered_rows(windows):
    """For each window the set of (series, row) that it covers."""
    return [
        {(code, row) for row in range(start, start + length)}
        for code, start, length in zip(windows.series, windows.starts, windows.lengths, strict=True)
    ]


# ---------------------------------------------------------------------------------------------- timeline


def timeline(starts, lengths, n_rows, values, how):
    """For each row, what the windows that cover it say: `values[window][step]`, summed up."""
    said = [[] for _ in range(n_rows)]
    for window, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        for step in range(length):
            if not math.isnan(values[window][step]):
                said[start + step].append(float(values[window][step]))
    reduce = {"mean": statistics.fmean, "median": statistics.median, "max": max}[how]
    return [reduce(entries) if entries else math.nan for entries in said]


# ---------------------------------------------------------------------------------------------- networks


def lstm(x, kernel, recurrent_kernel, bias, h=None, c=None, dilation=1):
    """Hidden and cell states of one row, step by step: x (n_timesteps, n_inputs) -> two (n_timesteps, units)."""
    units = recurrent_kernel.shape[0]
    zero = np.zeros(units)
    hs, cs = [], []
    for step in range(len(x)):
        if step < dilation:
            before_h, before_c = (zero if h is None else h), (zero if c is None else c)
        else:
            before_h, before_c = hs[step - dilation], cs[step - dilation]
        gates = x[step] @ kernel + before_h @ recurrent_kernel + bias
        i, f, g, o = gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
        cell = _sigmoid(f) * before_c + _sigmoid(i) * np.tanh(g)
        hs.append(_sigmoid(o) * np.tanh(cell))
        cs.append(cell)
    return np.array(hs), np.array(cs)


def encode(layers, row):
    """States of each layer of a stack for one row without padding.

    layers: list of (forward weights, backward weights or None, dilation). Returns for each layer the sequence, the
    last hidden and the last cell state.
    """
    states, x = [], row
    for forward, backward, dilation in layers:
        h, c = lstm(x, *forward, dilation=dilation)
        last, cell = h[-1], c[-1]
        if backward is not None:
            back_h, back_c = lstm(x[::-1], *backward, dilation=dilation)
            last, cell = np.concatenate([last, back_h[-1]]), np.concatenate([cell, back_c[-1]])
            h = np.concatenate([h, back_h[::-1]], axis=1)
        states.append((h, last, cell))
        x = h
    return states


def pool(states, kinds):
    """Pooled features of one row, layer after layer."""
    parts = []
    for sequence, last, cell in states:
        for kind in kinds:
            if kind == "last":
                parts.append(last)
            elif kind == "cell":
                parts.append(cell)
            elif kind == "change":
                steps = [abs(sequence[i + 1] - sequence[i]) for i in range(len(sequence) - 1)]
                parts.append(sum(steps) / len(steps) if steps else 0 * sequence[0])
            else:
                parts.append(getattr(np, kind)(sequence, axis=0))
    return np.concatenate(parts)


def fill_gaps(channel):
    """One channel with NaN: the straight line between neighbours, held at the ends, 0 without any value."""
    seen = [step for step, value in enumerate(channel) if not math.isnan(value)]
    if not seen:
        return [0.0] * len(channel)
    return list(np.interp(range(len(channel)), seen, [channel[step] for step in seen]))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
