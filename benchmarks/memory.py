"""Memory of windows whose copies would not fit into memory: cut, trained on and encoded.

    python -m benchmarks.memory                       # 10,000,000 x 8 float32, width 128, stride 1
    python -m benchmarks.memory --only-windows        # without TensorFlow: make_windows alone

The estimator has its default settings. Features are written to a file, 10,000 windows at a time: with 2,304 features
per window, all of them together are six times the size of the series.

Prints one row per step: seconds, and the peak of resident memory (Python and TensorFlow included). Ends with an error
if `make_windows` needs more than a second or 5 % of the series, or all steps more than the series and 1.5 GiB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peak import peak_mib
from tsae import Windows, make_windows

MIB = 1 << 20
ALLOWED_SECONDS, ALLOWED_SHARE, ALLOWED_MIB = 1.0, 0.05, 1536


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    steps = Steps()
    series = steps.run("the series", lambda: make_series(options.rows, options.channels))
    windows = steps.run("make_windows", lambda: make_windows(series, options.width))
    if not options.only_windows:
        from tsae import LSTMAutoencoder

        model = LSTMAutoencoder(epochs=1, random_state=0)
        train, encode = (windows[:: len(windows) // n][:n] for n in (options.train, options.encode))
        steps.run(f"fit, one epoch of {len(train):,}", lambda: model.fit(train))
        steps.run(f"transform {len(encode):,}", lambda: write_features(model, encode))

    print(windows)
    print(steps.table().to_string(index=False))
    copied = len(windows) * windows.width * windows.n_channels * windows.dtype.itemsize
    print(f"series {series.nbytes / MIB:,.0f} MiB; the windows copied out would be {copied / MIB:,.0f} MiB")
    _judge(steps, series.nbytes / MIB)


def make_series(n_rows: int, n_channels: int) -> np.ndarray:
    """Noise on slow waves, made in blocks so that no other array of this size is ever held."""
    rng = np.random.default_rng(0)
    series = np.empty((n_rows, n_channels), dtype=np.float32)
    periods = np.geomspace(20, 2000, n_channels)
    for begin in range(0, n_rows, 1 << 16):
        block = series[begin : begin + (1 << 16)]
        block[:] = np.sin(np.arange(begin, begin + len(block))[:, np.newaxis] / periods)
        block += rng.normal(scale=0.3, size=block.shape)
    return series


def write_features(model: Any, windows: Windows) -> None:
    """Encode windows and write their features, as a job does when all features would not fit into memory."""
    with tempfile.TemporaryFile() as file:
        for begin in range(0, len(windows), 10_000):
            model.transform(windows[begin : begin + 10_000]).tofile(file)


class Steps:
    """Runs steps, and records how long each took and how far memory rose."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        before, began = peak_mib(), time.perf_counter()
        result = step()
        seconds = time.perf_counter() - began
        self.rows.append({"step": name, "seconds": seconds, "MiB more": peak_mib() - before, "peak MiB": peak_mib()})
        return result

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows).round({"seconds": 2, "MiB more": 1, "peak MiB": 1})


def _judge(steps: Steps, series_mib: float) -> None:
    cutting = next(row for row in steps.rows if row["step"] == "make_windows")
    checks = [
        ("make_windows, seconds", cutting["seconds"], ALLOWED_SECONDS),
        ("make_windows, MiB", cutting["MiB more"], ALLOWED_SHARE * series_mib),
        ("peak, MiB", peak_mib(), series_mib + ALLOWED_MIB),
    ]
    for name, found, allowed in checks:
        print(f"{name}: {found:,.2f}, allowed {allowed:,.2f}: {'ok' if found <= allowed else 'TOO MUCH'}")
    if any(found > allowed for _, found, allowed in checks):
        raise SystemExit(1)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--train", type=int, default=20_000, help="windows to train on")
    parser.add_argument("--encode", type=int, default=200_000, help="windows to encode")
    parser.add_argument("--only-windows", action="store_true", help="without the estimator")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
