"""The encoder: windows in, one fixed-length vector a window out."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tsae.networks.layout import LEAST_VARIANCE, ROUNDING_VARIANCE, STILL_VARIANCE, feature_names, n_inputs
from tsae.networks.masking import fill_gaps, reverse_rows, row_lengths, step_mask
from tsae.networks.recurrent import CELLS, run_dilated


class LayerStates(NamedTuple):
    """What one (bidirectional) recurrent layer says of a batch."""

    sequence: tf.Tensor  # (batch, n_timesteps, width): the hidden state of each step
    last: tf.Tensor  # (batch, width): the hidden state after the last step of each direction
    cell: tf.Tensor | None  # (batch, width): the cell state there; None for a GRU


class EncoderInputs(NamedTuple):
    """A batch as the recurrent layers read it."""

    values: tf.Tensor  # (batch, n_timesteps, n_inputs), nothing missing
    observed: Any  # bool, same shape; None: all of them
    lengths: Any  # (batch,) steps before the padding; None: all of them
    center: Any  # (batch, 1, n_channels): window scaling, None without
    spread: Any


def _step_before(x):
    """At each step what x is at the step before; at the first 0 or False."""
    return tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0]])


def _differences(scaled, seen, rounding):
    """Changes from the step before, at root mean square 1 over those seen; left as small as they are where their mean
    square is at most `rounding`. 0 at the first step."""
    changes = tf.pad(scaled[:, 1:] - scaled[:, :-1], [[0, 0], [1, 0], [0, 0]])
    count = tf.maximum(tf.reduce_sum(seen, axis=1, keepdims=True), 1.0)
    square = tf.reduce_sum(seen * tf.square(changes), axis=1, keepdims=True) / count
    return changes / tf.sqrt(tf.where(square <= rounding, tf.ones_like(square), square))


def recurrent_layer(cell: str, units: int, name: str, seeds, unroll=False, **l1_l2):
    """An LSTM or GRU layer that returns its sequence and state, with its weights drawn from `seeds`."""
    return CELLS[cell](
        units,
        return_sequences=True,
        return_state=True,
        unroll=unroll,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        kernel_regularizer=_l1_l2(l1_l2["kernel_l1"], l1_l2["kernel_l2"]),
        recurrent_regularizer=_l1_l2(l1_l2["recurrent_l1"], l1_l2["recurrent_l2"]),
        seed=next(seeds),  # unused, but without one Keras would draw it from Python's global generator
        name=name,
    )


def _l1_l2(l1: float, l2: float):
    return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None


def weight_seeds(seed: int):
    """An endless stream of seeds for weight initialisers."""
    draw = np.random.default_rng(seed)
    while True:
        yield int(draw.integers(2**31))


@keras.saving.register_keras_serializable(package="tsae")
class Encoder(keras.Model):
    """Stacked recurrent layers whose states are pooled over time into one vector a window.

    Parameters
    ----------
    n_channels : int
    units : list of int
        Units of each layer, bottom first.
    cell : "lstm" or "gru"
    bidirectional : bool
        Each layer reads the window in both directions; their states are concatenated.
    dilations : list of int
        Of each layer: its state skips back so many steps.
    pooling : list of str
        "last", "cell", "mean", "max", "min", "std", "change"
    pooled_layers : "all" or "last"
    window_scale : "none", "only" or "concat"
        Bring each window to mean 0 and standard deviation 1, channel by channel, before it is read: in place of
        the values as they come, or as further channels beside them.
    differences : bool
        As further channels, read the change of each from the step before, at root mean square 1 in the window.
    dropout : float
        Between layers, in training.
    unroll : bool
    kernel_l1, kernel_l2, recurrent_l1, recurrent_l2 : float
        Penalties on the weights.
    seed : int
        Of the initial weights.

    Notes
    -----
    Called on a tensor of shape (batch, n_timesteps, n_channels) with NaN where a value is missing, it returns
    (batch, n_features). NaN after the last observed step is padding and changes nothing.
    """

    def __init__(
        self, n_channels, units, dilations=None, cell="lstm", bidirectional=False, pooling=("last",),
        pooled_layers="last", window_scale="none", differences=False, dropout=0.0, unroll=False, kernel_l1=0.0,
        kernel_l2=0.0, recurrent_l1=0.0, recurrent_l2=0.0, seed=0, name="encoder", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        settings = {
            "n_channels": n_channels, "units": list(units), "dilations": dilations, "cell": cell,
            "bidirectional": bidirectional, "pooling": list(pooling), "pooled_layers": pooled_layers,
            "window_scale": window_scale, "differences": differences, "dropout": dropout, "unroll": unroll,
            "kernel_l1": kernel_l1, "kernel_l2": kernel_l2, "recurrent_l1": recurrent_l1,
            "recurrent_l2": recurrent_l2, "seed": seed,
        }  # fmt: skip
        self._settings = json.dumps(settings)  # as text, since Keras would wrap lists and dicts
        self.n_channels = n_channels
        self.n_inputs = n_inputs(settings)
        self.dilations = list(dilations or [1] * len(units))
        self.pooling = list(pooling)
        self.pooled_layers = pooled_layers
        self.window_scale = window_scale
        self.differences = differences
        self.dropout = dropout
        self.widths = [n * (2 if bidirectional else 1) for n in units]
        seeds = weight_seeds(seed)
        l1_l2 = {
            "kernel_l1": kernel_l1, "kernel_l2": kernel_l2,
            "recurrent_l1": recurrent_l1, "recurrent_l2": recurrent_l2,
        }  # fmt: skip

        def layer(n_units, width, label):
            made = recurrent_layer(cell, n_units, label, seeds, unroll, **l1_l2)
            made.build((None, None, width))
            return made

        read = [self.n_inputs, *self.widths[:-1]]
        self.forward_layers = [layer(u, n, f"{cell}_{i}") for i, (u, n) in enumerate(zip(units, read, strict=True))]
        self.backward_layers = [
            layer(u, n, f"{cell}_{i}_backward") for i, (u, n) in enumerate(zip(units, read, strict=True))
        ] if bidirectional else []  # fmt: skip
        self.built = True

    def get_config(self):
        return {**json.loads(self._settings), "name": self.name}

    def call(self, x):
        inputs = self.read(x)
        return self.pool(self.run(inputs), inputs.lengths)

    def read(self, x, masked: bool = True, ahead: int = 0) -> EncoderInputs:
        """Turn windows with NaN into what the layers read.

        Parameters
        ----------
        x : tensor of shape (batch, n_timesteps, n_channels)
        masked : bool
            False promises that nothing is missing, which is cheaper.
        ahead : int
            Steps at the end of each window that are not for the encoder; the window's scale ignores them.
        """
        if not masked:
            return self._scale(x, None, None, ahead)
        observed = tf.math.is_finite(x)
        # A row without any value counts as one step, so that it cannot break the others of its batch.
        lengths = tf.maximum(row_lengths(observed), 1)
        return self._scale(fill_gaps(x, observed), observed, lengths, ahead)

    def _scale(self, values, observed, lengths, ahead) -> EncoderInputs:
        if self.window_scale == "none" and not self.differences:
            return EncoderInputs(values, observed, lengths, None, None)
        if lengths is None:
            seen = (
                tf.ones_like(values)
                if not ahead
                else tf.pad(tf.ones_like(values[:, ahead:]), [[0, 0], [0, ahead], [0, 0]])
            )
        else:
            seen = tf.cast(observed, values.dtype) * step_mask(lengths - ahead, tf.shape(values)[1])
        count = tf.maximum(tf.reduce_sum(seen, axis=1, keepdims=True), 1.0)
        center = tf.reduce_sum(seen * values, axis=1, keepdims=True) / count
        variance = tf.reduce_sum(seen * tf.square(values - center), axis=1, keepdims=True) / count
        # A channel that stands still in a window (up to rounding) has no scale of its own.
        still = variance <= STILL_VARIANCE * tf.square(center) + LEAST_VARIANCE
        spread = tf.sqrt(tf.where(still, tf.ones_like(variance), variance))
        scaled = (values - center) / spread
        if observed is not None:  # a channel without any value is 0, as its mean is
            scaled = tf.where(tf.reduce_any(observed, axis=1, keepdims=True), scaled, 0.0)
        read = {"none": [values], "only": [scaled], "concat": [values, scaled]}[self.window_scale]
        known = [observed] * len(read)
        if self.differences:
            rounding = tf.where(still, np.inf, ROUNDING_VARIANCE * (1.0 + tf.square(center / spread)))
            read = [*read, _differences(scaled, seen * _step_before(seen), rounding)]
            known = [*known, None if observed is None else observed & _step_before(observed)]
        joined = None if observed is None else tf.concat(known, axis=-1)
        center, spread = (center, spread) if self.window_scale == "only" else (None, None)
        return EncoderInputs(tf.concat(read, axis=-1), joined, lengths, center, spread)

    def hide(self, values, hidden):
        """Put 0 for the steps that are hidden, (batch or 1, n_timesteps, 1) bool, of what a inputs holds.

        A difference is hidden with either of its two steps: it would give one away by the other.
        """
        if not self.differences:
            return tf.where(hidden, 0.0, values)
        shown, changes = values[..., : -self.n_channels], values[..., -self.n_channels :]
        changes = tf.where(hidden | _step_before(hidden), 0.0, changes)
        return tf.concat([tf.where(hidden, 0.0, shown), changes], axis=-1)

    def run(self, inputs: EncoderInputs, rng=None, initial_state=None) -> list[LayerStates]:
        """Run all layers.

        Parameters
        ----------
        rng : StepRandomState, optional
            Turns dropout on.
        initial_state : list of list of tensors, optional
            [h, c] or [h] of each layer, with which a series goes on; one direction and no dilation only.
        """
        states = []
        x, lengths = inputs.values, inputs.lengths
        for depth, (forward, dilation) in enumerate(zip(self.forward_layers, self.dilations, strict=True)):
            if depth and rng is not None and self.dropout:
                x = rng.dropout(x, self.dropout)
            if initial_state is None:
                sequence, state = run_dilated(forward, x, lengths, dilation)
            else:
                sequence, state = forward.run(x, lengths, initial_state[depth])
            if self.backward_layers:
                backward = self.backward_layers[depth]
                back, back_state = run_dilated(backward, reverse_rows(x, lengths), lengths, dilation)
                sequence = tf.concat([sequence, reverse_rows(back, lengths)], axis=-1)
                state = [tf.concat(pair, axis=-1) for pair in zip(state, back_state, strict=True)]
            states.append(LayerStates(sequence, state[0], state[1] if len(state) > 1 else None))
            x = sequence
        return states

    def pool(self, states: list[LayerStates], lengths=None):
        """States -> features, (batch, n_features)."""
        pooled = states if self.pooled_layers == "all" else states[-1:]
        return tf.concat([POOLING[kind](layer, lengths) for layer in pooled for kind in self.pooling], axis=-1)

    def feature_names(self) -> list[str]:
        """Names of the features in order: "mean_3", or "layer0_mean_3" where several layers are pooled."""
        return feature_names(json.loads(self._settings))


def _mean(layer, lengths):
    if lengths is None:
        return tf.reduce_mean(layer.sequence, axis=1)
    inside = step_mask(lengths, tf.shape(layer.sequence)[1])
    return tf.reduce_sum(layer.sequence * inside, axis=1) / tf.reduce_sum(inside, axis=1)


def _std(layer, lengths):
    centered = layer.sequence - _mean(layer, lengths)[:, None]
    variance = _mean(LayerStates(tf.square(centered), layer.last, layer.cell), lengths)
    return tf.sqrt(variance + 1e-8)  # the root has no gradient at zero


def _max(layer, lengths):
    if lengths is None:
        return tf.reduce_max(layer.sequence, axis=1)
    inside = step_mask(lengths, tf.shape(layer.sequence)[1])
    return tf.reduce_max(tf.where(inside > 0, layer.sequence, layer.sequence.dtype.min), axis=1)


def _min(layer, lengths):
    return -_max(LayerStates(-layer.sequence, layer.last, layer.cell), lengths)


def _change(layer, lengths):
    steps = tf.abs(layer.sequence[:, 1:] - layer.sequence[:, :-1])
    inside = step_mask(lengths - 1, tf.shape(steps)[1]) if lengths is not None else tf.ones_like(steps[..., :1])
    return tf.math.divide_no_nan(tf.reduce_sum(steps * inside, axis=1), tf.reduce_sum(inside, axis=1))


POOLING = {
    "last": lambda layer, lengths: layer.last,
    "cell": lambda layer, lengths: layer.cell,
    "mean": _mean,
    "max": _max,
    "min": _min,
    "std": _std,
    "change": _change,
}
