"""Classify windows by their features, with a scikit-learn Pipeline and a grid search.

Example: python pipelines/classification.py --units 16 64

The autoencoder is trained without labels, as the first step of the pipeline. On the sample data, the classes are the
operating regimes of pumps; accuracies are those on pumps that were not in the training data.
"""

import argparse
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import classification_report
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tsae import LSTMAutoencoder, make_windows

SAMPLE_DATA = Path(__file__).resolve().parents[1] / "sample_data" / "machines" / "machines.csv"
CHANNELS = ["speed", "current", "pressure", "temperature", "vibration"]


def main() -> None:
    options = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's notes about devices
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # many short trainings: repeated tracing is expected
    table = pd.read_csv(options.data, parse_dates=["time"])
    X = make_windows(
        table, options.width, options.stride, id_column="machine", time_column="time", value_columns=CHANNELS
    )

    # The label of a window is the regime of its last row; `groups` keeps the windows of a pump together.
    ends = X.index.rename(columns={"series": "machine", "end": "time"})
    y = ends.merge(table, on=["machine", "time"], how="left")["regime"].to_numpy()
    groups = X.index["series"].to_numpy()
    train, test = next(GroupShuffleSplit(1, test_size=1 / 3, random_state=0).split(y, groups=groups))
    print(f"{len(train):,} windows to train on, {len(test):,} to test on: {', '.join(np.unique(groups[test]))}")

    pipeline = Pipeline(
        [
            ("autoencoder", LSTMAutoencoder(epochs=options.epochs, random_state=0)),
            ("scaler", StandardScaler()),
            ("classifier", RidgeClassifier()),
        ]
    )
    grid = {"autoencoder__units": options.units, "classifier__alpha": options.alpha}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(options.folds), error_score="raise", verbose=1)
    search.fit(X[train], y[train], groups=groups[train])

    results = pd.DataFrame(search.cv_results_)[["params", "mean_test_score", "mean_fit_time"]]
    print(results.to_string(index=False))
    print(f"best: {search.best_params_}, cross-validated accuracy {search.best_score_:.3f}\n")
    print(classification_report(y[test], search.predict(X[test]), zero_division=0))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SAMPLE_DATA, help="CSV file like that of the sample data")
    parser.add_argument("--width", type=int, default=48, help="time steps per window")
    parser.add_argument("--stride", type=int, default=12, help="rows between the starts of windows")
    parser.add_argument("--units", type=int, nargs="+", default=[16, 64], help="units to search")
    parser.add_argument("--alpha", type=float, nargs="+", default=[10.0], help="ridge penalties to search")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training windows")
    parser.add_argument("--folds", type=int, default=2, help="folds of the cross-validation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
