"""From windows with missing values to what the recurrent layers read: gap filling, window scaling, differences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tsae.networks.config import CONSTANT_VARIANCE, LEAST_VARIANCE, ROUNDING_VARIANCE, EncoderConfig
from tsae.networks.masking import fill_gaps, row_lengths, step_mask


class EncoderInputs(NamedTuple):
    """A batch as the recurrent layers read it."""

    values: tf.Tensor  # (batch, n_timesteps, n_inputs), nothing missing
    observed: Any = None  # bool, same shape; None: all of them
    lengths: Any = None  # (batch,) steps before the padding; None: all of them
    center: Any = None  # (batch, 1, n_channels): mean and scale of each window, where it is read in their units alone
    spread: Any = None


def read_inputs(config: EncoderConfig, x, masked: bool = True, ahead: int = 0) -> EncoderInputs:
    """Turn windows with NaN into inputs of the recurrent layers.

    Parameters
    ----------
    config : EncoderConfig
    x : tensor of shape (batch, n_timesteps, n_channels)
    masked : bool
        False promises that nothing is missing, which is cheaper.
    ahead : int
        Steps at the end of each window that the encoder is not given; the window's scale ignores them.
    """
    if not masked:
        return _scale(config, x, None, None, ahead)
    observed = tf.math.is_finite(x)
    # A row without any value counts as one step, so that it cannot break the others of its batch.
    lengths = tf.maximum(row_lengths(observed), 1)
    return _scale(config, fill_gaps(x, observed), observed, lengths, ahead)


def hide_steps(config: EncoderConfig, values, hidden):
    """Set the inputs of hidden steps, (batch or 1, n_timesteps, 1) bool, to 0.

    A difference is hidden with either of its two steps: it would give one away by the other.
    """
    if not config.differences:
        return tf.where(hidden, 0.0, values)
    levels, changes = values[..., : -config.n_channels], values[..., -config.n_channels :]
    changes = tf.where(hidden | _step_before(hidden), 0.0, changes)
    return tf.concat([tf.where(hidden, 0.0, levels), changes], axis=-1)


def _scale(config, values, observed, lengths, ahead) -> EncoderInputs:
    if config.window_scale == "none" and not config.differences:
        return EncoderInputs(values, observed, lengths)
    seen = _seen(values, observed, lengths, ahead)
    count = tf.maximum(tf.reduce_sum(seen, axis=1, keepdims=True), 1.0)
    center = tf.reduce_sum(seen * values, axis=1, keepdims=True) / count
    variance = tf.reduce_sum(seen * tf.square(values - center), axis=1, keepdims=True) / count
    # A channel that is constant in a window (up to rounding) has no scale of its own.
    constant = variance <= CONSTANT_VARIANCE * tf.square(center) + LEAST_VARIANCE
    spread = tf.sqrt(tf.where(constant, tf.ones_like(variance), variance))
    scaled = (values - center) / spread
    if observed is not None:  # a channel without any value is 0, as its mean is
        scaled = tf.where(tf.reduce_any(observed, axis=1, keepdims=True), scaled, 0.0)
    parts = {"none": [values], "only": [scaled], "concat": [values, scaled]}[config.window_scale]
    known = [observed] * len(parts)
    if config.differences:
        rounding = tf.where(constant, np.inf, ROUNDING_VARIANCE * (1.0 + tf.square(center / spread)))
        parts = [*parts, _differences(scaled, seen * _step_before(seen), rounding)]
        known = [*known, None if observed is None else observed & _step_before(observed)]
    joined = None if observed is None else tf.concat(known, axis=-1)
    center, spread = (center, spread) if config.window_scale == "only" else (None, None)
    return EncoderInputs(tf.concat(parts, axis=-1), joined, lengths, center, spread)


def _seen(values, observed, lengths, ahead):
    """1.0 for the values that the scale of a window is computed from, 0.0 for others."""
    if lengths is not None:
        return tf.cast(observed, values.dtype) * step_mask(lengths - ahead, tf.shape(values)[1])
    if not ahead:
        return tf.ones_like(values)
    return tf.pad(tf.ones_like(values[:, ahead:]), [[0, 0], [0, ahead], [0, 0]])


def _step_before(x):
    """At each step the value of x at the step before; at the first 0 or False."""
    return tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0]])


def _differences(scaled, seen, rounding):
    """Changes from the step before, at root mean square 1 over those seen; 0 at the first step.

    They stay as they are where their mean square is at most `rounding`.
    """
    changes = tf.pad(scaled[:, 1:] - scaled[:, :-1], [[0, 0], [1, 0], [0, 0]])
    count = tf.maximum(tf.reduce_sum(seen, axis=1, keepdims=True), 1.0)
    square = tf.reduce_sum(seen * tf.square(changes), axis=1, keepdims=True) / count
    return changes / tf.sqrt(tf.where(square <= rounding, tf.ones_like(square), square))
