"""Pooling by thresholds: shares of steps above quantiles of a unit's states, learned from windows."""

import numpy as np
import pytest

from tests import naive
from tests.networks.builders import encoder_config, make_encoder, normal

QUANTILES = (0.1, 0.5, 0.8)


def learned(**options):
    encoder = make_encoder(
        2,
        [4, 6],
        [1, 3],
        bidirectional=True,
        pooling=["mean", "ppv"],
        pooled_layers="all",
        quantiles=QUANTILES,
        **options,
    )
    encoder.learn_thresholds([normal(30, 11, 2, seed=1), normal(9, 11, 2, seed=2)])
    return encoder


def states_of(encoder, row):
    layers = [
        (forward.get_weights(), backward.get_weights(), dilation)
        for forward, backward, dilation in zip(
            encoder.forward_layers, encoder.backward_layers, encoder.config.dilations, strict=True
        )
    ]
    return naive.encode(layers, row)


def test_thresholds_are_the_quantiles_of_all_states():
    encoder = learned()
    rows = [*normal(30, 11, 2, seed=1), *normal(9, 11, 2, seed=2)]
    for depth, thresholds in encoder.thresholds.items():
        states = np.concatenate([states_of(encoder, row)[depth][0] for row in rows])
        np.testing.assert_allclose(thresholds.thresholds, np.quantile(states, QUANTILES, axis=0), atol=1e-5)


def test_features_are_shares_of_steps():
    """Up to the ramp around a threshold: a step within it counts in part."""
    encoder = learned()
    thresholds = [np.asarray(encoder.thresholds[depth].thresholds) for depth in (0, 1)]
    x = normal(20, 11, 2)
    features = encoder(x).numpy()
    assert features.shape == (20, len(encoder.config.feature_names()))
    expected = np.array([naive.pool(states_of(encoder, row), ["mean", "ppv"], thresholds) for row in x])
    off = np.abs(features - expected)
    assert (off < 1e-4).mean() > 0.8
    assert off.max() <= 2 / 11 + 1e-4
    assert off.mean() < 0.005


def test_padding_does_not_count():
    encoder = learned()
    rows = [normal(length, 2, seed=length) for length in (1, 2, 7, 12)]
    padded = np.full((4, 12, 2), np.nan, np.float32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    for features, values in zip(encoder(padded).numpy(), rows, strict=True):
        np.testing.assert_allclose(features, encoder(values[None]).numpy()[0], atol=1e-3)


def test_padding_is_not_learned_from():
    encoder, other = learned(), learned()
    rows = normal(12, 11, 2)
    padded = np.full((12, 20, 2), np.nan, np.float32)
    padded[:, :11] = rows
    encoder.learn_thresholds([rows])
    other.learn_thresholds([padded])
    np.testing.assert_allclose(encoder.thresholds[1].thresholds, other.thresholds[1].thresholds, atol=1e-5)


def test_rounding_moves_a_feature_by_little():
    encoder = learned()
    x = normal(20, 11, 2)
    np.testing.assert_allclose(encoder(x * (1 + 1e-7)), encoder(x), atol=1e-3)


def test_a_constant_unit_has_half_of_its_steps_above():
    encoder = make_encoder(1, [3], pooling=["ppv"], quantiles=(0.5,))
    encoder.set_weights([0 * weight for weight in encoder.get_weights()])
    encoder.learn_thresholds([normal(5, 7, 1)])
    np.testing.assert_allclose(encoder(normal(2, 7, 1)), 0.5)


def test_decoders_read_what_needs_no_thresholds():
    config = encoder_config(1, [2, 3], pooling=["ppv", "mean"], pooled_layers="all", quantiles=(0.25, 0.5))
    names = config.feature_names()
    assert names[:4] == ["layer0_ppv25_0", "layer0_ppv25_1", "layer0_ppv50_0", "layer0_ppv50_1"]
    assert [names[column] for column in config.context_columns()] == [
        "layer0_mean_0", "layer0_mean_1", "layer1_mean_0", "layer1_mean_1", "layer1_mean_2"
    ]  # fmt: skip
    assert make_encoder(1, [3], pooling=["ppv"], quantiles=(0.5,)).config.context_columns().size == 0


@pytest.mark.parametrize("quantiles", [(), (0.0,), (1,), [0.5], (0.5, "a")])
def test_settings_from_a_file_are_checked(quantiles):
    with pytest.raises(ValueError, match="quantiles"):
        encoder_config(1, [3], pooling=["ppv"], quantiles=quantiles).check()
