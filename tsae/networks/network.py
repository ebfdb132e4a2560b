"""The whole autoencoder: one encoder, and the heads that train it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.config import AutoencoderConfig
from tsae.networks.configured import TrainableModel
from tsae.networks.decoders import (
    OWN_OUTPUTS,
    Decoded,
    Encoded,
    TeacherForcing,
    forcing_in_training,
    teacher_forcing_rate,
)
from tsae.networks.encoder import Encoder, weight_seeds
from tsae.networks.heads import make_heads, pad_steps
from tsae.networks.inputs import EncoderInputs
from tsae.networks.loops import run_steps
from tsae.networks.losses import LOSSES
from tsae.networks.masking import row_lengths, step_mask
from tsae.networks.objectives import OBJECTIVES
from tsae.networks.random_state import StepRandomState


@keras.saving.register_keras_serializable(package="tsae")
class Autoencoder(TrainableModel):
    """An `Encoder` and its heads.

    Parameters
    ----------
    config : AutoencoderConfig

    Notes
    -----
    Called on windows (batch, n_timesteps, n_channels), NaN where missing, it returns each head's values aligned with
    the window: the same shape, NaN where a head has no output.
    """

    config_class = AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, name: str = "autoencoder", **kwargs: Any):
        super().__init__(config, name=name, **kwargs)
        self.encoder = Encoder(config.encoder)
        self.tbptt_steps = config.tbptt_steps
        self.error = LOSSES[config.loss]
        entries = [OBJECTIVES[objective] for objective in config.objectives]
        # What is predicted beyond the window's own steps is kept from the encoder.
        self.ahead = config.horizon or 0 if any(entry.predicts_ahead for entry in entries) else 0
        self.has_recurrent_decoders = any(entry.is_recurrent for entry in entries)
        self.heads: list[Any] = make_heads(config, self.encoder, weight_seeds(config.seed))
        for layer in (self.encoder.forward_layers[0], *self.encoder.backward_layers[:1]):
            layer.input_gradient = False  # windows are not trained
        self.built = True

    def head(self, name: str) -> Any:
        return next(head for head in self.heads if head.name == name)

    # -- training ----------------------------------------------------------------------------------------------

    def prepare(self, x, weights, masked: bool, rng: StepRandomState) -> dict:
        """Windows and their weights -> what `batch_loss` reads: inputs, and for each head a target and its weights.

        Weights are divided by the number of values that count in the batch, so that the losses of parts of a batch
        add up to its mean. Nothing here depends on the network's weights.
        """
        counted = tf.cast(weights > 0, tf.float32)
        full = self._cropped(self.encoder.read(x, masked, self.ahead), rng)
        targets, target_weights = {}, {}
        for head in self.heads:
            target = head.target(full.values, full.lengths, self.ahead)
            count = head.target_weights(full, full.lengths, self.ahead, counted[:, None, None])
            targets[head.name] = target
            repeats = target.shape[1] * target.shape[2] / (count.shape[1] * count.shape[2])
            mean = tf.math.divide_no_nan(count, repeats * tf.reduce_sum(count))
            target_weights[head.name] = mean * weights[:, None, None]
        batch = {
            "values": self._corrupted(self._readable(full.values, full.lengths), rng),
            "targets": targets,
            "weights": target_weights,
        }
        if masked:
            batch["lengths"] = tf.maximum(full.lengths - self.ahead, 1)
        if self.config.decoder.decay is not None:
            rate = teacher_forcing_rate(self.config.decoder.decay, rng.step)
            batch["teacher_forcing_rate"] = tf.fill(tf.shape(weights), rate)
        return batch

    def initial_state(self, batch_size: int) -> list[list]:
        """The encoder's state before the first chunk of truncated training."""
        return self.encoder.zero_states(batch_size)

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of errors of (a part of) a batch, over all heads; with "state", also the state after it.

        Without `rng`, that is in validation, a decoder trained by scheduled sampling reads its own outputs.
        """
        encoded = self._encode(batch["values"], batch.get("lengths"), rng, batch.get("state"))
        n_timesteps, rate = batch["values"].shape[1], batch.get("teacher_forcing_rate")
        forcing = {
            name: forcing_in_training(self.config.decoder, target, rate, rng)
            for name, target in batch["targets"].items()
        }
        loss = tf.add_n([
            tf.reduce_sum(batch["weights"][name] * self.error(batch["targets"][name] - decoded.values))
            for name, decoded in self._decode(encoded, n_timesteps, forcing).items()
        ])  # fmt: skip
        return (loss, encoded.states) if "state" in batch else loss

    def _readable(self, values, lengths):
        """The steps of the window that the encoder may read; with lengths, they are shortened instead."""
        return values[:, : values.shape[1] - self.ahead] if lengths is None and self.ahead else values

    def _cropped(self, full: EncoderInputs, rng: StepRandomState) -> EncoderInputs:
        n_timesteps, crop = full.values.shape[1], self.config.crop
        if crop is None or crop >= n_timesteps:
            return full
        n_rows = tf.shape(full.values)[0]
        lengths = tf.fill([n_rows], n_timesteps) if full.lengths is None else full.lengths
        n_starts = tf.maximum(lengths - crop, 0) + 1
        first = tf.cast(rng.uniform([n_rows]) * tf.cast(n_starts, tf.float32), tf.int32)
        steps = first[:, None] + tf.range(crop)

        def cut(part):
            return None if part is None else tf.gather(part, steps, batch_dims=1)

        lengths = None if full.lengths is None else tf.minimum(full.lengths, crop)
        return full._replace(values=cut(full.values), observed=cut(full.observed), lengths=lengths)

    def _corrupted(self, values, rng):
        if rng is None:
            return values
        if self.config.noise:
            values += self.config.noise * rng.normal(tf.shape(values))
        if self.config.mask_rate:
            hidden = rng.spans(tf.shape(values)[0], values.shape[1], self.config.mask_rate, self.config.mask_span)
            values = self.encoder.hide(values, hidden)
        return values

    def _encode(self, values, lengths, rng=None, state=None) -> Encoded:
        states = self.encoder.run(EncoderInputs(values, lengths=lengths), rng, state)
        encoded = Encoded.by(self.encoder, states, lengths)
        if rng is not None and self.config.dropout:
            encoded = encoded._replace(context=rng.dropout(encoded.context, self.config.dropout))
        return encoded

    def _decode(self, encoded: Encoded, n_timesteps: int, forcing: dict[str, TeacherForcing]) -> dict[str, Decoded]:
        return {
            head.name: head.decode(encoded, n_timesteps, forcing.get(head.name, OWN_OUTPUTS)) for head in self.heads
        }

    # -- use ---------------------------------------------------------------------------------------------------

    def functions(self) -> dict[str, Callable]:
        """Those of the encoder, "forecast", "forecast_recent" and "score"; and those of each head.

        A head has its name, "NAME_unmasked" (its output when nothing is hidden from the encoder) and "NAME_weights"
        (of its attention).
        """

        def of_head(name: str) -> dict[str, Callable]:
            return {
                name: lambda x, masked: self(x, masked=masked)[name],
                f"{name}_unmasked": lambda x, masked: self.decode_windows(x, masked, hide=False)[name]["values"],
                f"{name}_weights": lambda x, masked: self.attention_weights(x, masked, name),
            }

        return {
            **self.encoder.functions(),
            "score": self.score,
            "forecast": self.forecast,
            "forecast_recent": lambda x, masked: self.forecast(x[:, self.ahead :], masked),
            **{key: function for head in self.heads for key, function in of_head(head.name).items()},
        }

    def score(self, x, masked: bool):
        """Negative mean squared error of each window, (batch,), averaged over the heads."""
        errors = []
        for output in self(x, masked=masked).values():
            known = tf.math.is_finite(output) & tf.math.is_finite(x)
            squared = tf.where(known, tf.square(output - x), 0.0)
            count = tf.reduce_sum(tf.cast(known, tf.float32), axis=[1, 2])
            errors.append(tf.reduce_sum(squared, axis=[1, 2]) / count)
        return -tf.add_n(errors) / float(len(errors))

    def call(self, x, masked: bool = True):
        return {name: outputs["values"] for name, outputs in self.decode_windows(x, masked).items()}

    def decode_windows(self, x, masked: bool = True, hide: bool = True) -> dict[str, dict]:
        """Each head's output for each step, {"values", and with attention "weights"}, aligned with the window.

        `hide=False` lets "imputation" read the whole window, instead of hiding each step while it is reconstructed.
        """
        n_timesteps, chunk = x.shape[1], self.config.tbptt_steps
        if chunk is None or n_timesteps <= chunk:
            return self._decode_chunk(x, masked, None, hide)[0]
        n_chunks = -(-n_timesteps // chunk)
        x = pad_steps(x, 0, n_chunks * chunk)
        masked = masked or n_timesteps % chunk != 0
        inside = step_mask(row_lengths(tf.math.is_finite(x)), n_timesteps) > 0  # a chunk past the end has no output

        def step(i, state):
            outputs, state = self._decode_chunk(x[:, i * chunk : (i + 1) * chunk], masked, state, hide)
            return state, outputs

        _, outputs = run_steps(step, self.initial_state(tf.shape(x)[0]), n_chunks)

        def joined(part):
            part = tf.reshape(part, [-1, n_chunks * chunk, part.shape[-1]])[:, :n_timesteps]
            return tf.where(inside, part, float("nan"))

        return tf.nest.map_structure(joined, outputs)

    def _decode_chunk(self, x, masked, state, hide):
        n_timesteps = x.shape[1]
        x = tf.ensure_shape(x, [None, self.config.tbptt_steps or n_timesteps, None]) if state is not None else x
        full = self.encoder.read(x, masked, self.ahead)
        lengths = None if full.lengths is None else tf.maximum(full.lengths - self.ahead, 1)
        values = self._readable(full.values, full.lengths)
        encoded = self._encode(values, lengths, state=state)
        outputs = {}
        for name, decoded in self._decode(encoded, encoded.memory.shape[1], {}).items():
            head = self.head(name)
            if head.objective.needs_mask and hide:
                decoded = Decoded(self._decode_hidden(head, values, lengths, state))
            where = full.lengths, x.shape[1], self.ahead
            unread = 0 if head.objective.predicts_ahead else self.ahead
            ends = None if full.lengths is None else full.lengths - unread
            outputs[name] = {"values": self._restored(head.align(decoded.values, *where), full, ends)}
            if decoded.weights is not None:
                outputs[name]["weights"] = head.align(decoded.weights, *where)
        return outputs, encoded.states

    def _decode_hidden(self, head, values, lengths, state):
        """Reconstruct each step while it is hidden, as in training: of n passes each hides every n-th span."""
        n_timesteps, n_passes = values.shape[1], max(2, round(1 / self.config.mask_rate))
        turn = tf.range(n_timesteps) // ((1 + self.config.mask_span) // 2) % n_passes
        result = tf.zeros_like(values)
        for number in range(n_passes):
            hidden = (turn == number)[None, :, None]
            encoded = self._encode(self.encoder.hide(values, hidden), lengths, state=state)
            result = tf.where(hidden, head.decode(encoded, n_timesteps).values[..., : values.shape[2]], result)
        return result

    def attention_weights(self, x, masked: bool, name: str):
        """Weights of the head `name`, (batch, n_timesteps, n_timesteps): row t for step t; NaN where it has none."""
        weights = self.decode_windows(x, masked)[name]["weights"]
        n_timesteps, chunk = x.shape[1], self.config.tbptt_steps
        if chunk is not None and n_timesteps > chunk:  # from places in a chunk to steps
            steps = tf.range(n_timesteps)
            inside = steps[:, None] // chunk == steps[None] // chunk
            repeated = tf.gather(weights, steps % chunk, axis=2)
            return tf.where(inside, repeated, float("nan"))
        lengths = tf.fill(tf.shape(x)[:1], n_timesteps)
        if masked:
            lengths = self.encoder.read(x, masked).lengths
        missing = n_timesteps - weights.shape[2]
        weights = tf.pad(weights, [[0, 0], [0, 0], [0, missing]], constant_values=float("nan"))
        read = tf.sequence_mask(lengths - self.ahead, n_timesteps)[:, None]
        decoded = tf.sequence_mask(lengths, n_timesteps)[:, :, None]
        return tf.where(read & decoded, weights, float("nan"))

    def forecast(self, x, masked: bool = True):
        """The `horizon` steps after the end of each window: (batch, horizon, n_channels)."""
        full = self.encoder.read(x, masked)
        encoded = self._encode(full.values, full.lengths)
        return self._restored(self.head("prediction").decode(encoded, x.shape[1]).values, full)

    def decode_features(self, features, n_timesteps: int):
        """Feature vectors -> windows; window scaling is not undone."""
        features = tf.gather(features, self.config.encoder.context_columns(), axis=1)
        head = self.head("reconstruction")
        decoded = head.decode(Encoded(features, [], None, None), n_timesteps)
        return head.align(decoded.values, None, n_timesteps, 0)[..., : self.config.encoder.n_channels]

    def _restored(self, values, full, lengths=None):
        """Undo the window's scaling, and leave what is past `lengths` undefined."""
        values = values[..., : self.config.encoder.n_channels]  # the further channels are not part of the window
        if full.center is not None:
            values = values * full.spread + full.center
        if lengths is not None:
            values = tf.where(step_mask(lengths, values.shape[1]) > 0, values, float("nan"))
        return values
