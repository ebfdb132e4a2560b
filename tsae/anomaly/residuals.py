"""How far windows lie from what an autoencoder makes of them, and what each channel adds to an anomaly
score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tsae.data.windows import Windows

# Windows go through the autoencoder in chunks of about so many values.
CHUNK_VALUES = 1 << 21

# A channel's error is measured against its own on normal data, but never against less than this share of the
# size of the channel: below it lies rounding.
ROUNDING_SHARE = 1e-6


def chunks(windows: Windows) -> Iterator[np.ndarray]:
    """Positions of windows, a bounded number of values at a time."""
    n_at_once = max(1, CHUNK_VALUES // (windows.width * windows.n_channels))
    for first in range(0, len(windows), n_at_once):
        yield np.arange(first, min(first + n_at_once, len(windows)))


def squared_errors(autoencoder: Any, windows: Windows, decoders: tuple) -> np.ndarray:
    """Squared error of every decoder at every step.

    Parameters
    ----------
    autoencoder : fitted estimator with ``reconstruct(X, decoder)``
    windows : Windows
    decoders : tuple of str or None

    Returns
    -------
    ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels), float64
        NaN where the value is missing or the decoder says nothing.
    """
    values = windows.gather()
    errors = np.empty((*values.shape[:2], len(decoders), values.shape[2]))
    for number, decoder in enumerate(decoders):
        # Hidden steps are hard to guess even on normal data; a faithful copy of a step that is shown is the
        # finer test.
        options = {"shown": True} if decoder == "imputation" else {}
        said = autoencoder.reconstruct(windows, decoder=decoder, **options)
        np.subtract(values, said, out=errors[:, :, number])
    return np.square(errors, out=errors)


def smooth_steps(errors: np.ndarray, n_steps: int) -> np.ndarray:
    """Mean over the ``n_steps`` nearest steps of the same window, (n_windows, n_timesteps, ...); NaN is left
    out.

    A step whose own error is NaN stays so.
    """
    if n_steps <= 1:
        return errors
    width = errors.shape[1]
    known = ~np.isnan(errors)
    steps = np.arange(width)
    begin = np.maximum(steps - n_steps // 2, 0)
    end = np.minimum(steps - n_steps // 2 + n_steps, width)

    def sums(of):
        total = np.zeros((errors.shape[0], width + 1, *errors.shape[2:]))
        np.cumsum(of, axis=1, out=total[:, 1:])
        return total[:, end] - total[:, begin]

    count = sums(known)
    with np.errstate(invalid="ignore"):
        mean = sums(np.where(known, errors, 0.0)) / count
    # A difference of sums may fall below 0 by rounding.
    return np.where(known, np.maximum(mean, 0.0), np.nan)


def mean_steps(errors: np.ndarray) -> np.ndarray:
    """Mean over the steps of each window, (n_windows, n_timesteps, ...) -> (n_windows, ...); NaN where none
    is known."""
    known = ~np.isnan(errors)
    with np.errstate(invalid="ignore"):
        return np.where(known, errors, 0.0).sum(axis=1) / known.sum(axis=1)


def error_scale(errors: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The usual squared error of each decoder and channel on normal data.

    The mean of the lower 99 %: a few normal extremes do not make a channel deaf, and one whose errors are
    almost always tiny is not made frantic by them, as a median would.

    Parameters
    ----------
    errors : ndarray of shape (n, n_decoders, n_channels)
        Mean squared errors; NaN where unknown.
    floor : ndarray of shape (n_channels,)
        Least size of an error of each channel, in its units.

    Returns
    -------
    ndarray of shape (n_decoders, n_channels), positive
        1 where a decoder says nothing of a channel at all.
    """
    size = np.ones(errors.shape[1:])
    for place in np.ndindex(*size.shape):
        known = errors[(slice(None), *place)]
        known = np.sort(known[~np.isnan(known)])
        if known.size:
            size[place] = known[: max(1, int(np.ceil(0.99 * known.size)))].mean()
    return np.maximum(size, np.square(floor))


def rounding_floor(windows: Windows) -> np.ndarray:
    """Least meaningful error of each channel, in its units: `ROUNDING_SHARE` of its largest absolute
    value."""
    largest = np.zeros(windows.n_channels)
    for first in range(0, len(windows.values), CHUNK_VALUES):
        rows = windows.values[first : first + CHUNK_VALUES]
        largest = np.fmax(largest, np.fmax.reduce(np.abs(rows), axis=0, initial=0))
    return ROUNDING_SHARE * np.where(largest > 0, largest, 1.0)


def contributions(errors: np.ndarray, size: np.ndarray) -> np.ndarray:
    """What each channel adds to the score.

    Errors are measured against their usual size, averaged over the decoders that say something (the convex
    combination of Wong et al. 2022, AER, section IV-B, with equal weights), and divided by the number of
    channels that are known, so that the contributions add up to a score that missing channels do not lower.

    Parameters
    ----------
    errors : ndarray of shape (..., n_decoders, n_channels)
    size : ndarray of shape (n_decoders, n_channels)

    Returns
    -------
    ndarray of shape (..., n_channels)
        NaN for channels of which nothing is known.
    """
    relative = errors / size
    known = ~np.isnan(relative)
    with np.errstate(invalid="ignore"):
        of_channel = np.where(known, relative, 0.0).sum(axis=-2) / known.sum(axis=-2)
        return of_channel / known.any(axis=-2).sum(axis=-1, keepdims=True)


def total(contributed: np.ndarray) -> np.ndarray:
    """Sum of the contributions, (..., n_channels) -> (...); NaN where every channel is unknown."""
    score = np.nansum(contributed, axis=-1)
    return np.where(np.isnan(contributed).all(axis=-1), np.nan, score)
