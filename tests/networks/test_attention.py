"""Attention against NumPy, one query and one memory at a time."""

import numpy as np
import pytest

from tests import naive
from tests.networks.builders import normal
from tsae.networks.attention import Attention
from tsae.networks.encoder import weight_seeds

KINDS = ["dot", "general", "concat", "location", "additive"]


def make(kind, query_width=4, memory_width=4, n_steps=6):
    return Attention(kind, query_width, memory_width, n_steps, weight_seeds(1), name="attention")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [None, [6, 2, 5]])
def test_weights_and_attended_memory_follow_the_formula(kind, lengths):
    attention = make(kind)
    query, memory = normal(3, 2, 4), normal(3, 6, 4, seed=1)
    attended, weights = attention(query, memory, attention.keys(memory), lengths and np.array(lengths))
    named = {weight.name: weight.numpy() for weight in attention.weights}
    for row in range(3):
        n_steps = lengths[row] if lengths else 6
        for place in range(2):
            expected, expected_weights = naive.attend(kind, named, query[row, place], memory[row, :n_steps])
            np.testing.assert_allclose(attended[row, place], expected, atol=1e-5)
            np.testing.assert_allclose(weights[row, place, :n_steps], expected_weights, atol=1e-5)
            assert np.all(weights[row, place, n_steps:] == 0)


@pytest.mark.parametrize("kind", ["general", "concat", "location", "additive"])
def test_query_and_memory_may_differ_in_width(kind):
    attention = make(kind, query_width=3, memory_width=5)
    query, memory = normal(2, 1, 3), normal(2, 6, 5, seed=1)
    attended, weights = attention(query, memory, attention.keys(memory))
    assert attended.shape == (2, 1, 5)
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1.0, atol=1e-6)


@pytest.mark.parametrize("n_steps", [4, 8])
def test_location_attention_fits_shorter_and_padded_memories(n_steps):
    attention = make("location")
    memory = normal(2, n_steps, 4)
    lengths = np.array([min(n_steps, 6), 3])
    attended, weights = attention(normal(2, 1, 4, seed=1), memory, attention.keys(memory), lengths)
    assert weights.shape == (2, 1, n_steps)
    np.testing.assert_allclose(attended[:, 0], np.einsum("bt,btw->bw", weights[:, 0], memory), atol=1e-6)
