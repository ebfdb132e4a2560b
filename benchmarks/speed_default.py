"""Training and encoding of the default networks against PyTorch and Keras, with the share of a matrix product's rate.

    python -m benchmarks.speed_default                                    # half an hour or more on 2 cores
    python -m benchmarks.speed_default --networks features --steps 128 --channels 1 --rounds 5

"features" is the network of `LSTMAutoencoder()`: three bidirectional LSTM layers of 64 units that skip back 1, 4 and 16
steps, and a dense layer that reads the last one's states. "detector" is that of `AnomalyDetector()`: one such layer.
The others run the same layers on the same inputs, computed beforehand: tsae's times include the scaling,
the differences, the hidden spans and the pooling; theirs do not. PyTorch and Keras compute dilated layers as tsae does,
by moving the phases of time into the batch.

A share is that of the rate of `numpy.matmul` on two float32 matrices of 2,048 by 2,048, measured in the same round,
counting the products of the layers alone: forward once for encoding, three times for training. A fit is one of four
epochs; tsae's also encodes all windows once more, to choose the thresholds of the pooling.
"""

from __future__ import annotations

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.speed import data, interleave
from tsae import Augmentation, LSTMAutoencoder
from tsae.anomaly.defaults import default_autoencoder

UNITS, BATCH, EPOCHS = 64, 128, 4
DILATIONS = {"features": (1, 4, 16), "detector": (1,)}
SIZE = 2048  # of the matrix product


def ours(network: str, n_windows: int) -> LSTMAutoencoder:
    whole = Augmentation(crop=None)  # as the others train
    estimator = (
        LSTMAutoencoder(augmentation=whole)
        if network == "features"
        else default_autoencoder(n_windows).set_params(augmentation__crop=None)
    )
    return estimator.set_params(epochs=EPOCHS, batch_size=BATCH, warm_start=True, schedule="constant", random_state=0)


def keras_model(n_timesteps: int, n_inputs: int, dilations: tuple[int, ...]) -> tuple[keras.Model, keras.Model]:
    """The same layers in Keras: the whole, and the part that encodes."""
    inputs = x = keras.Input((n_timesteps, n_inputs))
    for dilation in dilations:
        width, phase = x.shape[-1], n_timesteps // dilation
        if dilation > 1:
            x = keras.layers.Lambda(lambda x, d=dilation, p=phase, w=width: keras.ops.reshape(
                keras.ops.transpose(keras.ops.reshape(x, (-1, p, d, w)), (0, 2, 1, 3)), (-1, p, w)
            ))(x)  # fmt: skip
        x = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))(x)
        if dilation > 1:
            x = keras.layers.Lambda(lambda x, d=dilation, p=phase: keras.ops.reshape(
                keras.ops.transpose(keras.ops.reshape(x, (-1, d, p, 2 * UNITS)), (0, 2, 1, 3)), (-1, d * p, 2 * UNITS)
            ))(x)  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(n_inputs)(x))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model, keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))


def torch_model(n_inputs: int, dilations: tuple[int, ...]):
    """The same layers in PyTorch; `encode` gives the mean state."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            widths = [n_inputs, *[2 * UNITS] * (len(dilations) - 1)]
            self.layers = torch.nn.ModuleList(
                torch.nn.LSTM(width, UNITS, batch_first=True, bidirectional=True) for width in widths
            )
            self.output = torch.nn.Linear(2 * UNITS, n_inputs)

        def states(self, x):
            for layer, dilation in zip(self.layers, dilations, strict=True):
                n, steps, width = x.shape
                phases = x.reshape(n, steps // dilation, dilation, width).transpose(1, 2)
                found = layer(phases.reshape(n * dilation, steps // dilation, width))[0]
                found = found.reshape(n, dilation, steps // dilation, 2 * UNITS).transpose(1, 2)
                x = found.reshape(n, steps, 2 * UNITS)
            return x

        def forward(self, x):
            return self.output(self.states(x))

        def encode(self, x):
            return self.states(x).mean(dim=1)

    return Network()


def products(n_inputs: int, n_timesteps: int, dilations: tuple[int, ...], *, dense: bool) -> float:
    """Floating-point operations of the matrix products of one window, forward."""
    widths = [n_inputs, *[2 * UNITS] * (len(dilations) - 1)]
    layers = sum(2 * 2 * 4 * UNITS * (width + UNITS) for width in widths)
    return n_timesteps * (layers + (2 * 2 * UNITS * n_inputs if dense else 0))


def compare(network: str, n_timesteps: int, n_channels: int, arguments: argparse.Namespace) -> None:
    import torch

    n, dilations = arguments.windows * 128 // n_timesteps, DILATIONS[network]
    X = data(n, n_timesteps, n_channels)
    own = ours(network, n).fit(X)
    n_inputs = own.encoder_.config.n_inputs
    inputs = data(n, n_timesteps, n_inputs)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensor = torch.from_numpy(inputs).to(device)
    whole, encoder = keras_model(n_timesteps, n_inputs, dilations)
    net = torch_model(n_inputs, dilations).to(device)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    matrix = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)

    def train_torch(forward):
        for _ in range(EPOCHS):
            for rows in torch.randperm(n).split(BATCH):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(forward(tensor[rows]), tensor[rows]).backward()
                optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    def encode_torch(encode):
        with torch.inference_mode():
            return [encode(part).cpu() for part in tensor.split(BATCH)]

    training = {
        "tsae": lambda: own.fit(X),
        "keras": lambda: whole.fit(inputs, inputs, batch_size=BATCH, epochs=EPOCHS, verbose=0),
        "torch": lambda: train_torch(net),
    }
    encoding = {
        "tsae": lambda: own.transform(X),
        "keras": lambda: encoder.predict(inputs, batch_size=BATCH, verbose=0),
        "torch": lambda: encode_torch(net.encode),
    }
    if arguments.compiled:
        compiled, compiled_encode = torch.compile(net), torch.compile(net.encode)
        training["torch compiled"] = lambda: train_torch(compiled)
        encoding["torch compiled"] = lambda: encode_torch(compiled_encode)
    for name, runs, factor in (("training", training, 3 * EPOCHS), ("encoding", encoding, 1)):
        seconds = interleave(runs | {"matmul": lambda: matrix @ matrix}, arguments.rounds)
        operations = factor * n * products(n_inputs, n_timesteps, dilations, dense=factor > 1)
        rate = [2 * SIZE**3 / each for each in seconds.pop("matmul")]
        share = statistics.median(operations / s / r for s, r in zip(seconds["tsae"], rate, strict=True))
        ratios = [
            f"{statistics.median(b / a for a, b in zip(seconds['tsae'], times, strict=True)):.2f}x {other}"
            for other, times in seconds.items()
            if other != "tsae"
        ]
        per_second = n * (EPOCHS if factor > 1 else 1) / statistics.median(seconds["tsae"])
        title = f"{network}, {name}, {n_timesteps} steps, {n_channels} ch"
        print(f"{title:<42} {per_second:>9,.0f}/s  {share:4.0%} of matmul   " + "  ".join(ratios), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(DILATIONS), default=list(DILATIONS))
    parser.add_argument("--steps", nargs="+", type=int, default=[128, 512], help="multiples of 16")
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--windows", type=int, default=1024, help="windows of 128 steps; of longer ones fewer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", action="store_true", help="also PyTorch's compiler, which needs a C++ compiler")
    arguments = parser.parse_args()
    for network in arguments.networks:
        for n_timesteps in arguments.steps:
            for n_channels in arguments.channels:
                compare(network, n_timesteps, n_channels, arguments)


if __name__ == "__main__":
    main()
