"""Features of very many windows: the encoder, compiled by XLA for the machine at hand.

Compilation takes from half a second (one layer) to some seconds (the default stack), and the compiled encoder is about
one and a half times as fast as the fused kernels. It is therefore used for large calls alone, and kept for all
encoders of the same shape: the weights are its arguments.
"""

from __future__ import annotations

import json
from functools import lru_cache

import keras
import numpy as np
import tensorflow as tf

from tsae.networks.encoder import Encoder
from tsae.networks.inference import fill_up
from tsae.networks.recurrent import LSTM
from tsae.networks.training import map_shards, shards_for
from tsae.networks.xla_loops import for_compiler

# Rows that one core works on at a time. Of 64 to 512 the fewest were never far from the fastest.
SHARD_ROWS = 64


def can_compile(encoder: Encoder) -> bool:
    """Whether the compiled encoder, where there is a compiler, is the fastest way to this encoder's numbers."""
    layers = [*encoder.forward_layers, *encoder.backward_layers]
    fusable = all(isinstance(layer, LSTM) and layer.is_fusable for layer in layers)
    return fusable and shards_for(2 * SHARD_ROWS) > 1


def compiled_features(encoder: Encoder, x: np.ndarray) -> np.ndarray:
    """Features of complete windows: (n_windows, n_timesteps, n_channels) float32 -> (n_windows, n_features)."""
    settings = json.dumps({**encoder.get_config(), "seed": 0}, sort_keys=True)
    weights = [variable.value for variable in encoder.trainable_variables]
    return _compiled(settings, x.shape[1:])(tf.constant(fill_up(x, SHARD_ROWS)), *weights).numpy()[: len(x)]


@lru_cache(maxsize=16)
def _compiled(settings: str, shape: tuple[int, int]):
    """The function (x, *weights) -> features of all encoders with these settings."""
    template = Encoder.from_config(json.loads(settings))
    variables = template.trainable_variables

    @tf.function(jit_compile=True, autograph=False)
    def encode(x, *weights):
        with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))), for_compiler():
            return template.pool(template.run(template.read(x, masked=False)))

    def over_shards(x, *weights):
        (features,) = map_shards(lambda part: [encode(part, *weights)], [x], tf.shape(x)[0] // SHARD_ROWS, [SHARD_ROWS])
        return tf.reshape(features, [-1, features.shape[-1]])

    specs = [tf.TensorSpec(variable.shape, tf.float32) for variable in variables]
    return tf.function(over_shards, autograph=False).get_concrete_function(
        tf.TensorSpec([None, *shape], tf.float32), *specs
    )
