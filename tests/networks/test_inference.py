"""Inference: features of a window depend neither on the size of a batch nor on its other windows."""

import numpy as np
import pytest

from tests.networks.builders import make_encoder
from tsae.networks.inference import INFERENCE_SHARD_ROWS, BatchFunction


def make_function():
    encoder = make_encoder(2, [5, 7], [1, 2], bidirectional=True, pooling=["last", "max"], pooled_layers="all", seed=0)

    def features(x, masked):
        inputs = encoder.read(x, masked)
        return encoder.pool(encoder.run(inputs), inputs.lengths)

    return features


@pytest.fixture(scope="module")
def encode():
    return BatchFunction(make_function())


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
    features, shapes = make_function(), []

    def traced(x, masked):
        shapes.append(x.shape)
        return features(x, masked)

    encode = BatchFunction(traced)
    x = np.zeros((700, 21, 2), np.float32)
    for n in (1, 3, 60, 65, 300, 700):
        assert encode(x[:n]).shape == (n, 48)
    assert len(shapes) == 2  # one for small calls, one for large
