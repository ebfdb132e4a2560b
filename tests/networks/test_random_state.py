"""Random numbers of a step: reproducible, independent, and with the rates asked for."""

import numpy as np
import pytest
import tensorflow as tf

from tsae.networks.random_state import StepRandomState


def rng(seed=0):
    return StepRandomState(tf.constant([seed, 7]))


def test_the_same_seed_gives_the_same_numbers_and_each_call_new_ones():
    one, two, other = rng(), rng(), rng(1)
    first = one.uniform([100])
    np.testing.assert_array_equal(first, two.uniform([100]))
    assert not np.array_equal(first, one.uniform([100]))
    assert not np.array_equal(first, other.uniform([100]))


@pytest.mark.parametrize(("rate", "longest"), [(0.3, 10), (0.1, 1), (0.6, 5)])
def test_spans_hide_the_share_asked_for(rate, longest):
    hidden = rng().spans(400, 200, rate, longest).numpy()[..., 0]
    assert hidden.shape == (400, 200)
    assert abs(hidden.mean() - rate) < 0.01
    by_step = hidden.mean(axis=0)  # the first steps are hidden as often as any
    assert abs(by_step[:3].mean() - by_step[50:].mean()) < 0.08


def test_hidden_steps_form_spans():
    hidden = rng().spans(400, 200, 0.05, 10).numpy()[..., 0].astype(int)
    edges = np.diff(np.pad(hidden, [[0, 0], [1, 1]]), axis=1)
    lengths = np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]
    assert 4.5 < lengths.mean() < 7.0  # uniform from 1 to 10, cut at the edges, merged where they overlap


def test_dropout_keeps_the_mean_and_is_the_same_at_all_steps():
    x = tf.ones([500, 6, 20])
    dropped = rng().dropout(x, 0.25).numpy()
    assert set(np.unique(dropped).round(4)) == {0.0, np.float32(1 / 0.75).round(4)}
    assert abs(dropped.mean() - 1) < 0.03
    assert (dropped == dropped[:, :1]).all()
