"""Slow and simple versions of the fast paths; tests compare the two."""

from __future__ import annotations

import math
import statistics

import numpy as np

# ---------------------------------------------------------------------------------------------- windows


def cut_windows(rows, width, stride, max_gap, align="start"):
    """Windows of `rows`, a list of (id, time, values): a list of (id, first time, last time, list of values).

    max_gap: a number, or a number for each id.
    """
    series = {}
    for name, time, values in rows:
        series.setdefault(name, []).append((time, values))
    windows = []
    for name, steps in series.items():
        for stretch in split_at_gaps(steps, max_gap[name] if isinstance(max_gap, dict) else max_gap):
            begins = list(range(0, len(stretch) - width + 1, stride))
            if align == "end":
                begins = list(range(len(stretch) - width, -1, -stride))[::-1]
            for begin in begins:
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


def layout(series, width, stride, max_gap):
    """First row and number of windows of each stretch without a gap.

    series: a list of lists of times, concatenated to rows.
    """
    found, row = [], 0
    for times in series:
        for stretch in split_at_gaps([(time, None) for time in times], max_gap) if times else []:
            found.append((row, sum(1 for begin in range(0, len(stretch), stride) if begin + width <= len(stretch))))
            row += len(stretch)
    return found


def infer_max_gaps(rows):
    """For each series 2.5 times its usual step: the longest of 95 % of its steps that are no longer than that."""
    last, steps = {}, {name: [] for name, _, _ in rows}
    for name, time, _ in rows:
        if name in last:
            steps[name].append(time - last[name])
        last[name] = time
    own = {name: 2.5 * usual_step(found) for name, found in steps.items() if len(found) >= 3}
    if own and max(own.values()) > 2.5 * min(own.values()):  # several sampling rates
        return {name: own.get(name, max(own.values())) for name in steps}
    together = [step for found in steps.values() for step in found]
    return dict.fromkeys(steps, 2.5 * usual_step(together) if together else math.inf)


def usual_step(steps):
    """The first step, from the median on, that is the longest of 95 % of those up to 2.5 times itself."""
    steps = sorted(steps)
    usual = statistics.median_low(steps)
    for _ in steps:  # it grows at most to each of them
        near = [step for step in steps if step <= 2.5 * usual]
        usual = max(usual, near[math.floor(0.95 * (len(near) - 1))])
    return usual


def covered_rows(windows):
    """For each window the set of (series, row) that it covers."""
    return [
        {(code, row) for row in range(start, start + length)}
        for code, start, length in zip(windows.series, windows.starts, windows.lengths, strict=True)
    ]


def touching(windows, rows):
    """For each window whether it contains any row that `rows` marks."""
    marked = {row for row, mark in enumerate(rows) if mark}
    return [any(row in marked for _, row in covered) for covered in covered_rows(windows)]


# ---------------------------------------------------------------------------------------------- timeline


def timeline(starts, lengths, n_rows, values, how):
    """For each row, the results of the windows that cover it, `values[window][step]`, combined."""
    results = [[] for _ in range(n_rows)]
    for window, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        for step in range(length):
            if not math.isnan(values[window][step]):
                results[start + step].append(float(values[window][step]))
    reduce = {"mean": statistics.fmean, "median": statistics.median, "max": max}[how]
    return [reduce(entries) if entries else math.nan for entries in results]


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


def pool(states, poolings, thresholds=None):
    """Pooled features of one row, layer after layer.

    thresholds: for each layer, for each quantile the threshold of each unit.
    """
    parts = []
    for depth, (sequence, last, cell) in enumerate(states):
        for kind in poolings:
            if kind == "last":
                parts.append(last)
            elif kind == "cell":
                parts.append(cell)
            elif kind == "change":
                steps = [abs(sequence[i + 1] - sequence[i]) for i in range(len(sequence) - 1)]
                parts.append(sum(steps) / len(steps) if steps else 0 * sequence[0])
            elif kind == "ppv":
                for threshold in thresholds[depth]:
                    parts.append(sum(1.0 * (step > threshold) for step in sequence) / len(sequence))
            else:
                parts.append(getattr(np, kind)(sequence, axis=0))
    return np.concatenate(parts)


def fill_gaps(channel):
    """One channel with NaN: the straight line between neighbours, held at the ends, 0 without any value."""
    observed = [step for step, value in enumerate(channel) if not math.isnan(value)]
    if not observed:
        return [0.0] * len(channel)
    return list(np.interp(range(len(channel)), observed, [channel[step] for step in observed]))


def differences(channel):
    """One channel with NaN: its changes from step to step, 0 at the first, over their root mean square where both of
    their steps are there."""
    line = fill_gaps(channel)
    changes = [0.0] + [after - before for before, after in zip(line, line[1:], strict=False)]
    observed = [
        changes[t] for t in range(1, len(channel)) if not math.isnan(channel[t - 1]) and not math.isnan(channel[t])
    ]
    size = math.sqrt(sum(change**2 for change in observed) / len(observed)) if any(observed) else None
    # without a size of their own they are in units of the channel's standard deviation
    size = size or statistics.pstdev(value for value in channel if not math.isnan(value)) or 1.0
    return [change / size for change in changes]


def imputation_targets(row, offsets):
    """Targets of the imputation read-out at each step of `row`: its own value, then those at the offsets.

    row: one value per step, None where it is missing. A list of values for each step, None where there is no target.
    """
    shifts = [0]
    for offset in offsets:
        shifts += [-offset, offset]
    return [[row[t + s] if 0 <= t + s < len(row) else None for s in shifts] for t in range(len(row))]


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


# -- decoders ------------------------------------------------------------------------------------------------------


def softmax(scores):
    scores = np.exp(scores - np.max(scores))
    return scores / np.sum(scores)


def attend(kind, weights, query, memory):
    """Attended vector and weights of one query over one memory, (n_steps, width); Luong et al. 2015, Bahdanau 2015."""
    scores = []
    for place, step in enumerate(memory):
        if kind == "dot":
            scores.append(query @ step)
        elif kind == "general":
            scores.append(step @ weights["memory_kernel"] @ query)
        elif kind == "location":
            scores.append((query @ weights["query_kernel"])[place])
        else:
            hidden = np.tanh(query @ weights["query_kernel"] + step @ weights["memory_kernel"])
            scores.append(float(hidden @ weights["score_kernel"][:, 0]))
    attention_weights = softmax(np.array(scores))
    return attention_weights @ memory, attention_weights


def decode(decoder, context, memory, states, n_timesteps, truth=None, feed=None):
    """One row of a RecurrentDecoder, step by step: outputs and attention weights.

    states: [h, c] of each layer of the encoder; truth: read instead of the decoder's own outputs (teacher forcing).
    """
    attention = decoder.attention and {w.name: w.numpy() for w in decoder.attention.weights}
    kind = decoder.attention and decoder.attention.kind
    h = [np.zeros(layer.units) for layer in decoder.recurrent_layers]
    c = [np.zeros(layer.units) for layer in decoder.recurrent_layers]
    for depth, bridge in enumerate(decoder.bridge_layers):
        given = states[min(depth, len(states) - 1)]
        h[depth], c[depth] = given
        if bridge:
            kernel, bias = bridge[0].get_weights()
            h[depth] = np.tanh(given[0] @ kernel + bias)
            kernel, bias = bridge[1].get_weights()
            c[depth] = given[1] @ kernel + bias
    previous, attentional = np.zeros(decoder.feedback_width), np.zeros(decoder.recurrent_layers[-1].units)
    outputs, attention_weights = [], []
    for step in range(n_timesteps):
        inputs = [] if decoder.config.bridge == "initial_state" else [context]
        if decoder.feedback_width:
            if truth is not None:
                previous = truth[step - 1] if step else np.zeros(decoder.feedback_width)
            inputs.append(previous)
        if kind == "additive":
            attended, weights = attend(kind, attention, h[-1], memory)
            inputs.append(attended)
        if decoder.config.input_feeding:
            inputs.append(attentional)
        x = np.concatenate(inputs) if inputs else np.zeros(1)
        for depth, layer in enumerate(decoder.recurrent_layers):
            _, (h[depth], c[depth]) = _lstm_step(x, layer.get_weights(), h[depth], c[depth])
            x = h[depth]
        if kind == "additive":
            x = np.concatenate([x, attended])
        elif kind:
            attended, weights = attend(kind, attention, x, memory)
            x = attentional = np.tanh(np.concatenate([attended, x]) @ decoder.combine.get_weights()[0])
        kernel, bias = decoder.output_layer.get_weights()
        outputs.append(x @ kernel + bias)
        previous = outputs[-1] if feed is None else feed(outputs[-1])
        if kind:
            attention_weights.append(weights)
    return np.array(outputs), np.array(attention_weights)


def _lstm_step(x, weights, h, c):
    hs, cs = lstm(x[None], *weights, h=h, c=c)
    return hs[0], (hs[0], cs[0])


def beam_search(step_scores, n_steps, width, stop):
    """The best sequence by beam search; `step_scores(prefix)` -> log-probabilities of the next token."""
    beams = [((), 0.0)]
    for _ in range(n_steps):
        candidates = []
        for prefix, score in beams:
            if prefix and prefix[-1] == stop:
                candidates.append((prefix, score))
                continue
            for token, log_probability in enumerate(step_scores(prefix)):
                candidates.append(((*prefix, token), score + log_probability))
        beams = sorted(candidates, key=lambda beam: -beam[1])[:width]
    return beams[0]


# -------------------------------------------------------------------------------------------- unusual windows


def unusual_rows(series, width, n_blocks):
    """How unusual each row of each series is: {name: list}, of windows of every row, compared by the nearest of others.

    series: {name: array (n_rows, n_channels)}, without missing values.
    """
    windows = [(name, start) for name, rows in series.items() for start in range(len(rows) - width + 1)]
    block = {}
    for number, (name, rows) in enumerate(series.items()):
        n = len(rows) - width + 1
        for start in range(n):
            block[name, start] = (start * n_blocks // n + number) % n_blocks
    errors = {}
    for name, start in windows:
        own = [other for other in windows if block[other] == block[name, start]]
        others = [w for w in windows if not any(w[0] == o[0] and abs(w[1] - o[1]) < width for o in own)]
        flat = np.array([series[n][s : s + width] for n, s in others])
        std, window = flat.std(axis=(0, 1)), series[name][start : start + width]
        distances = [(((other - window) / std) ** 2).sum() for other in flat]
        errors[name, start] = ((flat[int(np.argmin(distances))] - window) ** 2).mean(axis=0)
    table = np.array(list(errors.values()))
    usual = np.median(table, axis=0)
    score = {window: np.log1p(error / usual).sum() for window, error in errors.items()}
    return {
        name: [
            statistics.mean(score[name, s] for s in range(row - width + 1, row + 1) if (name, s) in score)
            for row in range(len(rows))
        ]
        for name, rows in series.items()
    }
