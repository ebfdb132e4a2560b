"""The fused LSTM has the outputs, gradients and weights of Keras's LSTM."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import naive
from tsae.networks.recurrent import GRU, LSTM, run_dilated

# batch, steps, channels, units
SHAPES = [(128, 64, 4, 64), (9, 128, 1, 64), (64, 24, 1, 32), (9, 64, 8, 128), (3, 1, 2, 5)]


def pair(n_inputs, units, fast=LSTM, stock=keras.layers.LSTM, **options):
    """A layer of ours and one of Keras with the same weights.

    That of Keras computes in float64: in float32 its own rounding error is half the tolerance.
    """
    options = {"return_sequences": True, "return_state": True, **options}
    ours, theirs = fast(units, **options), stock(units, dtype="float64", **options)
    for layer in (ours, theirs):
        layer.build((None, None, n_inputs))
    rng = np.random.default_rng(0)
    weights = [rng.normal(scale=max(w.shape[0], units) ** -0.5, size=w.shape) for w in theirs.get_weights()]
    weights = [w.astype(np.float32) for w in weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def normal(*shape, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def exact(x):
    return tf.cast(x, tf.float64)


def value_and_gradients(call, layer, inputs):
    """Outputs of `call`, and the gradients of a weighted sum of them with respect to inputs and weights."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = call(*inputs)
        parts = [out * tf.cast(normal(*out.shape, seed=k), out.dtype) for k, out in enumerate(outputs)]
        loss = tf.add_n([tf.reduce_sum(part) for part in parts])
    return outputs, tape.gradient(loss, [*inputs, *[v.value for v in layer.trainable_variables]])


def assert_close(ours, theirs, tolerance=1e-6):
    """Compare within `tolerance` times the largest value."""
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize(("batch", "n_timesteps", "n_inputs", "units"), SHAPES)
def test_outputs_and_gradients_are_those_of_keras(batch, n_timesteps, n_inputs, units):
    ours, theirs = pair(n_inputs, units)
    inputs = [normal(batch, n_timesteps, n_inputs), normal(batch, units), normal(batch, units)]
    assert ours.is_fusable
    got = value_and_gradients(lambda x, h, c: ours(x, initial_state=[h, c]), ours, inputs)
    wanted = value_and_gradients(lambda x, h, c: theirs(x, initial_state=[h, c]), theirs, [exact(x) for x in inputs])
    assert_close(got[0], wanted[0])
    assert_close(got[1], wanted[1])


@pytest.mark.parametrize(("fast", "stock"), [(LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)])
def test_right_padded_rows_are_those_of_keras_with_a_mask(fast, stock):
    ours, theirs = pair(3, 6, fast=fast, stock=stock)
    x, lengths = normal(5, 9, 3), tf.constant([9, 1, 4, 8, 2])
    inside = tf.sequence_mask(lengths, 9)

    def run(x):
        sequence, state = ours.run(x, lengths)
        return [sequence * tf.cast(inside, tf.float32)[..., None], *state]

    def run_masked(x):
        sequence, *state = theirs(x, mask=inside)
        return [sequence * tf.cast(inside, tf.float64)[..., None], *state]

    got, wanted = value_and_gradients(run, ours, [x]), value_and_gradients(run_masked, theirs, [exact(x)])
    assert_close(got[0], wanted[0])
    assert_close(got[1], wanted[1])


@pytest.mark.parametrize("options", [{"activation": "relu"}, {"unroll": True}, {"use_bias": False}, {"dropout": 0.5}])
def test_options_that_the_kernel_lacks_run_in_keras(options):
    ours, theirs = pair(3, 6, **options)
    x = normal(4, 7, 3)
    assert not ours.is_fusable
    assert_close(ours(x), theirs(exact(x)))
    np.testing.assert_array_equal(ours.run(x)[0], ours(x)[0])


def test_a_loop_in_numpy_agrees():
    ours, _ = pair(3, 6)
    x = normal(2, 9, 3)
    sequence, (h, c) = ours.run(x)
    for row in range(2):
        naive_h, naive_c = naive.lstm(x[row].numpy(), *ours.get_weights())
        np.testing.assert_allclose(sequence[row], naive_h, atol=1e-6)
        np.testing.assert_allclose(h[row], naive_h[-1], atol=1e-6)
        np.testing.assert_allclose(c[row], naive_c[-1], atol=1e-6)


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 20])
@pytest.mark.parametrize("lengths", [None, [9, 1, 4, 8]])
def test_a_dilated_layer_reads_the_state_of_earlier_steps(dilation, lengths):
    ours, _ = pair(3, 6)
    x = normal(4, 9, 3)
    sequence, (h, c) = run_dilated(ours, x, None if lengths is None else tf.constant(lengths), dilation)
    for row, length in enumerate(lengths or [9] * 4):
        naive_h, naive_c = naive.lstm(x[row, :length].numpy(), *ours.get_weights(), dilation=dilation)
        np.testing.assert_allclose(sequence[row, :length], naive_h, atol=1e-6)
        np.testing.assert_allclose(h[row], naive_h[-1], atol=1e-6)
        np.testing.assert_allclose(c[row], naive_c[-1], atol=1e-6)


def test_configuration_and_weights_are_interchangeable_with_keras():
    ours, theirs = pair(3, 6)
    again = keras.layers.LSTM.from_config(ours.get_config())
    again.build((None, None, 3))
    again.set_weights(ours.get_weights())
    x = normal(2, 5, 3)
    assert_close(again(x), theirs(exact(x)))
