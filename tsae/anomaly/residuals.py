"""Reconstruction errors of windows, and what each channel contributes to an anomaly score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tsae.data.windows import Windows
from tsae.networks.objectives import OBJECTIVES

# Windows go through the autoencoder in chunks of about so many values.
CHUNK_VALUES = 1 << 21

# A channel's error is divided by its error on normal data, but never by less than this share of the size of the
# channel: errors below it are rounding.
ROUNDING_SHARE = 1e-6


def error_chunks(
    autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions of windows and their `squared_errors`, a bounded number of values at a time."""
    n_at_once = max(1, CHUNK_VALUES // (windows.width * windows.n_channels))
    for first in range(0, len(windows), n_at_once):
        positions = np.arange(first, min(first + n_at_once, len(windows)))
        yield positions, squared_errors(autoencoder, windows[positions], decoders)


def squared_errors(autoencoder: Any, windows: Windows, decoders: tuple[str | None, ...]) -> np.ndarray:
    """Return the squared error of every decoder at every step.

    Parameters
    ----------
    autoencoder : fitted estimator with ``reconstruct(X, decoder)``
    windows : Windows
    decoders : tuple of str or None

    Returns
    -------
    ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels), float64
        NaN where the value is missing or the decoder has no output.
    """
    values = windows.gather()
    errors = np.empty((*values.shape[:2], len(decoders), values.shape[2]))
    for number, decoder in enumerate(decoders):
        np.subtract(values, decoder_output(autoencoder, windows, decoder), out=errors[:, :, number])
    return np.square(errors, out=errors)


def decoder_output(autoencoder: Any, windows: Windows, decoder: str | None) -> np.ndarray:
    """Return the reconstruction or prediction that errors are computed from, (n_windows, n_timesteps, n_channels).

    Hidden steps are hard to predict even on normal data; how well a visible step is copied is the better test.
    """
    hides = decoder in OBJECTIVES and OBJECTIVES[decoder].needs_mask
    options = {"masked": False} if hides else {}
    return np.asarray(autoencoder.reconstruct(windows, decoder=decoder, **options))


def smooth_steps(errors: np.ndarray, n_steps: int | None) -> np.ndarray:
    """Average errors over the nearest steps of the same window.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, n_timesteps, ...)
    n_steps : int or None
        Number of steps. None: a quarter of the window.

    Returns
    -------
    ndarray of the same shape
        NaN where the step's own error is NaN; other NaN are left out.
    """
    n_steps = n_steps or max(1, errors.shape[1] // 4)
    if n_steps == 1:
        return errors
    width = errors.shape[1]
    known = ~np.isnan(errors)
    steps = np.arange(width)
    begin = np.maximum(steps - n_steps // 2, 0)
    end = np.minimum(steps - n_steps // 2 + n_steps, width)

    def sums(of: np.ndarray) -> np.ndarray:
        total = np.zeros((errors.shape[0], width + 1, *errors.shape[2:]))
        np.cumsum(of, axis=1, out=total[:, 1:])
        return total[:, end] - total[:, begin]

    count = sums(known)
    with np.errstate(invalid="ignore"):
        mean = sums(np.where(known, errors, 0.0)) / count
    # A difference of sums may fall below 0 by rounding.
    return np.where(known, np.maximum(mean, 0.0), np.nan)


def mean_steps(errors: np.ndarray) -> np.ndarray:
    """Average errors over the steps of each window.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, n_timesteps, ...)

    Returns
    -------
    ndarray of shape (n_windows, ...)
        NaN is left out; NaN where no step is known.
    """
    known = ~np.isnan(errors)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, errors, 0.0).sum(axis=1) / known.sum(axis=1))


def error_scale(errors: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the typical squared error of each decoder and channel on normal data.

    The mean of the lower 99 %: a few normal extremes do not make a channel insensitive, and a channel whose errors
    are almost always tiny does not become too sensitive, as it would with a median.

    Parameters
    ----------
    errors : ndarray of shape (n, n_decoders, n_channels)
        Mean squared errors; NaN where unknown.
    floor : ndarray of shape (n_channels,)
        Smallest error that matters in each channel, in its units.

    Returns
    -------
    ndarray of shape (n_decoders, n_channels)
        Positive; 1 where a decoder has no output for a channel.
    """
    scale = np.ones(errors.shape[1:])
    for index in np.ndindex(*scale.shape):
        known = errors[(slice(None), *index)]
        known = np.sort(known[~np.isnan(known)])
        if known.size:
            scale[index] = known[: max(1, int(np.ceil(0.99 * known.size)))].mean()
    return np.asarray(np.maximum(scale, np.square(floor)))


def rounding_floor(windows: Windows) -> np.ndarray:
    """Return the smallest error that matters in each channel: `ROUNDING_SHARE` of its largest absolute value.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    ndarray of shape (n_channels,)
        In the units of the channels.
    """
    largest = np.zeros(windows.n_channels)
    for first in range(0, len(windows.values), CHUNK_VALUES):
        rows = windows.values[first : first + CHUNK_VALUES]
        largest = np.fmax(largest, np.fmax.reduce(np.abs(rows), axis=0, initial=0))
    return ROUNDING_SHARE * np.where(largest > 0, largest, 1.0)


def contributions(errors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return what each channel adds to the score.

    Errors are divided by their typical size, averaged over the decoders with an output (the convex combination
    of Wong et al. 2022, AER, section IV-B, with equal weights), and divided by the number of channels that are
    known, so that the contributions add up to a score that missing channels do not lower.

    Parameters
    ----------
    errors : ndarray of shape (..., n_decoders, n_channels)
    scale : ndarray of shape (n_decoders, n_channels)
        As from `error_scale`.

    Returns
    -------
    ndarray of shape (..., n_channels)
        NaN for unknown channels.
    """
    relative = errors / scale
    known = ~np.isnan(relative)
    with np.errstate(invalid="ignore"):
        of_channel = np.where(known, relative, 0.0).sum(axis=-2) / known.sum(axis=-2)
        return np.asarray(of_channel / known.any(axis=-2).sum(axis=-1, keepdims=True))


def total(contributed: np.ndarray) -> np.ndarray:
    """Sum the contributions (..., n_channels) of each score; NaN where every channel is unknown."""
    score = np.nansum(contributed, axis=-1)
    return np.where(np.isnan(contributed).all(axis=-1), np.nan, score)
