"""The whole network: one encoder, and the heads that train it."""

from __future__ import annotations

import json
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.decoders import NO_FEEDBACK, Decoded, Encoded, TeacherForcing, RecurrentDecoder, teacher_forcing_rate
from tsae.networks.random_state import StepRandomState
from tsae.networks.encoder import Encoder, EncoderInputs, weight_seeds
from tsae.networks.heads import Imputation, Prediction, Reconstruction, pad_steps
from tsae.networks.loops import run_steps
from tsae.networks.losses import LOSSES
from tsae.networks.masking import row_lengths, step_mask


@keras.saving.register_keras_serializable(package="tsae")
class Autoencoder(keras.Model):
    """An `Encoder` and its heads.

    Parameters
    ----------
    encoder : dict
        Arguments of `Encoder`.
    decoders : list of str
        "reconstruction", "prediction", "imputation".
    decoder_units : list of int
        Units of the recurrent decoders, bottom first.
    decoder : dict
        bridge, attention, input_feeding, n_memory_steps: arguments of `RecurrentDecoder`.
    feedback : None, "teacher_forcing" or "scheduled_sampling"
        Whether decoders read their previous output, and whether training feeds them the truth in its place: always,
        or as often as `teacher_forcing_rate` says.
    sampling : dict
        The schedule that `teacher_forcing_rate` reads.
    tbptt_steps : int or None
        Windows are worked through in pieces of so many steps, with the state carried over: gradients, and what the
        decoders say, keep within a piece.
    horizon : int or None
        Steps that "prediction" foresees past what the encoder reads; None: the window shifted by one step.
    reverse_target : bool
    loss : "mse", "mae" or "huber"
    noise : float
        Standard deviation of the noise added to what the encoder reads in training.
    mask_rate : float
        Share of the steps hidden from the encoder in training, in spans of 1 to `mask_span` steps.
    mask_span : int
    offsets : sequence of int
        "imputation" is asked of each state for the values so many steps before and after, too.
    crop : int or None
        In training, of longer windows a stretch of this many steps is read, drawn anew each time; it keeps the scale
        of its whole window.
    dropout : float
        Between layers and on the context, in training.
    seed : int
        Of the decoders' initial weights.

    Notes
    -----
    Called on windows (batch, n_timesteps, n_channels), NaN where missing, it returns for each head its values
    laid over the window: the same shape, NaN where the head says nothing.
    """

    def __init__(
        self, encoder, decoders=("reconstruction",), decoder_units=(64,), decoder=None, feedback=None,
        sampling=None, tbptt_steps=None, horizon=None, reverse_target=True, loss="mse", noise=0.0, mask_rate=0.0,
        mask_span=10, offsets=(), crop=None, dropout=0.0, seed=0, name="autoencoder", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._settings = json.dumps({  # as text, since Keras would wrap lists and dicts
            "encoder": encoder, "decoders": list(decoders), "decoder_units": list(decoder_units), "decoder": decoder,
            "feedback": feedback, "sampling": sampling, "tbptt_steps": tbptt_steps, "horizon": horizon,
            "reverse_target": reverse_target, "loss": loss, "noise": noise, "mask_rate": mask_rate,
            "mask_span": mask_span, "offsets": list(offsets), "crop": crop, "dropout": dropout, "seed": seed,
        })  # fmt: skip
        self.encoder = Encoder(**encoder)
        self.horizon = horizon
        self.feedback, self.sampling = feedback, sampling
        self.tbptt_steps = tbptt_steps
        self.error = LOSSES[loss]
        self.noise, self.mask_rate, self.mask_span, self.dropout = noise, mask_rate, mask_span, dropout
        self.crop = crop
        # What is predicted beyond the window's own steps is kept from the encoder.
        self.ahead = horizon or 0 if "prediction" in decoders else 0
        seeds = weight_seeds(seed)
        n_inputs = self.encoder.n_inputs

        def recurrent(label):
            return RecurrentDecoder(
                self.encoder, n_inputs, decoder_units, seeds, feedback_width=n_inputs if feedback else 0,
                name=f"{label}_decoder", **decoder or {},
            )  # fmt: skip

        make = {
            "reconstruction": lambda: Reconstruction(recurrent("reconstruction"), reverse_target),
            "prediction": lambda: Prediction(recurrent("prediction"), horizon),
            "imputation": lambda: Imputation(self.encoder.widths[-1], n_inputs, offsets, seeds),
        }
        self.heads: list[Any] = [make[kind]() for kind in decoders]
        self.has_recurrent_decoders = set(decoders) != {"imputation"}
        for layer in (self.encoder.forward_layers[0], *self.encoder.backward_layers[:1]):
            layer.input_gradient = False  # windows are not trained
        self.built = True

    def get_config(self):
        return {**json.loads(self._settings), "name": self.name}

    # -- training ----------------------------------------------------------------------------------------------

    def prepare(self, x, weights, masked: bool, rng: StepRandomState) -> dict:
        """Windows and their weights -> what `batch_loss` reads: inputs, and for each head a target and its weights.

        Weights are divided by their sum over the batch, so that the losses of parts of a batch add up to its
        mean. Nothing here depends on the network's weights.
        """
        full = self._cropped(self.encoder.read(x, masked, self.ahead), rng)
        targets, target_weights = {}, {}
        for head in self.heads:
            target = head.target(full.values, full.lengths, self.ahead)
            weight = weights[:, None, None]
            if masked:
                inside = step_mask(
                    full.lengths - (0 if head.name == "prediction" else self.ahead), full.values.shape[1]
                )
                seen = tf.cast(full.observed, target.dtype) * inside
                weight *= head.target(seen, full.lengths, self.ahead)
                if head.name == "imputation":
                    weight *= inside[:, : target.shape[1]]  # a state in the padding tells nothing
            elif head.name == "imputation":
                weight *= head.target(tf.ones([1, *full.values.shape[1:]]), None, self.ahead)
            targets[head.name] = target
            repeats = target.shape[1] * target.shape[2] / (weight.shape[1] * weight.shape[2])
            target_weights[head.name] = tf.math.divide_no_nan(weight, repeats * tf.reduce_sum(weight))
        batch = {
            "values": self._corrupt(self._readable(full.values, full.lengths), rng),
            "targets": targets,
            "weights": target_weights,
        }
        if masked:
            batch["lengths"] = tf.maximum(full.lengths - self.ahead, 1)
        if self.feedback == "scheduled_sampling":
            batch["teacher_forcing_rate"] = tf.fill(tf.shape(weights), teacher_forcing_rate(self.sampling, rng.step))
        return batch

    def initial_state(self, batch_size: int) -> list[list]:
        """The encoder's state before the first piece of truncated training."""
        return [[tf.zeros([batch_size, layer.units])] * layer.n_states for layer in self.encoder.forward_layers]

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of errors of (a part of) a batch, over all heads; with "state", also the state after it.

        Without rng, that is in validation, a decoder trained by scheduled sampling is fed its own outputs.
        """
        encoded = self._encode(batch["values"], batch.get("lengths"), rng, batch.get("state"))
        forcing = {}
        if self.feedback == "teacher_forcing" or (self.feedback == "scheduled_sampling" and rng is not None):
            forcing = {n: TeacherForcing(truth, batch.get("teacher_forcing_rate"), rng) for n, truth in batch["targets"].items()}
        n_timesteps = batch["values"].shape[1]
        loss = tf.add_n([
            tf.reduce_sum(batch["weights"][name] * self.error(batch["targets"][name] - decoded.values))
            for name, decoded in self._decode(encoded, n_timesteps, forcing).items()
        ])  # fmt: skip
        return (loss, encoded.states) if "state" in batch else loss

    def _readable(self, values, lengths):
        """What of the window the encoder may read; with lengths, they are shortened instead."""
        return values[:, : values.shape[1] - self.ahead] if lengths is None and self.ahead else values

    def _cropped(self, full: EncoderInputs, rng: StepRandomState) -> EncoderInputs:
        n_timesteps = full.values.shape[1]
        if self.crop is None or self.crop >= n_timesteps:
            return full
        n_rows = tf.shape(full.values)[0]
        lengths = tf.fill([n_rows], n_timesteps) if full.lengths is None else full.lengths
        room = tf.maximum(lengths - self.crop, 0) + 1
        first = tf.cast(rng.uniform([n_rows]) * tf.cast(room, tf.float32), tf.int32)
        steps = first[:, None] + tf.range(self.crop)

        def cut(part):
            return None if part is None else tf.gather(part, steps, batch_dims=1)

        lengths = None if full.lengths is None else tf.minimum(full.lengths, self.crop)
        return full._replace(values=cut(full.values), observed=cut(full.observed), lengths=lengths)

    def _corrupt(self, values, rng):
        if rng is None:
            return values
        if self.noise:
            values += self.noise * rng.normal(tf.shape(values))
        if self.mask_rate:
            hidden = rng.spans(tf.shape(values)[0], values.shape[1], self.mask_rate, self.mask_span)
            values = self.encoder.hide(values, hidden)
        return values

    def _encode(self, values, lengths, rng=None, state=None) -> Encoded:
        states = self.encoder.run(EncoderInputs(values, None, lengths, None, None), rng, state)
        encoded = Encoded.by(self.encoder, states, lengths)
        if rng is not None and self.dropout:
            encoded = encoded._replace(context=rng.dropout(encoded.context, self.dropout))
        return encoded

    def _decode(self, encoded: Encoded, n_timesteps: int, forcing: dict[str, TeacherForcing]) -> dict[str, Decoded]:
        return {head.name: head.say(encoded, n_timesteps, forcing.get(head.name, NO_FEEDBACK)) for head in self.heads}

    # -- use ---------------------------------------------------------------------------------------------------

    def call(self, x, masked: bool = True):
        return {name: said["values"] for name, said in self.say(x, masked).items()}

    def say(self, x, masked: bool = True, shown: bool = False) -> dict[str, dict]:
        """What each head says of each step, {"values", and with attention "weights"}, laid over the window.

        `shown` lets "imputation" read the whole window, instead of hiding each step while it is rebuilt.
        """
        n_timesteps, piece = x.shape[1], self.tbptt_steps
        if piece is None or n_timesteps <= piece:
            return self._say(x, masked, None, shown)[0]
        n_pieces = -(-n_timesteps // piece)
        x = pad_steps(x, 0, n_pieces * piece)
        masked = masked or n_timesteps % piece != 0
        inside = step_mask(row_lengths(tf.math.is_finite(x)), n_timesteps) > 0  # a piece past the end says nothing

        def step(i, state):
            said, state = self._say(x[:, i * piece : (i + 1) * piece], masked, state, shown)
            return state, said

        _, said = run_steps(step, self.initial_state(tf.shape(x)[0]), n_pieces)

        def lay(part):
            part = tf.reshape(part, [-1, n_pieces * piece, part.shape[-1]])[:, :n_timesteps]
            return tf.where(inside, part, float("nan"))

        return tf.nest.map_structure(lay, said)

    def _say(self, x, masked, state, shown):
        n_timesteps = x.shape[1]
        x = tf.ensure_shape(x, [None, self.tbptt_steps or n_timesteps, None]) if state is not None else x
        full = self.encoder.read(x, masked, self.ahead)
        lengths = None if full.lengths is None else tf.maximum(full.lengths - self.ahead, 1)
        values = self._readable(full.values, full.lengths)
        encoded = self._encode(values, lengths, state=state)
        said = {}
        for name, decoded in self._decode(encoded, encoded.memory.shape[1], {}).items():
            if name == "imputation" and not shown:
                decoded = Decoded(self._impute(values, lengths, state))
            where = full.lengths, x.shape[1], self.ahead
            said[name] = {"values": self._restore(self.head(name).align(decoded.values, *where), full, inside=True)}
            if decoded.weights is not None:
                said[name]["weights"] = self.head(name).align(decoded.weights, *where)
        return said, encoded.states

    def _impute(self, values, lengths, state):
        """Rebuild each step while it is hidden, as it was in training: of n passes each hides every n-th span."""
        n_timesteps, n_passes = values.shape[1], max(2, round(1 / self.mask_rate))
        turn = tf.range(n_timesteps) // ((1 + self.mask_span) // 2) % n_passes
        rebuilt = tf.zeros_like(values)
        for number in range(n_passes):
            hidden = (turn == number)[None, :, None]
            encoded = self._encode(self.encoder.hide(values, hidden), lengths, state=state)
            said = self.head("imputation").say(encoded, n_timesteps).values[..., : values.shape[2]]
            rebuilt = tf.where(hidden, said, rebuilt)
        return rebuilt

    def attention_weights(self, x, masked: bool, name: str):
        """(batch, n_timesteps, n_timesteps): row t, where the head `name` looked for step t; NaN elsewhere."""
        weights = self.say(x, masked)[name]["weights"]
        n_timesteps = x.shape[1]
        if self.tbptt_steps is not None and n_timesteps > self.tbptt_steps:  # from places in a piece to steps
            steps = tf.range(n_timesteps)
            inside = steps[:, None] // self.tbptt_steps == steps[None] // self.tbptt_steps
            repeated = tf.gather(weights, steps % self.tbptt_steps, axis=2)
            return tf.where(inside, repeated, float("nan"))
        lengths = tf.fill(tf.shape(x)[:1], n_timesteps)
        if masked:
            lengths = self.encoder.read(x, masked).lengths
        missing = n_timesteps - weights.shape[2]
        weights = tf.pad(weights, [[0, 0], [0, 0], [0, missing]], constant_values=float("nan"))
        read = tf.sequence_mask(lengths - self.ahead, n_timesteps)[:, None]
        asked = tf.sequence_mask(lengths, n_timesteps)[:, :, None]
        return tf.where(read & asked, weights, float("nan"))

    def forecast(self, x, masked: bool = True):
        """The `horizon` steps after the end of each window: (batch, horizon, n_channels)."""
        full = self.encoder.read(x, masked)
        encoded = self._encode(full.values, full.lengths)
        said = self.head("prediction").say(encoded, x.shape[1])
        return self._restore(said.values, full, inside=False)

    def decode(self, context, n_timesteps: int):
        """Features -> the windows they stand for; window scaling is not undone."""
        head = self.head("reconstruction")
        said = head.say(Encoded(context, [], None, None), n_timesteps)
        return head.align(said.values, None, n_timesteps, 0)[..., : self.encoder.n_channels]

    def head(self, name: str):
        return next(head for head in self.heads if head.name == name)

    def _restore(self, values, full, inside: bool):
        """Undo the window's scaling, and leave the padding undefined."""
        values = values[..., : self.encoder.n_channels]  # beside them, the same scaled by window
        if full.center is not None:
            values = values * full.spread + full.center
        if inside and full.lengths is not None:
            values = tf.where(step_mask(full.lengths, values.shape[1]) > 0, values, float("nan"))
        return values
