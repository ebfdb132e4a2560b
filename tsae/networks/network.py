"""The whole network: one encoder, and the heads that train it."""

from __future__ import annotations

import json

import keras
import tensorflow as tf

from tsae.networks.decoders import RecurrentDecoder
from tsae.networks.draws import Draws
from tsae.networks.encoder import Encoder, Reading, weight_seeds
from tsae.networks.heads import Imputation, Prediction, Reconstruction
from tsae.networks.masking import step_mask

LOSSES = {
    "mse": tf.square,
    "mae": tf.abs,
    "huber": lambda error: tf.where(tf.abs(error) <= 1.0, 0.5 * tf.square(error), tf.abs(error) - 0.5),
}


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
    horizon : int or None
        Steps that "prediction" foresees past what the encoder reads; None: the window shifted by one step.
    reverse_target : bool
    loss : "mse", "mae" or "huber"
    noise : float
        Standard deviation of the noise added to what the encoder reads in training.
    mask_rate : float
        Share of the steps hidden from the encoder in training, in spans of 1 to `mask_span` steps.
    mask_span : int
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
        self, encoder, decoders=("reconstruction",), decoder_units=(64,), horizon=None, reverse_target=True,
        loss="mse", noise=0.0, mask_rate=0.0, mask_span=10, dropout=0.0, seed=0, name="autoencoder", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._settings = json.dumps({  # as text, since Keras would wrap lists and dicts
            "encoder": encoder, "decoders": list(decoders), "decoder_units": list(decoder_units), "horizon": horizon,
            "reverse_target": reverse_target, "loss": loss, "noise": noise, "mask_rate": mask_rate,
            "mask_span": mask_span, "dropout": dropout, "seed": seed,
        })  # fmt: skip
        self.encoder = Encoder(**encoder)
        self.horizon = horizon
        self.error = LOSSES[loss]
        self.noise, self.mask_rate, self.mask_span, self.dropout = noise, mask_rate, mask_span, dropout
        # What is predicted beyond the window's own steps is kept from the encoder.
        self.ahead = horizon or 0 if "prediction" in decoders else 0
        seeds = weight_seeds(seed)
        l1_l2 = {k: encoder.get(k, 0.0) for k in ("kernel_l1", "kernel_l2", "recurrent_l1", "recurrent_l2")}

        def decoder(label):
            return RecurrentDecoder(
                len(self.encoder.feature_names()), self.encoder.n_inputs, decoder_units,
                encoder.get("cell", "lstm"), l1_l2, seeds, encoder.get("unroll", False), name=f"{label}_decoder",
            )  # fmt: skip

        make = {
            "reconstruction": lambda: Reconstruction(decoder("reconstruction"), reverse_target),
            "prediction": lambda: Prediction(decoder("prediction"), horizon),
            "imputation": lambda: Imputation(self.encoder.widths[-1], self.encoder.n_inputs, seeds),
        }
        self.heads = [make[kind]() for kind in decoders]
        self.built = True

    def get_config(self):
        return {**json.loads(self._settings), "name": self.name}

    # -- training ----------------------------------------------------------------------------------------------

    def prepare(self, x, weights, masked: bool, draws: Draws | None) -> dict:
        """Windows and their weights -> what `loss_of` reads: inputs, and for each head a target and its weights.

        Weights are divided by their sum over the batch, so that the losses of parts of a batch add up to its
        mean. Nothing here depends on the network's weights.
        """
        full = self.encoder.read(x, masked, self.ahead)
        targets, target_weights = {}, {}
        for head in self.heads:
            target = head.target(full.values, full.lengths, self.ahead)
            weight = tf.ones_like(target) * weights[:, None, None]
            if masked:
                seen = tf.cast(full.observed, target.dtype) * step_mask(
                    full.lengths - (0 if head.name == "prediction" else self.ahead), tf.shape(x)[1]
                )
                weight *= head.target(seen, full.lengths, self.ahead)
            targets[head.name] = target
            target_weights[head.name] = tf.math.divide_no_nan(weight, tf.reduce_sum(weight))
        batch = {
            "values": self._corrupt(self._readable(full.values, full.lengths), draws),
            "targets": targets,
            "weights": target_weights,
        }
        if masked:
            batch["lengths"] = tf.maximum(full.lengths - self.ahead, 1)
        return batch

    def loss_of(self, batch: dict, draws: Draws | None):
        """Weighted sum of errors of (a part of) a batch, over all heads."""
        lengths = batch.get("lengths")
        outputs = self._outputs(batch["values"], lengths, draws)
        return tf.add_n([
            tf.reduce_sum(batch["weights"][name] * self.error(batch["targets"][name] - output))
            for name, output in outputs.items()
        ])  # fmt: skip

    def _readable(self, values, lengths):
        """What of the window the encoder may read; with lengths, they are shortened instead."""
        return values[:, : values.shape[1] - self.ahead] if lengths is None and self.ahead else values

    def _corrupt(self, values, draws):
        if draws is None:
            return values
        if self.noise:
            values += self.noise * draws.normal(tf.shape(values))
        if self.mask_rate:
            hidden = draws.spans(tf.shape(values)[0], values.shape[1], self.mask_rate, self.mask_span)
            values = tf.where(hidden, 0.0, values)
        return values

    def _outputs(self, values, lengths, draws=None):
        states = self.encoder.run(Reading(values, None, lengths, None, None), draws)
        context = self.encoder.pool(states, lengths)
        if draws is not None and self.dropout:
            context = draws.dropout(context, self.dropout)
        reads = {"context": context, "sequence": states[-1].sequence}
        n_timesteps = values.shape[1]
        return {head.name: head(reads[head.reads], n_timesteps=n_timesteps, ahead=self.ahead) for head in self.heads}

    # -- use ---------------------------------------------------------------------------------------------------

    def call(self, x, masked: bool = True):
        full = self.encoder.read(x, masked, self.ahead)
        n_timesteps = x.shape[1]
        lengths = None if full.lengths is None else tf.maximum(full.lengths - self.ahead, 1)
        outputs = self._outputs(self._readable(full.values, full.lengths), lengths)
        return {
            head.name: self._restore(
                head.align(outputs[head.name], full.lengths, n_timesteps, self.ahead), full, inside=True
            )
            for head in self.heads
        }

    def forecast(self, x, masked: bool = True):
        """The `horizon` steps after the end of each window: (batch, horizon, n_channels)."""
        full = self.encoder.read(x, masked)
        context = self.encoder.pool(self.encoder.run(full), full.lengths)
        return self._restore(self.head("prediction")(context, n_timesteps=x.shape[1], ahead=0), full, inside=False)

    def decode(self, context, n_timesteps: int):
        """Features -> the windows they stand for; window scaling is not undone."""
        head = self.head("reconstruction")
        values = head.align(head(context, n_timesteps=n_timesteps, ahead=0), None, n_timesteps, 0)
        return values[..., : self.encoder.n_channels]

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
