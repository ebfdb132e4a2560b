"""What a goal costs: seconds to fit and to apply, and the number of features (docs/guides/choosing.md).

    python -m benchmarks.choosing

Windows of 48 steps and 5 channels of the sample pumps, 4,974 of them (stride 6).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter
from typing import Any

from tsae import AnomalyDetector, LSTMAutoencoder, Windows, make_windows
from tsae.datasets import PUMP_SENSORS, load_pumps


def apply(model: Any, windows: Windows) -> str:
    """Apply a model as its users do; the number of columns that come out."""
    if isinstance(model, AnomalyDetector):
        return f"{model.score_timeline(windows).shape[1]} columns"
    return f"{model.transform(windows).shape[1]:,}"


GOALS: dict[str, Callable[[], Any]] = {
    "features for a classifier": lambda: LSTMAutoencoder(random_state=0),
    "the same, untrained": lambda: LSTMAutoencoder(epochs=0, random_state=0),
    "compact vectors for search": lambda: LSTMAutoencoder(n_components=64, random_state=0),
    "a first look": lambda: LSTMAutoencoder(units=16, bidirectional=False, epochs=3, random_state=0),
    "anomalies": lambda: AnomalyDetector(random_state=0),
    "one vector that holds the window": lambda: LSTMAutoencoder(
        units=64, bidirectional=False, pooling="last", decoder="reconstruction", epochs=20, random_state=0
    ),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    windows = make_windows(load_pumps(), 48, 6, id_column="machine", time_column="time", value_columns=PUMP_SENSORS)
    LSTMAutoencoder(units=2, epochs=1).fit(windows[:64])  # loads TensorFlow
    print(f"{len(windows):,} windows\n| goal | fit | apply | features |\n|---|---|---|---|")
    for goal, make in GOALS.items():
        start = perf_counter()
        model = make().fit(windows)
        fitted = perf_counter()
        features = apply(model, windows)
        print(f"| {goal} | {fitted - start:.1f} s | {perf_counter() - fitted:.1f} s | {features} |", flush=True)


if __name__ == "__main__":
    main()
