"""Heads: the decoders that train an encoder, one class per objective of `tsae.networks.objectives`.

A head has a target, a decoder that is trained towards it, and a way to align the decoder's output with the window's own
steps. All values are as the encoder scaled them. `lengths` counts the observed steps of each row; None: all steps are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.config import AutoencoderConfig
from tsae.networks.decoders import OWN_OUTPUTS, Decoded, Encoded, RecurrentDecoder, TeacherForcing, dense_layer
from tsae.networks.encoder import Encoder
from tsae.networks.masking import reverse_rows, step_mask
from tsae.networks.objectives import OBJECTIVES


class Head(keras.layers.Layer):
    """Base of the heads.

    Parameters
    ----------
    name : str
        A key of `OBJECTIVES`.
    config : AutoencoderConfig
    encoder : Encoder
    seeds : iterator of int
        Seeds for the initial weights.
    """

    def __init__(self, name: str, config: AutoencoderConfig, encoder: Encoder, seeds: Iterator[int]):
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.objective = OBJECTIVES[name]
        self._build(encoder, seeds)
        self.built = True

    def _build(self, encoder: Encoder, seeds: Iterator[int]) -> None:
        """Make the layers; by default a recurrent decoder."""
        n_outputs = encoder.config.n_inputs
        self.decoder = RecurrentDecoder(
            self.config.decoder, encoder, n_outputs, seeds, name=f"{self.name}_decoder",
            feedback_width=n_outputs if self.config.decoder.feedback else 0,
        )  # fmt: skip

    def target(self, full, lengths, ahead):
        """Cut the target out of any tensor (batch, n_timesteps, ...): (batch, n_target_steps, ...)."""
        raise NotImplementedError

    def target_weights(self, full, lengths, ahead, weights):
        """Weight of each value of the target.

        Parameters
        ----------
        full : EncoderInputs
            The window, with `observed` where values may be missing.
        lengths : int tensor of shape (batch,) or None
        ahead : int
        weights : tensor of shape (batch, 1, 1)
            Of the windows.
        """
        if lengths is None:
            return weights
        inside = step_mask(lengths - (0 if self.objective.predicts_ahead else ahead), full.values.shape[1])
        return weights * self.target(tf.cast(full.observed, full.values.dtype) * inside, lengths, ahead)

    def decode(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = OWN_OUTPUTS) -> Decoded:
        """The decoder's output; in training, a decoder with feedback reads `forcing`, in the order of the target."""
        return self.decoder.decode(encoded, n_timesteps, forcing)

    def align(self, output, lengths, n_timesteps, ahead):
        """Align the output with the window's own steps: (batch, n_timesteps, ...), NaN where there is none."""
        raise NotImplementedError


class Reconstruction(Head):
    """Reconstruct the encoder's input from the feature vector (Srivastava et al. 2015, section 2.1).

    With `reverse_target` the decoder outputs the last step first, which shortens the path of its gradient.
    """

    def target(self, full, lengths, ahead):
        read = full[:, : full.shape[1] - ahead] if lengths is None or not ahead else full
        return reverse_rows(read, _read_lengths(lengths, ahead)) if self.config.reverse_target else read

    def align(self, output, lengths, n_timesteps, ahead):
        output = reverse_rows(output, _read_lengths(lengths, ahead)) if self.config.reverse_target else output
        return pad_steps(output, 0, n_timesteps)


class Prediction(Head):
    """Predict steps from the feature vector (Srivastava et al. 2015, section 2.2).

    Without a horizon the target is the window shifted by one step; with one, the steps after those that were read.
    """

    def target(self, full, lengths, ahead):
        horizon = self.config.horizon
        if horizon is None:
            return full[:, 1:]
        if lengths is None:
            return full[:, -horizon:]
        steps = lengths[:, None] - horizon + tf.range(horizon)
        return tf.gather(full, tf.maximum(steps, 0), batch_dims=1)

    def decode(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = OWN_OUTPUTS) -> Decoded:
        return super().decode(encoded, self.config.horizon or n_timesteps - 1, forcing)

    def align(self, output, lengths, n_timesteps, ahead):
        horizon = self.config.horizon
        if horizon is None:
            return pad_steps(output, 1, n_timesteps)
        if lengths is None:
            return pad_steps(output, n_timesteps - horizon, n_timesteps)
        step = tf.range(n_timesteps)[None] - (lengths - horizon)[:, None]
        aligned = tf.gather(output, tf.clip_by_value(step, 0, horizon - 1), batch_dims=1)
        return tf.where(((step >= 0) & (step < horizon))[..., None], aligned, float("nan"))


class Imputation(Head):
    """Reconstruct a window of which spans were hidden, by a linear read-out of each step's hidden state.

    There is no bottleneck: every state learns to represent the neighbouring steps (the denoising objective of Zerveas
    et al. 2021, section 3.3, on recurrent layers). The read-out also gives the values `target_offsets` steps before
    and after, so that a state must represent more than its own step. Values of the step itself come first.
    """

    def _build(self, encoder: Encoder, seeds: Iterator[int]) -> None:
        self.shifts = [0, *(shift for offset in self.config.target_offsets for shift in (-offset, offset))]
        n_outputs = encoder.config.n_inputs * len(self.shifts)
        self.output_layer = dense_layer(encoder.config.widths[-1], n_outputs, "imputation_output", seeds)

    def target(self, full, lengths, ahead):
        read = full[:, : full.shape[1] - ahead] if lengths is None or not ahead else full
        return tf.concat([_shifted(read, shift) for shift in self.shifts], axis=-1)

    def target_weights(self, full, lengths, ahead, weights):
        if lengths is None:  # steps outside the window have no value at an offset
            return weights * self.target(tf.ones([1, *full.values.shape[1:]]), None, ahead)
        weighted = super().target_weights(full, lengths, ahead, weights)
        inside = step_mask(lengths - ahead, weighted.shape[1])
        return weighted * inside  # a state in the padding represents nothing

    def decode(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = OWN_OUTPUTS) -> Decoded:
        return Decoded(self.output_layer(encoded.memory))

    def align(self, output, lengths, n_timesteps, ahead):
        return pad_steps(output, 0, n_timesteps)


def make_heads(config: AutoencoderConfig, encoder: Encoder, seeds: Iterator[int]) -> list[Any]:
    """The heads of all objectives of a config, in its order."""
    return [globals()[OBJECTIVES[name].head](name, config, encoder, seeds) for name in config.objectives]


def _read_lengths(lengths, ahead: int):
    """Steps of each row that the encoder is given: none of a row that is shorter than what is predicted."""
    return None if lengths is None else tf.maximum(lengths - ahead, 0)


def _shifted(x, shift: int):
    """At step t the values of step t + shift; 0 where there is no such step."""
    if shift == 0:
        return x
    before, after = max(0, -shift), max(0, shift)
    n_timesteps = x.shape[1]
    inner = x[:, min(after, n_timesteps) : max(0, n_timesteps - before)]
    return tf.pad(inner, [[0, 0], [min(before, n_timesteps), min(after, n_timesteps)], [0, 0]])


def pad_steps(x, before: int, n_timesteps: int):
    """Pad x to n_timesteps steps, `before` of them ahead of it; NaN where it has no value."""
    after = n_timesteps - before - x.shape[1]
    return tf.pad(x, [[0, 0], [before, after], [0, 0]], constant_values=float("nan"))
