"""Train a detector on normal data, score every timestamp, and list the anomalous events.

Example: python pipelines/anomaly_detection.py --output anomalies/
"""

import argparse
import os
from pathlib import Path

import pandas as pd

from tsae import AnomalyDetector, LSTMAutoencoder, make_windows

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample_data" / "machines" / "machines.csv"


def main() -> None:
    options = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about devices
    table = pd.read_csv(options.data, parse_dates=[options.time_column])
    columns = {
        "id_column": options.id_column,
        "time_column": options.time_column,
        "value_columns": options.value_columns,
    }

    # Train and calibrate on data without anomalies.
    normal = table[table[options.time_column] < pd.Timestamp(options.normal_until)]
    windows = make_windows(normal, options.width, options.stride, **columns)
    autoencoder = LSTMAutoencoder(units=options.units, epochs=options.epochs, random_state=0, verbose=1)
    detector = AnomalyDetector(autoencoder, alpha=options.alpha, random_state=0).fit(windows)
    print(f"trained on {len(windows):,} windows before {options.normal_until}")

    # Score everything: one row per timestamp, with a p-value and the contribution of each channel.
    timeline = detector.score_timeline(make_windows(table, options.width, options.stride, **columns))
    events = detector.events(timeline)
    later = events[events["end"] >= pd.Timestamp(options.normal_until)]
    print(f"{len(later)} events since {options.normal_until}; the five with the highest scores:")
    print(later.nlargest(5, "score").to_string(index=False))

    options.output.mkdir(parents=True, exist_ok=True)
    timeline.to_csv(options.output / "timeline.csv", index=False)
    events.assign(channels=events["channels"].map(" ".join)).to_csv(options.output / "events.csv", index=False)
    detector.save(options.output / "detector.tsae")
    print(f"wrote timeline.csv, events.csv and detector.tsae to {options.output}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SAMPLE_DATA, help="CSV file, one row per series and timestamp")
    parser.add_argument("--id-column", default="machine", help="column with the series of each row")
    parser.add_argument("--time-column", default="time", help="column of timestamps")
    parser.add_argument(
        "--value-columns",
        nargs="+",
        default=["speed", "current", "pressure", "temperature", "vibration"],
        help="the channels",
    )
    parser.add_argument("--normal-until", default="2024-01-22", help="train on rows before this time")
    parser.add_argument("--width", type=int, default=48, help="time steps per window")
    parser.add_argument("--stride", type=int, default=6, help="rows between the starts of windows")
    parser.add_argument("--alpha", type=float, default=0.01, help="share of normal timestamps that may be flagged")
    parser.add_argument("--units", type=int, nargs="+", default=[64], help="units of each layer of the encoder")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the windows")
    parser.add_argument("--output", type=Path, default=Path("anomalies"), help="directory to write to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
