"""Split a batch over the cores of a CPU."""

from __future__ import annotations

import os
from collections.abc import Callable

import tensorflow as tf

# With fewer rows per core the split costs more than it saves.
MIN_ROWS_PER_SHARD = 16


def shards_for(batch_size: int) -> int:
    """Number of shards for a batch: one per core, none too small; 1 where sharding is not available.

    Shards are run by ``tf.raw_ops.MapDefun``, which is not part of TensorFlow's stable API and runs on the CPU only.
    """
    if not hasattr(tf.raw_ops, "MapDefun") or tf.config.list_logical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, batch_size // MIN_ROWS_PER_SHARD))


def map_shards(function: Callable, arguments: list, n_shards, shard_rows: list[int]) -> list:
    """Call a function on each shard of its arguments in parallel, and stack the results.

    Parameters
    ----------
    function : callable(*shards) -> list of tensors
        Each call uses one thread; the calls share the thread pool.
    arguments : list of tensors
    n_shards : int or scalar tensor
    shard_rows : list of int
        Rows per shard of each argument; shard i has the i-th block of so many rows.

    Returns
    -------
    list of tensors
        The results of `function`, each with a first axis of length `n_shards`.
    """
    shapes = [[rows, *a.shape[1:]] for rows, a in zip(shard_rows, arguments, strict=True)]
    traced = tf.function(function, autograph=False).get_concrete_function(
        *[tf.TensorSpec(shape, a.dtype) for shape, a in zip(shapes, arguments, strict=True)]
    )
    return tf.raw_ops.MapDefun(
        arguments=[tf.reshape(a, [n_shards, *shape]) for a, shape in zip(arguments, shapes, strict=True)],
        captured_inputs=traced.captured_inputs,
        f=traced,
        output_types=[o.dtype for o in traced.outputs],
        output_shapes=[o.shape for o in traced.outputs],
        max_intra_op_parallelism=1,
    )
