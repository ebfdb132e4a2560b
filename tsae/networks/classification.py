"""The network of the classifier: an encoder, and a dense layer over its features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.config import ClassifierConfig
from tsae.networks.configured import TrainableModel
from tsae.networks.decoders import dense_layer
from tsae.networks.encoder import Encoder, weight_seeds
from tsae.networks.inputs import EncoderInputs
from tsae.networks.random_state import StepRandomState


@keras.saving.register_keras_serializable(package="tsae")
class Classifier(TrainableModel):
    """An `Encoder` and a softmax over classes.

    Parameters
    ----------
    config : ClassifierConfig

    Notes
    -----
    Called on windows (batch, n_timesteps, n_channels), NaN where missing, it returns the probability of each class,
    (batch, n_classes).
    """

    config_class = ClassifierConfig

    def __init__(self, config: ClassifierConfig, name: str = "classifier", **kwargs: Any):
        super().__init__(config, name=name, **kwargs)
        self.encoder = Encoder(config.encoder)
        self.encoder.trainable = not config.freeze
        n_features = len(config.encoder.feature_names())
        self.output_layer = dense_layer(n_features, config.n_classes, "classes", weight_seeds(config.seed))
        self.built = True

    def prepare(self, x, weights, masked: bool, rng: StepRandomState | None, labels) -> dict:
        """Windows, their weights and labels (batch, 1, 1) -> what `batch_loss` reads."""
        inputs = self.encoder.read(x, masked)
        values = inputs.values
        if self.config.noise and rng is not None:
            values += self.config.noise * rng.normal(tf.shape(values))
        batch = {
            "values": values,
            "labels": tf.cast(labels[:, 0, 0], tf.int32),
            "weights": tf.math.divide_no_nan(weights, tf.reduce_sum(tf.cast(weights > 0, tf.float32))),
        }
        if masked:
            batch["lengths"] = inputs.lengths
        return batch

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of the cross-entropy of (a part of) a batch."""
        logits = self._logits(EncoderInputs(batch["values"], lengths=batch.get("lengths")), rng)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["labels"], logits=logits)
        return tf.reduce_sum(batch["weights"] * losses)

    def functions(self) -> dict[str, Callable]:
        """One: "probabilities"."""
        return {"probabilities": self.call}

    def call(self, x, masked: bool = True):
        return tf.nn.softmax(self._logits(self.encoder.read(x, masked)))

    def _logits(self, inputs: EncoderInputs, rng=None):
        states = self.encoder.run(inputs, rng if self.encoder.trainable else None)
        features = self.encoder.pool(states, inputs.lengths)
        if rng is not None and self.config.dropout:
            features = rng.dropout(features, self.config.dropout)
        return self.output_layer(features)
