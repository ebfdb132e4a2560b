"""Recurrent decoders: from the encoder's result back to sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tsae.networks.attention import Attention
from tsae.networks.config import DecayConfig, DecoderConfig
from tsae.networks.encoder import Encoder, LayerStates, recurrent_layer
from tsae.networks.loops import run_steps


class Encoded(NamedTuple):
    """The encoder's result, as decoders read it."""

    context: tf.Tensor  # (batch, n_context): its states pooled over time
    states: list[list[tf.Tensor]]  # of each layer [h, c] or [h] after the last step: (batch, width)
    memory: tf.Tensor  # (batch, n_timesteps, width): the hidden state of each step of its top layer
    lengths: tf.Tensor | None  # (batch,) steps of each row; None: all

    @classmethod
    def by(cls, encoder: Encoder, states: list[LayerStates], lengths) -> Encoded:
        return cls(encoder.context(states, lengths), [layer.final for layer in states], states[-1].sequence, lengths)


class Decoded(NamedTuple):
    """A decoder's output."""

    values: tf.Tensor  # (batch, n_timesteps, n_outputs)
    weights: tf.Tensor | None = None  # (batch, n_timesteps, n_memory_steps) of its attention, None without


class Source(NamedTuple):
    """What a decoder reads at every step of one sequence."""

    context: tf.Tensor | None
    memory: tf.Tensor | None
    keys: tf.Tensor | None
    lengths: tf.Tensor | None


class TeacherForcing(NamedTuple):
    """What a decoder with feedback reads in training instead of its own outputs.

    target: the true sequence; None: the decoder reads its own outputs, as in use.
    rate: (batch,) the probability of the target at each step; None: always.
    rng: decides which steps get the target.
    """

    target: tf.Tensor | None = None
    rate: tf.Tensor | None = None
    rng: Any = None


OWN_OUTPUTS = TeacherForcing()


@keras.saving.register_keras_serializable(package="tsae")
class RecurrentDecoder(keras.layers.Layer):
    """Recurrent layers that turn the encoder's result into a sequence.

    Parameters
    ----------
    config : DecoderConfig
    encoder : Encoder
        Whose states and features are read; only its config matters here.
    n_outputs : int
        Width of each output step.
    seeds : iterator of int
        Seeds for the initial weights.
    feedback_width : int
        Width of the previous output as it is read back; 0: it is not (Srivastava et al. 2015, section 2.3, the
        unconditioned form).

    Notes
    -----
    Initial states match the encoder's layers from the bottom up; layers beyond the encoder's take its top one. States
    of another width go through a dense layer, the bridge.

    The attention of Luong et al. 2015 follows the recurrent layers: the output is computed from tanh(W[attended; h])
    (equation 5). "additive" attention precedes them, with the top layer's previous state as the query, and the layers
    read what it gives (Bahdanau et al. 2015, section 3.1).

    Where all that the layers read is known beforehand, they run over the whole sequence at once, with the fused
    kernel; otherwise one step at a time. Both give the same numbers.
    """

    def __init__(
        self, config: DecoderConfig, encoder: Encoder, n_outputs: int, seeds: Iterator[int], *, feedback_width: int = 0,
        name: str | None = None,
    ):  # fmt: skip
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.feedback_width = feedback_width
        self.attends_before = config.attention == "additive"
        self.attends_after = config.attention is not None and not self.attends_before
        memory_width, top = encoder.config.widths[-1], config.units[-1]
        self._build_layers(encoder, memory_width, seeds, name)
        self.attention: Any = None
        if config.attention is not None:
            self.attention = Attention(
                config.attention, top, memory_width, config.n_memory_steps, seeds, name=f"{name}_attention"
            )
        if self.attends_after:
            self.combine = dense_layer(
                memory_width + top, top, f"{name}_combine", seeds, activation="tanh", use_bias=False
            )
        self.output_layer = dense_layer(
            top + (memory_width if self.attends_before else 0), n_outputs, f"{name}_output", seeds
        )
        self.built = True

    def _build_layers(self, encoder: Encoder, memory_width: int, seeds: Iterator[int], name: str | None) -> None:
        config, kind = self.config, encoder.config
        self.unroll = kind.unroll
        reads = (
            len(kind.context_columns()) if self.reads_context else 0,
            self.feedback_width,
            memory_width if self.attends_before else 0,
            config.units[-1] if config.input_feeding else 0,
        )
        n_inputs = max(1, sum(reads))  # a layer that would read nothing reads a zero
        self.recurrent_layers = []
        self.bridge_layers = []
        for depth, n_units in enumerate(config.units):
            layer = recurrent_layer(kind, n_units, n_inputs, f"{name}_{kind.cell}_{depth}", seeds)
            self.recurrent_layers.append(layer)
            n_inputs = n_units
            if config.bridge != "repeat_vector":
                width = kind.widths[min(depth, len(kind.widths) - 1)]
                activations = kind.cell_entry.bridge_activations
                self.bridge_layers.append(_bridge(width, n_units, activations, f"{name}_bridge_{depth}", seeds))

    @property
    def reads_context(self) -> bool:
        return self.config.bridge != "initial_state"

    def decode(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = OWN_OUTPUTS, feed=None) -> Decoded:
        """Generate `n_timesteps` steps.

        Parameters
        ----------
        encoded : Encoded
        n_timesteps : int
        forcing : TeacherForcing
            In training, where outputs are replaced by the target.
        feed : callable, optional
            Turns an output into what is fed back, (batch, n_outputs) -> (batch, feedback_width); None: the output
            itself. The first step is always fed zeros.
        """
        known = not self.feedback_width or (forcing.target is not None and forcing.rate is None)
        if known and not self.attends_before and not self.config.input_feeding:
            return self.decode_directly(encoded, n_timesteps, forcing.target)
        return self.decode_recursively(encoded, n_timesteps, forcing, feed)

    def decode_directly(self, encoded: Encoded, n_timesteps: int, target=None) -> Decoded:
        """The whole sequence at once; needs `target` with feedback, and attention after the layers or none."""
        source, carry = self.begin(encoded)
        (first, state), *above = zip(self.recurrent_layers, carry["layers"], strict=True)
        if self.feedback_width:
            reads = [_shifted_by_one(target, n_timesteps)]
            if source.context is not None:
                reads.insert(0, tf.repeat(source.context[:, None], n_timesteps, axis=1))
            x, _ = first.run(tf.concat(reads, axis=-1), None, state)
        else:
            x = tf.zeros([tf.shape(encoded.context)[0], 1]) if source.context is None else source.context
            x = first.run_repeated(x, n_timesteps, state)
        for layer, state in above:
            x, _ = layer.run(x, None, state)
        return self._outputs(source, x)

    def decode_recursively(
        self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = OWN_OUTPUTS, feed=None
    ) -> Decoded:
        """One step at a time, each reading the output of the one before."""
        source, carry = self.begin(encoded)
        batch = tf.shape(encoded.context)[0]
        carry["fed"] = tf.zeros([batch, self.feedback_width])
        has_target = forcing.target is not None and self.feedback_width
        target = _shifted_by_one(forcing.target, n_timesteps) if has_target else None
        use_target = None
        if target is not None and forcing.rate is not None:
            use_target = forcing.rng.uniform([batch, n_timesteps]) < forcing.rate[:, None]

        def step(i, carry):
            fed = carry["fed"]
            if target is not None:
                fed = target[:, i] if use_target is None else tf.where(use_target[:, i, None], target[:, i], fed)
            decoded, carry = self.step(source, carry, fed)
            if self.feedback_width:
                carry["fed"] = decoded.values if feed is None else feed(decoded.values)
            return carry, [decoded.values] if decoded.weights is None else [decoded.values, decoded.weights]

        _, outputs = run_steps(step, carry, n_timesteps, self.unroll)
        return Decoded(*outputs)

    def begin(self, encoded: Encoded) -> tuple[Source, dict]:
        """What is read at every step, and what `step` carries from one to the next."""
        memory, keys = None, None
        if self.attention is not None:
            memory, keys = encoded.memory, self.attention.keys(encoded.memory)
        context = encoded.context if self.reads_context else None
        carry: dict = {"layers": self._initial_states(encoded)}
        if self.config.input_feeding:
            carry["attentional"] = tf.zeros([tf.shape(encoded.context)[0], self.recurrent_layers[-1].units])
        return Source(context, memory, keys, encoded.lengths), carry

    def step(self, source: Source, carry: dict, fed) -> tuple[Decoded, dict]:
        """One step: its output, (batch, n_outputs), and what is carried on."""
        states = carry["layers"]
        reads = [part for part in (source.context, fed if self.feedback_width else None) if part is not None]
        attended: Any = None
        weights: Any = None
        if self.attends_before:
            attended, weights = self._attend(source, states[-1][0][:, None])
            reads.append(attended[:, 0])
        if self.config.input_feeding:
            reads.append(carry["attentional"])
        x = tf.concat(reads, axis=-1) if reads else tf.zeros([tf.shape(states[0][0])[0], 1])
        after = []
        for layer, state in zip(self.recurrent_layers, states, strict=True):
            x, state = layer.step(x, state)
            after.append(state)
        carry = {**carry, "layers": after}
        if self.attends_before:
            return Decoded(self.output_layer(tf.concat([x, attended[:, 0]], axis=-1)), weights[:, 0]), carry
        if self.attends_after:
            attended, weights = self._attend(source, x[:, None])
            x = self.combine(tf.concat([attended[:, 0], x], axis=-1))
            if self.config.input_feeding:
                carry["attentional"] = x
        return Decoded(self.output_layer(x), None if weights is None else weights[:, 0]), carry

    def _outputs(self, source, x) -> Decoded:
        weights = None
        if self.attends_after:
            attended, weights = self._attend(source, x)
            x = self.combine(tf.concat([attended, x], axis=-1))
        return Decoded(self.output_layer(x), weights)

    def _attend(self, source, query):
        return self.attention(query, source.memory, source.keys, source.lengths)

    def _initial_states(self, encoded) -> list[list]:
        if not self.bridge_layers:
            batch = tf.shape(encoded.context)[0]
            return [[tf.zeros([batch, layer.units])] * layer.n_states for layer in self.recurrent_layers]
        states = []
        for depth, bridge in enumerate(self.bridge_layers):
            final = encoded.states[min(depth, len(encoded.states) - 1)]
            states.append([dense(part) for dense, part in zip(bridge, final, strict=True)] if bridge else final)
        return states


def forcing_in_training(config: DecoderConfig, target, rate, rng) -> TeacherForcing:
    """Teacher forcing of a training step; without `rng`, that is in validation, scheduled sampling has none."""
    forced = config.feedback == "teacher_forcing" or (config.feedback == "scheduled_sampling" and rng is not None)
    return TeacherForcing(target, rate, rng) if forced else OWN_OUTPUTS


def dense_layer(n_inputs: int, n_outputs: int, name: str, seeds: Iterator[int], **options):
    """A built dense layer, with weights drawn from `seeds`."""
    glorot = keras.initializers.GlorotUniform(seed=next(seeds))
    layer = keras.layers.Dense(n_outputs, kernel_initializer=glorot, name=name, dtype="float32", **options)
    layer.build((None, n_inputs))
    return layer


def _bridge(width: int, units: int, activations: tuple[str | None, ...], name: str, seeds: Iterator[int]) -> list:
    """Dense layers from the encoder's states to the decoder's, none where the widths agree."""
    if width == units:
        return []
    return [
        dense_layer(width, units, f"{name}_{part}", seeds, activation=activation)
        for part, activation in zip("hc", activations, strict=False)
    ]


def _shifted_by_one(target, n_timesteps: int):
    """What teacher forcing feeds at each step: the target of the step before, at first zeros."""
    return tf.pad(target[:, : n_timesteps - 1], [[0, 0], [1, 0], [0, 0]])


def teacher_forcing_rate(decay: DecayConfig, step):
    """Probability of feeding the target at update `step` (Bengio et al. 2015, section 2.4).

    "linear" max(0, 1 - i / n), "exponential" k ** i, or "inverse_sigmoid" k / (k + exp(i / k)), with n the `updates`
    and k such that 1 % is left at i = n; `minimum` is what it decays to instead of 0.
    """
    if decay.updates == 0:
        return tf.constant(decay.minimum, tf.float32)
    i = tf.cast(step, tf.float32)
    if decay.kind == "linear":
        rate = tf.maximum(0.0, 1.0 - i / decay.updates)
    elif decay.kind == "exponential":
        rate = tf.pow(0.01, i / decay.updates)
    else:
        k = inverse_sigmoid_k(decay.updates)
        rate = 1.0 / (1.0 + tf.exp(i / k - np.log(k)))
    return decay.minimum + (1.0 - decay.minimum) * rate


def inverse_sigmoid_k(updates: float) -> float:
    """The k with which k / (k + exp(i / k)) is 1 % at i = `updates`."""
    low, high = 1e-3, float(updates)
    for _ in range(200):  # updates / k - log(k) = log(99) falls in k
        middle = (low + high) / 2
        low, high = (middle, high) if updates / middle - np.log(middle) > np.log(99) else (low, middle)
    return high
