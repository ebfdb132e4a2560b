"""Heads: what a network learns to say about a window, and where in the window it says it.

Each head has a target, a decoder that aims at it, and a way to lay the result over the window's own steps. A
`TeacherForcing` goes to the decoder; its truth has the order of the target. All values are as the encoder scaled them.
`lengths` counts the observed steps of each row, None: all are.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tsae.networks.decoders import NO_FEEDBACK, Decoded, Encoded, TeacherForcing, RecurrentDecoder, output_layer
from tsae.networks.masking import reverse_rows


class Reconstruction(keras.layers.Layer):
    """Rebuild what the encoder read from the vector it made of it (Srivastava et al. 2015, section 2.1).

    With `reverse_target` the decoder gives the last step first, which shortens the way back to it.
    """

    def __init__(self, decoder: RecurrentDecoder, reverse_target: bool):
        super().__init__(name="reconstruction")
        self.decoder = decoder
        self.reverse_target = reverse_target
        self.built = True

    def target(self, full, lengths, ahead):
        """Where the target lies: (batch, n_target_steps, ...) of any tensor (batch, n_timesteps, ...)."""
        read = full[:, : full.shape[1] - ahead] if lengths is None or not ahead else full
        inner = None if lengths is None else lengths - ahead
        return reverse_rows(read, inner) if self.reverse_target else read

    def say(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = NO_FEEDBACK) -> Decoded:
        return self.decoder.unfold(encoded, n_timesteps, forcing)

    def align(self, output, lengths, n_timesteps, ahead):
        inner = None if lengths is None else lengths - ahead
        output = reverse_rows(output, inner) if self.reverse_target else output
        return pad_steps(output, 0, n_timesteps)


class Prediction(keras.layers.Layer):
    """Foresee steps from the encoder's vector (Srivastava et al. 2015, section 2.2).

    Without a horizon the target is the window shifted by one step; with one, the steps after what was read.
    """

    def __init__(self, decoder: RecurrentDecoder, horizon: int | None):
        super().__init__(name="prediction")
        self.decoder = decoder
        self.horizon = horizon
        self.built = True

    def target(self, full, lengths, ahead):
        if self.horizon is None:
            return full[:, 1:]
        if lengths is None:
            return full[:, -self.horizon :]
        steps = lengths[:, None] - self.horizon + tf.range(self.horizon)
        return tf.gather(full, tf.maximum(steps, 0), batch_dims=1)

    def say(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = NO_FEEDBACK) -> Decoded:
        return self.decoder.unfold(encoded, self.horizon or n_timesteps - 1, forcing)

    def align(self, output, lengths, n_timesteps, ahead):
        if self.horizon is None:
            return pad_steps(output, 1, n_timesteps)
        if lengths is None:
            return pad_steps(output, n_timesteps - self.horizon, n_timesteps)
        late = lengths - self.horizon
        step = tf.range(n_timesteps)[None] - late[:, None]
        laid = tf.gather(output, tf.clip_by_value(step, 0, self.horizon - 1), batch_dims=1)
        return tf.where(((step >= 0) & (step < self.horizon))[..., None], laid, float("nan"))


class Imputation(keras.layers.Layer):
    """Rebuild a window of which spans were hidden, by a linear read-out of each step's hidden state.

    There is no bottleneck: every state learns to stand for what surrounds it (the denoising objective of Zerveas
    et al. 2021, section 3.3, on recurrent layers). The read-out also tells the values `offsets` steps before and
    after, so that a state must know of more than its own step. Values of the step itself come first.
    """

    def __init__(self, width, n_channels, offsets, seeds):
        super().__init__(name="imputation")
        self.shifts = [0, *(shift for offset in offsets for shift in (-offset, offset))]
        self.output_layer = output_layer(width, n_channels * len(self.shifts), "imputation_output", seeds)
        self.built = True

    def target(self, full, lengths, ahead):
        """What each state is to tell, side by side; 0 outside the window."""
        read = full[:, : full.shape[1] - ahead] if lengths is None or not ahead else full
        return tf.concat([_shifted(read, shift) for shift in self.shifts], axis=-1)

    def say(self, encoded: Encoded, n_timesteps: int, forcing: TeacherForcing = NO_FEEDBACK) -> Decoded:
        return Decoded(self.output_layer(encoded.memory))

    def align(self, output, lengths, n_timesteps, ahead):
        return pad_steps(output, 0, n_timesteps)


def _shifted(x, shift: int):
    """At step t the values of step t + shift; 0 where there is no such step."""
    if shift == 0:
        return x
    before, after = max(0, -shift), max(0, shift)
    n_timesteps = x.shape[1]
    inner = x[:, min(after, n_timesteps) : max(0, n_timesteps - before)]
    return tf.pad(inner, [[0, 0], [min(before, n_timesteps), min(after, n_timesteps)], [0, 0]])


def pad_steps(x, before: int, n_timesteps: int):
    """Lay x over n_timesteps steps, `before` of them ahead of it; NaN where it says nothing."""
    after = n_timesteps - before - x.shape[1]
    return tf.pad(x, [[0, 0], [before, after], [0, 0]], constant_values=float("nan"))
