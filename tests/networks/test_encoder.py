"""The encoder against a loop in NumPy: stacks, directions, dilations, pooling, padding and scaling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import naive
from tests.networks.builders import encoder_config, make_encoder, normal

ALL = ["last", "cell", "mean", "max", "min", "std", "change"]


def naive_features(encoder, row):
    layers = [
        (forward.get_weights(), backward and backward.get_weights(), dilation)
        for forward, backward, dilation in zip(
            encoder.forward_layers, encoder.backward_layers or [None] * 9, encoder.config.dilations, strict=False
        )
    ]
    states = naive.encode(layers, row)
    return naive.pool(states if encoder.config.pooled_layers == "all" else states[-1:], encoder.config.pooling)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("units", "dilations"), [([5], ()), ([4, 6], [1, 3]), ([3, 3, 3], [1, 2, 4])])
@pytest.mark.parametrize("pooled_layers", ["all", "last"])
def test_features_are_those_of_the_loop(units, dilations, bidirectional, pooled_layers):
    encoder = make_encoder(2, units, dilations, bidirectional=bidirectional, pooling=ALL, pooled_layers=pooled_layers)
    x = normal(4, 11, 2)
    features = encoder(x).numpy()
    assert features.shape == (4, len(encoder.config.feature_names()))
    for row in range(4):
        np.testing.assert_allclose(
            features[row], naive_features(encoder, x[row]), atol=2e-4
        )  # 1e-8 under the root of std


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(bidirectional):
    encoder = make_encoder(2, [4, 6], [1, 3], bidirectional=bidirectional, pooling=ALL, pooled_layers="all")
    rows = [normal(length, 2, seed=length) for length in (1, 2, 7, 12)]
    padded = np.full((4, 12, 2), np.nan, np.float32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    together = encoder(padded).numpy()
    for features, values in zip(together, rows, strict=True):
        np.testing.assert_allclose(features, encoder(values[None]).numpy()[0], atol=1e-5)
        np.testing.assert_allclose(features, naive_features(encoder, values), atol=2e-4)


def test_last_of_both_directions_is_that_of_keras():
    encoder = make_encoder(3, [5], bidirectional=True, pooling=["last"])
    stock = keras.layers.Bidirectional(keras.layers.LSTM(5))
    x = normal(4, 8, 3)
    stock(x)
    stock.set_weights(encoder.forward_layers[0].get_weights() + encoder.backward_layers[0].get_weights())
    np.testing.assert_allclose(encoder(x), stock(x), atol=1e-6)


def test_gaps_are_read_as_straight_lines():
    encoder = make_encoder(1, [5], pooling=["last", "mean"])
    x = normal(1, 6, 1)
    gap, line = x.copy(), x.copy()
    gap[0, 2:4] = np.nan
    line[0, 2:4, 0] = np.interp([2, 3], [1, 4], x[0, [1, 4], 0])
    np.testing.assert_allclose(encoder(gap), encoder(line), atol=1e-6)


def test_window_scaling_removes_level_and_size():
    encoder = make_encoder(2, [5], pooling=["last"], window_scale="only")
    x = normal(3, 9, 2)
    np.testing.assert_allclose(encoder(x), encoder(x * np.float32([30, 0.01]) + np.float32([5, -2])), atol=1e-4)
    standing = np.full((1, 9, 2), 7.0, np.float32)
    inputs = encoder.read(tf.constant(standing))
    np.testing.assert_array_equal(inputs.values, np.zeros_like(standing))


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_small_ripple_is_not_taken_for_rounding(level):
    encoder = make_encoder(2, [5], pooling=["last"], window_scale="only")
    x = np.random.default_rng(0).normal(size=(4, 9, 2)).astype(np.float32)
    ripple = np.float32(level) + np.float32(2e-6) * x
    np.testing.assert_allclose(encoder(ripple), encoder(x), atol=0.02)
    still = np.full((4, 9, 2), level, np.float32)
    still[:, ::2] = np.nextafter(np.float32(level), np.float32(1))
    np.testing.assert_allclose(encoder.read(still).values, 0, atol=1e-6)


def test_both_scalings_are_concatenated():
    encoder = make_encoder(2, [5], pooling=["last"], window_scale="concat")
    x = tf.constant(normal(3, 9, 2))
    values = encoder.read(x).values.numpy()
    np.testing.assert_array_equal(values[..., :2], x)
    np.testing.assert_allclose(values[..., 2:].mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(values[..., 2:].std(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("scale", ["none", "only", "concat"])
def test_differences_are_further_channels(scale):
    encoder = make_encoder(2, [5], window_scale=scale, differences=True)
    whole = 30 * normal(4, 9, 2) + 5
    complete = encoder.read(tf.constant(whole), masked=False)
    assert complete.values.shape[-1] == encoder.config.n_inputs == {"none": 4, "only": 4, "concat": 6}[scale]
    without = make_encoder(2, [5], window_scale=scale).read(tf.constant(whole), masked=False)
    np.testing.assert_array_equal(complete.values[..., :-2], without.values)
    assert (complete.center is None) == (without.center is None)
    x = whole.copy()
    x[0, 6:] = np.nan  # ends early
    x[1, 2:4, 0] = x[1, 0, 1] = np.nan
    x[2, ::2, 0] = np.nan  # no two neighbours
    x[3, :, 0] = 7
    inputs = encoder.read(tf.constant(x))
    for row, length in enumerate((6, 9, 9, 9)):
        for channel in range(2):
            expected = naive.differences(x[row, :length, channel].astype(float).tolist())
            np.testing.assert_allclose(inputs.values[row, :length, channel - 2], expected, atol=1e-5)
            expected = naive.differences(whole[row, :, channel].astype(float).tolist())
            np.testing.assert_allclose(complete.values[row, :, channel - 2], expected, atol=1e-5)
    known = np.isfinite(x)
    before = np.pad(known[:, :-1], [(0, 0), (1, 0), (0, 0)])
    np.testing.assert_array_equal(inputs.observed[..., -2:], known & before)


def test_differences_of_rounding_are_not_amplified():
    encoder = make_encoder(1, [5], differences=True)
    swing = np.sin(np.arange(5000) / 800)[None, :, None]
    near, far = (np.float32(level + 1e-3 * swing) for level in (0, 1000))  # the second moves in steps of 6e-5
    near, far = (encoder.read(tf.constant(x), masked=False).values[..., 1].numpy() for x in (near, far))
    assert np.sqrt(np.mean(near**2)) == pytest.approx(1, abs=1e-3)
    assert np.abs(far).max() < 0.1


def test_a_hidden_step_shows_in_no_difference():
    encoder = make_encoder(2, [5], window_scale="concat", differences=True)
    x, other = normal(1, 9, 2), normal(1, 9, 2)
    hidden = np.zeros((1, 9, 1), bool)
    hidden[0, [3, 4, 8]] = True
    other = np.where(hidden, other, x)

    def scaled(x):  # at the scale of one and the same window
        values = encoder.read(tf.constant(x), masked=False).values.numpy()
        values[..., 2:] = np.concatenate([x, x - np.pad(x[:, :-1], [(0, 0), (1, 0), (0, 0)])], axis=-1)
        return encoder.hide(tf.constant(values), tf.constant(hidden)).numpy()

    np.testing.assert_array_equal(scaled(x), scaled(other))
    assert (scaled(x)[0, [3, 4, 8]] == 0).all()
    assert (scaled(x)[0, 5, -2:] == 0).all()
    assert (scaled(x)[0, [0, 1, 2, 6, 7]] != 0).all()


def test_complete_windows_take_the_cheaper_way_to_the_same_features():
    encoder = make_encoder(2, [4, 4], [1, 2], bidirectional=True, pooling=ALL, window_scale="concat")
    x = tf.constant(normal(3, 9, 2))
    inputs = encoder.read(x, masked=False)
    assert inputs.lengths is None
    np.testing.assert_allclose(encoder.pool(encoder.run(inputs)), encoder(x), atol=1e-5)


def test_names_hold_layer_pooling_and_unit():
    assert encoder_config(1, [2], pooling=["last", "mean"]).feature_names() == ["last_0", "last_1", "mean_0", "mean_1"]
    config = encoder_config(1, [1, 1], pooling=["max"], pooled_layers="all")
    assert config.feature_names() == ["layer0_max_0", "layer1_max_0"]


def test_a_row_without_any_value_has_no_effect_on_others():
    encoder = make_encoder(1, [3], [2], bidirectional=True, pooling=ALL)
    x = normal(2, 6, 1)
    x[0] = np.nan
    np.testing.assert_allclose(encoder(x)[1], encoder(x[1:])[0], atol=1e-6)
    assert np.isfinite(encoder(x)).all()
