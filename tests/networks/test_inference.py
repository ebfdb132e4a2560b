"""Inference: features of a window depend neither on the size of a batch nor on its other windows."""

import numpy as np
import pytest

from tests.networks.builders import make_encoder
from tsae.networks.inference import INFERENCE_SHARD_ROWS, BatchFunction, batch_graph


def features_of(**options):
    shape = {"bidirectional": True, "pooling": ["last", "max"], "pooled_layers": "all"}
    return BatchFunction(make_encoder(2, [5, 7], [1, 2], **{**shape, **options}), "features")


@pytest.fixture(scope="module")
def encode():
    return features_of(seed=0)


@pytest.mark.parametrize(
    "n", [1, 2, 15, 16, 17, INFERENCE_SHARD_ROWS, INFERENCE_SHARD_ROWS + 1, 5 * INFERENCE_SHARD_ROWS]
)
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_any_batch_gives_the_same_features(encode, n, missing):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5 * INFERENCE_SHARD_ROWS, 9, 2)).astype(np.float32)
    x[rng.random(x.shape) < missing] = np.nan
    x[:, 0] = 0  # no window without any value
    whole = encode(x)
    chosen = rng.permutation(len(x))[:n]
    np.testing.assert_allclose(encode(x[chosen]), whole[chosen], atol=1e-6)


def test_two_graphs_serve_all_sizes():
    encode = features_of(seed=0, pooling=["last", "mean"])
    x = np.zeros((700, 21, 2), np.float32)
    before = batch_graph.cache_info().misses
    for n in (1, 3, 60, 65, 300, 700):
        assert encode(x[:n]).shape == (n, 48)
    assert batch_graph.cache_info().misses == before + 2  # one for small calls, one for large


def test_networks_of_the_same_settings_share_graphs_and_not_weights():
    x = np.random.default_rng(1).normal(size=(20, 9, 2)).astype(np.float32)
    first, second = features_of(seed=0), features_of(seed=1)
    expected = first(x)
    before = batch_graph.cache_info().misses
    assert not np.allclose(second(x), expected)
    np.testing.assert_array_equal(first(x), expected)
    assert batch_graph.cache_info().misses == before


def test_other_settings_have_graphs_of_their_own():
    x = np.random.default_rng(1).normal(size=(20, 9, 2)).astype(np.float32)
    x *= 5  # a window's scale matters
    assert not np.allclose(features_of(seed=0)(x), features_of(seed=0, window_scale="only")(x))
