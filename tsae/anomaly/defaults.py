"""The autoencoder of a detector that is given none."""

from __future__ import annotations

import numpy as np

from tsae.estimators.augmentation import Augmentation
from tsae.estimators.autoencoder import LSTMAutoencoder
from tsae.estimators.decoding import DecoderOptions


def default_autoencoder(n_windows: int) -> LSTMAutoencoder:
    """Return an autoencoder chosen for anomaly detection by measurement (see docs/anomalies.md).

    One bidirectional layer that learns to fill in hidden spans. The number of epochs falls with the number of
    windows, so that training takes about 2,500 steps of 64 windows on large sets, and 100 epochs on small ones.

    Parameters
    ----------
    n_windows : int
        Number of windows to train on.

    Returns
    -------
    LSTMAutoencoder
        Not fitted.
    """
    batch_size, n_steps = 64, 2500
    epochs = int(np.clip(np.ceil(n_steps * batch_size / n_windows), 5, 100))
    return LSTMAutoencoder(
        units=64,
        decoder="imputation",
        bidirectional=True,
        scale="both",
        differences=False,
        decoder_options=DecoderOptions(target_offsets=()),
        augmentation=Augmentation(mask_rate=0.3, mask_span=10),
        batch_size=batch_size,
        learning_rate=2e-3,
        epochs=epochs,
    )
