"""Decoders that unfold a constant input: compiled or not, they give Keras's numbers and gradients."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks.test_training import data, network
from tsae.networks import recurrent, training
from tsae.networks.recurrent import LSTM
from tsae.networks.training import Trainer
from tsae.networks.xla_loops import compiled_unfolding, unfold_lstm


@pytest.mark.parametrize(("batch", "n_timesteps", "units"), [(128, 64, 64), (9, 128, 64), (9, 24, 32), (3, 1, 5)])
def test_outputs_and_gradients_are_those_of_keras_on_the_repeated_input(batch, n_timesteps, units):
    draw = np.random.default_rng(0)
    x, h0, c0 = (tf.constant(draw.normal(size=(batch, n)), tf.float32) for n in (7, units, units))
    aim = tf.constant(draw.normal(size=(batch, n_timesteps, units)), tf.float32)
    ours, theirs = LSTM(units, return_sequences=True, seed=0), keras.layers.LSTM(units, return_sequences=True, seed=0)
    for layer in (ours, theirs):
        layer.build((None, None, 7))
    theirs.set_weights([w + 0.05 * draw.normal(size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())

    @tf.function(autograph=False)
    def compiled():
        with tf.GradientTape() as tape, compiled_unfolding(True):
            variables = [x, h0, c0, *(v.value for v in ours.trainable_variables)]
            tape.watch(variables)
            said = ours.unfold(x, n_timesteps, [h0, c0])
            loss = tf.reduce_sum(aim * said)
        return said, tape.gradient(loss, variables)

    with tf.GradientTape() as tape:
        variables = [x, h0, c0, *(v.value for v in theirs.trainable_variables)]
        tape.watch(variables)
        said = theirs(tf.repeat(x[:, None], n_timesteps, axis=1), initial_state=[h0, c0])
        loss = tf.reduce_sum(aim * said)
    expected = tape.gradient(loss, variables)
    outputs, gradients = compiled()
    np.testing.assert_allclose(outputs, said, atol=1e-6)
    for gradient, other in zip(gradients, expected, strict=True):
        assert np.abs(gradient - other).max() <= 1e-6 * max(1.0, np.abs(other).max())


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_long_training_is_compiled_and_ends_at_the_same_weights(monkeypatch, missing):
    weights = []
    for many in (1 << 60, 1):
        monkeypatch.setattr(training, "MANY_STEPS", many)
        net = network()
        calls: list = []
        monkeypatch.setattr(recurrent, "unfold_lstm", lambda *a, calls=calls: calls.append(1) or unfold_lstm(*a))
        Trainer(net, keras.optimizers.Adam(0.01), 32).fit(data(missing=missing), None, 2)
        weights.append(net.get_weights())
        assert bool(calls) == (many == 1)
    for fused, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, fused, atol=1e-5)


def test_networks_of_one_shape_share_what_is_compiled(monkeypatch):
    monkeypatch.setattr(training, "MANY_STEPS", 1)

    def fit():
        Trainer(network(), keras.optimizers.Adam(0.01), 32).fit(data(), None, 1)
        keras.utils.clear_session(free_memory=False)
        gc.collect()
        graphs = sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())
        return unfold_lstm.experimental_get_tracing_count(), graphs

    fit()
    assert fit() == fit()
