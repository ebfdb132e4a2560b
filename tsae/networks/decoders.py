"""Decoders: from what the encoder says back to values, step by step."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tsae.networks.attention import Attention
from tsae.networks.encoder import Encoder, LayerStates, recurrent_layer
from tsae.networks.loops import run_steps


class Encoded(NamedTuple):
    """What an encoder hands to decoders."""

    context: tf.Tensor  # (batch, n_features): its states pooled over time
    states: list[list[tf.Tensor]]  # of each layer [h, c] or [h] after the last step: (batch, width)
    memory: tf.Tensor  # (batch, n_timesteps, width): the hidden state of each step of its top layer
    lengths: tf.Tensor | None  # (batch,) steps of each row; None: all

    @classmethod
    def by(cls, encoder: Encoder, states: list[LayerStates], lengths) -> Encoded:
        kept = [[layer.last] if layer.cell is None else [layer.last, layer.cell] for layer in states]
        return cls(encoder.pool(states, lengths), kept, states[-1].sequence, lengths)


class Decoded(NamedTuple):
    """What a decoder says."""

    values: tf.Tensor  # (batch, n_timesteps, n_outputs)
    weights: tf.Tensor | None = None  # (batch, n_timesteps, n_memory_steps) of its attention, None without


class Source(NamedTuple):
    """What a decoder reads at every step of one sequence."""

    context: tf.Tensor | None
    memory: tf.Tensor | None
    keys: tf.Tensor | None
    lengths: tf.Tensor | None


class TeacherForcing(NamedTuple):
    """What a conditioned decoder is fed in training. Nothing of it is used by one that is not conditioned.

    truth: the true sequence; None: it is fed its own outputs, as in use.
    rate: (batch,) the probability of the truth at each step; None: always.
    rng: decide which steps get the truth.
    """

    truth: tf.Tensor | None = None
    rate: tf.Tensor | None = None
    rng: Any = None


NO_FEEDBACK = TeacherForcing()


@keras.saving.register_keras_serializable(package="tsae")
class RecurrentDecoder(keras.layers.Layer):
    """Recurrent layers that unfold what an encoder says into a sequence.

    Parameters
    ----------
    encoder : Encoder
        Whose states and features are read; only their widths matter here.
    n_outputs : int
        Width of each output step.
    units : list of int
        Units of each recurrent layer, bottom first.
    seeds : iterator of int
        Seeds for the initial weights.
    feedback_width : int
        Width of the previous output as the decoder reads it back; 0: it does not (Srivastava et al. 2015, section
        2.3, the unconditioned form).
    bridge : "context", "state" or "both"
        "context": each step reads the encoder's features (Cho et al. 2014). "state": the layers begin with the
        encoder's final states (Sutskever et al. 2014); the layers are matched from the bottom up, and those beyond
        the encoder's take its top one. States of another width go through a dense layer.
    attention : str or None
        A kind of `Attention`. Those of Luong et al. 2015 look back after the recurrent layers: the output is read
        from tanh(W[attended; h]) (equation 5). "additive" looks before them, with the top layer's previous state,
        and the layers read what was seen (Bahdanau et al. 2015, section 3.1).
    input_feeding : bool
        The layers also read the tanh(W[attended; h]) of the step before (Luong et al. 2015, section 3.3).
    n_memory_steps : int or None
        For "location" attention: steps of the longest window.

    Notes
    -----
    Where all that the layers read is known beforehand, they run over the whole sequence at once, with the fused
    kernel; otherwise one step at a time. Both give the same numbers.
    """

    def __init__(
        self, encoder, n_outputs, units, seeds, *, feedback_width=0, bridge="context", attention=None,
        input_feeding=False, n_memory_steps=None, name=None,
    ):  # fmt: skip
        super().__init__(name=name)
        settings = encoder.get_config()
        cell, self.unroll = settings["cell"], settings["unroll"]
        l1_l2 = {k: settings[k] for k in ("kernel_l1", "kernel_l2", "recurrent_l1", "recurrent_l2")}
        memory_width, top = encoder.widths[-1], units[-1]
        self.feedback_width = feedback_width
        self.bridge = bridge
        self.attends_before = attention == "additive"
        self.attends_after = attention is not None and not self.attends_before
        self.input_feeding = input_feeding
        reads = [
            len(encoder.feature_names()) if bridge != "state" else 0,
            feedback_width,
            memory_width if self.attends_before else 0,
            top if input_feeding else 0,
        ]
        self.recurrent_layers = []
        self.bridge_layers = []
        n_inputs = max(1, sum(reads))  # a layer that would read nothing reads a zero
        for depth, n_units in enumerate(units):
            layer = recurrent_layer(cell, n_units, f"{name}_{cell}_{depth}", seeds, self.unroll, **l1_l2)
            layer.build((None, None, n_inputs))
            self.recurrent_layers.append(layer)
            n_inputs = n_units
            if bridge != "context":
                width = encoder.widths[min(depth, len(encoder.widths) - 1)]
                self.bridge_layers.append(_bridge(width, n_units, cell, f"{name}_bridge_{depth}", seeds))
        self.attention: Any = None
        if attention is not None:
            self.attention = Attention(attention, top, memory_width, n_memory_steps, seeds, name=f"{name}_attention")
        if self.attends_after:
            self.combine = keras.layers.Dense(
                top, activation="tanh", use_bias=False, name=f"{name}_combine",
                kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
            )  # fmt: skip
            self.combine.build((None, memory_width + top))
        self.output_layer = output_layer(
            top + (memory_width if self.attends_before else 0), n_outputs, f"{name}_output", seeds
        )
        self.built = True

    def unfold(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = NO_FEEDBACK, feed=None) -> Decoded:
        """Unfold into `n_timesteps` steps.

        Parameters
        ----------
        forcing : TeacherForcing
            In training, where outputs are replaced by the truth.
        feed : callable, optional
            An output as it is fed back, (batch, n_outputs) -> (batch, feedback_width); None: as it is. Whatever is fed
            back, the first step is fed zeros.
        """
        known = not self.feedback_width or (forcing.truth is not None and forcing.rate is None)
        if known and not self.attends_before and not self.input_feeding:
            return self.direct(encoded, n_timesteps, forcing.truth)
        return self.recursive(encoded, n_timesteps, forcing, feed)

    def direct(self, encoded: Encoded, n_timesteps: int, truth=None) -> Decoded:
        """The whole sequence at once; needs `truth` where conditioned, and attention that looks after or none."""
        source, carry = self.begin(encoded)
        (first, state), *above = zip(self.recurrent_layers, carry["layers"], strict=True)
        if self.feedback_width:
            reads = [_one_later(truth, n_timesteps)]
            if source.context is not None:
                reads.insert(0, tf.repeat(source.context[:, None], n_timesteps, axis=1))
            x, _ = first.run(tf.concat(reads, axis=-1), None, state)
        else:
            x = tf.zeros([tf.shape(encoded.context)[0], 1]) if source.context is None else source.context
            x = first.run_repeated(x, n_timesteps, state)
        for layer, state in above:
            x, _ = layer.run(x, None, state)
        return self._read_out(source, x)

    def recursive(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = NO_FEEDBACK, feed=None) -> Decoded:
        """One step at a time, each inputs what the one before said."""
        source, carry = self.begin(encoded)
        batch = tf.shape(encoded.context)[0]
        carry["fed"] = tf.zeros([batch, self.feedback_width])
        truth = None if forcing.truth is None or not self.feedback_width else _one_later(forcing.truth, n_timesteps)
        told = None
        if truth is not None and forcing.rate is not None:
            told = forcing.rng.uniform([batch, n_timesteps]) < forcing.rate[:, None]

        def step(i, carry):
            fed = carry["fed"]
            if truth is not None:
                true = truth[:, i]
                fed = true if told is None else tf.where(told[:, i, None], true, fed)
            decoded, carry = self.step(source, carry, fed)
            if self.feedback_width:
                carry["fed"] = decoded.values if feed is None else feed(decoded.values)
            return carry, [decoded.values] if decoded.weights is None else [decoded.values, decoded.weights]

        _, said = run_steps(step, carry, n_timesteps, self.unroll)
        return Decoded(*said)

    def begin(self, encoded: Encoded) -> tuple[Source, dict]:
        """What is read at every step, and what `step` carries from one to the next."""
        memory, keys = None, None
        if self.attention is not None:
            memory, keys = encoded.memory, self.attention.keys(encoded.memory)
        context = encoded.context if self.bridge != "state" else None
        carry: dict = {"layers": self._initial_states(encoded)}
        if self.input_feeding:
            carry["attentional"] = tf.zeros([tf.shape(encoded.context)[0], self.recurrent_layers[-1].units])
        return Source(context, memory, keys, encoded.lengths), carry

    def step(self, source: Source, carry: dict, fed) -> tuple[Decoded, dict]:
        """One step: what is said, (batch, n_outputs), and what is carried on."""
        states = carry["layers"]
        reads = [part for part in (source.context, fed if self.feedback_width else None) if part is not None]
        attended: Any = None
        weights: Any = None
        if self.attends_before:
            attended, weights = self._attend(source, states[-1][0][:, None])
            reads.append(attended[:, 0])
        if self.input_feeding:
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
            if self.input_feeding:
                carry["attentional"] = x
        return Decoded(self.output_layer(x), None if weights is None else weights[:, 0]), carry

    def _read_out(self, source, x) -> Decoded:
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
            handed = encoded.states[min(depth, len(encoded.states) - 1)]
            states.append([cross(part) for cross, part in zip(bridge, handed, strict=True)] if bridge else handed)
        return states


def output_layer(n_inputs: int, n_channels: int, name: str, seeds):
    """The linear read-out from hidden states to channels."""
    layer = keras.layers.Dense(
        n_channels, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)), name=name
    )
    layer.build((None, n_inputs))
    return layer


def _bridge(width: int, units: int, cell: str, name: str, seeds) -> list:
    """Dense layers from the encoder's [h, c] or [h] to the decoder's, none where the widths agree."""
    if width == units:
        return []
    made = []
    for part, activation in (("h", "tanh"), ("c", None))[: 2 if cell == "lstm" else 1]:
        glorot = keras.initializers.GlorotUniform(seed=next(seeds))
        layer = keras.layers.Dense(units, activation=activation, kernel_initializer=glorot, name=f"{name}_{part}")
        layer.build((None, width))
        made.append(layer)
    return made


def _one_later(truth, n_timesteps: int):
    """What is fed at each step: the truth of the step before, at first zeros."""
    return tf.pad(truth[:, : n_timesteps - 1], [[0, 0], [1, 0], [0, 0]])


def teacher_forcing_rate(sampling: dict, step):
    """Probability of forcing the truth at update `step` (Bengio et al. 2015, section 2.4).

    Parameters
    ----------
    sampling : dict
        schedule: "linear" max(0, 1 - i / n), "exponential" k ** i, or "inverse_sigmoid" k / (k + exp(i / k)), with k
        such that 1 % is left at i = n; updates: n; floor: what it decays to instead of 0.
    """
    schedule, updates, floor = sampling["schedule"], sampling["updates"], sampling["floor"]
    if updates == 0:
        return tf.constant(floor, tf.float32)
    i = tf.cast(step, tf.float32)
    if schedule == "linear":
        rate = tf.maximum(0.0, 1.0 - i / updates)
    elif schedule == "exponential":
        rate = tf.pow(0.01, i / updates)
    else:
        k = inverse_sigmoid_k(updates)
        rate = 1.0 / (1.0 + tf.exp(i / k - np.log(k)))
    return floor + (1.0 - floor) * rate


def inverse_sigmoid_k(updates: float) -> float:
    """The k with which k / (k + exp(i / k)) is 1 % at i = `updates`."""
    low, high = 1e-3, float(updates)
    for _ in range(200):  # updates / k - log(k) = log(99) falls in k
        middle = (low + high) / 2
        low, high = (middle, high) if updates / middle - np.log(middle) > np.log(99) else (low, middle)
    return high
