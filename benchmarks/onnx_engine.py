"""ONNX encoders and detectors against Keras: differences and speed, interleaved in one run.

    python -m benchmarks.onnx_engine
    python -m benchmarks.onnx_engine --rounds 15 --windows 16384

For each model, on complete windows and on windows with a fifth of the values missing: the largest difference of any
feature, and windows per second by Keras and by ONNX Runtime (medians of paired rounds, and the median of the
ratios). Then, for the default detector, the same of `score_samples`, for one window and for a thousand; differences are
relative to scores, or to 1, the size of normal ones, where they are smaller. Last, what it takes to load that detector
from its ONNX file in a new process: seconds of the processor, and memory. Ends with an error if a difference exceeds
1e-5.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tsae import AnomalyDetector, LSTMAutoencoder, OnnxDetector, OnnxEncoder, export_onnx, make_windows

TOLERANCE = 1e-5
MODELS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one layer of 64, forward, last": {"units": 64, "bidirectional": False, "pooling": "last", "dilations": 1},
    "two layers of 64, bidirectional": {"units": (64, 64), "dilations": 1},
    "GRU, scaled by window": {"units": (64, 64), "cell": "gru", "dilations": 1, "scale": "window"},
}

LOADING = """
import sys
from time import process_time
import psutil
times = [process_time()]
import numpy, pandas, sklearn.base, onnxruntime
times.append(process_time())
from tsae import OnnxDetector
times.append(process_time())
OnnxDetector.from_onnx(sys.argv[1])
times.append(process_time())
libraries, own, loading = (after - before for before, after in zip(times, times[1:]))
print(f"libraries {libraries:.2f} s, tsae {own:.2f} s, file {loading:.2f} s, ", end="")
print(f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB; TensorFlow is loaded: {'tensorflow' in sys.modules}")
"""


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
            _report(f"{name:<32}{values:<10}", difference, model.transform, encoder.transform, windows, options.rounds)
    steps = np.arange(4000)[:, np.newaxis]
    series = np.sin(steps / (3 + np.arange(options.channels))) + np.random.default_rng(2).normal(size=X.shape[2]) / 10
    series += 0.1 * np.random.default_rng(3).normal(size=series.shape)
    windows = make_windows(series, options.steps)
    detector = AnomalyDetector(alpha="auto", random_state=0).fit(windows[:2500])
    quick = OnnxDetector.from_estimator(detector)
    for n in (1, 1000):
        part = windows[2500 : 2500 + n]
        expected = detector.score_samples(part)
        difference = float(np.max(np.abs(quick.score_samples(part) - expected) / np.maximum(1, np.abs(expected))))
        worst = max(worst, difference)
        name = f"{'default detector':<32}{n:<10,}"
        _report(name, difference, detector.score_samples, quick.score_samples, part, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "faults.onnx")
        export_onnx(detector, path)
        print(
            "\n"
            + subprocess.run([sys.executable, "-c", LOADING, path], check=True, capture_output=True, text=True).stdout
        )
    if worst > TOLERANCE:
        sys.exit(f"results differ by {worst:.1e}; allowed is {TOLERANCE}")


def _report(name: str, difference: float, keras: Callable, onnx: Callable, windows: Any, n_rounds: int) -> None:
    """Print a row: windows per second of both, and how many times as fast ONNX Runtime is."""
    rounds = [(_seconds(keras, windows), _seconds(onnx, windows)) for _ in range(n_rounds)]
    seconds = np.array(rounds)
    rates = "".join(f"{len(windows) / median:>10,.0f}" for median in np.median(seconds, axis=0))
    print(f"{name}{difference:>11.1e}{rates}{np.median(seconds[:, 0] / seconds[:, 1]):>7.2f}")


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
