"""Training: epochs that run inside TensorFlow.

The series are in memory once. Python draws the order of the windows in an epoch and passes it on in a few calls of one
graph. Each step of the graph gathers its windows, splits them over the CPU's cores and applies the sum of the cores'
gradients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tsae.errors import TrainingDivergedError
from tsae.networks.config import TrainingConfig
from tsae.networks.optimizers import make_optimizer, schedule_of
from tsae.networks.protocols import TrainableNetwork
from tsae.networks.schedules import cosine_rates
from tsae.networks.sharding import shards_for
from tsae.networks.shared_graphs import NetworkSettings, handles_of, make_template, settings_of
from tsae.networks.training_data import TrainingData
from tsae.networks.training_graph import (
    GraphOptions,
    TrainingGraph,
    count_chunks,
    graph_variables,
    variable_pattern,
)
from tsae.networks.xla_loops import has_compiler

# Compiling the recurrent loops saves more than it costs from this many steps on: windows x steps per window x epochs.
COMPILE_FROM_STEPS = 1 << 20


class Trainer:
    """Fits a network; keeps its graphs and the optimizer's state between calls.

    Parameters
    ----------
    network : TrainableNetwork
    optimizer : str or keras.optimizers.Optimizer
        A name that Keras knows, for its default settings, or an optimizer. Graphs are shared with the trainers of other
        networks only where it is a name.
    config : TrainingConfig
        The batch size is rounded up to a multiple of the number of shards.
    learning_rate : float
        Of an optimizer that is given by its name.
    seed : int
        For the order of the windows and the random numbers in the steps.
    n_shards : int, optional
        Parts of a batch that are processed in parallel; None: as `shards_for` gives.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        optimizer: str | keras.optimizers.Optimizer,
        config: TrainingConfig,
        *,
        learning_rate: float = 1e-3,
        seed: int = 0,
        n_shards: int | None = None,
    ):
        self.network = network
        self._optimizer_name = optimizer if isinstance(optimizer, str) else None
        self.optimizer = optimizer = make_optimizer(optimizer, learning_rate, network.trainable_variables)
        self.n_shards = shards_for(config.batch_size) if n_shards is None else n_shards
        self.config = replace(config, batch_size=-(-config.batch_size // self.n_shards) * self.n_shards)
        self._has_own_schedule = schedule_of(optimizer) is not None
        self._assign_rates = config.schedule == "cosine" and not self._has_own_schedule
        # Where each call of `fit` starts, or has its peak; an optimizer with a schedule of its own keeps it.
        self.learning_rate = float(optimizer.learning_rate)
        self._order = np.random.default_rng(seed)
        self._seed = seed % 2**31
        self._steps_taken = 0
        self._graphs: dict[GraphOptions, TrainingGraph] = {}
        self._compiled = False
        network.optimizer = optimizer

    def take_over(self, former: Trainer) -> None:
        """Continue the run of another trainer: its random numbers and, of the same kind, its optimizer's state."""
        self._order, self._seed, self._steps_taken = former._order, former._seed, former._steps_taken  # noqa: SLF001
        new, old = self.optimizer.variables, former.optimizer.variables
        alike = type(self.optimizer) is type(former.optimizer) and len(new) == len(old)
        if alike and all(a.shape == b.shape for a, b in zip(new, old, strict=True)):
            for variable, value in zip(new, old, strict=True):
                variable.assign(value)

    def reseed(self, seed: int) -> None:
        """Draw the order of the windows and the random numbers of further steps from another seed."""
        self._order, self._seed = np.random.default_rng(seed), seed % 2**31

    def fit(
        self, data: TrainingData, validation: TrainingData | None, epochs: int, patience: int | None = None,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        on_progress: Callable[[int, int, int, dict], None] | None = None, history: list[dict] | None = None,
    ) -> list[dict]:  # fmt: skip
        """Train for up to `epochs` epochs and leave the network with its best weights.

        The learning rate starts from `learning_rate`, whatever the call before left. Where a callback sets another
        one, that stays until the next call. The best epoch is the one with the lowest validation loss; with neither
        validation nor patience, the last.

        Parameters
        ----------
        data, validation : TrainingData, TrainingData or None
        epochs : int
        patience : int, optional
            Stop after this many epochs without a lower loss.
        callbacks : iterable of keras.callbacks.Callback
        on_progress : callable(epoch, step, n_steps, row), optional
            Called several times per epoch, and at its end with its row of the history.
        history : list of dict, optional
            The rows of the epochs are appended to it as they end.

        Returns
        -------
        list of dict
            `history`, or a new list: "epoch", "loss", "gradient_norm" and, with validation, "val_loss" of each epoch.

        Raises
        ------
        TrainingDivergedError
            When the loss becomes NaN or infinite. The network then has the weights of its best epoch.
        """
        rows = [] if history is None else history
        callbacks = list(callbacks)
        listeners = keras.callbacks.CallbackList(callbacks, model=self.network)
        best, rates = _BestEpoch(self.network), self._start_rates(epochs * self._n_batches(data), callbacks)
        self.network.stop_training = False
        self._compiled = self._compiling_pays(epochs * len(data) * data.width) and has_compiler()
        listeners.on_train_begin()
        try:
            for epoch in range(epochs):
                listeners.on_epoch_begin(epoch)
                rates.heed_callbacks(epoch * self._n_batches(data))
                results = self._run_epoch(data, epoch, rates.values, on_progress)
                if validation is not None:
                    results["val_loss"] = self.evaluate(validation)
                row = {"epoch": len(rows), **results}
                if not all(np.isfinite(value) for value in results.values()):
                    raise TrainingDivergedError(_divergence_message(row["epoch"], best.epoch >= 0))
                rows.append(row)
                best.update(epoch, row.get("val_loss", row["loss"]))
                listeners.on_epoch_end(epoch, results)
                if on_progress is not None:
                    on_progress(epoch, 1, 1, row)
                if self.network.stop_training or (patience is not None and epoch - best.epoch >= patience):
                    break
        except (TrainingDivergedError, KeyboardInterrupt):
            best.restore()
            raise
        if validation is not None or patience is not None:
            best.restore()
        listeners.on_train_end()
        return rows

    def evaluate(self, data: TrainingData) -> float:
        """Mean loss over `data`. What is hidden from the encoder is random, but the same in each call."""
        windows = data.tensors()
        seed, no_rates = tf.constant([self._seed, 0]), tf.zeros([0])
        sums = tf.zeros([3], tf.float64)
        n_windows = 64 * self.config.batch_size  # per call
        for first in range(0, len(data), n_windows):
            positions = np.arange(first, min(first + n_windows, len(data)))
            batches = data.batches(positions, self.config.batch_size)
            sums = self._run_graph(data, False, windows, *batches, seed, no_rates, sums)
        total, weight, _ = sums.numpy()
        return float(total / weight)

    def _run_epoch(self, data: TrainingData, epoch: int, rates: np.ndarray, on_progress: Callable | None) -> dict:
        order = self._order.permutation(len(data))
        windows = data.tensors()
        n_batches, n_chunks = self._n_batches(data), count_chunks(data.width, self.network.tbptt_steps)
        sums, done, n_wanted = np.zeros(3), 0, 4
        while done < n_batches:
            began = time.perf_counter()
            chosen = order[done * self.config.batch_size : (done + n_wanted) * self.config.batch_size]
            positions, weights = data.batches(chosen, self.config.batch_size)
            seed = tf.constant([self._seed, 1 + self._steps_taken], tf.int32)
            taken, start = positions.shape[0], epoch * n_batches + done
            part_of_rates = tf.constant(rates[start : start + taken])
            sums = self._run_graph(
                data, True, windows, positions, weights, seed, part_of_rates, tf.constant(sums)
            ).numpy()  # fmt: skip
            done, self._steps_taken = done + taken, self._steps_taken + taken * n_chunks
            if not np.isfinite(sums[0]):
                break
            if on_progress is not None:
                on_progress(epoch, done, n_batches, {"loss": sums[0] / sums[1]})
            # Calls of about half a second: few enough to cost nothing, enough to show progress and to be interrupted.
            n_wanted = max(1, int(taken * 0.5 / max(time.perf_counter() - began, 1e-3)))
        return {"loss": float(sums[0] / sums[1]), "gradient_norm": float(sums[2] / (done * n_chunks))}

    def _n_batches(self, data: TrainingData) -> int:
        return -(-len(data) // self.config.batch_size)

    def _start_rates(self, n_batches: int, callbacks: list[keras.callbacks.Callback]) -> _Rates:
        if not self._has_own_schedule:
            self.optimizer.learning_rate = self.learning_rate
        planned = cosine_rates(self.learning_rate, n_batches) if self._assign_rates else np.zeros(0, np.float32)
        return _Rates(self.optimizer, planned, callbacks)

    def _compiling_pays(self, n_steps: int) -> bool:
        """Whether compiling the recurrent loops saves more time than it takes.

        Not without recurrent decoders: an encoder of which every state is read, as for imputation, gains nothing.
        """
        return self.n_shards > 1 and self.network.has_recurrent_decoders and n_steps >= COMPILE_FROM_STEPS

    def _run_graph(self, data: TrainingData, train: bool, windows: Any, *arguments: Any) -> Any:
        graph = self._graph(GraphOptions.of(data, train, self._compiled))
        return graph.run(handles_of(graph_variables(self.network, self.optimizer)), windows, *arguments)

    def _graph(self, options: GraphOptions) -> TrainingGraph:
        if options not in self._graphs:
            self._graphs[options] = self._make_graph(self.config, self.n_shards, self._assign_rates, options)
        return self._graphs[options]

    def _make_graph(self, *settings: Any) -> TrainingGraph:
        if self._optimizer_name is not None:
            pattern = variable_pattern(self.network, self.optimizer)
            shared = shared_graph(settings_of(self.network), self._optimizer_name, pattern, *settings)
            if shared is not None:
                return shared
        return TrainingGraph(self.network, self.optimizer, *settings)


@lru_cache(maxsize=4)  # one takes some 40 MB with the default network
def shared_graph(settings: NetworkSettings, optimizer: str, pattern: tuple, *rest: Any) -> TrainingGraph | None:
    """A graph for all networks of these settings; `rest`: further arguments of `TrainingGraph`.

    None where the variables of a new network have another pattern: layers may have been frozen by hand, and some
    variables of an optimizer have the type that Keras was set to when it was made.
    """
    network: Any = make_template(settings)
    made = make_optimizer(optimizer, 1e-3, network.trainable_variables)
    return TrainingGraph(network, made, *rest) if variable_pattern(network, made) == pattern else None


class _Rates:
    """Learning rate of each batch: the schedule's, until a callback sets one, which is then kept.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
    values : float32 array of shape (n_batches,)
        Empty where the optimizer and the callbacks set it.
    callbacks : list of keras.callbacks.Callback
        A `LearningRateScheduler` is known to set it; of the others it is noticed that they did.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, values: np.ndarray, callbacks: list):
        self.optimizer, self.values = optimizer, values
        self.are_set = any(isinstance(callback, keras.callbacks.LearningRateScheduler) for callback in callbacks)
        self.start = float(optimizer.learning_rate)

    def heed_callbacks(self, n_done: int) -> None:
        """Before an epoch: keep a learning rate that is not the one of the last of `n_done` batches."""
        if len(self.values):
            rate = float(self.optimizer.learning_rate)
            if self.are_set or rate != (float(self.values[n_done - 1]) if n_done else self.start):
                self.values[:] = rate


class _BestEpoch:
    """The weights of the epoch with the lowest loss; the initial weights (epoch -1) before the first."""

    def __init__(self, network: TrainableNetwork):
        self.network = network
        self.epoch, self.loss, self.weights = -1, np.inf, network.get_weights()

    def update(self, epoch: int, loss: float) -> None:
        if loss < self.loss:
            self.epoch, self.loss, self.weights = epoch, loss, self.network.get_weights()

    def restore(self) -> None:
        self.network.set_weights(self.weights)


def _divergence_message(epoch: int, has_best: bool) -> str:
    kept = "The weights of the best epoch before it are kept." if has_best else "No epoch before it was finite."
    return (
        f"The training loss became NaN or infinite in epoch {epoch}. {kept} What helps: a lower learning_rate, "
        "clipnorm (default 1.0) or clipvalue (such as 0.5) against exploding gradients, scale='channel' for values "
        "of very different size, kernel_regularizer or recurrent_regularizer against weights that grow, or shorter "
        "windows."
    )
