"""The compiled encoder: the numbers of the fused kernels, one compilation for all encoders of a shape."""

import numpy as np
import pytest

import tsae.estimators.base
from tests.networks.builders import make_encoder
from tsae import LSTMAutoencoder
from tsae.data.scaling import ChannelScaler
from tsae.networks.compiled import COMPILED_SHARD_ROWS, can_compile, compiled_features, compiled_graph
from tsae.networks.inference import BatchFunction

ALL = ["last", "cell", "mean", "max", "min", "std", "change"]
SHAPES = [
    {"units": [5]},
    {"units": [5], "pooling": ["cell", "last"], "bidirectional": True},
    {"units": [4, 6], "dilations": [1, 3], "bidirectional": True, "pooling": ALL, "pooled_layers": "all"},
    {"units": [6], "pooling": ["mean"], "window_scale": "concat", "differences": True},
    {"units": [4, 3], "pooling": ["mean", "ppv"], "quantiles": (0.3, 0.6), "pooled_layers": "all"},
]


def windows(n, width=11):
    return np.random.default_rng(3).normal(size=(n, width, 2)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [1, COMPILED_SHARD_ROWS, 2 * COMPILED_SHARD_ROWS + 3])
def test_compiled_features_are_the_features(shape, n):
    encoder = make_encoder(2, seed=4, **shape)
    encoder.learn_thresholds([windows(40)])

    x = windows(n)
    scaler = ChannelScaler().fit(5 * windows(30).reshape(-1, 2) + 3)
    expected = BatchFunction(encoder, "features")(scaler.transform(x))
    for values in (x, x.astype(np.float64), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(compiled_features(encoder, scaler, values), expected, atol=1e-6)


def test_encoders_of_one_shape_share_the_compiled_code_and_not_the_weights():
    first, second = (make_encoder(2, [5], seed=seed) for seed in (1, 2))
    x, as_it_is = windows(9), ChannelScaler.identity(2)
    before = compiled_features(first, as_it_is, x)
    misses = compiled_graph.cache_info().misses
    assert not np.allclose(compiled_features(second, as_it_is, x), before)
    np.testing.assert_array_equal(compiled_features(first, as_it_is, x), before)
    assert compiled_graph.cache_info().misses == misses


def test_only_what_the_fused_kernel_runs_is_compiled():
    assert can_compile(make_encoder(2, [5], bidirectional=True))
    assert not can_compile(make_encoder(2, [5], cell="gru"))
    assert not can_compile(make_encoder(2, [5], unroll=True))


def test_large_calls_are_compiled_and_agree_with_small_ones(monkeypatch):
    X = windows(700)
    autoencoder = LSTMAutoencoder(6, bidirectional=False, epochs=1, random_state=0).fit(X)
    small = autoencoder.transform(X)
    calls = []
    monkeypatch.setattr("tsae.networks.compiled.compiled_features", lambda *a: calls.append(1) or compiled_features(*a))
    monkeypatch.setattr(tsae.estimators.base, "COMPILED_CALL_STEPS", 700 * 11)
    np.testing.assert_allclose(autoencoder.transform(X), small, atol=2e-5)  # rounding counts more within ramps
    assert calls == [1]
    autoencoder.transform(X[:-1])  # one window fewer is a small call
    X[5, 3] = np.nan
    assert np.isfinite(autoencoder.transform(X)).all()  # and windows with gaps are not for the compiled form
    assert calls == [1]


def test_features_alone_have_a_compiled_form():
    autoencoder = LSTMAutoencoder(6, bidirectional=False, epochs=1).fit(windows(20))
    assert set(autoencoder._compiled_functions()) == {"features"} < set(autoencoder._network.functions())
