"""Series to try detectors on."""

from __future__ import annotations

import numpy as np


def autoregression(rng, n, coefficient=0.9):
    """A stationary path x[i] = coefficient * x[i - 1] + noise, of shape (n,)."""
    path = rng.normal(size=n)
    path[0] /= np.sqrt(1 - coefficient**2)
    for i in range(1, n):
        path[i] += coefficient * path[i - 1]
    return path


def waves(rng, n, n_channels=3, noise=0.1):
    """Channels of different units, each a wave with noise."""
    steps = np.arange(n)[:, np.newaxis]
    periods, units = 9 + 4 * np.arange(n_channels), 10.0 ** np.arange(n_channels)
    return units * (np.sin(2 * np.pi * steps / periods) + noise * rng.normal(size=(n, n_channels)))
