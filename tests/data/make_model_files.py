"""Writes the stored model files of one format version, and their models' results for fixed windows.

    python -m tests.data.make_model_files

Run once a format version, by the tsae that introduces it; never again, since the point is that later versions of tsae
still read what this one wrote.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tsae import AnomalyDetector, DecoderOptions, LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq
from tsae.io.archive import FORMAT_VERSION

FOLDERS = {version: Path(__file__).parent / f"model_files_{version}" for version in range(1, FORMAT_VERSION + 1)}
FOLDER = FOLDERS[FORMAT_VERSION]


def main() -> None:
    FOLDER.mkdir()
    X = windows()
    y = np.array(["down", "up"] * 10)
    models = {
        "autoencoder": LSTMAutoencoder(units=(3, 2), dilations=(1, 2), epochs=2, random_state=0).fit(X),
        "gru": LSTMAutoencoder(
            units=(3,), cell="gru", bidirectional=False, decoder="composite", scale="window", horizon=3, epochs=1,
            decoder_options=DecoderOptions(feedback="teacher_forcing", attention="general"),
            random_state=np.random.default_rng(0),
        ).fit(X),
        "detector": AnomalyDetector(
            LSTMAutoencoder(units=2, decoder="reconstruction", epochs=1, random_state=0), alpha=0.3, random_state=0
        ).fit(X),
        "classifier": LSTMClassifier(LSTMAutoencoder(units=2, epochs=1, random_state=0), epochs=1, random_state=0).fit(
            X, y
        ),
        "seq2seq": LSTMSeq2Seq(units=3, epochs=1, embedding=2, random_state=0).fit(["abc", "ba"] * 4, ["xyz", "x"] * 4),
    }  # fmt: skip
    results = {}
    for name, model in models.items():
        model.save(FOLDER / f"{name}.tsae")
        results.update({f"{name}.{what}": value for what, value in answers(model, X).items()})
    np.savez(FOLDER / "answers.npz", **results)


def windows() -> np.ndarray:
    """Windows of two channels, of which some values are missing: (20, 12, 2)."""
    steps = np.arange(240.0)
    X = np.stack([np.sin(steps / 3), 100 + 5 * np.cos(steps / 7)], axis=1).reshape(20, 12, 2)
    X[4, 3:6, 1] = np.nan
    X[9, 8:] = np.nan
    return X


def answers(model, X: np.ndarray) -> dict[str, np.ndarray]:
    """Results of a model, as arrays."""
    if isinstance(model, LSTMSeq2Seq):
        return {"predict": np.array(model.predict(["ab", "cab", "a"]))}
    if isinstance(model, LSTMClassifier):
        return {"predict_proba": model.predict_proba(X)}
    if isinstance(model, AnomalyDetector):
        timeline: pd.DataFrame = model.score_timeline(X)
        return {"score_samples": model.score_samples(X), "timeline": timeline[["score", "p_value"]].to_numpy()}
    results = {"transform": model.transform(X), "score_samples": model.score_samples(X)}
    return {**results, "forecast": model.forecast(X)} if model.horizon else results


if __name__ == "__main__":
    main()
