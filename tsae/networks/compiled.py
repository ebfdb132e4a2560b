"""Features of very many windows: the encoder, compiled by XLA for the machine at hand.

Compilation takes from half a second (one layer) to some seconds (the default stack), and the compiled encoder is about
one and a half times as fast as the fused kernels. It is therefore used for large calls alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from tsae.data.scaling import ChannelScaler
from tsae.networks.encoder import Encoder
from tsae.networks.inference import fill_up
from tsae.networks.recurrent import LSTM
from tsae.networks.sharding import map_shards, shards_for
from tsae.networks.shared_graphs import NetworkSettings, SharedGraph, handles_of, make_template, settings_of
from tsae.networks.xla_loops import for_compiler

# Rows that one core works on at a time. Of 64 to 512 the fewest were never far from the fastest.
COMPILED_SHARD_ROWS = 64


def can_compile(encoder: Encoder) -> bool:
    """Whether the compiled encoder, where there is a compiler, is the fastest way to this encoder's numbers."""
    layers = [*encoder.forward_layers, *encoder.backward_layers]
    fusable = all(isinstance(layer, LSTM) and layer.is_fusable for layer in layers)
    return fusable and shards_for(2 * COMPILED_SHARD_ROWS) > 1


def compiled_features(encoder: Encoder, scaler: ChannelScaler, values: np.ndarray) -> np.ndarray:
    """Features of complete windows, which are scaled on the way.

    Parameters
    ----------
    encoder : Encoder
    scaler : ChannelScaler
    values : float32 or float64 array of shape (n_windows, n_timesteps, n_channels)

    Returns
    -------
    float32 array of shape (n_windows, n_features)
    """
    encode = compiled_graph(settings_of(encoder), values.shape[1:], values.dtype.name)
    handles, constants = handles_of(encoder.variables), [tf.constant(scaler.mean_), tf.constant(scaler.scale_)]
    whole = len(values) // COMPILED_SHARD_ROWS * COMPILED_SHARD_ROWS
    parts = [part for part in (values[:whole], fill_up(values[whole:], COMPILED_SHARD_ROWS)) if len(part)]
    features = [encode(handles, tf.constant(part), *constants).numpy() for part in parts]
    return (features[0] if len(features) == 1 else np.concatenate(features))[: len(values)]


@lru_cache(maxsize=8)
def compiled_graph(settings: NetworkSettings, shape: tuple[int, int], dtype: str) -> SharedGraph:
    """The function (values, mean, scale) -> features of all encoders with these settings."""
    template: Any = make_template(settings)

    @tf.function(jit_compile=True, autograph=False)
    def encode(values, mean, scale):
        # the arithmetic of ChannelScaler.transform
        x = tf.cast((tf.cast(values, tf.float64) - mean) / scale, tf.float32)
        with for_compiler():
            return template.pool(template.run(template.read(x, masked=False)))

    def over_shards(values, *constants):
        n_shards = tf.shape(values)[0] // COMPILED_SHARD_ROWS
        (features,) = map_shards(lambda part: [encode(part, *constants)], [values], n_shards, [COMPILED_SHARD_ROWS])
        return tf.reshape(features, [-1, features.shape[-1]])

    of_channel = tf.TensorSpec([shape[1]], tf.float64)
    return SharedGraph(over_shards, [tf.TensorSpec([None, *shape], dtype), of_channel, of_channel], template.variables)
