"""Loops that are compiled for training have the outputs and gradients of Keras."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks.test_recurrent import assert_close, exact, normal, pair, value_and_gradients
from tests.networks.test_training import DEEP, data, network
from tsae import DecoderOptions, LSTMSeq2Seq
from tsae.networks import recurrent, training
from tsae.networks.config import TrainingConfig
from tsae.networks.training import Trainer
from tsae.networks.xla_loops import compiled_training, repeated_input_lstm


@pytest.mark.parametrize(("batch", "n_timesteps", "units"), [(128, 64, 64), (9, 128, 64), (9, 24, 32), (3, 1, 5)])
def test_outputs_and_gradients_are_those_of_keras_on_the_repeated_input(batch, n_timesteps, units):
    ours, theirs = pair(7, units)
    inputs = [normal(batch, 7, seed=1), normal(batch, units, seed=2), normal(batch, units, seed=3)]

    def run_repeated(x, h, c):
        with compiled_training(True):
            return [ours.run_repeated(x, n_timesteps, [h, c])]

    def repeat(x, h, c):
        return [theirs(tf.repeat(x[:, None], n_timesteps, axis=1), initial_state=[h, c])[0]]

    got = tf.function(lambda: value_and_gradients(run_repeated, ours, inputs), autograph=False)()
    wanted = value_and_gradients(repeat, theirs, [exact(x) for x in inputs])
    assert_close(got[0], wanted[0])
    assert_close(got[1], wanted[1])


@pytest.mark.parametrize(("missing", "options"), [(0.0, DEEP), (0.2, {})])
def test_long_training_is_compiled_and_gives_the_same_weights(monkeypatch, missing, options):
    weights = []
    for compile_from in (1 << 60, 1):
        monkeypatch.setattr(training, "COMPILE_FROM_STEPS", compile_from)
        net = network(**options)
        calls: list = []
        monkeypatch.setattr(
            recurrent, "repeated_input_lstm", lambda *a, calls=calls: calls.append(1) or repeated_input_lstm(*a)
        )
        Trainer(net, keras.optimizers.Adam(0.01), TrainingConfig(32)).fit(data(missing=missing), None, 2)
        weights.append(net.get_weights())
        assert bool(calls) == (compile_from == 1)
    for fused, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, fused, atol=1e-5)


def test_networks_of_one_shape_share_compiled_loops(monkeypatch):
    monkeypatch.setattr(training, "COMPILE_FROM_STEPS", 1)

    def fit():
        Trainer(network(), keras.optimizers.Adam(0.01), TrainingConfig(32)).fit(data(), None, 1)
        keras.utils.clear_session(free_memory=False)
        gc.collect()
        n_graphs = sum(type(tracked).__name__ == "FuncGraph" for tracked in gc.get_objects())
        return repeated_input_lstm.experimental_get_tracing_count(), n_graphs

    fit()
    assert fit() == fit()


@pytest.mark.parametrize(
    ("batch", "n_timesteps", "units", "n_inputs"),
    [(128, 64, 64, 8), (9, 64, 128, 1), (9, 24, 32, 8), (3, 1, 5, 2)],
)
@pytest.mark.parametrize("input_gradient", [True, False])
def test_a_trained_layer_has_the_outputs_and_gradients_of_keras(batch, n_timesteps, units, n_inputs, input_gradient):
    ours, theirs = pair(n_inputs, units)
    ours.input_gradient = input_gradient
    inputs = [normal(batch, n_timesteps, n_inputs, seed=1), *(normal(batch, units, seed=k) for k in (2, 3))]

    def run(x, h, c):
        with compiled_training(True):
            sequence, state = ours.run(x, None, [h, c])
        return [sequence, *state]

    @tf.function(autograph=False)
    def compiled():
        outputs, (dx, *gradients) = value_and_gradients(run, ours, inputs)
        return outputs, [dx, *gradients] if input_gradient else gradients

    exactly = [exact(x) for x in inputs]
    outputs, gradients = compiled()
    expected_outputs, expected = value_and_gradients(lambda x, h, c: theirs(x, initial_state=[h, c]), theirs, exactly)
    assert_close(outputs, expected_outputs)
    assert_close(gradients, expected if input_gradient else expected[1:])


def test_a_compiled_sequence_model_trains_its_embedding(monkeypatch):
    """The bottom layer of the encoder passes gradients on to the layer below it."""
    rng = np.random.default_rng(0)
    X = [list(rng.choice(list("abcd"), 6)) for _ in range(64)]
    weights = []
    for compile_from in (1 << 60, 1):
        monkeypatch.setattr(training, "COMPILE_FROM_STEPS", compile_from)
        options = DecoderOptions(feedback=None)
        model = LSTMSeq2Seq(8, embedding=3, decoder_options=options, epochs=2, batch_size=32, random_state=0).fit(X, X)
        weights.append(model.model_.get_weights())
    for fused, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, fused, atol=1e-5)
