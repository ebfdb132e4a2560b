"""The network of the classifier: an encoder, and a dense layer over its features."""

from __future__ import annotations

import json

import keras
import tensorflow as tf

from tsae.networks.decoders import output_layer
from tsae.networks.random_state import StepRandomState
from tsae.networks.encoder import Encoder, EncoderInputs, weight_seeds


@keras.saving.register_keras_serializable(package="tsae")
class Classifier(keras.Model):
    """An `Encoder` and a softmax over classes.

    Parameters
    ----------
    encoder : dict
        Arguments of `Encoder`.
    n_classes : int
    freeze : bool
        Leave the encoder's weights as they are in training.
    noise : float
        Standard deviation of the noise added to what the encoder reads in training.
    dropout : float
        On the features, in training.
    seed : int
        Of the dense layer's initial weights.

    Notes
    -----
    Called on windows (batch, n_timesteps, n_channels), NaN where missing, it returns the probability of each class,
    (batch, n_classes).
    """

    def __init__(
        self, encoder, n_classes, freeze=False, noise=0.0, dropout=0.0, seed=0, name="classifier", **kwargs
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._settings = json.dumps({  # as text, since Keras would wrap lists and dicts
            "encoder": encoder, "n_classes": n_classes, "freeze": freeze, "noise": noise, "dropout": dropout,
            "seed": seed,
        })  # fmt: skip
        self.encoder = Encoder(**encoder)
        self.encoder.trainable = not freeze
        self.noise, self.dropout = noise, dropout
        seeds = weight_seeds(seed)
        self.output_layer = output_layer(len(self.encoder.feature_names()), n_classes, "classes", seeds)
        self.built = True

    def get_config(self):
        return {**json.loads(self._settings), "name": self.name}

    def prepare(self, x, weights, masked: bool, rng: StepRandomState | None, labels) -> dict:
        """Windows, their weights and labels (batch, 1, 1) -> what `batch_loss` reads."""
        inputs = self.encoder.read(x, masked)
        values = inputs.values
        if self.noise and rng is not None:
            values += self.noise * rng.normal(tf.shape(values))
        batch = {
            "values": values,
            "labels": tf.cast(labels[:, 0, 0], tf.int32),
            "weights": tf.math.divide_no_nan(weights, tf.reduce_sum(weights)),
        }
        if masked:
            batch["lengths"] = inputs.lengths
        return batch

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of the cross-entropy of (a part of) a batch."""
        inputs = EncoderInputs(batch["values"], None, batch.get("lengths"), None, None)
        logits = self._logits(inputs, rng)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["labels"], logits=logits)
        return tf.reduce_sum(batch["weights"] * losses)

    def call(self, x, masked: bool = True):
        return tf.nn.softmax(self._logits(self.encoder.read(x, masked)))

    def _logits(self, inputs: EncoderInputs, rng=None):
        states = self.encoder.run(inputs, rng if self.encoder.trainable else None)
        features = self.encoder.pool(states, inputs.lengths)
        if rng is not None and self.dropout:
            features = rng.dropout(features, self.dropout)
        return self.output_layer(features)
