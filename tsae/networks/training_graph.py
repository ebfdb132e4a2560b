"""The graph of training: many steps per call, each of which gathers a batch, computes its loss and updates weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tsae.networks.config import TrainingConfig
from tsae.networks.protocols import TrainableNetwork
from tsae.networks.random_state import StepRandomState
from tsae.networks.sharding import map_shards
from tsae.networks.shared_graphs import SharedGraph
from tsae.networks.training_data import TrainingData, WindowTensors, gather_windows
from tsae.networks.xla_loops import compiled_training


@dataclass(frozen=True)
class GraphOptions:
    """What a graph is built for.

    Attributes
    ----------
    shapes : tuple of (int, int)
        Channels and width of the windows and, if there are any, of the targets.
    masked, contiguous : bool
        As in `TrainingData`.
    train : bool
        Whether to update weights, or only to compute the loss.
    compiled : bool
        Whether recurrent loops are compiled by XLA.
    """

    shapes: tuple[tuple[int, int], ...]
    masked: bool
    contiguous: bool
    train: bool
    compiled: bool

    @classmethod
    def of(cls, data: TrainingData, train: bool, compiled: bool) -> GraphOptions:
        """Options for these windows."""
        shapes = tuple((part.values.shape[1], part.width) for part in data.parts)
        return cls(shapes, data.masked, data.is_contiguous, train, compiled)


def graph_variables(network: TrainableNetwork, optimizer: Any) -> list:
    """What a graph of training reads and assigns."""
    return [*network.variables, *optimizer.variables]


def variable_pattern(network: TrainableNetwork, optimizer: Any) -> tuple:
    """What variables have to have in common for a graph of some to run on others."""
    return tuple((tuple(v.shape), v.dtype, v.trainable) for v in graph_variables(network, optimizer))


def count_chunks(width: int, tbptt_steps: int | None) -> int:
    """Chunks that a window of `width` steps is processed in."""
    return 1 if tbptt_steps is None else -(-width // tbptt_steps)


class TrainingGraph:
    """One graph, with static shapes, for all batches of some windows.

    Parameters
    ----------
    network : TrainableNetwork
    optimizer : keras.optimizers.Optimizer
    config : TrainingConfig
        Its `batch_size` must be a multiple of `n_shards`.
    n_shards : int
        Parts of a batch that are processed in parallel.
    assign_rates : bool
        Whether the learning rate of each batch is given by the caller.
    options : GraphOptions

    Attributes
    ----------
    run : callable(handles, windows, positions, weights, seed, rates, sums) -> (3,) float64 tensor
        Run one step per chunk of each batch. handles: those of the `graph_variables` of a network and an optimizer of
        the same settings; windows: list of `WindowTensors`; positions, weights: (n_batches,
        batch_size), see `TrainingData.batches`; seed: (2,) int32, the seed of the run and the number of the first
        step; rates: (n_batches,) float32, empty unless `assign_rates`.
        Returns `sums` with those of the steps added, one after the other, so that they are the same to the bit however
        an epoch is divided into calls: of the loss times the number of its windows, of their weights, and of the norm
        of the gradient before clipping.
    """

    def __init__(
        self, network: TrainableNetwork, optimizer: Any, config: TrainingConfig, n_shards: int, assign_rates: bool,
        options: GraphOptions,
    ):  # fmt: skip
        self.network, self.optimizer, self.config = network, optimizer, config
        self.n_shards, self.assign_rates = n_shards, assign_rates
        self.shapes, self.train, self.compiled = options.shapes, options.train, options.compiled
        width = options.shapes[0][1]
        self.n_chunks, self.chunk_steps = count_chunks(width, network.tbptt_steps), network.tbptt_steps or width
        self.masked = options.masked or width % self.chunk_steps != 0
        self.contiguous = options.contiguous and self.n_chunks == 1
        # Not compiled as a whole: cuDNN's recurrent kernels do not run under XLA.
        self.run = SharedGraph(self._run, self._signature(), graph_variables(network, optimizer))

    def _signature(self) -> list:
        windows = [
            WindowTensors(
                tf.TensorSpec([None, n_channels], tf.float32),
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([None], tf.int32),
            )
            for n_channels, _ in self.shapes
        ]
        batches = [None, self.config.batch_size]
        return [
            windows, tf.TensorSpec(batches, tf.int32), tf.TensorSpec(batches, tf.float32), tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([None], tf.float32), tf.TensorSpec([3], tf.float64),
        ]  # fmt: skip

    def _run(self, windows, positions, weights, seed, rates, sums):
        def step(i, state, sums):
            batch, first_step = i // self.n_chunks, i % self.n_chunks * self.chunk_steps
            x, weight, state = self._read_chunk(windows[0], positions[batch], weights[batch], state, first_step)
            targets = self._read_targets(windows[1:], positions[batch])
            step_seed = tf.stack([seed[0], seed[1] + i])
            loss, gradients, state = self._loss_and_gradients(x, targets, weight, state, step_seed)
            norm = tf.constant(0.0)
            if self.train:
                norm = tf.linalg.global_norm(gradients)
                if self.assign_rates:
                    self.optimizer.learning_rate.assign(rates[batch])
                self.optimizer.apply(self._clip(gradients), self.network.trainable_variables)
            count = tf.reduce_sum(tf.cast(weight > 0, tf.float32))
            return i + 1, state, sums + tf.cast([loss * count, tf.reduce_sum(weight), norm], tf.float64)

        state = self.network.initial_state(self.config.batch_size) if self.n_chunks > 1 else []
        start = (tf.constant(0), state, sums)
        return tf.while_loop(lambda i, *_: i < self.n_chunks * tf.shape(positions)[0], step, start)[-1]

    def _read_chunk(self, windows: WindowTensors, positions, weights, state, first_step):
        """The chunk of each window from step `first_step` on, its weight, and the state before it.

        A window that ends before the chunk has weight zero.
        """
        first, lengths = tf.gather(windows.starts, positions), tf.gather(windows.lengths, positions)
        if self.n_chunks > 1:
            state = tf.nest.map_structure(lambda part: tf.where(first_step > 0, part, 0.0), state)
            weights = tf.where(lengths > first_step, weights, 0.0)
            first += tf.cast(first_step, tf.int64)
            lengths = tf.clip_by_value(lengths - first_step, 0, self.chunk_steps)
        n_channels, _ = self.shapes[0]
        x = gather_windows(
            windows.values, first, lengths, self.chunk_steps, n_channels, self.masked, self.contiguous
        )  # fmt: skip
        return x, weights, state

    def _read_targets(self, targets: list[WindowTensors], positions) -> list:
        return [
            gather_windows(
                target.values, tf.gather(target.starts, positions), tf.gather(target.lengths, positions), width,
                n_channels, masked=True,
            )
            for target, (n_channels, width) in zip(targets, self.shapes[1:], strict=True)
        ]  # fmt: skip

    def _loss_and_gradients(self, x, targets, weights, state, seed):
        """Loss, gradients (none outside training) and the state after the chunk."""
        # Also in validation parts of the input are hidden, so that its loss is that of the objective.
        batch = self.network.prepare(x, weights, self.masked, StepRandomState(seed), *targets)
        if state:
            batch["state"] = state
        seeds = tf.stack([tf.random.fold_in(seed, -1 - shard) for shard in range(self.n_shards)])

        def shard(shard_seed, *parts):
            part = tf.nest.pack_sequence_as(batch, parts)
            rng = StepRandomState(shard_seed[0]) if self.train else None
            with tf.GradientTape() as tape:
                loss, *after = tf.nest.flatten(self.network.batch_loss(part, rng))
            # Rows gathered from an embedding have sparse gradients; shards return dense ones.
            gradients = map(tf.convert_to_tensor, tape.gradient(loss, self._variables())) if self.train else []
            return [*after, loss, *gradients]

        n_states, arguments = len(tf.nest.flatten(state)), [seeds, *tf.nest.flatten(batch)]
        if self.n_shards == 1:
            results = shard(*arguments)
            after, (loss, *gradients) = results[:n_states], results[n_states:]
        else:
            rows = self.config.batch_size // self.n_shards
            with compiled_training(self.compiled):
                results = map_shards(shard, arguments, self.n_shards, [1, *[rows] * (len(arguments) - 1)])
            after = [tf.reshape(part, [self.config.batch_size, part.shape[-1]]) for part in results[:n_states]]
            loss, *gradients = [tf.reduce_sum(part, axis=0) for part in results[n_states:]]
        penalty, penalty_gradients = self._penalty()
        if penalty_gradients:
            gradients = [g + p for g, p in zip(gradients, penalty_gradients, strict=True)]
        return loss + penalty, gradients, tf.nest.pack_sequence_as(state, after)

    def _penalty(self):
        """Penalty on weights, and its gradients; once per batch instead of once per shard."""
        if not self.network.losses:
            return 0.0, []
        with tf.GradientTape() as tape:
            penalty = tf.add_n(self.network.losses)
        if not self.train:
            return penalty, []
        return penalty, tape.gradient(penalty, self._variables(), unconnected_gradients="zero")

    def _variables(self) -> list:
        return [variable.value for variable in self.network.trainable_variables]

    def _clip(self, gradients: list) -> list:
        clipvalue, clipnorm = self.config.clipvalue, self.config.clipnorm
        if clipvalue is not None:
            gradients = [tf.clip_by_value(g, -clipvalue, clipvalue) for g in gradients]
        if clipnorm is not None:
            gradients = [g * tf.minimum(1.0, clipnorm / (tf.norm(g) + 1e-12)) for g in gradients]
        return gradients
