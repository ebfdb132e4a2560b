"""Encoding: neither the size of a batch nor the neighbours in it change a window's features."""

import numpy as np
import pytest

from tsae.networks.encoder import Encoder
from tsae.networks.inference import SHARD_ROWS, BatchFunction


@pytest.fixture(scope="module")
def encode():
    encoder = Encoder(2, [5, 7], [1, 2], bidirectional=True, pooling=["last", "max"], pooled_layers="all", seed=0)

    def features(x, masked):
        inputs = encoder.read(x, masked)
        return encoder.pool(encoder.run(inputs), inputs.lengths)

    return BatchFunction(features)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, SHARD_ROWS, SHARD_ROWS + 1, 5 * SHARD_ROWS])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_any_batch_gives_the_same_features(encode, n, missing):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5 * SHARD_ROWS, 9, 2)).astype(np.float32)
    x[draw.random(x.shape) < missing] = np.nan
    x[:, 0] = 0  # no window without any value
    whole = encode(x)
    chosen = draw.permutation(len(x))[:n]
    np.testing.assert_allclose(encode(x[chosen]), whole[chosen], atol=1e-6)


def test_one_graph_serves_all_sizes(encode):
    x = np.zeros((700, 21, 2), np.float32)
    for n in (1, 3, 60, 65, 300, 700):
        assert encode(x[:n]).shape == (n, 48)
    assert len([key for key in encode._graphs if key[0] == (21, 2)]) == 2  # a small and a large
