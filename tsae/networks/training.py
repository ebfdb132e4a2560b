"""Training: epochs that run inside TensorFlow, over windows that are gathered as they are needed.

The series lie once in memory. Python rng the order of an epoch and hands it over in a few pieces; each piece is
one call of one graph, in which every step gathers its windows, splits them over the CPU's cores and applies the sum
of the cores' gradients. The last batch of an epoch is filled up with windows of weight zero, so that one graph,
with static shapes, serves all batches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from tsae.errors import TrainingDivergedError
from tsae.networks.random_state import StepRandomState
from tsae.networks.xla_loops import compiled_training, has_compiler

# From so many steps in all (windows times their steps times epochs) on, compiling the loops pays.
MANY_STEPS = 1 << 20
# Below this many rows a core has too little to do for a split to pay.
MIN_SHARD_ROWS = 16


@dataclass(frozen=True)
class Targets:
    """What each window is to be turned into: one window of other rows; a label is a window of one value.

    values: (n_rows, n_channels) float32; starts, lengths: (n_windows,) int.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    width: int


@dataclass(frozen=True)
class TrainingData:
    """Windows of scaled series, as the graph gathers them.

    values: (n_rows, n_channels) float32; starts, lengths: (n_windows,) int; weights: (n_windows,) float32;
    masked: whether any value is missing or any window shorter than `width`; targets: None where the windows
    themselves are what is learnt.
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
    def stacked(self) -> bool:
        """Whether windows of one length lie one after the other, as those of an array of windows do."""
        complete = len(self.values) % self.width == 0 and bool((self.lengths == self.width).all())
        return complete and not np.any(self.starts % self.width)


def shards_for(batch_size: int) -> int:
    """How many parts a batch is split into: one a core, none too small; one where the split does not run.

    The split is made by ``tf.raw_ops.MapDefun``, which TensorFlow does not promise to keep, and serves the CPU only.
    """
    if not hasattr(tf.raw_ops, "MapDefun") or tf.config.list_logical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, batch_size // MIN_SHARD_ROWS))


def map_shards(function: Callable, arguments: list, n_shards, shard_rows: list[int]) -> list:
    """Call `function` on `n_shards` parts of `arguments`, side by side; results are stacked.

    Part i of an argument is its next `shard_rows` rows. Each call uses one thread; calls share the thread pool.
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


class Trainer:
    """Fits a network; keeps its graphs and the optimizer's state between calls.

    Parameters
    ----------
    network : Autoencoder
        Anything with trainable variables, ``prepare(x, weights, masked, rng[, targets])`` -> batch and
        ``batch_loss(batch, rng)`` -> loss. An attribute `has_recurrent_decoders` says that it has recurrent decoders. With an
        attribute `tbptt_steps`, windows are worked through in pieces of so many steps, each followed by an update;
        ``batch["state"]``, at first ``initial_state(batch_size)``, is then what `batch_loss` returned beside the loss
        of the piece before.
    optimizer : keras.optimizers.Optimizer
    batch_size : int
    clipnorm, clipvalue : float or None
        Limits on the norm of each variable's gradient and on its values.
    schedule : "constant" or "cosine"
        "cosine": the learning rate rises from 0 in the first twentieth of all steps and falls along half a cosine
        to 0 at the last (Loshchilov & Hutter 2017, section 3, without restarts). An optimizer that was given a
        schedule of its own (a Keras ``LearningRateSchedule``) keeps to that.
    seed : int
        Of the order of the windows and of what is drawn in the steps.
    n_shards : int, optional
        Parts of a batch worked on side by side; None: as `shards_for` says.
    """

    def __init__(
        self, network, optimizer, batch_size, clipnorm=None, clipvalue=None, schedule="constant", seed=0,
        n_shards=None,
    ):  # fmt: skip
        self.network = network
        self.optimizer = optimizer
        self.n_shards = shards_for(batch_size) if n_shards is None else n_shards
        self.batch_size = -(-batch_size // self.n_shards) * self.n_shards
        self.clipnorm, self.clipvalue = clipnorm, clipvalue
        own_schedule = isinstance(getattr(optimizer, "_learning_rate", None), LearningRateSchedule)
        self._sets_rates = schedule == "cosine" and not own_schedule
        self._order = np.random.default_rng(seed)
        self._seed = seed % 2**31
        self._steps_taken = 0
        self._graphs: dict = {}
        self._compiles = False
        network.optimizer = optimizer
        optimizer.build(network.trainable_variables)
        _keep_gradients_local(optimizer)

    def fit(
        self,
        data: TrainingData,
        validation: TrainingData | None,
        epochs: int,
        patience: int | None = None,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        on_progress: Callable[[int, int, int, dict], None] | None = None,
        history: list[dict] | None = None,
    ) -> list[dict]:
        """Train for up to `epochs` epochs and leave the network with its best weights.

        The best epoch is that of the lowest validation loss; with neither validation nor patience, the last.

        Parameters
        ----------
        on_progress : callable(epoch, step, n_steps, row), optional
            Called after each piece of an epoch.
        history : list of dict, optional
            Rows of epochs are appended to it as they end; also what is returned.

        Raises
        ------
        TrainingDivergedError
            When the loss is no longer finite. The network then has the weights of its best epoch.
        """
        rows = [] if history is None else history
        self.network.stop_training = False
        listeners = keras.callbacks.CallbackList(list(callbacks), model=self.network)
        best_loss, best_weights, best_epoch = np.inf, self.network.get_weights(), -1
        keep_best = validation is not None or patience is not None
        rates = self._rates(epochs * -(-len(data) // self.batch_size))
        self._compiles = self._pays(epochs * len(data) * data.width) and has_compiler()
        listeners.on_train_begin()
        try:
            for epoch in range(epochs):
                listeners.on_epoch_begin(epoch)
                row = {"epoch": len(rows), **self._run_epoch(data, epoch, rates, on_progress)}
                if validation is not None:
                    row["val_loss"] = self.evaluate(validation)
                if not all(np.isfinite(value) for value in row.values()):
                    raise TrainingDivergedError(_diverged(row["epoch"], best_epoch >= 0))
                rows.append(row)
                monitored = row.get("val_loss", row["loss"])
                if monitored < best_loss:
                    best_loss, best_weights, best_epoch = monitored, self.network.get_weights(), epoch
                listeners.on_epoch_end(epoch, {k: v for k, v in row.items() if k != "epoch"})
                if on_progress is not None:
                    on_progress(epoch, 1, 1, row)
                waited = epoch - best_epoch
                if self.network.stop_training or (patience is not None and waited >= patience):
                    break
        except (TrainingDivergedError, KeyboardInterrupt):
            self.network.set_weights(best_weights)
            raise
        if keep_best:
            self.network.set_weights(best_weights)
        listeners.on_train_end()
        return rows

    def evaluate(self, data: TrainingData) -> float:
        """Mean loss over `data`. What is hidden from the encoder is drawn, but always the same."""
        total, weight = 0.0, 0.0
        for piece in self._pieces(np.arange(len(data)), data, steps=64):
            seed, no_rates = tf.constant([self._seed, 0]), tf.zeros([0])
            losses = self._graph(data, train=False)(*_tensors(data), *piece, seed, no_rates)
            total, weight = total + float(losses[0]), weight + float(losses[1])
        return total / weight

    def _run_epoch(self, data, epoch, rates, on_progress) -> dict:
        order = self._order.permutation(len(data))
        n_steps = -(-len(data) // self.batch_size)
        graph, tensors = self._graph(data, train=True), _tensors(data)
        sums, n_pieces = np.zeros(3), self._chunking(data.width)[0]
        done, piece_steps = 0, 4
        while done < n_steps:
            began = time.perf_counter()
            first = done * self.batch_size
            piece = next(self._pieces(order[first:], data, piece_steps))
            seed = tf.constant([self._seed, 1 + self._steps_taken], tf.int32)
            taken = piece[0].shape[0]
            first_step = epoch * n_steps + done
            out = graph(*tensors, *piece, seed, tf.constant(rates[first_step : first_step + taken]))
            sums += np.array([float(part) for part in out])
            done, self._steps_taken = done + taken, self._steps_taken + taken * n_pieces
            if not np.isfinite(sums[0]):
                break
            if on_progress is not None:
                on_progress(epoch, done, n_steps, {"loss": sums[0] / sums[1]})
            # Calls of about half a second: few enough to cost nothing, many enough to be stopped and watched.
            piece_steps = max(1, int(taken * 0.5 / max(time.perf_counter() - began, 1e-3)))
        return {"loss": sums[0] / sums[1], "gradient_norm": sums[2] / (done * n_pieces)}

    def _rates(self, n_steps) -> np.ndarray:
        """The learning rate of each step; empty where it is left to the optimizer and the callbacks."""
        if not self._sets_rates:
            return np.zeros(0, np.float32)
        peak, step = float(self.optimizer.learning_rate), np.arange(n_steps)
        warm_up = max(1, n_steps // 20)
        falling = 0.5 * (1 + np.cos(np.pi * (step - warm_up) / max(1, n_steps - warm_up)))
        return (peak * np.where(step < warm_up, (step + 1) / warm_up, falling)).astype(np.float32)

    def _pieces(self, order, data, steps):
        """Cut an order of windows into pieces of whole batches: (steps, batch_size) positions and weights."""
        per_piece = steps * self.batch_size
        for first in range(0, len(order), per_piece):
            part = order[first : first + per_piece]
            filled = -(-len(part) // self.batch_size) * self.batch_size
            positions = np.zeros(filled, np.int32)
            weights = np.zeros(filled, np.float32)
            positions[: len(part)], weights[: len(part)] = part, data.weights[part]
            yield (
                tf.constant(positions.reshape(-1, self.batch_size)),
                tf.constant(weights.reshape(-1, self.batch_size)),
            )

    def _pays(self, n_steps: int) -> bool:
        """Whether loops that are compiled save more than their compilation takes.

        Beside a recurrent decoder; an encoder that is read at every step, as for imputation, gains nothing.
        """
        return self.n_shards > 1 and getattr(self.network, "has_recurrent_decoders", False) and n_steps >= MANY_STEPS

    # -- graphs ------------------------------------------------------------------------------------------------

    def _graph(self, data: TrainingData, train: bool):
        windows = (data, data.targets) if data.targets is not None else (data,)
        shapes = tuple((part.values.shape[1], part.width) for part in windows)
        key = (shapes, data.masked, train, data.stacked, self._compiles)
        if key not in self._graphs:
            self._graphs[key] = self._build_graph(*key[:4])
        return self._graphs[key]

    def _chunking(self, width: int) -> tuple[int, int]:
        """Pieces that windows are worked through in, and the steps of each."""
        piece = getattr(self.network, "tbptt_steps", None) or width
        return -(-width // piece), piece

    def _build_graph(self, shapes: tuple[tuple[int, int], ...], masked: bool, train: bool, stacked: bool):
        """`shapes`: channels and width of the windows and, where there are any, of the targets."""
        (n_channels, width), *target_shape = shapes
        n_pieces, piece = self._chunking(width)
        masked, stacked = masked or width % piece != 0, stacked and n_pieces == 1
        no_state = self.network.initial_state(self.batch_size) if n_pieces > 1 else []

        def steps(values, starts, lengths, *rest):
            *target, positions, weights, seed, rates = rest

            def one(i, state, loss, weight, norm):
                batch, at = i // n_pieces, i % n_pieces * piece
                position, share = positions[batch], weights[batch]
                step_seed = tf.stack([seed[0], seed[1] + i])
                if n_pieces > 1:
                    first, length, n_steps = self._piece(starts, lengths, position, at, piece)
                    state = tf.nest.map_structure(lambda part: tf.where(at > 0, part, 0.0), state)
                    share = tf.where(tf.gather(lengths, position) > at, share, 0.0)
                else:
                    first, length, n_steps = tf.gather(starts, position), tf.gather(lengths, position), width
                x = gather_windows(values, first, length, n_steps, n_channels, masked, stacked)
                y = []
                for target_channels, target_width in target_shape:
                    begins, ends = (tf.gather(part, position) for part in target[1:])
                    y.append(gather_windows(target[0], begins, ends, target_width, target_channels, masked=True))
                batch_loss, grads, state = self._loss_and_gradients(x, y, share, state, masked, step_seed, train)
                if train:
                    if self._sets_rates:
                        self.optimizer.learning_rate.assign(rates[batch])
                    norm += tf.linalg.global_norm(grads)
                    self.optimizer.apply(self._clip(grads), self.network.trainable_variables)
                share = tf.reduce_sum(share)
                return i + 1, state, loss + batch_loss * share, weight + share, norm

            start = (tf.constant(0), no_state, *[tf.constant(0.0)] * 3)
            _, _, *sums = tf.while_loop(lambda i, *_: i < n_pieces * tf.shape(positions)[0], one, start)
            return sums

        windows = [
            [tf.TensorSpec([None, c], tf.float32), tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int32)]
            for c, _ in shapes
        ]
        return tf.function(
            steps,
            autograph=False,
            jit_compile=False,  # cuDNN's recurrent kernels do not go through XLA
            input_signature=[
                *[spec for specs in windows for spec in specs],
                tf.TensorSpec([None, self.batch_size], tf.int32),
                tf.TensorSpec([None, self.batch_size], tf.float32),
                tf.TensorSpec([2], tf.int32),
                tf.TensorSpec([None], tf.float32),
            ],
        )

    def _piece(self, starts, lengths, positions, at, piece):
        """First row and length of the piece of each window that begins at step `at`; an ended window has none."""
        left = tf.clip_by_value(tf.gather(lengths, positions) - at, 0, piece)
        return tf.gather(starts, positions) + tf.cast(at, tf.int64), left, piece

    def _loss_and_gradients(self, x, y, weights, state, masked, seed, train):
        # Validation, too, hides parts of the input, so that its loss is that of the objective.
        batch = self.network.prepare(x, weights, masked, StepRandomState(seed), *y)
        if state:
            batch["state"] = state
        flat = tf.nest.flatten(batch)
        seeds = tf.stack([tf.random.fold_in(seed, -1 - shard) for shard in range(self.n_shards)])

        def shard(shard_seed, *parts):
            part = tf.nest.pack_sequence_as(batch, parts)
            rng = StepRandomState(shard_seed[0]) if train else None
            with tf.GradientTape() as tape:
                loss, *left = tf.nest.flatten(self.network.batch_loss(part, rng))
            # rows picked from a table have sparse gradients, which here become dense
            gradients = map(tf.convert_to_tensor, tape.gradient(loss, self._variables())) if train else []
            return [*left, loss, *gradients]

        n_left = len(tf.nest.flatten(state))
        if self.n_shards == 1:
            results = shard(seeds, *flat)
            left, (loss, *grads) = results[:n_left], results[n_left:]
        else:
            rows = self.batch_size // self.n_shards
            with compiled_training(self._compiles):
                results = map_shards(shard, [seeds, *flat], self.n_shards, [1, *[rows] * len(flat)])
            left = [tf.reshape(part, [self.batch_size, part.shape[-1]]) for part in results[:n_left]]
            loss, *grads = [tf.reduce_sum(part, axis=0) for part in results[n_left:]]
        state = tf.nest.pack_sequence_as(state, left)
        penalty, penalty_grads = self._penalty(train)
        if penalty_grads:
            grads = [g + p for g, p in zip(grads, penalty_grads, strict=True)]
        return loss + penalty, grads, state

    def _penalty(self, train):
        """L1 and L2 on weights, once a batch."""
        if not self.network.losses:
            return 0.0, []
        with tf.GradientTape() as tape:
            penalty = tf.add_n(self.network.losses)
        return penalty, tape.gradient(penalty, self._variables(), unconnected_gradients="zero") if train else []

    def _variables(self):
        return [variable.value for variable in self.network.trainable_variables]

    def _clip(self, grads):
        if self.clipvalue is not None:
            grads = [tf.clip_by_value(g, -self.clipvalue, self.clipvalue) for g in grads]
        if self.clipnorm is not None:
            grads = [g * tf.minimum(1.0, self.clipnorm / (tf.norm(g) + 1e-12)) for g in grads]
        return grads


def _keep_gradients_local(optimizer) -> None:
    """Spare the sum over replicas where there is one: each graph with it stays in TensorFlow's registry for good."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1 and hasattr(optimizer, "_all_reduce_sum_gradients"):
        optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars


def gather_windows(values, first, lengths, width, n_channels, masked, stacked=False):
    """Windows that begin at rows `first`: (batch, width, n_channels), NaN past the end of a shorter one.

    stacked: promises that windows lie one after the other in `values`, from the first row to the last.
    """
    if stacked:
        return tf.gather(tf.reshape(values, [-1, width, n_channels]), first // width)
    rows = first[:, None] + tf.range(width, dtype=tf.int64)
    if masked:
        rows = tf.minimum(rows, tf.shape(values, out_type=tf.int64)[0] - 1)
    x = tf.gather(values, rows)
    if masked:
        x = tf.where(tf.sequence_mask(lengths, width)[..., None], x, float("nan"))
    return tf.ensure_shape(x, [first.shape[0], width, n_channels])


def _tensors(data: TrainingData) -> list:
    return [
        tensor
        for windows in (data, data.targets)
        if windows is not None
        for tensor in (
            tf.convert_to_tensor(windows.values, tf.float32),
            tf.convert_to_tensor(windows.starts, tf.int64),
            tf.convert_to_tensor(windows.lengths, tf.int32),
        )
    ]


def _diverged(epoch: int, has_best: bool) -> str:
    kept = "The weights of the best epoch before it are kept." if has_best else "No epoch before it was finite."
    return (
        f"The training loss became NaN or infinite in epoch {epoch}. {kept} What helps: a lower learning_rate, "
        "clipnorm (default 1.0) or clipvalue (such as 0.5) against exploding gradients, scale='channel' for values "
        "of very different size, kernel_l2 or recurrent_l2 against weights that grow, or shorter windows."
    )
