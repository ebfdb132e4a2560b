"""Systems S1 to S6, S12 and S13: autoencoders, their training and their states."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.reference_systems import CLASSIC, Row, mean_and_spread, shapes, system
from tsae import DecoderOptions, LSTMAutoencoder, LSTMClassifier, TrainingDivergedError

RAMP = np.linspace(0.1, 0.9, 9).reshape(1, 9, 1)
TUTORIAL = {**CLASSIC, "units": 100, "batch_size": 1, "epochs": 300, "reverse_target": False, "random_state": 0}


def largest_error(model: LSTMAutoencoder, decoder: str) -> float:
    """Largest absolute error on the ramp."""
    return float(np.nanmax(np.abs(model.reconstruct(RAMP, decoder) - RAMP)))


@system("S1", "reconstruction autoencoder", "100 units, 300 epochs of one series of 9 steps")
def reconstruction() -> Iterator[Row]:
    error = largest_error(LSTMAutoencoder(decoder="reconstruction", **TUTORIAL).fit(RAMP), "reconstruction")
    yield Row("largest error", "0.004 (must be < 0.01)", f"{error:.4f}", error < 0.01)


@system("S2", "prediction autoencoder", "100 units, 300 epochs of one series of 9 steps")
def prediction() -> Iterator[Row]:
    error = largest_error(LSTMAutoencoder(decoder="prediction", **TUTORIAL).fit(RAMP), "prediction")
    yield Row("largest error", "0.034 (must be < 0.04)", f"{error:.4f}", error < 0.04)


@system("S3", "composite autoencoder", "100 units, 300 epochs of one series of 9 steps")
def composite() -> Iterator[Row]:
    model = LSTMAutoencoder(decoder="composite", **TUTORIAL).fit(RAMP)
    rebuilt, predicted = largest_error(model, "reconstruction"), largest_error(model, "prediction")
    yield Row("largest errors, both at once", "< 0.01 and < 0.04", f"{rebuilt:.4f} and {predicted:.4f}",
              rebuilt < 0.01 and predicted < 0.04)  # fmt: skip


@system("S4", "stand-alone encoder", "the model of S1")
def encoder() -> Iterator[Row]:
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
        printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    same = bytes.fromhex(printed.split()[-1]) == features.tobytes()
    yield Row("after save and load in a new process", "the same values", "identical" if same else "different", same)


@system(
    "S5", "variants of the video paper",
    "5 seeds; 1,000 unlabelled windows, 10 labels per class, 5 classes; 48 units; 60 epochs, then 60 of fine-tuning",
)  # fmt: skip
def video_paper() -> Iterator[Row]:
    X, _ = shapes(64, np.random.default_rng(0))
    trained = 0
    for reverse, feedback, decoder in itertools.product(
        (False, True), (None, "teacher_forcing"), ("reconstruction", "composite")
    ):
        model = LSTMAutoencoder(
            **{**CLASSIC, "scale": "channel"}, units=8, decoder=decoder, reverse_target=reverse,
            decoder_options=DecoderOptions(bridge="both", feedback=feedback), epochs=4, batch_size=16,
            learning_rate=0.01, random_state=0,
        ).fit(X)  # fmt: skip
        losses = model.history_["loss"].to_numpy()
        trained += bool(np.isfinite(losses).all() and losses[-1] < losses[0] and np.isfinite(model.transform(X)).all())
    yield Row("reversed x feedback x composite: train", "8 of 8", f"{trained} of 8", trained == 8)

    layers = {**CLASSIC, "units": 48, "pooling": ("last", "mean"), "scale": "channel", "schedule": "cosine"}
    accuracy: dict[str, list] = {}
    predicted: dict[str, list] = {}
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
        for name, decoder, feedback in (
            ("reconstruction", "reconstruction", None), ("prediction", "prediction", None),
            ("composite", "composite", None), ("composite with feedback", "composite", "scheduled_sampling"),
        ):  # fmt: skip
            horizon = None if decoder == "reconstruction" else 16
            start = LSTMAutoencoder(
                decoder=decoder, horizon=horizon, decoder_options=DecoderOptions(feedback=feedback), epochs=60,
                batch_size=32, learning_rate=3e-3, random_state=seed, **layers,
            ).fit(unlabelled)  # fmt: skip
            accuracy.setdefault(name, []).append(classify(start))
            if decoder == "composite":
                ahead = start.reconstruct(X_all, "prediction")
                predicted.setdefault(name, []).append(np.nanmean(np.square(ahead - X_all)))
    at_random = np.array(accuracy.pop("random weights"))
    seeded = np.array(accuracy["composite"])
    yield Row("accuracy from random weights", "-", mean_and_spread(at_random), True)
    for name, values in accuracy.items():
        yield Row(f"accuracy from {name}", "composite best; above random" if name == "composite" else "above random",
                  mean_and_spread(values), bool(np.mean(values) > at_random.mean()))  # fmt: skip
    yield Row("composite minus random, by seed", "> 0", mean_and_spread(seeded - at_random),
              bool(np.mean(seeded - at_random) > 0))  # fmt: skip
    without, with_feedback = predicted["composite"], predicted["composite with feedback"]
    yield Row("error of 16 steps ahead, without; with feedback", "a little lower with feedback",
              f"{mean_and_spread(without)}; {mean_and_spread(with_feedback)}",
              bool(np.mean(with_feedback) <= np.mean(without)))  # fmt: skip


@system("S6", "exploding gradients", "64 windows, runs of up to 60 epochs")
def exploding_gradients() -> Iterator[Row]:
    import keras

    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 30, 1)).cumsum(axis=1)
    small = {**CLASSIC, "units": 16, "decoder": "reconstruction", "batch_size": 16, "random_state": 0}

    class Explode(keras.callbacks.Callback):
        """Raises the learning rate after some epochs."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 5:
                self.model.optimizer.learning_rate.assign(1e30)

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
        fitted = LSTMAutoencoder(**small, optimizer="sgd", learning_rate=0.5, epochs=40, **limits).fit(X)
        norms[name] = fitted.history_
    worst = max(float(history["gradient_norm"].max()) for history in norms.values())
    finite = all(np.isfinite(history["loss"]).all() for name, history in norms.items() if name != "none")
    yield Row("largest gradient norm in history_; clipped runs stay finite", "signs of trouble: norms over 1",
              f"{worst:.1f}; {'yes' if finite else 'no'}", finite)  # fmt: skip
    sizes = []
    for penalty in (None, keras.regularizers.L1(1e-3), keras.regularizers.L2(1e-2)):
        penalties = {"kernel_regularizer": penalty, "recurrent_regularizer": penalty}
        fitted = LSTMAutoencoder(**small, epochs=60, learning_rate=0.01, **penalties).fit(X)
        sizes.append(sum(float(np.square(w).sum()) for w in fitted.encoder_.get_weights()))
    yield Row("squared weights: plain, L1, L2", "smaller under a penalty", ", ".join(f"{size:.0f}" for size in sizes),
              sizes[1] < sizes[0] and sizes[2] < sizes[0])  # fmt: skip


@system("S12", "return sequences and return state", "1 epoch")
def states() -> Iterator[Row]:
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
n_timesteps, chunk = int(sys.argv[1]), int(sys.argv[2]) or None
X = np.sin(np.arange(32 * n_timesteps).reshape(32, n_timesteps, 1) / 20)
options = dict(units=64, dilations=1, bidirectional=False, scale="channel", pooling="last", decoder="prediction",
               batch_size=32, random_state=0)
LSTMAutoencoder(**options, epochs=1).fit(X[:, :50])  # the memory of TensorFlow itself
before = peak_mib()
LSTMAutoencoder(**options, tbptt_steps=chunk, epochs=1).fit(X)
print(peak_mib() - before)
"""


def training_memory(n_timesteps: int, chunk: int) -> float:
    """MiB that a training run adds to a process, in a process of its own."""
    command = [sys.executable, "-c", MEMORY_PROGRAM, str(n_timesteps), str(chunk)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


@system("S13", "unrolling and truncated back-propagation", "32 series of 10,000 and 20,000 steps, 64 units, 1 epoch")
def truncated_backpropagation() -> Iterator[Row]:
    X = np.random.default_rng(0).normal(size=(32, 12, 1))
    fits = [
        LSTMAutoencoder(**CLASSIC, units=8, decoder="composite", epochs=5, random_state=0, unroll=unroll).fit(X)
        for unroll in (False, True)
    ]
    distance = float(np.abs(fits[0].transform(X) - fits[1].transform(X)).max())
    yield Row("unrolled against looped, after 5 epochs", "1e-5", f"{distance:.0e}", distance < 1e-5)
    whole, large, small = (training_memory(10_000, chunk) for chunk in (0, 2500, 250))
    longer = training_memory(20_000, 250)
    yield Row("MiB for 10,000 steps: whole; chunks of 2,500; of 250", "grows with the chunk",
              f"{whole:.0f}; {large:.0f}; {small:.0f}", small < large < whole)  # fmt: skip
    yield Row("MiB for 20,000 steps in chunks of 250", "does not grow with the series", f"{longer:.0f}",
              longer < small + 0.1 * whole)  # fmt: skip
