"""Inference: apply a trained network to any number of windows, in chunks, on all cores, without Keras's `predict`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tsae.data.series import has_missing
from tsae.networks.sharding import map_shards, shards_for

# Rows that one core processes at a time: enough for efficient matrix products, few enough for its cache.
INFERENCE_SHARD_ROWS = 128
# Kernels work on vectors of up to 16 numbers and round the remaining rows of a batch slightly differently. In batches
# of whole vectors the result for a window does not depend on its position in the batch.
ROW_MULTIPLE = 16


def fill_up(x: np.ndarray, multiple: int) -> np.ndarray:
    """Append copies of the first row until the number of rows is a multiple."""
    missing = -len(x) % multiple
    return np.concatenate([x, np.repeat(x[:1], missing, axis=0)]) if missing else x


class BatchFunction:
    """A function of a batch of windows, compiled once for all batch sizes.

    Parameters
    ----------
    function : callable(x, masked) -> tensor or structure of tensors
        x: (batch, n_timesteps, n_channels) float32, NaN where missing; masked: whether any value is missing. Results
        have one row per window, which depends on that window alone.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._sharded = shards_for(2 * INFERENCE_SHARD_ROWS) > 1
        self._graphs: dict = {}

    def __call__(self, x: np.ndarray):
        """Apply to (n_windows, n_timesteps, n_channels) float32; returns NumPy arrays."""
        masked = has_missing(x)
        large = self._sharded and len(x) > INFERENCE_SHARD_ROWS // 2
        filled = fill_up(x, INFERENCE_SHARD_ROWS if large else ROW_MULTIPLE)
        results = self._graph(x.shape[1:], masked, large)(tf.constant(filled))
        return tf.nest.map_structure(lambda result: result.numpy()[: len(x)], results)

    def _graph(self, shape, masked, large):
        key = (shape, masked, large)
        if key not in self._graphs:
            function = self._over_shards if large else self._function
            # A function of x alone: further arguments would be checked again at each call.
            graph = tf.function(lambda x: function(x, masked), autograph=False)
            self._graphs[key] = graph.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32))
        return self._graphs[key]

    def _over_shards(self, x, masked):
        n_shards = tf.shape(x)[0] // INFERENCE_SHARD_ROWS
        structure: list = []

        def shard(rows):
            result = self._function(rows, masked)
            structure.append(result)
            return tf.nest.flatten(result)

        results = map_shards(shard, [x], n_shards, [INFERENCE_SHARD_ROWS])
        flat = [tf.reshape(result, [-1, *result.shape[2:]]) for result in results]
        return tf.nest.pack_sequence_as(structure[0], flat)
