"""Loops that are compiled for training: they give the numbers and gradients of Keras."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks.test_training import data, network
from tsae import LSTMSeq2Seq
from tsae.networks import recurrent, training
from tsae.networks.recurrent import LSTM
from tsae.networks.training import Trainer
from tsae.networks.xla_loops import compiled_training, unfold_lstm


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
        with tf.GradientTape() as tape, compiled_training(True):
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


@pytest.mark.parametrize(
    ("batch", "n_timesteps", "units", "n_inputs"),
    [(128, 64, 64, 8), (9, 128, 64, 8), (9, 64, 128, 1), (9, 24, 32, 8), (3, 1, 5, 2)],
)
@pytest.mark.parametrize("input_gradient", [True, False])
def test_a_trained_layer_has_the_outputs_and_gradients_of_keras(batch, n_timesteps, units, n_inputs, input_gradient):
    draw = np.random.default_rng(1)
    x = tf.constant(draw.normal(size=(batch, n_timesteps, n_inputs)), tf.float32)
    h0, c0, of_c = (tf.constant(draw.normal(size=(batch, units)), tf.float32) for _ in range(3))
    aim = tf.constant(draw.normal(size=(batch, n_timesteps, units)), tf.float32)
    arguments = {"return_sequences": True, "return_state": True, "seed": 0}
    ours, theirs = LSTM(units, **arguments), keras.layers.LSTM(units, **arguments)
    for layer in (ours, theirs):
        layer.build((None, None, n_inputs))
    theirs.set_weights([w + 0.05 * draw.normal(size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    ours.input_gradient = input_gradient

    def run(layer, of):
        with tf.GradientTape() as tape:
            variables = [x, h0, c0, *(v.value for v in layer.trainable_variables)]
            tape.watch(variables)
            said, last_h, last_c = of()
            loss = tf.reduce_sum(aim * said) + tf.reduce_sum(of_c * (last_h + last_c))
        return (said, last_h, last_c), tape.gradient(loss, variables)

    @tf.function(autograph=False)
    def compiled():
        def of():
            sequence, state = ours.run(x, None, [h0, c0])
            return sequence, *state

        with compiled_training(True):
            outputs, gradients = run(ours, of)
        return outputs, gradients[0] if input_gradient else tf.zeros_like(x), gradients[1:]

    outputs, of_x, gradients = compiled()
    expected_outputs, expected = run(theirs, lambda: theirs(x, initial_state=[h0, c0]))
    for output, other in zip(outputs, expected_outputs, strict=True):
        np.testing.assert_allclose(output, other, atol=1e-6)
    checked = [*([(of_x, expected[0])] if input_gradient else []), *zip(gradients, expected[1:], strict=True)]
    for gradient, other in checked:
        assert np.abs(gradient - other).max() <= 1e-6 * max(1.0, np.abs(other).max())


def test_a_compiled_sequence_model_trains_the_vectors_of_its_symbols(monkeypatch):
    """The encoder's bottom layer hands gradients on to what lies below it."""
    draw = np.random.default_rng(0)
    X = [list(draw.choice(list("abcd"), 6)) for _ in range(64)]
    vectors = []
    for many in (1 << 60, 1):
        monkeypatch.setattr(training, "MANY_STEPS", many)
        model = LSTMSeq2Seq(8, embedding=3, conditioning=None, epochs=2, batch_size=32, random_state=0).fit(X, X)
        vectors.append(model._network.read_symbols.get_weights()[0])
    np.testing.assert_allclose(*vectors, atol=1e-5)
