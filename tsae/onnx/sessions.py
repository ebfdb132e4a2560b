"""ONNX Runtime: sessions, and batches that are shared out among cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

SHARD_ROWS, MIN_SHARD_ROWS = 256, 16


def make_session(model: bytes) -> Any:
    """An ``onnxruntime.InferenceSession`` that runs on one core."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("engine='onnx' needs the package onnxruntime: pip install 'tsae[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def over_cores(function: Callable[[np.ndarray], list[np.ndarray]], values: np.ndarray) -> list[np.ndarray]:
    """Run shards of the rows, one thread per core; the runtime's own threads wait for each other at every step."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = min(SHARD_ROWS, max(MIN_SHARD_ROWS, -(-len(values) // cores)))
    shards = [values[first : first + rows] for first in range(0, len(values), rows)]
    if len(shards) == 1:
        return function(values)
    with ThreadPoolExecutor(min(cores, len(shards))) as pool:
        return [np.concatenate(parts) for parts in zip(*pool.map(function, shards), strict=True)]
