"""The methods of `benchmarks.anomalies`: each scores every row of a series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.anomaly_sets import Problem
from tsae import Windows
from tsae.timeline import Timeline


@dataclass(frozen=True)
class Scored:
    """Scores of the rows, (n_rows,), and where a method has them flags, and contributions of channels (n_rows, k)."""

    scores: np.ndarray
    flags: np.ndarray | None = None
    contributions: np.ndarray | None = None


N_MEMORY = 4000  # training windows that nearest neighbours are looked for in


def per_timestamp(windows: Windows, step_scores: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mean score of each row over all windows that cover it, (n_rows,), or (n_rows, k) for k scores of each step.

    ``step_scores`` maps windows (n, width, n_channels) to (n, width), (n, width, k), or (n, 1) where a window has one.
    """
    timeline = Timeline(windows)
    for first in range(0, len(windows), 4096):
        chunk = windows[first : first + 4096]
        scores = step_scores(chunk.gather())
        shape = (len(chunk), windows.width, *scores.shape[2:])
        timeline.add(np.arange(first, first + len(chunk)), np.broadcast_to(scores, shape))
    found = timeline.result().iloc[:, 2:].to_numpy()
    return found[:, 0] if found.shape[1] == 1 and scores.ndim == 2 else found


def standardise(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """Scale each channel to mean 0, standard deviation 1 over the training rows."""
    values = problem.train.gather()
    mean, std = np.nanmean(values, axis=(0, 1)), np.nanstd(values, axis=(0, 1))
    std = np.where(std > 0, std, 1)
    return lambda windows: (windows - mean) / std


def moving_z_score(problem: Problem, seed: int) -> np.ndarray:
    """Distance from the mean of the previous ``width`` steps, in standard deviations; largest over channels."""
    names = problem.test.index["series"]
    scores = np.full(len(problem.test.values), np.nan)
    for series in names.unique():
        starts = problem.test.starts[(names == series).to_numpy()]
        rows = slice(starts.min(), starts.max() + problem.width)
        frame = pd.DataFrame(problem.test.values[rows])
        before = frame.rolling(problem.width, min_periods=2)
        z = (frame - before.mean().shift()).abs() / (before.std().shift() + 1e-8)
        scores[rows] = z.max(axis=1)
    return scores


def isolation_forest(problem: Problem, seed: int) -> np.ndarray:
    """scikit-learn's IsolationForest on flattened windows."""
    from sklearn.ensemble import IsolationForest

    scale = standardise(problem)
    flat = scale(problem.train.gather()).reshape(len(problem.train), -1)
    forest = IsolationForest(random_state=seed, n_jobs=-1).fit(flat)

    def scores(windows: np.ndarray) -> np.ndarray:
        return -forest.score_samples(scale(windows).reshape(len(windows), -1))[:, np.newaxis]

    return per_timestamp(problem.test, scores)


def pca(problem: Problem, seed: int) -> Scored:
    """Squared error of windows projected on the principal components with 95 % of their variance."""
    return _pca(problem, 0.95)


def pca_10(problem: Problem, seed: int) -> Scored:
    """As `pca`, with ten components."""
    return _pca(problem, 10)


def _pca(problem: Problem, n_components: float) -> Scored:
    from sklearn.decomposition import PCA

    scale = standardise(problem)
    normal = scale(problem.train.gather()).reshape(len(problem.train), -1)
    model = PCA(n_components, svd_solver="full").fit(normal)

    def errors(windows: np.ndarray) -> np.ndarray:
        flat = scale(windows).reshape(len(windows), -1)
        residual = flat - model.inverse_transform(model.transform(flat))
        return np.square(residual).reshape(windows.shape)

    by_channel = per_timestamp(problem.test, errors)
    return Scored(by_channel.mean(axis=1), contributions=by_channel)


def nearest_neighbours(problem: Problem, seed: int) -> np.ndarray:
    """Distance of a flattened window to the fifth nearest of at most 4,000 training windows."""
    from sklearn.neighbors import NearestNeighbors

    scale = standardise(problem)
    chosen = np.linspace(0, len(problem.train) - 1, min(N_MEMORY, len(problem.train))).astype(int)
    memory = scale(problem.train[chosen].gather()).reshape(len(chosen), -1)
    index = NearestNeighbors(n_neighbors=min(5, len(memory)), algorithm="brute").fit(memory)

    def distances(windows: np.ndarray) -> np.ndarray:
        return index.kneighbors(scale(windows).reshape(len(windows), -1))[0][:, -1:]

    return per_timestamp(problem.test, distances)


def matrix_profile(problem: Problem, seed: int) -> np.ndarray:
    """Distance of each z-normalised window to the nearest of training, mean over the channels (stumpy)."""
    import stumpy

    width, profile = problem.width, np.zeros(len(problem.test))
    train = problem.train.values
    for channel in range(problem.test.n_channels):
        series = problem.test.values[:, channel].astype(np.float64)
        joined = stumpy.stump(series, width, train[:, channel].astype(np.float64), ignore_trivial=False)
        distance = joined[:, 0].astype(np.float64)
        profile += np.where(np.isfinite(distance), distance, 0)[problem.test.starts]
    total, count = np.zeros(len(problem.test.values)), np.zeros(len(problem.test.values))
    for start, value in zip(problem.test.starts, profile, strict=True):
        total[start : start + width] += value
        count[start : start + width] += 1
    with np.errstate(invalid="ignore"):
        return total / count


def dense_autoencoder(problem: Problem, seed: int) -> np.ndarray:
    """Flattened window -> 256 -> 64 -> 256 -> window, relu; the latent size is that of the LSTM recipe."""
    import keras

    size = problem.width * problem.test.n_channels
    layers = [
        keras.layers.Input((problem.width, problem.test.n_channels)),
        keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(size),
        keras.layers.Reshape((problem.width, problem.test.n_channels)),
    ]
    return _keras_autoencoder(problem, seed, layers, epochs=50)


def plain_keras(problem: Problem, seed: int) -> np.ndarray:
    """The tutorial recipe: LSTM 64, RepeatVector, LSTM 64, a dense output; 20 epochs, batches of 32."""
    import keras

    layers = [
        keras.layers.Input((problem.width, problem.test.n_channels)),
        keras.layers.LSTM(64),
        keras.layers.RepeatVector(problem.width),
        keras.layers.LSTM(64, return_sequences=True),
        keras.layers.TimeDistributed(keras.layers.Dense(problem.test.n_channels)),
    ]
    return _keras_autoencoder(problem, seed, layers, epochs=20)


def _keras_autoencoder(problem: Problem, seed: int, layers: list, epochs: int) -> np.ndarray:
    import keras

    keras.utils.set_random_seed(seed)
    scale = standardise(problem)
    normal = scale(problem.train.gather()).astype(np.float32)
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(normal, normal, epochs=epochs, batch_size=32, verbose=0)

    def errors(windows: np.ndarray) -> np.ndarray:
        scaled = scale(windows).astype(np.float32)
        return np.square(scaled - model.predict(scaled, batch_size=512, verbose=0)).mean(axis=2)

    return per_timestamp(problem.test, errors)


def tsae(problem: Problem, seed: int) -> Scored:
    """AnomalyDetector with its default settings; its scores, the rows of its events, and contributions."""
    from tsae import AnomalyDetector

    detector = AnomalyDetector(random_state=seed).fit(problem.train)
    timeline = detector.score_timeline(problem.test)
    flagged = np.zeros(len(timeline))
    for event in detector.events(timeline).itertuples():
        flagged[(timeline["series"] == event.series) & timeline["time"].between(event.start, event.end)] = 1
    return Scored(timeline["score"].to_numpy(), flagged, timeline.filter(like="contribution_").to_numpy())


# Each returns scores (n_rows,), or more than that.
METHODS: dict[str, Callable[[Problem, int], np.ndarray | Scored]] = {
    "tsae": tsae,
    "plain-keras": plain_keras,
    "pca": pca,
    "pca-10": pca_10,
    "isolation-forest": isolation_forest,
    "knn": nearest_neighbours,
    "matrix-profile": matrix_profile,
    "dense": dense_autoencoder,
    "z-score": moving_z_score,
}
DETERMINISTIC = {"pca", "pca-10", "knn", "matrix-profile", "z-score"}
