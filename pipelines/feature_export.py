"""Train an autoencoder on a table of time series, and write the features of all windows to a table.

Example: python pipelines/feature_export.py --output features.csv
"""

import argparse
import os
from pathlib import Path

import pandas as pd

from tsae import LSTMAutoencoder, make_windows

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample_data" / "machines" / "machines.csv"


def main() -> None:
    options = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about devices
    table = pd.read_csv(options.data, parse_dates=[options.time_column])
    windows = make_windows(
        table,
        options.width,
        options.stride,
        id_column=options.id_column,
        time_column=options.time_column,
        value_columns=options.value_columns,
    )
    print(f"{len(windows):,} windows of {windows.width} steps and {windows.n_channels} channels")

    autoencoder = LSTMAutoencoder(units=options.units, epochs=options.epochs, random_state=0, verbose=1)
    features = autoencoder.fit_transform(windows)
    names = autoencoder.get_feature_names_out()

    # One row per window: series, start, end, and one column per feature.
    result = pd.concat([windows.index, pd.DataFrame(features, columns=names)], axis=1)
    if options.output.suffix == ".parquet":
        result.to_parquet(options.output, index=False)
    else:
        result.to_csv(options.output, index=False)
    print(f"wrote {result.shape[0]:,} rows and {result.shape[1]:,} columns to {options.output}")
    if options.model is not None:
        autoencoder.save(options.model)
        print(f"wrote the model to {options.model}; tsae.load reads it")


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
    parser.add_argument("--width", type=int, default=48, help="time steps per window")
    parser.add_argument("--stride", type=int, default=6, help="rows between the starts of windows")
    parser.add_argument("--units", type=int, nargs="+", default=[64, 64], help="units of each layer of the encoder")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the windows")
    parser.add_argument("--output", type=Path, default=Path("features.csv"), help="CSV or Parquet file to write")
    parser.add_argument("--model", type=Path, help="model file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
