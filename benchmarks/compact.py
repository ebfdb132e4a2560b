"""What is left of the features when they are reduced to a few numbers (`LSTMAutoencoder(n_components=k)`).

    python -m benchmarks.compact --ucr DIR --half odd             # features of the untrained encoder
    python -m benchmarks.compact --ucr DIR --uea DIR --epochs auto

For each size: test accuracy of the support vector classifier, the ridge classifier and the nearest neighbour, and the
adjusted Rand index of k-means with as many clusters as there are classes, over all series of a set. The full vector is
standardised before each; components are used as `transform` gives them. Where a set has fewer training series than
components, as many components are taken as there are series.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.datasets import Dataset, load_from_archive
from benchmarks.quality import archive_folders, tuned_classifiers
from tsae import LSTMAutoencoder
from tsae.estimators.projection import principal_components

SIZES = (32, 64, 128, 320)


def measures(train: np.ndarray, test: np.ndarray, data: Dataset) -> dict[str, float]:
    """The four measures of features."""
    y_train, y_test = data.y_train, data.y_test
    overall = train.std() or 1.0  # classifiers read one scale; the components keep their own sizes
    train, test = train / overall, test / overall
    svc, ridge = tuned_classifiers(train, y_train)
    together, labels = np.concatenate([train, test]), np.concatenate([y_train, y_test])
    clusters = KMeans(len(np.unique(labels)), n_init=5, random_state=0).fit_predict(together)
    return {
        "SVC": svc.score(test, y_test),
        "ridge": ridge.score(test, y_test),
        "nearest neighbour": KNeighborsClassifier(1).fit(train, y_train).score(test, y_test),
        "adjusted Rand index": adjusted_rand_score(labels, clusters),
    }


def of_set(name: str, folder: Path, epochs: int | str, seed: int) -> list[dict]:
    """Rows of a set, one for each size."""
    data = load_from_archive(folder, name)
    encoder = LSTMAutoencoder(epochs=epochs, random_state=seed).fit(data.X_train)
    train, test = encoder.transform(data.X_train), encoder.transform(data.X_test)
    scaler = StandardScaler().fit(train)
    found = {"all": measures(scaler.transform(train), scaler.transform(test), data)}
    for size in SIZES:
        mean, inverse_std, components = principal_components(train, min(size, len(train)), seed)
        reduced = [((part - mean) * inverse_std) @ components for part in (train, test)]
        found[str(size)] = measures(*reduced, data)
    return [{"set": name, "size": size, "seed": seed, **values} for size, values in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ucr", type=Path, help="folder of the UCR archive")
    parser.add_argument("--uea", type=Path, help="folder of the UEA archive")
    parser.add_argument("--half", choices=["odd", "even", "all"], default="all", help="which sets of the folders")
    parser.add_argument("--epochs", default=0, type=lambda text: text if text == "auto" else int(text))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    folders = archive_folders([arguments.ucr, arguments.uea], arguments.half)
    found = Parallel(n_jobs=arguments.jobs, verbose=5)(
        delayed(of_set)(name, folder, arguments.epochs, seed)
        for name, folder in folders.items()
        for seed in range(arguments.seeds)
    )
    frame = pd.DataFrame([row for rows in found for row in rows])
    table = frame.groupby("size", sort=False).mean(numeric_only=True).drop(columns="seed").round(3)
    print("| numbers | " + " | ".join(table.columns) + " |\n" + "|---" * (len(table.columns) + 1) + "|")
    for size, row in table.iterrows():
        print(f"| {size} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


if __name__ == "__main__":
    main()
