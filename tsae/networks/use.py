"""The functions of a trained autoencoder, each of a batch of windows."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tsae.networks.masking import step_mask
from tsae.networks.network import Autoencoder


def functions(network: Autoencoder) -> dict[str, Callable]:
    """Functions (x, masked) -> tensor, by name.

    "features", "pooled" (before their projection), "sequence", "forecast", "forecast_recent" and "score"; and for each
    head its name, "NAME_unmasked" (its output when nothing is hidden from the encoder) and "NAME_weights" (of its
    attention).
    """
    encoder = network.encoder

    def features(x, masked):
        inputs = encoder.read(x, masked)
        return encoder.pool(encoder.run(inputs), inputs.lengths)

    def pooled(x, masked):
        inputs = encoder.read(x, masked)
        return encoder.pooled(encoder.run(inputs), inputs.lengths)

    def sequence(x, masked):
        inputs = encoder.read(x, masked)
        states = encoder.run(inputs)[-1].sequence
        if inputs.lengths is None:
            return states
        return tf.where(step_mask(inputs.lengths, x.shape[1]) > 0, states, float("nan"))

    def score(x, masked):
        errors = []
        for output in network(x, masked=masked).values():
            known = tf.math.is_finite(output) & tf.math.is_finite(x)
            squared = tf.where(known, tf.square(output - x), 0.0)
            count = tf.reduce_sum(tf.cast(known, tf.float32), axis=[1, 2])
            errors.append(tf.reduce_sum(squared, axis=[1, 2]) / count)
        return -tf.add_n(errors) / float(len(errors))

    def of_head(name: str) -> dict[str, Callable]:
        return {
            name: lambda x, masked: network(x, masked=masked)[name],
            f"{name}_unmasked": lambda x, masked: network.decode_windows(x, masked, hide=False)[name]["values"],
            f"{name}_weights": lambda x, masked: network.attention_weights(x, masked, name),
        }

    return {
        "features": features,
        "pooled": pooled,
        "sequence": sequence,
        "score": score,
        "forecast": lambda x, masked: network.forecast(x, masked),
        "forecast_recent": lambda x, masked: network.forecast(x[:, network.ahead :], masked),
        **{key: function for head in network.heads for key, function in of_head(head.name).items()},
    }
