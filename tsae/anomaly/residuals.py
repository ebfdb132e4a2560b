"""Reconstruction errors of windows, and what each channel contributes to an anomaly score."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from tsae.data.layout import covered_rows
from tsae.data.scaling import ChannelScaler
from tsae.data.windows import Windows
from tsae.networks.objectives import OBJECTIVES

# Windows go through the autoencoder in chunks of about so many values.
CHUNK_VALUES = 1 << 21

# A channel's error is divided by its error on normal data, but never by less than this share of the size of the
# channel: errors below it are rounding.
ROUNDING_SHARE = 1e-6

# Finite values may be of any size when they are scored: an error counts at most so much, which leaves room to square it
# and to add up. An autoencoder is shown smaller values, so that what it makes of them stays below that; a network,
# which computes in float32, up to so many standard deviations. Fitting on values above the last limit is refused.
LARGEST_ERROR = 1e100
LARGEST_SHOWN = 1e50
LARGEST_SCALED = 1e15
LARGEST_FITTED = 1e30


def chunk_size(windows: Windows) -> int:
    """Return how many windows go through the autoencoder at once."""
    return max(1, CHUNK_VALUES // (windows.width * windows.n_channels))


def position_chunks(windows: Windows) -> Iterator[np.ndarray]:
    """Yield the positions of all windows, as many as go through the autoencoder at once."""
    n_at_once = chunk_size(windows)
    for first in range(0, len(windows), n_at_once):
        yield np.arange(first, min(first + n_at_once, len(windows)))


def squared_errors(autoencoder: Any, windows: Windows, shown: Windows, decoders: tuple[str | None, ...]) -> np.ndarray:
    """Return the squared error of every decoder at every step.

    Parameters
    ----------
    autoencoder : fitted estimator with ``reconstruct(X, decoder)``
    windows : Windows
    shown : Windows
        The same, as `clipped` for the autoencoder.
    decoders : tuple of str or None

    Returns
    -------
    ndarray of shape (n_windows, n_timesteps, n_decoders, n_channels), float64
        At most the square of `LARGEST_ERROR`; NaN where the value is missing or the decoder has no output.
    """
    values = windows.gather()
    errors = np.empty((*values.shape[:2], len(decoders), values.shape[2]))
    with np.errstate(over="ignore"):
        for number, decoder in enumerate(decoders):
            np.subtract(values, decoder_output(autoencoder, shown, decoder), out=errors[:, :, number])
    np.clip(errors, -LARGEST_ERROR, LARGEST_ERROR, out=errors)
    return np.square(errors, out=errors)


def clipped(autoencoder: Any, windows: Windows) -> Windows:
    """Return windows without values so far out that the autoencoder could not compute with them.

    Parameters
    ----------
    autoencoder : fitted estimator
        Its `scaler_`, if it has one, tells how it reads values.
    windows : Windows

    Returns
    -------
    Windows
        The same ones, where there is no such value. Errors are computed from the true values.
    """
    scaler = getattr(getattr(autoencoder, "estimator", autoencoder), "scaler_", None)
    low, high = np.full(windows.n_channels, -LARGEST_SHOWN), np.full(windows.n_channels, LARGEST_SHOWN)
    if isinstance(scaler, ChannelScaler):
        low = np.maximum(low, scaler.mean_ - LARGEST_SCALED * scaler.scale_)
        high = np.minimum(high, scaler.mean_ + LARGEST_SCALED * scaler.scale_)
    if not any(((rows < low) | (rows > high)).any() for rows in _row_chunks(windows)):
        return windows
    inside = copy(windows)
    inside.grouped = replace(windows.grouped, values=np.clip(windows.values.astype(np.float64), low, high))
    return inside


def _row_chunks(windows: Windows) -> Iterator[np.ndarray]:
    n_at_once = max(1, CHUNK_VALUES // windows.n_channels)
    for first in range(0, len(windows.values), n_at_once):
        yield windows.values[first : first + n_at_once]


def check_magnitude(windows: Windows) -> None:
    """Refuse to fit on numbers so large that they stand for a missing value.

    Parameters
    ----------
    windows : Windows

    Raises
    ------
    ValueError
        Names the series, time and channel of the first.
    """
    covered = covered_rows(windows.starts, windows.lengths, len(windows.values))
    n_before = 0
    for rows in _row_chunks(windows):
        huge = np.abs(rows) > LARGEST_FITTED
        if covered is not None:
            huge &= covered[n_before : n_before + len(rows), np.newaxis]
        if huge.any():
            row, channel = np.argwhere(huge)[0]
            raise ValueError(
                f"X holds {rows[row, channel]:.9g} in {windows.grouped.describe(n_before + int(row))}, channel "
                f"{windows.channel_names[channel]!r}, which is too large to fit on (above {LARGEST_FITTED:g}); mark "
                "missing values with NaN"
            )
        n_before += len(rows)


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
    known = ~np.isnan(errors)
    sums = _moving_sums(np.where(known, errors, 0.0), n_steps)
    with np.errstate(invalid="ignore"):
        return np.where(known, sums / _moving_sums(known, n_steps), np.nan)


def _moving_sums(values: np.ndarray, n_steps: int) -> np.ndarray:
    """Sums over the n_steps nearest steps (axis 1), zeros beyond the ends.

    Sums over 1, 2, 4, ... steps are added, rather than differences of running sums: those would lose the errors that
    come after a huge one.
    """
    width = values.shape[1]
    n_steps = min(n_steps, 2 * width)  # more reach beyond both ends
    before = n_steps // 2
    part = np.zeros((values.shape[0], width + n_steps, *values.shape[2:]))
    part[:, before : before + width] = values
    sums, offset, length = np.zeros(values.shape), 0, 1
    while length <= n_steps:
        if n_steps & length:
            sums += part[:, offset : offset + width]
            offset += length
        if 2 * length <= n_steps:
            part = part[:, :-length] + part[:, length:]
        length *= 2
    return sums


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
    """Return the smallest error that matters in each channel: `ROUNDING_SHARE` of the size of its values.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    ndarray of shape (n_channels,)
        In the units of the channels. The size is the largest of the lower 99 % of the absolute values: a single huge
        one does not hide the others.
    """
    size = np.ones(windows.n_channels)
    for channel in range(windows.n_channels):
        values = np.abs(windows.values[:, channel], dtype=np.float64)
        values = values[~np.isnan(values)]
        if values.size:
            last = int(np.ceil(0.99 * values.size)) - 1
            size[channel] = np.partition(values, last)[last] or 1.0
    return ROUNDING_SHARE * size


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
        At most the square of `LARGEST_ERROR`; NaN for unknown channels.
    """
    with np.errstate(over="ignore"):
        relative = np.minimum(errors / scale, LARGEST_ERROR**2)
    known = ~np.isnan(relative)
    with np.errstate(invalid="ignore"):
        of_channel = np.where(known, relative, 0.0).sum(axis=-2) / known.sum(axis=-2)
        return np.asarray(of_channel / known.any(axis=-2).sum(axis=-1, keepdims=True))


def total(contributed: np.ndarray) -> np.ndarray:
    """Sum the contributions (..., n_channels) of each score; NaN where every channel is unknown."""
    score = np.nansum(contributed, axis=-1)
    return np.where(np.isnan(contributed).all(axis=-1), np.nan, score)
