"""The ONNX encoder against `transform`: differences and speed, interleaved in one run.

    python -m benchmarks.onnx_engine
    python -m benchmarks.onnx_engine --rounds 15 --windows 16384

For each model, on complete windows and on windows with a fifth of the values missing: the largest difference of any
feature, and windows per second by Keras and by ONNX Runtime (medians of paired rounds, and the median of the
ratios). Ends with an error if a difference exceeds 1e-5.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tsae import LSTMAutoencoder, OnnxEncoder

TOLERANCE = 1e-5
MODELS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one layer of 64, forward, last": {"units": 64, "bidirectional": False, "pooling": "last", "dilations": 1},
    "two layers of 64, bidirectional": {"units": (64, 64), "dilations": 1},
    "GRU, scaled by window": {"units": (64, 64), "cell": "gru", "dilations": 1, "scale": "window"},
}


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    X = np.random.default_rng(0).normal(size=(options.windows, options.steps, options.channels)).astype(np.float32)
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X).astype(np.float32)
    print(f"{options.windows:,} windows, {options.steps} steps, {options.channels} channels; {os.cpu_count()} cores\n")
    print(f"{'model':<32}{'values':<10}{'difference':>11}{'keras/s':>10}{'onnx/s':>10}{'ratio':>7}")
    worst = 0.0
    for name, parameters in MODELS.items():
        model = LSTMAutoencoder(**{"epochs": 1, "random_state": 0, **parameters}).fit(X[:512])
        encoder = OnnxEncoder.from_estimator(model)
        for values, windows in {"complete": X, "missing": gaps}.items():
            difference = float(np.abs(model.transform(windows) - encoder.transform(windows)).max())  # compiles both
            worst = max(worst, difference)
            keras, onnx = (
                np.array(part) for part in zip(*_rounds(model, encoder, windows, options.rounds), strict=True)
            )
            rates = "".join(f"{len(windows) / np.median(seconds):>10,.0f}" for seconds in (keras, onnx))
            print(f"{name:<32}{values:<10}{difference:>11.1e}{rates}{np.median(keras / onnx):>7.2f}")
    if worst > TOLERANCE:
        sys.exit(f"features differ by {worst:.1e}; allowed is {TOLERANCE}")


def _rounds(model: Any, encoder: Any, windows: np.ndarray, n_rounds: int) -> Iterator[tuple[float, float]]:
    """Seconds of both, measured in turn."""
    for _ in range(n_rounds):
        yield _seconds(model.transform, windows), _seconds(encoder.transform, windows)


def _seconds(function: Callable, *arguments: Any) -> float:
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
