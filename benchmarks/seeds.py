"""The systems that tsae comes from, each through its public API: the figure published beside the figure reached.

    python -m benchmarks.seeds                      # all of them, and the table of docs/seeds.md
    python -m benchmarks.seeds --only S8 S10

One function a system; what it does stands in its docstring and in docs/seeds.md. All data are generated from fixed
seeds, so that the same machine gives the same figures; only times differ.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tsae import LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq, TrainingDivergedError


class Row(NamedTuple):
    what: str
    published: str
    ours: str
    reached: bool


class System(NamedTuple):
    name: str
    budget: str
    run: Callable[[], Iterator[Row]]


SYSTEMS: dict[str, System] = {}


def system(key: str, name: str, budget: str):
    def register(run):
        SYSTEMS[key] = System(name, budget, run)
        return run

    return register


# The encoder of the tutorials: one forward layer, of which the last state is all.
CLASSIC = {"dilations": 1, "bidirectional": False, "pooling": "last", "scale": None, "schedule": "constant"}
RAMP = np.linspace(0.1, 0.9, 9).reshape(1, 9, 1)
TUTORIAL = {**CLASSIC, "units": 100, "batch_size": 1, "epochs": 300, "reverse_target": False, "random_state": 0}


def largest_error(model: LSTMAutoencoder, decoder: str) -> float:
    return float(np.nanmax(np.abs(model.reconstruct(RAMP, decoder) - RAMP)))


def mean_and_spread(values) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


# -- autoencoders --------------------------------------------------------------------------------------------------


@system("S1", "reconstruction autoencoder", "100 units, 300 epochs of one series of 9 steps")
def reconstruction():
    error = largest_error(LSTMAutoencoder(decoder="reconstruction", **TUTORIAL).fit(RAMP), "reconstruction")
    yield Row("largest error", "0.004 (must be < 0.01)", f"{error:.4f}", error < 0.01)


@system("S2", "prediction autoencoder", "100 units, 300 epochs of one series of 9 steps")
def prediction():
    error = largest_error(LSTMAutoencoder(decoder="prediction", **TUTORIAL).fit(RAMP), "prediction")
    yield Row("largest error", "0.034 (must be < 0.04)", f"{error:.4f}", error < 0.04)


@system("S3", "composite autoencoder", "100 units, 300 epochs of one series of 9 steps")
def composite():
    model = LSTMAutoencoder(decoder="composite", **TUTORIAL).fit(RAMP)
    rebuilt, foreseen = largest_error(model, "reconstruction"), largest_error(model, "prediction")
    yield Row("largest errors, both at once", "< 0.01 and < 0.04", f"{rebuilt:.4f} and {foreseen:.4f}",
              rebuilt < 0.01 and foreseen < 0.04)  # fmt: skip


@system("S4", "stand-alone encoder", "the model of S1")
def encoder():
    model = LSTMAutoencoder(decoder="reconstruction", **TUTORIAL).fit(RAMP)
    features = model.transform(RAMP)
    yield Row("shape of the features", "(1, 100)", str(features.shape), features.shape == (1, 100))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tsae"
        model.save(path)
        program = (
            "import numpy as np, tsae; X = np.linspace(0.1, 0.9, 9).reshape(1, 9, 1);"
            f"print(tsae.load(r'{path}').transform(X).tobytes().hex())"
        )
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    same = bytes.fromhex(said.split()[-1]) == features.tobytes()
    yield Row("after save and load in a new process", "the same values", "the same bits" if same else "others", same)


def shapes(n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Windows of 48 steps of five kinds of wave, of any phase and of periods that vary, under noise."""
    kinds = rng.integers(0, 5, n)
    turns = np.arange(48) / rng.uniform(12, 16, (n, 1)) + rng.uniform(0, 1, (n, 1))
    saw = turns % 1
    waves = np.stack([
        np.sin(2 * np.pi * turns), np.sign(np.sin(2 * np.pi * turns)), 2 * saw - 1, 1 - 2 * saw,
        2 * np.abs(2 * saw - 1) - 1,
    ])  # fmt: skip
    X = waves[kinds, np.arange(n)] + 0.1 * rng.normal(size=(n, 48))
    return X[..., None], kinds


@system(
    "S5", "variants of the video paper",
    "5 seeds; 1,000 windows without labels, 10 labels a class, 5 classes; 48 units; 60 epochs, then 60 of fine-tuning",
)  # fmt: skip
def video_paper():
    X, _ = shapes(64, np.random.default_rng(0))
    trained = 0
    for reverse, conditioning, decoder in itertools.product(
        (False, True), (None, "teacher"), ("reconstruction", "composite")
    ):
        model = LSTMAutoencoder(
            **{**CLASSIC, "scale": "channel"}, units=8, decoder=decoder, handover="both", reverse_target=reverse,
            conditioning=conditioning, epochs=4, batch_size=16, learning_rate=0.01, random_state=0,
        ).fit(X)  # fmt: skip
        losses = model.history_["loss"].to_numpy()
        trained += bool(np.isfinite(losses).all() and losses[-1] < losses[0] and np.isfinite(model.transform(X)).all())
    yield Row("reversed x conditioned x composite: train", "8 of 8", f"{trained} of 8", trained == 8)

    layers = {**CLASSIC, "units": 48, "pooling": ("last", "mean"), "scale": "channel", "schedule": "cosine"}
    accuracy: dict[str, list] = {}
    foreseen: dict[str, list] = {}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        unlabelled, _ = shapes(1000, rng)
        X_all, y_all = shapes(1500, rng)
        few = np.concatenate([np.flatnonzero(y_all[:500] == kind)[:10] for kind in range(5)])
        test = slice(500, None)

        def classify(start, few=few, X=X_all, y=y_all, test=test, seed=seed):
            model = LSTMClassifier(start, epochs=60, batch_size=8, learning_rate=2e-3, random_state=seed, **layers)
            return model.fit(X[few], y[few]).score(X[test], y[test])

        accuracy.setdefault("random weights", []).append(classify(None))
        for name, decoder, conditioning in (
            ("reconstruction", "reconstruction", None), ("prediction", "prediction", None),
            ("composite", "composite", None), ("conditioned composite", "composite", "scheduled"),
        ):  # fmt: skip
            horizon = None if decoder == "reconstruction" else 16
            start = LSTMAutoencoder(
                decoder=decoder, horizon=horizon, conditioning=conditioning, epochs=60, batch_size=32,
                learning_rate=3e-3, random_state=seed, **layers,
            ).fit(unlabelled)  # fmt: skip
            accuracy.setdefault(name, []).append(classify(start))
            if decoder == "composite":
                ahead = start.reconstruct(X_all, "prediction")
                foreseen.setdefault(name, []).append(np.nanmean(np.square(ahead - X_all)))
    at_random = np.array(accuracy.pop("random weights"))
    seeded = np.array(accuracy["composite"])
    yield Row("accuracy from random weights", "-", mean_and_spread(at_random), True)
    for name, values in accuracy.items():
        yield Row(f"accuracy from {name}", "composite best; above random" if name == "composite" else "above random",
                  mean_and_spread(values), bool(np.mean(values) > at_random.mean()))  # fmt: skip
    yield Row("composite minus random, by seed", "> 0", mean_and_spread(seeded - at_random),
              bool(np.mean(seeded - at_random) > 0))  # fmt: skip
    free, conditioned = foreseen["composite"], foreseen["conditioned composite"]
    yield Row("error of 16 steps ahead, unconditioned; conditioned", "a little lower conditioned",
              f"{mean_and_spread(free)}; {mean_and_spread(conditioned)}",
              bool(np.mean(conditioned) <= np.mean(free)))  # fmt: skip


@system("S6", "exploding gradients", "64 windows, runs of up to 60 epochs")
def exploding():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 30, 1)).cumsum(axis=1)
    small = {**CLASSIC, "units": 16, "decoder": "reconstruction", "batch_size": 16, "random_state": 0}

    class Explode:
        """Turns the learning rate up after some epochs that went well."""

        def __new__(cls):
            import keras

            class Callback(keras.callbacks.Callback):
                def on_epoch_begin(self, epoch, logs=None):
                    if epoch == 5:
                        self.model.optimizer.learning_rate.assign(1e30)

            return Callback()

    model = LSTMAutoencoder(**small, optimizer="sgd", clipnorm=None, epochs=60, callbacks=[Explode()])
    try:
        model.fit(X)
        message = "no error"
    except TrainingDivergedError as error:
        message = str(error)
    named = "epoch 5" in message or "epoch 6" in message
    remedies = all(word in message for word in ("learning_rate", "clipnorm", "clipvalue"))
    usable = np.isfinite(model.reconstruct(X)).all() and len(model.history_) >= 5
    yield Row("a run made to explode", "a clear error, best weights kept",
              "names epoch and remedies; weights from before it" if named and remedies and usable else message,
              bool(named and remedies and usable))  # fmt: skip
    norms = {}
    for name, limits in {"none": {"clipnorm": None}, "clipnorm=1": {}, "clipvalue=0.5": {"clipvalue": 0.5}}.items():
        fitted = LSTMAutoencoder(**small, optimizer="sgd", learning_rate=0.5, epochs=40, gradient_norm=True,
                                 **limits).fit(X)  # fmt: skip
        norms[name] = fitted.history_
    worst = max(float(history["gradient_norm"].max()) for history in norms.values())
    finite = all(np.isfinite(history["loss"]).all() for name, history in norms.items() if name != "none")
    yield Row("largest gradient norm in history_; clipped runs stay finite", "signs of trouble: norms over 1",
              f"{worst:.1f}; {'yes' if finite else 'no'}", finite)  # fmt: skip
    sizes = []
    for penalty in ({}, {"kernel_l1": 1e-3, "recurrent_l1": 1e-3}, {"kernel_l2": 1e-2, "recurrent_l2": 1e-2}):
        fitted = LSTMAutoencoder(**small, epochs=60, learning_rate=0.01, **penalty).fit(X)
        sizes.append(sum(float(np.square(w).sum()) for w in fitted.encoder_.get_weights()))
    yield Row("squared weights: plain, L1, L2", "smaller under a penalty", ", ".join(f"{size:.0f}" for size in sizes),
              sizes[1] < sizes[0] and sizes[2] < sizes[0])  # fmt: skip


# -- conditioned decoders ------------------------------------------------------------------------------------------


def oscillators(n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """10 steps of a noisy damped oscillation, and the 40 that follow."""
    steps = np.arange(50)
    period, decay = rng.uniform(8, 16, (n, 1)), rng.uniform(0.0, 0.02, (n, 1))
    X = np.exp(-decay * steps) * np.sin(2 * np.pi * steps / period + rng.uniform(0, 6.3, (n, 1)))
    X = X + 0.2 * rng.normal(size=X.shape)
    return X[:, :10], X[:, 10:]


@system("S7", "teacher forcing and scheduled sampling", "5 seeds; 500 pairs of 10 and 40 steps, 32 units, 40 epochs")
def scheduled():
    errors: dict[str, list] = {}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        (X, Y), (X_test, Y_test) = oscillators(500, rng), oscillators(1000, rng)
        ways = [("teacher", {"conditioning": "teacher"})]
        for schedule in ("linear", "exponential", "inverse_sigmoid"):
            ways.append((schedule, {"conditioning": "scheduled", "sampling": schedule}))
        for name, options in ways:
            model = LSTMSeq2Seq(
                32, batch_size=16, epochs=40, learning_rate=5e-3, schedule="cosine", random_state=seed, **options
            )
            error = np.square(model.fit(X, Y).predict(X_test)[..., 0] - Y_test)
            errors.setdefault(name, []).append(error.mean())
    teacher = np.mean(errors["teacher"])
    yield Row("open-loop error after teacher forcing", "-", mean_and_spread(errors["teacher"]), True)
    for name in ("linear", "exponential", "inverse_sigmoid"):
        yield Row(f"after scheduled sampling, {name.replace('_', ' ')}", "no higher", mean_and_spread(errors[name]),
                  bool(np.mean(errors[name]) <= teacher))  # fmt: skip


# -- sequences of symbols ------------------------------------------------------------------------------------------


@system("S8", "encoder-decoder for integers", "100,000 pairs, 1 epoch, 128 units")
def integers():
    rng = np.random.default_rng(0)
    X = rng.integers(1, 51, (100_000, 6))
    model = LSTMSeq2Seq(128, epochs=1, learning_rate=3e-3, schedule="cosine", random_state=0).fit(X, X[:, 2::-1])
    new = rng.integers(1, 51, (1000, 6))
    first, all_right = model.score(new[:100], new[:100, 2::-1]), model.score(new, new[:, 2::-1])
    yield Row("100 new sequences exact", "100 %", f"{first:.0%} (of 1,000: {all_right:.1%})", first == 1.0)


@system("S9", "global attention", "1,500 pairs, 20 epochs, 32 units")
def global_attention():
    import tensorflow as tf

    from tests import naive

    def likeliest(said):
        return np.eye(len(said))[np.argmax(said)]

    rng = np.random.default_rng(0)
    X = rng.integers(0, 10, (2000, 6))
    Y = X[:, 2::-1]
    for kind in ("dot", "general", "concat", "location"):
        model = LSTMSeq2Seq(32, attention=kind, epochs=20, learning_rate=0.01, schedule="cosine", random_state=0)
        model.fit(X[:1500], Y[:1500])
        network = model.model_
        x = tf.constant(model._read_inputs(X[-8:], reset=False).gather(), tf.float32)
        encoded = network._encode(*network._readable(x, False))
        said = network.say(x, False, 3)
        furthest = 0.0
        for row in range(8):
            states = [[part.numpy()[row] for part in layer] for layer in encoded.states]
            memory = encoded.memory.numpy()[row]
            expected, looked = naive.decode(network.decoder, None, memory, states, 3, feed=likeliest)
            for ours, theirs in ((said.values[row], expected), (said.weights[row], looked)):
                furthest = max(furthest, np.abs(ours - theirs).max())
        yield Row(f"{kind}: right on new pairs; distance from NumPy", "trains; 1e-5",
                  f"{model.score(X[1500:], Y[1500:]):.1%}; {furthest:.0e}", bool(furthest < 1e-5))  # fmt: skip


@system("S10", "additive attention against none", "10 runs each, 5,000 updates on one pair each, 150 units")
def additive_attention():
    exact: dict[str, list] = {"none": [], "additive": []}
    for run in range(10):
        rng = np.random.default_rng(run)
        X = rng.integers(1, 50, (6000, 5))
        Y = np.where(np.arange(5) < 2, X, 0)
        for kind, options in (
            ("none", {"conditioning": None, "handover": "context"}),
            ("additive", {"attention": "additive"}),
        ):
            model = LSTMSeq2Seq(
                150, shared_symbols=True, batch_size=1, epochs=1, learning_rate=3e-3, schedule="cosine",
                random_state=run, **options,
            ).fit(X[:5000], Y[:5000])  # fmt: skip
            exact[kind].append(model.score(X[5000:], Y[5000:]))
    yield Row("exact without attention", "23.1 %", mean_and_spread(100 * np.array(exact["none"])) + " %", True)
    mean = float(np.mean(exact["additive"]))
    yield Row("exact with attention", "95.7 % (must be >= 95 %)",
              mean_and_spread(100 * np.array(exact["additive"])) + " %", mean >= 0.95)  # fmt: skip


@system("S11", "direct and recursive decoding", "40 epochs of 200 pairs")
def direct_and_recursive():
    import tensorflow as tf

    X = np.random.default_rng(0).normal(size=(200, 10, 2))
    for name, options in (
        ("unconditioned", {"conditioning": None, "handover": "both"}),
        ("output fed back", {}),
        ("output fed back, attention", {"attention": "general"}),
    ):
        model = LSTMSeq2Seq(16, epochs=40, learning_rate=0.01, random_state=0, **options).fit(X, X[:, ::-1])
        network = model.model_
        encoded = network._encode(*network._readable(tf.constant(X, tf.float32), False))
        stepwise = network.decoder.recursive(encoded, 10).values
        whole = network.decoder.direct(encoded, 10, stepwise).values
        distance = float(np.abs(whole - stepwise).max())
        yield Row(f"largest difference, {name}", "1e-5", f"{distance:.0e}", distance < 1e-5)
    model = LSTMSeq2Seq(16, attention="general", input_feeding=True, epochs=40, learning_rate=0.01, random_state=0)
    losses = model.fit(X, X[:, ::-1]).history_["loss"]
    yield Row("input feeding: loss, first and last epoch", "trains", f"{losses.iloc[0]:.2f}, {losses.iloc[-1]:.2f}",
              losses.iloc[-1] < losses.iloc[0])  # fmt: skip


@system("S12", "return sequences and return state", "1 epoch")
def states():
    X = np.random.default_rng(0).normal(size=(32, 20, 2))
    model = LSTMAutoencoder(**{**CLASSIC, "pooling": ("last", "cell")}, units=8, epochs=1, random_state=0).fit(X)
    features, sequence = model.transform(X), model.encode_sequence(X)
    distance = float(np.abs(sequence[:, -1] - features[:, :8]).max())
    yield Row("encode_sequence, last step, against pooling 'last'", "equal", f"{distance:.0e}", distance == 0.0)
    import keras

    layer = keras.layers.LSTM(8, return_state=True)
    scaled = model.scaler_.transform(X)
    layer.build(scaled.shape)
    layer.set_weights(model.encoder_.get_weights())
    distance = float(np.abs(layer(scaled)[2] - features[:, 8:]).max())
    yield Row("pooling 'cell' against the state c of Keras", "equal (1e-5)", f"{distance:.0e}", distance < 1e-5)


MEMORY_PROGRAM = """
import sys
import numpy as np
from benchmarks.peak import peak_mib
from tsae import LSTMAutoencoder
n_timesteps, piece = int(sys.argv[1]), int(sys.argv[2]) or None
X = np.sin(np.arange(32 * n_timesteps).reshape(32, n_timesteps, 1) / 20)
options = dict(units=64, dilations=1, bidirectional=False, scale="channel", pooling="last", decoder="prediction",
               batch_size=32, random_state=0)
LSTMAutoencoder(**options, epochs=1).fit(X[:, :50])  # what TensorFlow itself takes
before = peak_mib()
LSTMAutoencoder(**options, truncate=piece, epochs=1).fit(X)
print(peak_mib() - before)
"""


def training_memory(n_timesteps: int, piece: int) -> float:
    """MiB that a training run adds to a process, in a process of its own."""
    command = [sys.executable, "-c", MEMORY_PROGRAM, str(n_timesteps), str(piece)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


@system("S13", "unrolling and truncated back-propagation", "32 series of 10,000 and 20,000 steps, 64 units, 1 epoch")
def truncated():
    X = np.random.default_rng(0).normal(size=(32, 12, 1))
    fits = [
        LSTMAutoencoder(**CLASSIC, units=8, decoder="composite", epochs=5, random_state=0, unroll=unroll).fit(X)
        for unroll in (False, True)
    ]
    distance = float(np.abs(fits[0].transform(X) - fits[1].transform(X)).max())
    yield Row("unrolled against looped, after 5 epochs", "1e-5", f"{distance:.0e}", distance < 1e-5)
    whole, large, small = (training_memory(10_000, piece) for piece in (0, 2500, 250))
    longer = training_memory(20_000, 250)
    yield Row("MiB for 10,000 steps: whole; pieces of 2,500; of 250", "grows with the piece",
              f"{whole:.0f}; {large:.0f}; {small:.0f}", small < large < whole)  # fmt: skip
    yield Row("MiB for 20,000 steps in pieces of 250", "does not grow with the series", f"{longer:.0f}",
              longer < small + 0.1 * whole)  # fmt: skip


@system("S14", "kinds of sequence problems", "1 example each, seconds")
def kinds():
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
    said = model.sample([text[:20]], temperature=0.5, random_state=0)[0]
    right = np.mean([a == b for a, b in zip(said, text[20:60], strict=True)])
    yield Row("generation by feeding outputs back", "runs", f"{said!r} ({right:.0%} as the text)", right > 0.8)
    pairs = [f"{number:b}" for number in range(1, 500)]
    turned = [str(word)[::-1] for word in pairs]
    model = LSTMSeq2Seq(48, attention="general", epochs=30, learning_rate=0.01, schedule="cosine", random_state=0)
    held = np.arange(499) % 5 == 0
    model.fit(*([w for w, h in zip(side, held, strict=True) if not h] for side in (pairs, turned)))
    exact = model.score(*([w for w, h in zip(side, held, strict=True) if h] for side in (pairs, turned)))
    yield Row("sequence to sequence of varying length: exact on held-out", "runs", f"{exact:.0%}", exact > 0.8)


@system("S15", "addition as characters", "1,000 pairs, 50 epochs, 75 and 50 units")
def addition():
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 11, (1000, 2))
    X = [f"{a}+{b}".rjust(5) for a, b in numbers]
    Y = [str(a + b).rjust(2) for a, b in numbers]
    options = {"units": 75, "decoder_units": 50, "shared_symbols": True, "batch_size": 10, "epochs": 50,
               "random_state": 0}  # fmt: skip
    unconditioned = LSTMSeq2Seq(**options, conditioning=None, handover="context").fit(X[:800], Y[:800])
    weights = unconditioned.model_.count_params()
    yield Row("weights, unconditioned", "52,212", f"{weights:,}", weights == 52_212)
    exact = unconditioned.score(X[800:], Y[800:])
    yield Row("exact on the held-out fifth, unconditioned", "to be reported", f"{exact:.1%}", True)
    conditioned = LSTMSeq2Seq(**options, attention="general").fit(X[:800], Y[:800])
    yield Row("the same, conditioned, with attention", "-", f"{conditioned.score(X[800:], Y[800:]):.1%}", True)


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def written(day: datetime.date, rng) -> tuple[str, str]:
    """A date as people write it, and as ISO 8601 has it: day, month and year; month and year; or the year."""
    month = MONTHS[day.month - 1]
    kind = rng.integers(10)
    if kind == 0:
        return [f"{day.year}", f"the year {day.year}"][rng.integers(2)], f"{day:%Y}"
    if kind <= 2:
        return [f"{month} {day.year}", f"{day.month}/{day.year}"][rng.integers(2)], f"{day:%Y-%m}"
    weekday = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[day.weekday()]
    ways = (
        f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", f"{month[:3]} {day.day} {day.year}",
        f"{weekday}, {day.day} {month} {day.year}", f"{day.day:02}/{day.month:02}/{day.year}",
        f"{day.day}.{day.month}.{day.year}", f"{day.year} {month[:3].lower()} {day.day:02}",
        f"the {day.day}. of {month} {day.year}",
    )  # fmt: skip
    return ways[rng.integers(len(ways))], f"{day:%Y-%m-%d}"


@system("S16", "character translation: dates to ISO 8601", "20,000 pairs, 3 epochs, 96 units in both directions")
def translation():
    rng = np.random.default_rng(0)
    first = datetime.date(1900, 1, 1)
    days = rng.permutation(73_000)[:22_000]
    pairs = [written(first + datetime.timedelta(int(day)), rng) for day in days]
    train = pairs[:20_000]
    known = {text for text, _ in train}
    test = [pair for pair in pairs[20_000:] if pair[0] not in known][:1000]
    model = LSTMSeq2Seq(
        96, bidirectional=True, attention="general", batch_size=64, epochs=3, learning_rate=2e-3, schedule="cosine",
        random_state=0,
    ).fit([text for text, _ in train], [iso for _, iso in train])  # fmt: skip
    model = pickle.loads(pickle.dumps(model))
    X, Y = [text for text, _ in test], [iso for _, iso in test]
    for name, width in (("greedy", 1), ("beam of 4", 4)):
        exact = np.mean([said == iso for said, iso in zip(model.predict(X, beam_width=width), Y, strict=True)])
        yield Row(f"exact on {len(X):,} unseen dates, {name}", ">= 99 %", f"{exact:.1%}", bool(exact >= 0.99))


# -- the table -----------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="S", choices=list(SYSTEMS), help="run these alone")
    chosen = parser.parse_args(arguments).only or list(SYSTEMS)
    print("| system | | published | ours | reached | budget | time |\n|---|---|---|---|---|---|---|", flush=True)
    missed = 0
    for key in chosen:
        name, budget, run = SYSTEMS[key]
        began = time.perf_counter()
        for number, row in enumerate(run()):  # the time of a row is that since the system began
            seconds = f"{time.perf_counter() - began:.0f} s"
            lead = (f"{key} {name}", budget) if number == 0 else ("", "")
            reached = "yes" if row.reached else "**no**"
            missed += not row.reached
            print(f"| {lead[0]} | {row.what} | {row.published} | {row.ours} | {reached} | {lead[1]} | {seconds} |",
                  flush=True)  # fmt: skip
    return missed


if __name__ == "__main__":
    sys.exit(main())
