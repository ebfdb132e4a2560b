"""What a simple classifier can do with the features: tsae with its default settings against the usual baselines.

    python -m benchmarks.quality                                  # the whole table
    python -m benchmarks.quality --only GunPoint ArrowHead --methods trained untrained
    python -m benchmarks.quality --ablation                       # one row for each choice taken back
    python -m benchmarks.quality --ucr DIR --uea DIR --half odd   # the sets of the archives' folders, in parallel
    python -m benchmarks.quality --ucr DIR --half even --published anchors.csv

Default splits of every labelled set that installs from PyPI (`benchmarks.datasets`), or of all sets in folders of the
UCR and UEA archives: defaults are chosen on the odd ones in alphabetical order, and confirmed on the even ones. No
method sees labels before the
classifier does. Features go through StandardScaler to an SVC with RBF kernel, whose C is chosen by cross-validation on
the training set only, and, beside it, to a ridge classifier. Test sets are small (28 series and more), so the SVC is
also measured on further splits of the same series: features as they are, the classifier fitted again on each.

Results are kept in the folder ``--output`` (JSON lines) as they come; what is there already, under the same settings
of the estimator, is not run again. The same seeds give the same numbers on one machine.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.comparing import archive_report, row_of
from benchmarks.datasets import DATASETS, Dataset, archive_sets, load_dataset, load_from_archive
from tsae import Augmentation, DecoderOptions, LSTMAutoencoder

ROOT = Path(__file__).resolve().parent.parent

# The defaults were chosen on the first half, and confirmed on the second. The halves were drawn, one of each pair of
# like sets, before anything was measured on them.
CHOSEN_ON = ("OSULeaf", "PickupGestureWiimoteZ", "BasicMotions", "Coffee", "ACSF1", "PLAID")
CONFIRMED_ON = ("ArrowHead", "GunPoint", "JapaneseVowels", "ItalyPowerDemand", "PigCVP", "Trace")

# Further splits of each set, stratified, with as many series to train on as the default split has.
RESPLITS = 5

# Published accuracies on the same splits.
# TS2Vec: Yue et al., AAAI 2022. T-Loss and DTW: Franceschi et al., NeurIPS 2019, of the univariate sets K=10 as in the
# authors' results_ucr.csv (github.com/White-Link/UnsupervisedScalableRepresentationLearningTimeSeries). Multivariate
# sets: the tables of the TS2Vec paper. Missing: not found in a source that could be checked.
PUBLISHED: dict[str, dict[str, float]] = {
    "TS2Vec": {
        "ArrowHead": 0.857, "BasicMotions": 0.975, "GunPoint": 0.980, "ItalyPowerDemand": 0.925,
        "JapaneseVowels": 0.984, "OSULeaf": 0.851,
    },
    "T-Loss": {
        "ACSF1": 0.900, "ArrowHead": 0.766, "BasicMotions": 1.000, "Coffee": 1.000, "GunPoint": 0.980,
        "ItalyPowerDemand": 0.954, "JapaneseVowels": 0.989, "OSULeaf": 0.760, "PLAID": 0.555,
        "PickupGestureWiimoteZ": 0.740, "PigCVP": 0.788, "Trace": 0.990,
    },
    "DTW": {
        "ACSF1": 0.640, "ArrowHead": 0.703, "BasicMotions": 0.975, "Coffee": 1.000, "GunPoint": 0.907,
        "ItalyPowerDemand": 0.950, "JapaneseVowels": 0.949, "OSULeaf": 0.591, "PLAID": 0.840,
        "PickupGestureWiimoteZ": 0.660, "PigCVP": 0.154, "Trace": 1.000,
    },
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------- methods
# Each takes a set and a seed, and returns training features, test features, and the seconds that fitting and then
# transforming both took.

Features = tuple[np.ndarray, np.ndarray, float, float]


def timed(fit: Callable[[], Any], transform: Callable[[Any, Any], Any], train: Any, test: Any) -> Features:
    """What `transform` makes of both parts with what `fit` returned."""
    began = time.perf_counter()
    model = fit()
    fitted = time.perf_counter()
    features = [np.asarray(transform(model, part)) for part in (train, test)]
    return features[0], features[1], fitted - began, time.perf_counter() - fitted


def trained(data: Dataset, seed: int, **settings) -> Features:
    """The default `LSTMAutoencoder`, or one with other settings."""
    autoencoder = LSTMAutoencoder(random_state=seed, **settings)
    return timed(lambda: autoencoder.fit(data.X_train), LSTMAutoencoder.transform, data.X_train, data.X_test)


UNTRAINED = {"epochs": 0}


def untrained(data: Dataset, seed: int) -> Features:
    """The same encoder with the same first weights, which are then left alone."""
    return trained(data, seed, **UNTRAINED)


def pca(data: Dataset, seed: int) -> Features:
    """Principal components of the raw values, 99 % of the variance."""
    train, test = (flat.reshape(len(flat), -1) for flat in same_length(data))
    return timed(lambda: PCA(0.99, svd_solver="full").fit(train), PCA.transform, train, test)


def summary(data: Dataset, seed: int) -> Features:
    """Moments, quantiles, slope, roughness and lag-1 correlation of each channel."""
    return timed(lambda: None, lambda _, X: [describe(x) for x in X], data.X_train, data.X_test)


def describe(series: np.ndarray) -> np.ndarray:
    """The summary statistics of one series, (n_timesteps, n_channels) -> (13 * n_channels,)."""
    steps = np.diff(series, axis=0)
    time_axis = np.linspace(-1, 1, len(series))[:, None]
    centred = series - series.mean(axis=0)
    spread = np.maximum(np.sum(centred**2, axis=0), 1e-12)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # constant channels have no skewness
        shape = np.nan_to_num([stats.skew(series, axis=0), stats.kurtosis(series, axis=0)])
    return np.concatenate([
        series.mean(axis=0), series.std(axis=0), *np.quantile(series, [0, 0.25, 0.5, 0.75, 1], axis=0), *shape,
        np.mean(time_axis * centred, axis=0), np.abs(steps).mean(axis=0), steps.std(axis=0),
        np.sum(centred[1:] * centred[:-1], axis=0) / spread,
    ])  # fmt: skip


def catch22(data: Dataset, seed: int) -> Features:
    """The 22 canonical features (Lubba et al., 2019) of each channel, by aeon."""
    from aeon.transformations.collection.feature_based import Catch22

    train, test = channels_first(data.X_train), channels_first(data.X_test)
    return timed(lambda: Catch22(replace_nans=True), lambda t, X: np.nan_to_num(t.fit_transform(X)), train, test)


def minirocket(data: Dataset, seed: int) -> Features:
    """MiniRocket (Dempster et al., 2021), by aeon; random convolutions, no learning."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    return convolved(MiniRocket(random_state=seed), data)


def multirocket(data: Dataset, seed: int) -> Features:
    """MultiRocket (Tan et al., 2022), by aeon: some 50,000 features."""
    from aeon.transformations.collection.convolution_based import MultiRocket

    return convolved(MultiRocket(random_state=seed), data)


def convolved(transformer: Any, data: Dataset) -> Features:
    """Features of aeon's convolutional transformers, which know one length of series only."""
    train, test = (np.ascontiguousarray(X.transpose(0, 2, 1), dtype=np.float32) for X in same_length(data))
    return timed(lambda: transformer.fit(train), lambda fitted, X: fitted.transform(X), train, test)


def same_length(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Series stretched to the longest of the training set, for methods that know one length only."""
    if not data.is_ragged:
        return data.X_train, data.X_test
    longest = max(len(x) for x in data.X_train)
    return tuple(np.stack([stretch(x, longest) for x in X]) for X in (data.X_train, data.X_test))


def stretch(series: np.ndarray, length: int) -> np.ndarray:
    """Linear interpolation at `length` even points."""
    at, known = np.linspace(0, 1, length), np.linspace(0, 1, len(series))
    return np.stack([np.interp(at, known, channel) for channel in series.T], axis=1)


def channels_first(X) -> np.ndarray | list[np.ndarray]:
    """aeon's order of axes."""
    return [x.T for x in X] if isinstance(X, list) else X.transpose(0, 2, 1)


METHODS: dict[str, Callable[[Dataset, int], Features]] = {
    "trained": trained,
    "untrained": untrained,
    "pca": pca,
    "summary": summary,
    "catch22": catch22,
    "minirocket": minirocket,
    "multirocket": multirocket,
}
DEFAULT_METHODS = ("trained", "untrained", "pca", "summary", "catch22", "minirocket")
DETERMINISTIC = ("pca", "summary", "catch22")
LABELS = {
    "trained": "LSTMAutoencoder", "untrained": "the same, untrained", "pca": "PCA on values",
    "summary": "summary statistics", "catch22": "catch22", "minirocket": "MiniRocket",
    "multirocket": "MultiRocket",
}  # fmt: skip

# The ablation: one choice of the default taken back at a time.
ABLATIONS: dict[str, dict] = {
    "default": {},
    "untrained": UNTRAINED,
    "learning rate 1e-3": {"learning_rate": 1e-3},
    "constant learning rate": {"schedule": "constant"},
    "bottleneck: reconstruction": {"decoder": "reconstruction"},
    "bottleneck: composite": {"decoder": "composite"},
    "imputation and reconstruction": {"decoder": ("imputation", "reconstruction")},
    "read-out of its own step alone": {"decoder_options": DecoderOptions(target_offsets=())},
    "spans up to 30": {"augmentation": Augmentation(mask_span=30)},
    "no dilation": {"dilations": 1},
    "one layer": {"units": 64},
    "32 units": {"units": (32, 32, 32)},
    "GRU": {"cell": "gru"},
    "forward only": {"bidirectional": False},
    "no differences": {"differences": False},
    "channel scaling only": {"scale": "channel", "differences": True},
    "window scaling only": {"scale": "window"},
    "whole windows, no crop": {"augmentation": Augmentation(crop=None)},
    "batches of 32": {"batch_size": 32},
    "top layer only": {"pooled_layers": "last"},
    "pooling: last": {"pooling": "last"},
    "pooling: mean": {"pooling": "mean"},
    "pooling: without change": {"pooling": ("mean", "max", "min", "std")},
    "pooling: last besides": {"pooling": ("last", "mean", "max", "min", "std", "change")},
}


# ---------------------------------------------------------------------------------------------------- measuring


def tuned_classifiers(train: np.ndarray, y_train: np.ndarray) -> tuple[GridSearchCV, RidgeClassifierCV]:
    """The SVC and the ridge classifier, both tuned on the training set alone."""
    rarest = int(np.unique(y_train, return_counts=True)[1].min())
    folds = StratifiedKFold(min(5, max(2, rarest)), shuffle=True, random_state=0)
    # Largest first: where values of C tie, as on easy sets, the widest-margin penalty is the largest.
    svc = GridSearchCV(SVC(kernel="rbf"), {"C": [1000, 100, 10, 1, 0.1]}, cv=folds).fit(train, y_train)
    return svc, RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)).fit(train, y_train)


def accuracies(train: np.ndarray, y_train: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> dict[str, float]:
    """Test accuracy of the SVC and of the ridge classifier, both tuned on the training set alone; and of the SVC with
    the same C in the mean over further splits of all series."""
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    svc, ridge = tuned_classifiers(train, y_train)
    features, labels = np.concatenate([train, test]), np.concatenate([y_train, y_test])
    splits = StratifiedShuffleSplit(RESPLITS, train_size=len(train), random_state=0).split(features, labels)
    again = [
        make_pipeline(StandardScaler(), clone(svc.best_estimator_))
        .fit(features[i], labels[i])
        .score(features[j], labels[j])
        for i, j in splits
    ]
    return {"svc": svc.score(test, y_test), "ridge": ridge.score(test, y_test), "resplit": float(np.mean(again))}


def settings_of(method: str, settings: dict) -> str:
    """What a cached result depends on besides its key: all parameters of the estimator."""
    if method in METHODS and method not in ("trained", "untrained"):
        return ""
    parameters = LSTMAutoencoder(**settings).get_params()
    return json.dumps(parameters, sort_keys=True, default=str)


class Results:
    """Rows of results in a file of JSON lines, which grows by each row that is measured."""

    def __init__(self, path: Path, load: Callable[[str], Dataset] = load_dataset):
        self.path = path
        self.load = load
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def get(self, name: str, method: str, seed: int, settings: dict, run: Callable[[Dataset, int], Features]) -> dict:
        """The row of this set, method and seed: from the file, or measured now."""
        key = {"set": name, "method": method, "seed": seed, "settings": settings_of(method, settings)}
        for row in self.rows:
            if all(row[k] == v for k, v in key.items()):
                return row
        data = self.load(name)
        train, test, fit_seconds, transform_seconds = run(data, seed)
        row = key | {
            **accuracies(train, data.y_train, test, data.y_test), "n_features": train.shape[1],
            "fit_seconds": round(fit_seconds, 3), "transform_seconds": round(transform_seconds, 3),
        }  # fmt: skip
        print(f"{name:22s} {method:30s} seed {seed}: svc {row['svc']:.3f} ridge {row['ridge']:.3f} "
              f"fit {row['fit_seconds']:.1f} s", flush=True)  # fmt: skip
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        return row


def measure(results: Results, sets: list[str], methods: list[str], n_seeds: int, n_jobs: int = 1) -> pd.DataFrame:
    """All rows of the table; each set in a process of its own."""

    def rows_of(name: str) -> list[dict]:
        return [
            results.get(name, method, seed, UNTRAINED if method == "untrained" else {}, METHODS[method])
            for method in methods
            for seed in range(1 if method in DETERMINISTIC else n_seeds)
        ]

    found = Parallel(n_jobs=n_jobs)(delayed(rows_of)(name) for name in sets)
    return pd.DataFrame([row for rows in found for row in rows])


def measure_ablation(results: Results, sets: list[str], n_seeds: int) -> pd.DataFrame:
    """All rows of the ablation; the first two are those of the table."""
    rows = []
    for label, settings in ABLATIONS.items():
        method = {"default": "trained", "untrained": "untrained"}.get(label, label)

        def run(data: Dataset, seed: int, settings=settings) -> Features:
            return trained(data, seed, **settings)

        for name in sets:
            for seed in range(n_seeds):
                rows.append(results.get(name, method, seed, settings, run) | {"label": label})
    return pd.DataFrame(rows)


# ---------------------------------------------------------------------------------------------------- tables


def quality_table(frame: pd.DataFrame, sets: list[str], methods: list[str]) -> str:
    """Accuracy of each method on each set (mean ± spread over seeds), means, ranks and fit times, as Markdown."""
    lines = []
    titles = {"svc": "Test accuracy, SVC", "ridge": "Test accuracy, ridge", "resplit": "SVC, mean over further splits"}
    for score, title in titles.items():
        means = frame.pivot_table(index="set", columns="method", values=score).reindex(index=sets, columns=methods)
        spreads = frame.pivot_table(index="set", columns="method", values=score, aggfunc=lambda s: s.std(ddof=0))
        known = PUBLISHED if score == "svc" else {}  # by other classifiers, but on the same splits
        heads = ["set", *(LABELS[m] for m in methods), *known]
        lines += [title, "", row_of(heads), row_of(["---"] * len(heads))]
        for name in sets:
            cells = [cell(means.loc[name, m], spreads.loc[name, m], m in DETERMINISTIC) for m in methods]
            published = [f"{values[name]:.3f}" if name in values else "" for values in known.values()]
            lines.append(row_of([name, *cells, *published]))
        ranks = means.rank(axis=1, ascending=False)
        blank = [""] * len(known)
        lines.append(row_of(["**mean**", *(f"**{means[m].mean():.3f}**" for m in methods), *blank]))
        lines.append(row_of(["mean rank", *(f"{ranks[m].mean():.2f}" for m in methods), *blank]))
        lines.append("")
    fit = frame.groupby("method")["fit_seconds"]
    lines.append("Fit, seconds (mean, longest): "
                 + "; ".join(f"{LABELS[m]} {fit.mean()[m]:.1f}, {fit.max()[m]:.1f}" for m in methods))  # fmt: skip
    return "\n".join(lines)


def cell(mean: float, spread: float, single: bool) -> str:
    return f"{mean:.3f}" if single else f"{mean:.3f} ± {spread:.3f}"


def comparison(frame: pd.DataFrame, sets: list[str]) -> str:
    """Trained against untrained, and against what was published, on the sets they have in common."""
    lines = []
    means, again = (frame.pivot_table(index="set", columns="method", values=s) for s in ("svc", "resplit"))
    if {"trained", "untrained"} <= set(means):
        parts = {"all sets": (means, sets), "chosen on": (means, CHOSEN_ON), "confirmed on": (means, CONFIRMED_ON),
                 "all sets, further splits": (again, sets)}  # fmt: skip
        for label, (table, half) in parts.items():
            part = table.loc[[s for s in half if s in sets], ["trained", "untrained"]]
            if part.empty:
                continue
            gain = part["trained"] - part["untrained"]
            lines.append(
                f"Trained against untrained, {label}: {part['trained'].mean():.3f} - {part['untrained'].mean():.3f} = "
                f"{gain.mean():+.3f}; better on {(gain > 0).sum()}, equal on {(gain == 0).sum()}, "
                f"worse on {(gain < 0).sum()} of {len(gain)}"
            )
    if "trained" in means:
        for other, values in PUBLISHED.items():
            common = [s for s in sets if s in values]
            if common:
                ours, theirs = means.loc[common, "trained"].mean(), np.mean([values[s] for s in common])
                figures = f"{ours:.3f} - {theirs:.3f} = {ours - theirs:+.3f}"
                lines.append(f"Trained against {other} on the {len(common)} sets published: {figures}")
    return "\n".join(lines)


def ablation_table(frame: pd.DataFrame, sets: list[str]) -> str:
    """One row for each choice taken back: accuracy on each set, their mean, and what is lost."""
    heads = ["choice", *sets, "mean SVC", "against default", "mean ridge", "fit s"]
    lines = [row_of(heads), row_of(["---"] * len(heads))]
    base = frame[frame["label"] == "default"]["svc"].mean()
    for label in ABLATIONS:
        rows = frame[frame["label"] == label]
        by_set = rows.groupby("set")["svc"].mean()
        lines.append(row_of([
            label, *(f"{by_set[s]:.3f}" for s in sets), f"{rows['svc'].mean():.3f}",
            f"{rows['svc'].mean() - base:+.3f}", f"{rows['ridge'].mean():.3f}", f"{rows['fit_seconds'].mean():.1f}",
        ]))  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    manner = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=manner)
    parser.add_argument("--only", nargs="+", metavar="SET", help="sets (default: all)")
    parser.add_argument("--ucr", type=Path, metavar="DIR", help="folder of sets of the UCR archive (.tsv)")
    parser.add_argument("--uea", type=Path, metavar="DIR", help="folder of sets of the UEA archive (.ts)")
    parser.add_argument("--half", choices=("all", "odd", "even"), default="all", help="which sets of each folder")
    parser.add_argument("--published", type=Path, metavar="CSV", help="accuracies by set, to stand beside")
    parser.add_argument("--jobs", type=int, default=1, help="sets measured at the same time")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(DEFAULT_METHODS), help="methods")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method that draws random numbers")
    parser.add_argument("--ablation", action="store_true", help="the ablation instead of the comparison")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "quality", help="folder of the results")
    arguments = parser.parse_args()
    archives = archive_folders([arguments.ucr, arguments.uea], arguments.half)
    known = list(archives or DATASETS)
    sets = arguments.only or known
    unknown = sorted(set(sets) - set(known))
    if unknown:
        parser.error(f"--only: unknown sets {', '.join(unknown)}; there are {', '.join(known)}")
    load = (lambda name: load_from_archive(archives[name], name)) if archives else load_dataset
    results = Results(arguments.output / "results.jsonl", load)
    if arguments.ablation:
        report = ablation_table(measure_ablation(results, sets, arguments.seeds), sets)
    else:
        frame = measure(results, sets, arguments.methods, arguments.seeds, arguments.jobs)
        report = quality_table(frame, sets, arguments.methods) + "\n\n"
        report += (
            archive_report(frame.replace({"method": LABELS}), arguments.published)
            if archives
            else comparison(frame, sets)
        )
    print("\n" + report)
    (arguments.output / ("ablation.md" if arguments.ablation else "quality.md")).write_text(report + "\n")


def archive_folders(folders: list[Path | None], half: str) -> dict[str, Path]:
    """The folder of each set; of each archive all sets, or every second one in alphabetical order, from the
    first ("odd") or the second."""
    which = {"all": slice(None), "odd": slice(0, None, 2), "even": slice(1, None, 2)}[half]
    return {name: folder for folder in folders if folder is not None for name in archive_sets(folder)[which]}


if __name__ == "__main__":
    main()
