"""What a trained autoencoder is asked for, as functions of a batch of windows."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tsae.networks.masking import step_mask
from tsae.networks.network import Autoencoder


def functions(network: Autoencoder) -> dict[str, Callable]:
    """Functions (x, masked) -> tensor, by name: features, sequence, forecast, score, and for each head its name
    and "NAME_weights" for where it looks."""
    encoder = network.encoder

    def features(x, masked):
        inputs = encoder.read(x, masked)
        return encoder.pool(encoder.run(inputs), inputs.lengths)

    def sequence(x, masked):
        inputs = encoder.read(x, masked)
        states = encoder.run(inputs)[-1].sequence
        if inputs.lengths is None:
            return states
        return tf.where(step_mask(inputs.lengths, x.shape[1]) > 0, states, float("nan"))

    def score(x, masked):
        errors = []
        for said in network(x, masked=masked).values():
            known = tf.math.is_finite(said) & tf.math.is_finite(x)
            squared = tf.where(known, tf.square(said - x), 0.0)
            count = tf.reduce_sum(tf.cast(known, tf.float32), axis=[1, 2])
            errors.append(tf.reduce_sum(squared, axis=[1, 2]) / count)
        return -tf.add_n(errors) / float(len(errors))

    def said_by(name):
        return lambda x, masked: network(x, masked=masked)[name]

    def weights_of(name):
        return lambda x, masked: network.attention_weights(x, masked, name)

    def imputation_shown(x, masked):
        return network.say(x, masked, shown=True)["imputation"]["values"]

    return {
        "features": features,
        "sequence": sequence,
        "score": score,
        "forecast": lambda x, masked: network.forecast(x, masked),
        "forecast_recent": lambda x, masked: network.forecast(x[:, network.ahead :], masked),
        "imputation_shown": imputation_shown,
        **{head.name: said_by(head.name) for head in network.heads},
        **{f"{head.name}_weights": weights_of(head.name) for head in network.heads},
    }
