"""Whether tsae gives the same results on a GPU, and how fast it is there, against Keras and PyTorch.

    python -m benchmarks.gpu              # needs a GPU that TensorFlow sees: pip install "tensorflow[and-cuda]"
    python -m benchmarks.gpu --cpu        # the same checks on the CPU, to try the program

The fast paths of the CPU (the fused kernel, compiled loops, batches in shards) must step aside on a GPU, where Keras's
layers run cuDNN. The program checks that they do; that layers give the outputs and gradients of Keras; that features of
a model that was trained on the GPU are the same on the CPU; and whether two fits with one ``random_state`` are the same
to the bit, which cuDNN does not promise. It ends with exit code 1 if a check fails. Rates are those of
`benchmarks.speed_default`, with PyTorch on the GPU too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tsae import LSTMAutoencoder
from tsae.networks.compiled import can_compile
from tsae.networks.recurrent import GRU, LSTM
from tsae.networks.sharding import shards_for

TOLERANCE = 2e-4  # cuDNN may multiply in TF32
VARIANTS = [
    {},
    {"decoder": "reconstruction", "bidirectional": False, "pooling": "last"},
    {"decoder": "composite"},
    {"decoder": "prediction", "horizon": 4},
    {"decoder": "reconstruction", "cell": "gru"},
]


def windows(n: int, n_timesteps: int = 48, n_channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, n_timesteps, n_channels)).cumsum(axis=1).astype(np.float32)


def fall_backs(on_gpu: bool) -> Iterator[tuple[str, bool]]:
    layer = LSTM(8, return_sequences=True, return_state=True)
    encoder = LSTMAutoencoder(epochs=0).fit(windows(64)).encoder_
    yield "the fused kernel is left to the CPU", layer.is_fusable != on_gpu
    if on_gpu:
        yield "batches are not split into shards", shards_for(4096) == 1
        yield "encoders are not compiled for the CPU", not can_compile(encoder)


def layers() -> Iterator[tuple[str, bool]]:
    """Outputs and gradients of the layers against those of Keras, with all steps and with rows that end early."""
    x, lengths = tf.constant(windows(32, 20, 5)), tf.constant(np.arange(32) % 20 + 1)
    for own_class, keras_class in ((LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)):
        own = own_class(16, return_sequences=True, return_state=True)
        plain = keras_class(16, return_sequences=True, return_state=True)
        own.build(x.shape)
        plain.build(x.shape)
        plain.set_weights(own.get_weights())
        for name, ends in (("all steps", None), ("rows that end early", lengths)):
            mask = None if ends is None else tf.sequence_mask(ends, 20)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                found = own.run(x, ends)[1][0]
                expected = plain(x, mask=mask)[1]
                losses = tf.reduce_sum(found**2), tf.reduce_sum(expected**2)
            gradients = [
                tape.gradient(loss, [x, *[weight.value for weight in layer.weights]])
                for loss, layer in zip(losses, (own, plain), strict=True)
            ]
            yield f"{own_class.__name__}, {name}: outputs", bool(np.allclose(found, expected, atol=TOLERANCE))
            close = [np.allclose(a, b, atol=20 * TOLERANCE, rtol=1e-2) for a, b in zip(*gradients, strict=True)]
            yield f"{own_class.__name__}, {name}: gradients", all(close)


def estimators() -> Iterator[tuple[str, bool]]:
    """Features of fitted estimators here and in a process without a GPU; two fits with one seed."""
    X = windows(256)
    for variant in VARIANTS:
        options = {"units": 16, "epochs": 2, "random_state": 0, **variant}
        model = LSTMAutoencoder(**options).fit(X)
        features, again = model.transform(X), LSTMAutoencoder(**options).fit(X).transform(X)
        difference = float(np.abs(features - _on_cpu(model, X)).max())
        yield f"{variant or 'defaults'}: the features on the CPU differ by {difference:.1e}", difference < 1e-2
        equal = "the same bits" if np.array_equal(features, again) else f"{np.abs(features - again).max():.1e} apart"
        print(f"      two fits with one random_state: {equal}")


def _on_cpu(model: LSTMAutoencoder, X: np.ndarray) -> np.ndarray:
    """Features by the saved model in a process that sees no GPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        model.save(path / "model.tsae")
        np.save(path / "X.npy", X)
        program = (
            "import sys, numpy as np, tsae; m, x, f = sys.argv[1:]; np.save(f, tsae.load(m).transform(np.load(x)))"
        )
        files = [str(path / name) for name in ("model.tsae", "X.npy", "features.npy")]
        subprocess.run(
            [sys.executable, "-c", program, *files], check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        )
        return np.load(path / "features.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="run the checks without a GPU")
    parser.add_argument("--no-rates", action="store_true", help="the checks alone")
    arguments = parser.parse_args()
    devices = tf.config.list_physical_devices("GPU")
    if not devices and not arguments.cpu:
        raise SystemExit("TensorFlow sees no GPU; --cpu tries the program without one")
    print("devices:", [tf.config.experimental.get_device_details(device) for device in devices] or "CPU")
    failed = 0
    for check in (lambda: fall_backs(bool(devices)), layers, estimators):
        for name, passed in check():
            failed += not passed
            print(f"{'ok   ' if passed else 'WRONG'} {name}", flush=True)
    if not arguments.no_rates:
        from benchmarks import speed_default

        rates = argparse.Namespace(windows=2048, rounds=5, compiled=False)
        for network in speed_default.DILATIONS:
            speed_default.compare(network, 128, 8, rates)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
