"""Windows for training: kept as rows of the series they come from, gathered batch by batch inside the graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class WindowTensors(NamedTuple):
    """The arrays of windows as tensors: values float32, starts int64, lengths int32."""

    values: Any
    starts: Any
    lengths: Any


@dataclass(frozen=True)
class Targets:
    """Target of each window: a window of other rows. A class label is a window of one value.

    Attributes
    ----------
    values : float32 array of shape (n_rows, n_channels)
    starts : int array of shape (n_windows,)
        First row of each target.
    lengths : int array of shape (n_windows,)
        Steps of each target.
    width : int
        Steps of the longest target.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    width: int


@dataclass(frozen=True)
class TrainingData:
    """Windows of scaled series, with their weights and targets.

    Attributes
    ----------
    values : float32 array of shape (n_rows, n_channels)
    starts : int array of shape (n_windows,)
        First row of each window.
    lengths : int array of shape (n_windows,)
        Steps of each window.
    weights : float32 array of shape (n_windows,)
    width : int
        Steps of the longest window.
    masked : bool
        Whether any value is missing or any window is shorter than `width`.
    targets : Targets or None
        None: the network learns from the windows alone.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray
    width: int
    masked: bool
    targets: Targets | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether `values` consists of complete windows one after the other, as those of an array of windows do."""
        complete = len(self.values) % self.width == 0 and bool((self.lengths == self.width).all())
        return complete and not np.any(self.starts % self.width)

    @property
    def parts(self) -> list[TrainingData | Targets]:
        """The windows and, if there are any, their targets."""
        return [self] if self.targets is None else [self, self.targets]

    def tensors(self) -> list[WindowTensors]:
        """Convert the arrays of each of the `parts`."""
        return [
            WindowTensors(
                tf.convert_to_tensor(part.values, tf.float32),
                tf.convert_to_tensor(part.starts, tf.int64),
                tf.convert_to_tensor(part.lengths, tf.int32),
            )
            for part in self.parts
        ]

    def batches(self, positions: np.ndarray, batch_size: int) -> tuple[Any, Any]:
        """Group windows into batches; the last batch is filled up with windows of weight zero.

        Parameters
        ----------
        positions : int array of shape (n,)
        batch_size : int

        Returns
        -------
        positions : int32 tensor of shape (n_batches, batch_size)
        weights : float32 tensor of shape (n_batches, batch_size)
        """
        n, n_filled = len(positions), -(-len(positions) // batch_size) * batch_size
        filled, weights = np.zeros(n_filled, np.int32), np.zeros(n_filled, np.float32)
        filled[:n], weights[:n] = positions, self.weights[positions]
        return tf.constant(filled.reshape(-1, batch_size)), tf.constant(weights.reshape(-1, batch_size))


def gather_windows(values, first, lengths, width, n_channels, masked, contiguous=False):
    """Gather the windows of a batch from the series.

    Parameters
    ----------
    values : float32 tensor of shape (n_rows, n_channels)
    first : int64 tensor of shape (batch,)
        First row of each window.
    lengths : int32 tensor of shape (batch,)
        Steps of each window.
    width, n_channels : int
    masked : bool
        Whether a window may be shorter than `width`.
    contiguous : bool
        Whether `values` consists of complete windows one after the other, as in `TrainingData.is_contiguous`.

    Returns
    -------
    float32 tensor of shape (batch, width, n_channels)
        NaN past the end of a shorter window.
    """
    if contiguous:
        return tf.gather(tf.reshape(values, [-1, width, n_channels]), first // width)
    rows = first[:, None] + tf.range(width, dtype=tf.int64)
    if masked:
        rows = tf.minimum(rows, tf.shape(values, out_type=tf.int64)[0] - 1)
    x = tf.gather(values, rows)
    if masked:
        x = tf.where(tf.sequence_mask(lengths, width)[..., None], x, float("nan"))
    return tf.ensure_shape(x, [first.shape[0], width, n_channels])
