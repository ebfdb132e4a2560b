"""Missing values: what a network reads where a window has NaN.

NaN is the only mask in the package. Steps after the last one with an observed value are padding; a NaN before it is a
gap. A gap is filled by linear interpolation between its neighbours in the same window, so that the result depends
neither on the missing value nor on anything outside the window.
"""

from __future__ import annotations

import tensorflow as tf


def row_lengths(observed):
    """Length of each row up to its last observed step: (batch, n_timesteps, n_channels) bool -> (batch,) int32."""
    seen = tf.reduce_any(observed, axis=-1)
    steps = tf.range(1, tf.shape(seen)[1] + 1)
    return tf.reduce_max(tf.where(seen, steps, 0), axis=1)


def step_mask(lengths, n_timesteps):
    """1.0 inside each row, 0.0 in its padding: (batch, n_timesteps, 1) float32."""
    return tf.sequence_mask(lengths, n_timesteps, dtype=tf.float32)[..., None]


def reverse_rows(x, lengths=None):
    """Reverse each row in time; its padding stays at the end."""
    if lengths is None:
        return tf.reverse(x, axis=[1])
    return tf.reverse_sequence(x, lengths, seq_axis=1, batch_axis=0)


def fill_gaps(x, observed):
    """Fill missing values by linear interpolation between observed neighbours, channel by channel.

    Parameters
    ----------
    x : float tensor of shape (batch, n_timesteps, n_channels)
        Values where `observed` is False are ignored. The number of steps must be static.
    observed : bool tensor of the same shape

    Returns
    -------
    tensor of the same shape
        Before the first and after the last observed value of a channel it is that value; a channel without any is 0,
        its mean if channels are scaled.
    """
    steps = tf.cast(tf.range(x.shape[1]), x.dtype)[None, :, None] + tf.zeros_like(x)
    x = tf.where(observed, x, 0.0)
    before, before_step, has_before = _hold_last(x, steps, observed)
    after, after_step, has_after = (
        tf.reverse(part, axis=[1]) for part in _hold_last(*(tf.reverse(a, axis=[1]) for a in (x, steps, observed)))
    )
    share = (steps - before_step) / tf.maximum(after_step - before_step, 1.0)
    line = before + share * (after - before)
    return tf.where(has_before & has_after, line, tf.where(has_before, before, after))


def _hold_last(x, steps, observed):
    """Carry each channel's last observed value and its step forward, in log2(n_timesteps) shifts."""
    shift = 1
    while shift < x.shape[1]:
        pad = [[0, 0], [shift, 0], [0, 0]]
        x, steps = (tf.where(observed, a, tf.pad(a[:, :-shift], pad)) for a in (x, steps))
        observed = observed | tf.pad(observed[:, :-shift], pad)
        shift *= 2
    return x, steps, observed
