"""Decoders: from what the encoder says back to values, step by step."""

from __future__ import annotations

import keras
import tensorflow as tf

from tsae.networks.encoder import recurrent_layer


@keras.saving.register_keras_serializable(package="tsae")
class RecurrentDecoder(keras.layers.Layer):
    """Recurrent layers that unfold one context vector into a sequence (Cho et al. 2014; unconditioned form of
    Srivastava et al. 2015, section 2.3): every step reads the same context.

    Parameters
    ----------
    context_width : int
        Width of the vector that is read.
    n_channels : int
        Width of each output step.
    units : list of int
        Units of each recurrent layer, bottom first.
    cell : "lstm" or "gru"
    l1_l2 : dict
        kernel_l1, kernel_l2, recurrent_l1, recurrent_l2.
    seeds : iterator of int
        Seeds for the initial weights.
    """

    def __init__(self, context_width, n_channels, units, cell, l1_l2, seeds, unroll=False, name=None):
        super().__init__(name=name)
        self.recurrent_layers = []
        n_inputs = context_width
        for depth, n_units in enumerate(units):
            layer = recurrent_layer(cell, n_units, f"{name}_{cell}_{depth}", seeds, unroll, **l1_l2)
            layer.build((None, None, n_inputs))
            self.recurrent_layers.append(layer)
            n_inputs = n_units
        self.output_layer = output_layer(n_inputs, n_channels, f"{name}_output", seeds)
        self.built = True

    def call(self, context, n_timesteps: int):
        """(batch, context_width) -> (batch, n_timesteps, n_channels)."""
        x = tf.repeat(context[:, None], n_timesteps, axis=1)
        for layer in self.recurrent_layers:
            x, _ = layer.run(x)
        return self.output_layer(x)


def output_layer(n_inputs: int, n_channels: int, name: str, seeds):
    """The linear read-out from hidden states to channels."""
    layer = keras.layers.Dense(
        n_channels, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)), name=name
    )
    layer.build((None, n_inputs))
    return layer
