"""Use of a trained network: any number of windows, in chunks, over all cores, without Keras's `predict`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tsae.data.series import has_missing
from tsae.networks.sharding import map_shards, shards_for

# Rows that one core works on at a time: large enough for its matrix products, small enough for its cache.
SHARD_ROWS = 128
# Kernels work on vectors of up to 16 numbers and round the rest of a batch a little differently. Batches of whole
# vectors make a window's result the same wherever in a batch it stands.
ROW_MULTIPLE = 16


def fill_up(x: np.ndarray, multiple: int) -> np.ndarray:
    """x with its first row repeated at the end, so that the number of rows is a multiple."""
    missing = -len(x) % multiple
    return np.concatenate([x, np.repeat(x[:1], missing, axis=0)]) if missing else x


class BatchFunction:
    """A function of a batch of windows, compiled once for all batch sizes.

    Parameters
    ----------
    function : callable(x, masked) -> tensor or structure of tensors
        x: (batch, n_timesteps, n_channels) float32, NaN where missing. Rows must not depend on each other.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._sharded = shards_for(2 * SHARD_ROWS) > 1
        self._graphs: dict = {}

    def __call__(self, x: np.ndarray):
        """Apply to (n_windows, n_timesteps, n_channels) float32; returns numpy."""
        masked = has_missing(x)
        large = self._sharded and len(x) > SHARD_ROWS // 2
        filled = fill_up(x, SHARD_ROWS if large else ROW_MULTIPLE)
        out = self._graph(x.shape[1:], masked, large)(tf.constant(filled))
        return tf.nest.map_structure(lambda part: part.numpy()[: len(x)], out)

    def _graph(self, shape, masked, large):
        key = (shape, masked, large)
        if key not in self._graphs:
            function = self._over_shards if large else self._function
            # A function of x alone: TensorFlow would stumble over further arguments, at each call anew.
            of_x = tf.function(lambda x: function(x, masked), autograph=False)
            self._graphs[key] = of_x.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32))
        return self._graphs[key]

    def _over_shards(self, x, masked):
        n_shards = tf.shape(x)[0] // SHARD_ROWS
        structure: list = []

        def shard(part):
            out = self._function(part, masked)
            structure.append(out)
            return tf.nest.flatten(out)

        parts = map_shards(shard, [x], n_shards, [SHARD_ROWS])
        flat = [tf.reshape(p, [-1, *p.shape[2:]]) for p in parts]
        return tf.nest.pack_sequence_as(structure[0], flat)
