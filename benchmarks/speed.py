"""Training and encoding against plain Keras, PyTorch and ONNX Runtime, interleaved in one run.

    python -m benchmarks.speed                    # everything, an hour or more on 2 cores
    python -m benchmarks.speed --only train encode --shapes 64x64 --rounds 9
    python -m benchmarks.speed --plot docs/speed.png --json speed.json

The libraries of a comparison do the same work in turn, A B C A B C ...; a line shows medians over the rounds and the
median of the ratios within each round, so that changes in the speed of the machine have little effect. tsae is measured
through its public API, `fit` and `transform` on an array, validation and scaling included; the other libraries get
scaled arrays. To install them: ``pip install -e ".[bench]"``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.peak import peak_mib
from tsae import LSTMAutoencoder, make_windows
from tsae.networks.inference import batch_graph
from tsae.networks.training import shared_graph

SHAPES = ["64x64", "64x128", "128x64", "24x32"]
BATCHES = [128, 256, 512]
EPOCHS = 4


def data(n: int, n_timesteps: int, n_channels: int) -> np.ndarray:
    """Noisy sine waves of random phase and frequency, standardized: (n, n_timesteps, n_channels) float32."""
    rng = np.random.default_rng(0)
    phase, frequency = rng.uniform(0, 6, (n, 1, n_channels)), rng.uniform(0.1, 0.5, (n, 1, n_channels))
    noise = rng.normal(scale=0.1, size=(n, n_timesteps, n_channels))
    X = np.sin(np.arange(n_timesteps)[:, None] * frequency + phase) + noise
    return ((X - X.mean()) / X.std()).astype(np.float32)


# ------------------------------------------------------------------------------------------------ networks


def ours(units, batch, epochs=1):
    """The network that all libraries run: one LSTM layer, its last state, one LSTM layer, a dense output layer."""
    return LSTMAutoencoder(
        units, decoder="reconstruction", bidirectional=False, pooling="last", scale="channel", batch_size=batch,
        epochs=epochs, schedule="constant", learning_rate=1e-3, warm_start=True, random_state=0,
    )  # fmt: skip


def plain_keras(n_timesteps, n_channels, units):
    """The same network in Keras, and its encoder."""
    inputs = keras.Input((n_timesteps, n_channels))
    code = keras.layers.LSTM(units)(inputs)
    x = keras.layers.RepeatVector(n_timesteps)(code)
    x = keras.layers.LSTM(units, return_sequences=True)(x)
    model = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.Dense(n_channels))(x))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model, keras.Model(inputs, code)


def torch_model(n_channels, units):
    """The same network in PyTorch."""
    import torch

    class Autoencoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.LSTM(n_channels, units, batch_first=True)
            self.decoder = torch.nn.LSTM(units, units, batch_first=True)
            self.output = torch.nn.Linear(units, n_channels)

        def forward(self, x):
            _, (h, _) = self.encoder(x)
            context = h[-1][:, None].expand(-1, x.shape[1], -1)
            return self.output(self.decoder(context)[0])

    return Autoencoder()


def torch_epochs(model, optimizer, X, batch, epochs):
    """Train for several epochs."""
    for _ in range(epochs):
        torch_epoch(model, optimizer, X, batch)


def torch_epoch(model, optimizer, X, batch):
    """Train for one epoch, in random order."""
    import torch

    order = torch.randperm(len(X))
    for first in range(0, len(X), batch):
        x = X[order[first : first + batch]]
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), x).backward()
        optimizer.step()


def onnx_session(n_channels, units, encoder):
    """The encoder's LSTM as one ONNX node, with Keras's weights."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kernel, recurrent, bias = encoder.get_weights()
    order = [0, 3, 1, 2]  # Keras: input, forget, cell, output; ONNX: input, output, forget, cell

    def gates(w):
        return np.concatenate([np.split(w, 4, axis=-1)[i] for i in order], axis=-1)

    weights = {
        "W": gates(kernel).T[None], "R": gates(recurrent).T[None],
        "B": np.concatenate([gates(bias), np.zeros_like(bias)])[None],
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
            helper.make_node("LSTM", ["xt", "W", "R", "B"], ["", "h"], hidden_size=units),
        ],
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "t", n_channels])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, "n", units])],
        [numpy_helper.from_array(w.astype(np.float32), k) for k, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


# ------------------------------------------------------------------------------------------------ measuring


def interleave(runs: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round, after a warm-up round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def report(title: str, n: int, seconds: dict[str, list[float]], results: list) -> None:
    """Print a line of rates and ratios for `n` windows; the first entry of `seconds` is tsae's."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rates = "  ".join(f"{name} {n / median:>9,.0f}/s" for name, median in medians.items())
    own, *_ = seconds
    ratios = {
        name: statistics.median(theirs / mine for theirs, mine in zip(times, seconds[own], strict=True))
        for name, times in seconds.items()
        if name != own
    }
    print(f"{title:<42} {rates}   " + "  ".join(f"{ratio:.2f}x {name}" for name, ratio in ratios.items()), flush=True)
    results.append({"title": title, "n": n, "medians": medians, "ratios": ratios})
    gc.collect()


def train(arguments, results):
    """Four epochs of 4,096 windows, with networks that are compiled already."""
    import torch

    print("\nTraining, windows per second (first column) and tsae's speed relative to each other library")
    for shape in arguments.shapes:
        n_timesteps, units = map(int, shape.split("x"))
        for n_channels in arguments.channels:
            X = data(4096, n_timesteps, n_channels)
            tensor = torch.from_numpy(X)
            for batch in arguments.batches:
                own = ours(units, batch, EPOCHS)
                model, _ = plain_keras(n_timesteps, n_channels, units)
                net = torch_model(n_channels, units)
                optimizer = torch.optim.Adam(net.parameters(), 1e-3)
                runs = {
                    "tsae": lambda own=own, X=X: own.fit(X),
                    "keras": lambda model=model, X=X, batch=batch: model.fit(
                        X, X, batch_size=batch, epochs=EPOCHS, verbose=0
                    ),
                    "torch": lambda net=net, o=optimizer, x=tensor, batch=batch: torch_epochs(net, o, x, batch, EPOCHS),
                }
                title = f"{n_timesteps} steps x {units} units, {n_channels} ch, batch {batch}"
                report(title, EPOCHS * len(X), interleave(runs, arguments.rounds), results)


def encode(arguments, results):
    """Features of 20,000 windows; torch and ONNX Runtime with the best of several batch sizes and thread counts."""
    import torch

    print("\nEncoding, windows per second and tsae's speed relative to each other library (its best variant)")
    for shape in arguments.shapes:
        n_timesteps, units = map(int, shape.split("x"))
        for n_channels in arguments.channels:
            X = data(20000, n_timesteps, n_channels)
            own = ours(units, 256).fit(X[:512])
            _, encoder = plain_keras(n_timesteps, n_channels, units)
            net, session = torch_model(n_channels, units).eval(), onnx_session(n_channels, units, encoder)
            tensor = torch.from_numpy(X)

            def in_batches(run, whole, batch, threads=1):
                parts = [whole[first : first + batch] for first in range(0, len(whole), batch)]
                if threads == 1:
                    return [run(part) for part in parts]
                with ThreadPoolExecutor(threads) as pool:
                    return list(pool.map(run, parts))

            def by_torch(part, net=net):
                with torch.inference_mode():
                    return net.encoder(part)[1][0][-1]

            def by_onnx(part, session=session):
                return session.run(None, {"x": part})[0]

            def torch_variant(batch, threads, run=by_torch, x=tensor):
                def encode_all():
                    torch.set_num_threads(2 if threads == 1 else 1)
                    in_batches(run, x, batch, threads)
                    torch.set_num_threads(2)

                return encode_all

            variants = {f"torch {b} x{t}": torch_variant(b, t) for b in (128, 256, 1024) for t in (1, 2)}
            variants |= {
                f"onnx {b} x{t}": lambda b=b, t=t, run=by_onnx, X=X: in_batches(run, X, b, t)
                for b in (128, 512, 4096)
                for t in (1, 2)
            }
            fastest = {name: min(times) for name, times in interleave(variants, 2).items()}
            best = {
                kind: min((s, n) for n, s in fastest.items() if n.startswith(kind))[1] for kind in ("torch", "onnx")
            }
            runs = {
                "tsae": lambda own=own, X=X: own.transform(X),
                "keras": lambda encoder=encoder, X=X: encoder.predict(X, batch_size=512, verbose=0),
                best["torch"]: variants[best["torch"]],
                best["onnx"]: variants[best["onnx"]],
            }
            title = f"{n_timesteps} steps x {units} units, {n_channels} ch"
            report(title, len(X), interleave(runs, arguments.rounds), results)


def latency(arguments, results):
    """Requests of 1 or 8 windows to a compiled estimator, 64 steps x 64 units."""
    print("\nLatency of small requests (rates are windows per second), 64 steps x 64 units, 4 channels")
    X = data(512, 64, 4)
    own = ours(64, 256).fit(X)
    _, encoder = plain_keras(64, 4, 64)
    session = onnx_session(4, 64, encoder)
    for n in (1, 8):
        few = X[:n]
        runs = {
            "tsae": lambda few=few: [own.transform(few) for _ in range(20)],
            "keras": lambda few=few: [encoder.predict(few, verbose=0) for _ in range(20)],
            "onnx": lambda few=few: [session.run(None, {"x": few}) for _ in range(20)],
        }
        seconds = interleave(runs, arguments.rounds)
        report(f"{n} window(s), 20 requests", 20 * n, seconds, results)
        print(
            "    median ms per request: "
            + ", ".join(f"{k} {statistics.median(v) * 50:.2f}" for k, v in seconds.items())
        )


def first(arguments, results):
    """New estimators, one epoch: the first, compilation included, and further ones, as in a cross-validation."""
    print("\nNew models, one epoch each, 64 steps x 64 units, batches of at most 256")
    for n in (4096, 64):
        X = data(n, 64, 4)

        def keras_fit(X=X):
            model, encoder = plain_keras(64, 4, 64)
            model.fit(X, X, batch_size=256, verbose=0)
            encoder.predict(X[:8], verbose=0)

        def fit(X=X):
            ours(64, 256).fit(X).transform(X[:8])

        def first_fit(fit=fit):
            shared_graph.cache_clear()
            batch_graph.cache_clear()
            fit()

        for title, own in (("first fit and transform", first_fit), ("a further one", fit)):
            report(f"{title}, {n} windows", n, interleave({"tsae": own, "keras": keras_fit}, arguments.rounds), results)


def time_to_loss(arguments, results):
    """Seconds from a new model to a given validation loss, at the same learning rate."""
    import torch

    print("\nTime to a validation loss of 0.20, 64 steps x 64 units, 2 channels, 8,192 windows, batch 256, Adam 3e-3")
    X, validation = np.split(data(9216, 64, 2), [8192])
    goal, max_epochs = 0.20, 60

    class StopAtGoal(keras.callbacks.Callback):
        def __init__(self, loss):
            super().__init__()
            self.loss = loss

        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 (called by name)
            self.model.stop_training = self.loss() < goal

    def by_tsae():
        estimator = ours(64, 256, epochs=max_epochs).set_params(learning_rate=3e-3)
        stop = StopAtGoal(lambda: -estimator.score(validation))
        estimator.set_params(callbacks=[stop]).fit(X)

    def by_keras():
        model, _ = plain_keras(64, 2, 64)
        model.optimizer.learning_rate = 3e-3
        stop = StopAtGoal(lambda: model.evaluate(validation, validation, batch_size=512, verbose=0))
        model.fit(X, X, batch_size=256, epochs=max_epochs, verbose=0, callbacks=[stop])

    def by_torch():
        net = torch_model(2, 64)
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        x, x_validation = torch.from_numpy(X), torch.from_numpy(validation)
        for _ in range(max_epochs):
            torch_epoch(net, optimizer, x, 256)
            with torch.inference_mode():
                if torch.nn.functional.mse_loss(net(x_validation), x_validation) < goal:
                    break

    runs = {"tsae": by_tsae, "keras": by_keras, "torch": by_torch}
    report(
        "time to loss (rates: runs of 8,192 windows)",
        8192,
        interleave(runs, max(2, arguments.rounds // 3)),
        results,
    )


def growth(arguments, results):
    """How the cost grows with each dimension, from 4,096 windows of 64 steps, 64 units and 4 channels."""
    print("\nGrowth of tsae's cost (windows per second)")
    base = {"n": 4096, "n_timesteps": 64, "units": 64, "n_channels": 4}
    for name, values in {
        "n": [1024, 4096, 16384], "n_timesteps": [16, 64, 256], "units": [16, 64, 256], "n_channels": [1, 4, 32],
    }.items():  # fmt: skip
        for value in values:
            case = base | {name: value}
            X = data(case["n"], case["n_timesteps"], case["n_channels"])
            own = ours(case["units"], 256).fit(X[:512])
            runs = {"fit": lambda own=own, X=X: own.fit(X), "transform": lambda own=own, X=X: own.transform(X)}
            report(f"{name} = {value}", case["n"], interleave(runs, max(3, arguments.rounds // 2)), results)


def long_run(_, results):
    """1,000,000 windows of one series against 50,000: rate and peak memory."""
    print("\nA long series, width 64, stride 1, 4 channels, 64 units")
    series = data(1, 1_000_063, 4)[0]
    windows = make_windows(series, width=64)
    own = ours(64, 256).fit(windows[:4096])
    rates = {}
    for n in (50_000, 1_000_000):
        own.transform(windows[:50_000])
        began = time.perf_counter()
        own.transform(windows[:n])
        rates[n] = n / (time.perf_counter() - began)
        print(f"  {n:>9,} windows: {rates[n]:>9,.0f}/s, peak memory of the process {peak_mib():,.0f} MiB", flush=True)
    print(f"  ratio {rates[1_000_000] / rates[50_000]:.2f}")
    results.append({"title": "long run", "rates": rates})


def plot(results, path):
    """Plot the ratios of training and encoding."""
    import matplotlib.pyplot as plt

    rows = [r for r in results if "keras" in r.get("ratios", {}) and "steps x" in r["title"]]
    others = ["keras", "torch", "onnx"]
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(rows) + 1.2), layout="constrained")
    for k, other in enumerate(others):
        found = [
            (i, ratio) for i, row in enumerate(rows) for name, ratio in row["ratios"].items() if name.startswith(other)
        ]
        axes.plot([ratio for _, ratio in found], [-i for i, _ in found], "osD"[k], label=other, alpha=0.8)
    axes.axvline(1, color="0.6", lw=1)
    labels = [("train: " if "batch" in row["title"] else "encode: ") + row["title"] for row in rows]
    axes.set(
        yticks=[-i for i in range(len(rows))], yticklabels=labels, xlabel="speed of tsae relative to each other library"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


PARTS = {"train": train, "encode": encode, "latency": latency, "first": first, "loss": time_to_loss,
         "growth": growth, "long": long_run}  # fmt: skip


def main() -> None:
    """Run the comparisons chosen on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="timesteps x units, such as 64x64")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file to write the results to")
    parser.add_argument("--plot", help="file to plot the ratios to")
    arguments = parser.parse_args()
    results: list[dict] = []
    for name in arguments.only:
        PARTS[name](arguments, results)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
