"""The encoder: windows in, one fixed-length vector per window out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tsae.data.series import has_missing
from tsae.networks import recurrent
from tsae.networks.config import EncoderConfig
from tsae.networks.configured import ConfiguredModel
from tsae.networks.inputs import EncoderInputs, hide_steps, read_inputs
from tsae.networks.masking import reverse_rows, step_mask
from tsae.networks.pooling import LEAST_RAMP, POOLINGS, RAMP
from tsae.networks.regularizers import make_regularizer


class Thresholds(keras.layers.Layer):
    """Thresholds of one layer's states, which no gradient changes.

    Parameters
    ----------
    config : EncoderConfig
    depth : int
    """

    def __init__(self, config: EncoderConfig, depth: int):
        super().__init__(name=f"pooling_{depth}", dtype="float32", trainable=False)
        for weight in ("thresholds", "ramp"):
            shape = config.weight_shapes()[f"{self.name}/{weight}"]
            initial = "zeros" if weight == "thresholds" else "ones"
            setattr(self, weight, self.add_weight(name=weight, shape=shape, initializer=initial))
        self.built = True

    def values(self) -> tuple[Any, Any]:
        return self.thresholds.value, self.ramp.value

    def learn(self, states: Sequence[np.ndarray], quantiles: Sequence[float]) -> None:
        """Set them to quantiles of states, arrays of (n, width); unit by unit, without a copy of them all."""
        found, spread = [], []
        for unit in range(states[0].shape[1]):
            of_unit = np.concatenate([part[:, unit] for part in states])
            spread.append(of_unit.std())
            found.append(np.quantile(of_unit, quantiles, overwrite_input=True))
        self.thresholds.assign(np.stack(found, axis=1).astype(np.float32))
        self.ramp.assign(np.maximum(RAMP * np.array(spread), LEAST_RAMP))


class Projection(keras.layers.Layer):
    """Principal components of standardised pooled values, which no gradient changes.

    Parameters
    ----------
    config : EncoderConfig
    """

    def __init__(self, config: EncoderConfig):
        super().__init__(name="projection", dtype="float32", trainable=False)
        for weight in ("mean", "inverse_std", "components"):
            shape = config.weight_shapes()[f"{self.name}/{weight}"]
            setattr(self, weight, self.add_weight(name=weight, shape=shape, initializer="zeros"))
        self.built = True

    def call(self, pooled):
        return tf.matmul((pooled - self.mean) * self.inverse_std, self.components)

    def assign(self, mean: np.ndarray, inverse_std: np.ndarray, components: np.ndarray) -> None:
        """Set them: (n_pooled,), (n_pooled,) and (n_pooled, n_components)."""
        for weight, value in ((self.mean, mean), (self.inverse_std, inverse_std), (self.components, components)):
            weight.assign(value)


class LayerStates(NamedTuple):
    """The states of one (bidirectional) recurrent layer over a batch."""

    sequence: tf.Tensor  # (batch, n_timesteps, width): the hidden state of each step
    last: tf.Tensor  # (batch, width): the hidden state after the last step of each direction
    cell: tf.Tensor | None  # (batch, width): the cell state there; None for cells without
    thresholds: Any = None  # (n_quantiles, width): of each unit; None where they are not pooled by thresholds
    ramp: Any = None  # (width,): how wide the step from below to above is

    @property
    def final(self) -> list[tf.Tensor]:
        """The states after the last step: [h, c], or [h] for cells without a cell state."""
        return [self.last] if self.cell is None else [self.last, self.cell]


def recurrent_layer(config: EncoderConfig, units: int, n_inputs: int, name: str, seeds: Iterator[int]) -> Any:
    """A built layer of the config's cell that returns its sequence and states, with weights drawn from `seeds`."""
    layer = getattr(recurrent, config.cell_entry.layer)(
        units,
        return_sequences=True,
        return_state=True,
        dtype="float32",
        unroll=config.unroll,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        kernel_regularizer=make_regularizer(config.kernel_regularizer),
        recurrent_regularizer=make_regularizer(config.recurrent_regularizer),
        seed=next(seeds),  # unused, but without one Keras would draw it from Python's global generator
        name=name,
    )
    layer.build((None, None, n_inputs))
    return layer


def weight_seeds(seed: int) -> Iterator[int]:
    """An endless stream of seeds for weight initializers."""
    draw = np.random.default_rng(seed)
    while True:
        yield int(draw.integers(2**31))


@keras.saving.register_keras_serializable(package="tsae")
class Encoder(ConfiguredModel):
    """Stacked recurrent layers whose states are pooled over time into one vector per window.

    Parameters
    ----------
    config : EncoderConfig

    Notes
    -----
    Called on a tensor of shape (batch, n_timesteps, n_channels) with NaN where a value is missing, it returns
    (batch, n_features). NaN after the last observed step is padding and changes nothing.
    """

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig, name: str = "encoder", **kwargs: Any):
        super().__init__(config, name=name, **kwargs)
        seeds = weight_seeds(config.seed)
        n_inputs = [config.n_inputs, *config.widths[:-1]]
        # All forward layers, then all backward ones: the order in which their weights are drawn and listed.
        directions = [
            [recurrent_layer(config, *part, seeds) for part in zip(config.units, n_inputs, names, strict=True)]
            for names in zip(*config.layer_names(), strict=True)
        ]
        self.forward_layers, self.backward_layers = directions if config.bidirectional else (directions[0], [])
        depths = config.pooled_depths if config.has_thresholds else []
        self.thresholds = {depth: Thresholds(config, depth) for depth in depths}
        self.projection = None if config.n_components is None else Projection(config)
        self.built = True

    def call(self, x):
        inputs = self.read(x)
        return self.pool(self.run(inputs), inputs.lengths)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Three: "features", "pooled" (before their projection) and "sequence" (the last layer's states)."""

        def of_states(function: Callable) -> Callable:
            def call(x, masked):
                inputs = self.read(x, masked)
                return function(self.run(inputs), inputs.lengths)

            return call

        return {
            "features": of_states(self.pool),
            "pooled": of_states(self.pooled),
            "sequence": of_states(self._sequence),
        }

    @staticmethod
    def _sequence(states: list[LayerStates], lengths=None):
        sequence = states[-1].sequence
        if lengths is None:
            return sequence
        return tf.where(step_mask(lengths, sequence.shape[1]) > 0, sequence, float("nan"))

    def read(self, x, masked: bool = True, ahead: int = 0) -> EncoderInputs:
        """Turn windows with NaN into inputs of the layers; see `tsae.networks.inputs.read_inputs`."""
        return read_inputs(self.config, x, masked, ahead)

    def hide(self, values, hidden):
        """Hide steps of the inputs; see `tsae.networks.inputs.hide_steps`."""
        return hide_steps(self.config, values, hidden)

    def run(self, inputs: EncoderInputs, rng=None, initial_state=None) -> list[LayerStates]:
        """Run all layers.

        Parameters
        ----------
        inputs : EncoderInputs
        rng : StepRandomState, optional
            Turns dropout on.
        initial_state : list of list of tensors, optional
            [h, c] or [h] of each layer, from which a series continues; one direction and no dilation only.
        """
        states = []
        x, lengths = inputs.values, inputs.lengths
        for depth, (forward, dilation) in enumerate(zip(self.forward_layers, self.config.dilations, strict=True)):
            if depth and rng is not None and self.config.dropout:
                x = rng.dropout(x, self.config.dropout)
            if initial_state is None:
                sequence, state = recurrent.run_dilated(forward, x, lengths, dilation)
            else:
                sequence, state = forward.run(x, lengths, initial_state[depth])
            if self.backward_layers:
                backward = self.backward_layers[depth]
                back, back_state = recurrent.run_dilated(backward, reverse_rows(x, lengths), lengths, dilation)
                sequence = tf.concat([sequence, reverse_rows(back, lengths)], axis=-1)
                state = [tf.concat(pair, axis=-1) for pair in zip(state, back_state, strict=True)]
            learned = self.thresholds[depth].values() if depth in self.thresholds else ()
            states.append(LayerStates(sequence, state[0], state[1] if len(state) > 1 else None, *learned))
            x = sequence
        return states

    def pool(self, states: list[LayerStates], lengths=None):
        """States -> features, (batch, n_features)."""
        pooled = self.pooled(states, lengths)
        return pooled if self.projection is None else self.projection(pooled)

    def pooled(self, states: list[LayerStates], lengths=None):
        """States -> what the projection reads, (batch, n_pooled)."""
        return self._pooled(states, lengths, self.config.pooling)

    def context(self, states: list[LayerStates], lengths=None):
        """States -> what decoders read of the features; see `EncoderConfig.context_columns`."""
        return self._pooled(states, lengths, self.config.context_pooling)

    def _pooled(self, states, lengths, kinds):
        pooled = [states[depth] for depth in self.config.pooled_depths]
        features = [POOLINGS[kind].pool(layer, lengths) for layer in pooled for kind in kinds]
        return tf.concat(features, axis=-1) if features else tf.zeros([tf.shape(states[0].last)[0], 0])

    def learn_thresholds(self, batches: Iterable[np.ndarray], share: float = 1.0) -> None:
        """Set the thresholds of all pooled layers to quantiles of their states.

        Parameters
        ----------
        batches : iterable of float32 arrays of shape (batch, n_timesteps, n_channels)
            Scaled windows, NaN where a value is missing.
        share : float
            Of all steps; so many are drawn and used.
        """
        rng = np.random.default_rng(self.config.seed)
        collected: dict[int, list[np.ndarray]] = {depth: [] for depth in self.thresholds}
        for x in batches:
            inputs = self.read(tf.constant(x), masked=has_missing(x))
            lengths = np.full(len(x), x.shape[1]) if inputs.lengths is None else inputs.lengths.numpy()
            used = (np.arange(x.shape[1]) < lengths[:, None]) & (rng.random(x.shape[:2]) < share)
            states = self.run(inputs)
            for depth, parts in collected.items():
                parts.append(states[depth].sequence.numpy()[used])
        for depth, parts in collected.items():
            self.thresholds[depth].learn(parts, self.config.quantiles)

    def zero_states(self, batch_size: int) -> list[list]:
        """The states of all forward layers before the first step."""
        return [[tf.zeros([batch_size, layer.units])] * layer.n_states for layer in self.forward_layers]
