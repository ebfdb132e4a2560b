"""What a detector uses where nothing is given, chosen by measurement (docs/anomaly-quality.md)."""

from __future__ import annotations

from typing import Any

import numpy as np

import tsae.anomaly.linear  # noqa: F401, registers its score
from tsae.anomaly.neighbors import NeighborErrors
from tsae.anomaly.rebuilding import RebuildingErrors
from tsae.anomaly.scores import SCORES, LogErrors, RelativeErrors
from tsae.anomaly.subspace import SubspaceResidual
from tsae.data.windows import Windows
from tsae.estimators.augmentation import Augmentation
from tsae.estimators.autoencoder import LSTMAutoencoder
from tsae.estimators.decoding import DecoderOptions
from tsae.estimators.validation import draw_seed

AUTO = "auto"


def default_autoencoder(n_windows: int, verbose: int = 0) -> LSTMAutoencoder:
    """Return the autoencoder of a detector that is given none.

    One bidirectional layer that learns to fill in hidden spans. The number of epochs falls with the number of
    windows, so that training takes about 500 steps of 64 windows, and at most 40 epochs on small sets.

    Parameters
    ----------
    n_windows : int
        Number of windows to train on.
    verbose : int, default=0
        As of `LSTMAutoencoder`.

    Returns
    -------
    LSTMAutoencoder
        Not fitted.
    """
    batch_size, n_steps = 64, 500
    epochs = int(np.clip(np.ceil(n_steps * batch_size / n_windows), 2, 40))
    return LSTMAutoencoder(
        units=64,
        decoder="imputation",
        bidirectional=True,
        scale="both",
        differences=False,
        decoder_options=DecoderOptions(target_offsets=()),
        augmentation=Augmentation(mask_rate=0.3, mask_span=10, crop=256),
        batch_size=batch_size,
        learning_rate=5e-3,
        epochs=epochs,
        verbose=verbose,
    )


def default_encoder(windows: Windows, random_state: Any) -> LSTMAutoencoder:
    """Return the encoder of "subspace" for a detector that is given no autoencoder: an untrained one.

    Random recurrent weights already separate shapes, and training, which makes features insensitive to what is rare
    in the training data, did not help. Its windows are read beside their own scale and their differences.

    Parameters
    ----------
    windows : Windows
        Training windows, for the scale of the channels.
    random_state : int, RandomState, Generator or None

    Returns
    -------
    LSTMAutoencoder
        With the weights as they were drawn.
    """
    encoder = LSTMAutoencoder(
        units=64,
        decoder="imputation",
        bidirectional=True,
        scale="both",
        differences=True,
        pooling=("mean", "max", "min", "std", "change"),
        epochs=0,
        random_state=draw_seed(random_state),
    )
    return encoder.fit(windows)


def choose_scores(
    scores: str | tuple[str, ...], autoencoder: Any, calibration_fraction: float, is_ragged: bool
) -> tuple[str, ...]:
    """Return the names of the scores that "auto" means for an autoencoder, or those that are given.

    Parameters
    ----------
    scores : "auto" or tuple of str
    autoencoder : estimator
    calibration_fraction : float
    is_ragged : bool
        Whether windows have different lengths.

    Returns
    -------
    tuple of str
    """
    if not isinstance(scores, str):
        return tuple(scores)
    if scores != AUTO:
        return (scores,)
    if not _can_encode(autoencoder, calibration_fraction):
        return (RelativeErrors.name,)
    names = (LogErrors.name, NeighborErrors.name, SubspaceResidual.name)
    return tuple(name for name in names if not (is_ragged and issubclass(SCORES[name], RebuildingErrors)))


def check_scores(scores: Any, autoencoder: Any, calibration_fraction: float) -> None:
    """Refuse scores that are not known, or that the autoencoder cannot give.

    Parameters
    ----------
    scores : object
        The argument of `AnomalyDetector`.
    autoencoder : estimator or None
    calibration_fraction : float

    Raises
    ------
    ValueError
    """
    names = [scores] if isinstance(scores, str) else scores
    known = isinstance(names, (tuple, list)) and len(names) and all(isinstance(name, str) for name in names)
    if (
        not known
        or len(set(names)) < len(names)
        or not set(names) <= {AUTO, *SCORES}
        or (AUTO in names and names is scores)
    ):
        raise ValueError(
            f"scores={scores!r} is not allowed; it must be 'auto', or one or several different names of "
            f"{', '.join(map(repr, SCORES))}"
        )
    if (
        SubspaceResidual.name in names
        and autoencoder is not None
        and not _can_encode(autoencoder, calibration_fraction)
    ):
        raise ValueError(
            f"scores={scores!r}: 'subspace' needs an autoencoder with transform(X), and held-out windows "
            f"(calibration_fraction below 1); got {autoencoder!r} and calibration_fraction={calibration_fraction}"
        )


def _can_encode(autoencoder: Any, calibration_fraction: float) -> bool:
    """Whether there are features, and windows to learn from that are not those of the calibration."""
    return calibration_fraction < 1 and hasattr(getattr(autoencoder, "estimator", autoencoder), "transform")
