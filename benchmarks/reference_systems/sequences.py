"""Systems S7 to S11 and S14 to S16: sequence to sequence, of numbers and of tokens."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.reference_systems import Row, mean_and_spread, shapes, system
from tsae import DecoderOptions, LSTMClassifier, LSTMSeq2Seq

# The decoder of the tutorials: it reads the encoder's last state at every step, and not its own outputs.
TUTORIAL_DECODER = {"bridge": "repeat_vector", "feedback": None}


def oscillators(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """10 steps of a noisy damped oscillation, and the 40 that follow."""
    steps = np.arange(50)
    period, decay = rng.uniform(8, 16, (n, 1)), rng.uniform(0.0, 0.02, (n, 1))
    X = np.exp(-decay * steps) * np.sin(2 * np.pi * steps / period + rng.uniform(0, 6.3, (n, 1)))
    X = X + 0.2 * rng.normal(size=X.shape)
    return X[:, :10], X[:, 10:]


@system("S7", "teacher forcing and scheduled sampling", "5 seeds; 500 pairs of 10 and 40 steps, 32 units, 40 epochs")
def scheduled_sampling() -> Iterator[Row]:
    errors: dict[str, list] = {}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        (X, Y), (X_test, Y_test) = oscillators(500, rng), oscillators(1000, rng)
        runs = [("teacher", DecoderOptions(feedback="teacher_forcing"))]
        for decay in ("linear", "exponential", "inverse_sigmoid"):
            runs.append((decay, DecoderOptions(feedback="scheduled_sampling", decay=decay)))
        for name, options in runs:
            model = LSTMSeq2Seq(
                32, decoder_options=options, batch_size=16, epochs=40, learning_rate=5e-3, schedule="cosine",
                random_state=seed,
            )  # fmt: skip
            error = np.square(model.fit(X, Y).predict(X_test)[..., 0] - Y_test)
            errors.setdefault(name, []).append(error.mean())
    teacher = np.mean(errors["teacher"])
    yield Row("open-loop error after teacher forcing", "-", mean_and_spread(errors["teacher"]), True)
    for name in ("linear", "exponential", "inverse_sigmoid"):
        yield Row(f"after scheduled sampling, {name.replace('_', ' ')}", "no higher", mean_and_spread(errors[name]),
                  bool(np.mean(errors[name]) <= teacher))  # fmt: skip


@system("S8", "encoder-decoder for integers", "100,000 pairs, 1 epoch, 128 units")
def integers() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    X = rng.integers(1, 51, (100_000, 6))
    model = LSTMSeq2Seq(128, epochs=1, learning_rate=3e-3, schedule="cosine", random_state=0).fit(X, X[:, 2::-1])
    new = rng.integers(1, 51, (1000, 6))
    first, all_right = model.score(new[:100], new[:100, 2::-1]), model.score(new, new[:, 2::-1])
    yield Row("100 new sequences exact", "100 %", f"{first:.0%} (of 1,000: {all_right:.1%})", first == 1.0)


def encoding(network: Any, inputs: Any) -> Any:
    """The result of a sequence-to-sequence network's encoder for what its layers read, nothing missing."""
    from tsae.networks.decoders import Encoded
    from tsae.networks.inputs import EncoderInputs

    return Encoded.by(network.encoder, network.encoder.run(EncoderInputs(inputs)), None)


@system("S9", "global attention", "1,500 pairs, 20 epochs, 32 units")
def global_attention() -> Iterator[Row]:
    from tests import naive

    def most_probable(output: np.ndarray) -> np.ndarray:
        return np.eye(len(output))[np.argmax(output)]

    rng = np.random.default_rng(0)
    X = rng.integers(0, 10, (2000, 6))
    Y = X[:, 2::-1]
    for kind in ("dot", "general", "concat", "location"):
        model = LSTMSeq2Seq(
            32, decoder_options=DecoderOptions(attention=kind), epochs=20, learning_rate=0.01, schedule="cosine",
            random_state=0,
        )  # fmt: skip
        model.fit(X[:1500], Y[:1500])
        network, codes = model.model_, np.searchsorted(model.input_vocabulary_, X[-8:])
        encoded = encoding(network, network.input_tokens(codes))
        decoded = network.decode(codes[..., None].astype(np.float32), False, 3)
        furthest = 0.0
        for row in range(8):
            states = [[part.numpy()[row] for part in layer] for layer in encoded.states]
            memory = encoded.memory.numpy()[row]
            expected, weights = naive.decode(network.decoder, None, memory, states, 3, feed=most_probable)
            for ours, theirs in ((decoded.values[row], expected), (decoded.weights[row], weights)):
                furthest = max(furthest, np.abs(ours - theirs).max())
        yield Row(f"{kind}: right on new pairs; distance from NumPy", "trains; 1e-5",
                  f"{model.score(X[1500:], Y[1500:]):.1%}; {furthest:.0e}", bool(furthest < 1e-5))  # fmt: skip


@system("S10", "additive attention against none", "10 runs each, 5,000 updates on one pair each, 150 units")
def additive_attention() -> Iterator[Row]:
    exact: dict[str, list] = {"none": [], "additive": []}
    for run in range(10):
        rng = np.random.default_rng(run)
        X = rng.integers(1, 50, (6000, 5))
        Y = np.where(np.arange(5) < 2, X, 0)
        for kind, options in (
            ("none", DecoderOptions(**TUTORIAL_DECODER)),
            ("additive", DecoderOptions(attention="additive")),
        ):
            model = LSTMSeq2Seq(
                150, shared_vocabulary=True, decoder_options=options, batch_size=1, epochs=1, learning_rate=3e-3,
                schedule="cosine", random_state=run,
            ).fit(X[:5000], Y[:5000])  # fmt: skip
            exact[kind].append(model.score(X[5000:], Y[5000:]))
    yield Row("exact without attention", "23.1 %", mean_and_spread(100 * np.array(exact["none"])) + " %", True)
    mean = float(np.mean(exact["additive"]))
    yield Row("exact with attention", "95.7 % (must be >= 95 %)",
              mean_and_spread(100 * np.array(exact["additive"])) + " %", mean >= 0.95)  # fmt: skip


@system("S11", "direct and recursive decoding", "40 epochs of 200 pairs")
def direct_and_recursive() -> Iterator[Row]:
    X = np.random.default_rng(0).normal(size=(200, 10, 2))
    for name, options in (
        ("without feedback", DecoderOptions(feedback=None, bridge="both")),
        ("with feedback", None),
        ("with feedback, attention", DecoderOptions(attention="general")),
    ):
        model = LSTMSeq2Seq(16, decoder_options=options, epochs=40, learning_rate=0.01, random_state=0)
        network = model.fit(X, X[:, ::-1]).model_
        encoded = encoding(network, X.astype(np.float32))
        stepwise = network.decoder.decode_recursively(encoded, 10).values
        whole = network.decoder.decode_directly(encoded, 10, stepwise).values
        distance = float(np.abs(whole - stepwise).max())
        yield Row(f"largest difference, {name}", "1e-5", f"{distance:.0e}", distance < 1e-5)
    options = DecoderOptions(attention="general", input_feeding=True)
    model = LSTMSeq2Seq(16, decoder_options=options, epochs=40, learning_rate=0.01, random_state=0)
    losses = model.fit(X, X[:, ::-1]).history_["loss"]
    yield Row("input feeding: loss, first and last epoch", "trains", f"{losses.iloc[0]:.2f}, {losses.iloc[-1]:.2f}",
              losses.iloc[-1] < losses.iloc[0])  # fmt: skip


@system("S14", "kinds of sequence problems", "1 example each, seconds")
def kinds() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(1200) / 4) + 0.05 * rng.normal(size=1200)
    X = np.lib.stride_tricks.sliding_window_view(series[:-1], 20)
    y = series[20:]
    model = LSTMSeq2Seq(16, epochs=10, learning_rate=0.01, random_state=0).fit(X[:900], y[:900, None])
    r2 = model.score(X[900:], y[900:, None])
    yield Row("next value: R² on what follows", "runs", f"{r2:.3f}", r2 > 0.9)
    X, kinds_of = shapes(600, rng)
    accuracy = LSTMClassifier(units=16, random_state=0).fit(X[:400], kinds_of[:400]).score(X[400:], kinds_of[400:])
    yield Row("classification: accuracy, 5 classes", "runs", f"{accuracy:.2f}", accuracy > 0.5)
    text = "the cat sat on the mat and the dog sat on the log; " * 40
    starts = rng.integers(0, len(text) - 60, 1500)
    model = LSTMSeq2Seq(64, epochs=8, learning_rate=5e-3, random_state=0)
    model.fit([text[s : s + 20] for s in starts], [text[s + 20 : s + 60] for s in starts])
    generated = model.sample([text[:20]], temperature=0.5, random_state=0)[0]
    right = np.mean([a == b for a, b in zip(generated, text[20:60], strict=True)])
    yield Row("generation with feedback", "runs", f"{generated!r} ({right:.0%} as the text)", right > 0.8)
    pairs = [f"{number:b}" for number in range(1, 500)]
    turned = [str(word)[::-1] for word in pairs]
    model = LSTMSeq2Seq(
        48, decoder_options=DecoderOptions(attention="general"), epochs=30, learning_rate=0.01, schedule="cosine",
        random_state=0,
    )  # fmt: skip
    held = np.arange(499) % 5 == 0
    model.fit(*([w for w, h in zip(side, held, strict=True) if not h] for side in (pairs, turned)))
    exact = model.score(*([w for w, h in zip(side, held, strict=True) if h] for side in (pairs, turned)))
    yield Row("sequence to sequence of varying length: exact on held-out", "runs", f"{exact:.0%}", exact > 0.8)


@system("S15", "addition as characters", "1,000 pairs, 50 epochs, 75 and 50 units")
def addition() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 11, (1000, 2))
    X = [f"{a}+{b}".rjust(5) for a, b in numbers]
    Y = [str(a + b).rjust(2) for a, b in numbers]
    options = {"units": 75, "shared_vocabulary": True, "batch_size": 10, "epochs": 50, "random_state": 0}
    decoder = DecoderOptions(units=50, **TUTORIAL_DECODER)
    plain = LSTMSeq2Seq(**options, decoder_options=decoder).fit(X[:800], Y[:800])
    weights = plain.model_.count_params()
    yield Row("weights, without feedback", "52,212", f"{weights:,}", weights == 52_212)
    exact = plain.score(X[800:], Y[800:])
    yield Row("exact on the held-out fifth, without feedback", "to be reported", f"{exact:.1%}", True)
    decoder = DecoderOptions(units=50, attention="general")
    attending = LSTMSeq2Seq(**options, decoder_options=decoder).fit(X[:800], Y[:800])
    yield Row("the same, with feedback and attention", "-", f"{attending.score(X[800:], Y[800:]):.1%}", True)


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def date_pair(day: datetime.date, rng: np.random.Generator) -> tuple[str, str]:
    """A date in a common notation and in ISO 8601: day, month and year; month and year; or the year."""
    month = MONTHS[day.month - 1]
    kind = rng.integers(10)
    if kind == 0:
        return [f"{day.year}", f"the year {day.year}"][rng.integers(2)], f"{day:%Y}"
    if kind <= 2:
        return [f"{month} {day.year}", f"{day.month}/{day.year}"][rng.integers(2)], f"{day:%Y-%m}"
    weekday = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[day.weekday()]
    forms = (
        f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", f"{month[:3]} {day.day} {day.year}",
        f"{weekday}, {day.day} {month} {day.year}", f"{day.day:02}/{day.month:02}/{day.year}",
        f"{day.day}.{day.month}.{day.year}", f"{day.year} {month[:3].lower()} {day.day:02}",
        f"the {day.day}. of {month} {day.year}",
    )  # fmt: skip
    return forms[rng.integers(len(forms))], f"{day:%Y-%m-%d}"


@system("S16", "character translation: dates to ISO 8601", "20,000 pairs, 3 epochs, 96 units in both directions")
def translation() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    first = datetime.date(1900, 1, 1)
    days = rng.permutation(73_000)[:22_000]
    pairs = [date_pair(first + datetime.timedelta(int(day)), rng) for day in days]
    train = pairs[:20_000]
    known = {text for text, _ in train}
    test = [pair for pair in pairs[20_000:] if pair[0] not in known][:1000]
    model = LSTMSeq2Seq(
        96, bidirectional=True, decoder_options=DecoderOptions(attention="general"), batch_size=64, epochs=3,
        learning_rate=2e-3, schedule="cosine", random_state=0,
    ).fit([text for text, _ in train], [iso for _, iso in train])  # fmt: skip
    model = pickle.loads(pickle.dumps(model))
    X, Y = [text for text, _ in test], [iso for _, iso in test]
    for name, width in (("greedy", 1), ("beam of 4", 4)):
        exact = np.mean(
            [predicted == iso for predicted, iso in zip(model.predict(X, beam_width=width), Y, strict=True)]
        )
        yield Row(f"exact on {len(X):,} unseen dates, {name}", ">= 99 %", f"{exact:.1%}", bool(exact >= 0.99))
