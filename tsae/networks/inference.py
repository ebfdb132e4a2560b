"""Inference: apply a trained network to any number of windows, in chunks, on all cores, without Keras's `predict`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from tsae.data.series import has_missing
from tsae.networks.configured import ConfiguredModel
from tsae.networks.sharding import map_shards, shards_for
from tsae.networks.shared_graphs import NetworkSettings, SharedGraph, handles_of, make_template, settings_of

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
    """A function of a batch of windows; traced once for all batch sizes, and all networks of the same settings.

    Parameters
    ----------
    network : ConfiguredModel
    name : str
        Of one of its `functions`. Its results have one row per window, which depends on that window alone.
    **options
        Further arguments of the function.
    """

    def __init__(self, network: ConfiguredModel, name: str, **options: Any):
        self._handles = handles_of(network.variables)
        self._key = settings_of(network), name, tuple(sorted(options.items()))
        self._sharded = shards_for(2 * INFERENCE_SHARD_ROWS) > 1
        self._graphs: dict = {}

    def __call__(self, x: np.ndarray):
        """Apply to (n_windows, n_timesteps, n_channels) float32; returns NumPy arrays."""
        masked = has_missing(x)
        large = self._sharded and len(x) > INFERENCE_SHARD_ROWS // 2
        filled = fill_up(x, INFERENCE_SHARD_ROWS if large else ROW_MULTIPLE)
        results = self._graph(x.shape[1:], masked, large)(self._handles, tf.constant(filled))
        return tf.nest.map_structure(lambda result: result.numpy()[: len(x)], results)

    def _graph(self, *call: Any) -> SharedGraph:
        if call not in self._graphs:
            self._graphs[call] = batch_graph(*self._key, *call)
        return self._graphs[call]


@lru_cache(maxsize=16)
def batch_graph(
    settings: NetworkSettings, name: str, options: tuple, shape: tuple[int, int], masked: bool, large: bool
) -> SharedGraph:
    """The graph of a function for windows of a shape; `large`: for whole shards, which are processed in parallel."""
    template = make_template(settings)
    function = partial(template.functions()[name], masked=masked, **dict(options))
    over_all = partial(_over_shards, function) if large else function
    return SharedGraph(over_all, [tf.TensorSpec([None, *shape], tf.float32)], template.variables)


def _over_shards(function: Callable, x):
    n_shards = tf.shape(x)[0] // INFERENCE_SHARD_ROWS
    structure: list = []

    def shard(rows):
        result = function(rows)
        structure.append(result)
        return tf.nest.flatten(result)

    results = map_shards(shard, [x], n_shards, [INFERENCE_SHARD_ROWS])
    flat = [tf.reshape(result, [-1, *result.shape[2:]]) for result in results]
    return tf.nest.pack_sequence_as(structure[0], flat)
