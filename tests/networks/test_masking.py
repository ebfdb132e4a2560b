"""Missing values: lengths of rows, and interpolation of gaps."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests import naive
from tsae.networks.masking import fill_gaps, reverse_rows, row_lengths, step_mask


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 2)),
           elements=st.one_of(st.just(np.nan), st.floats(-5, 5, width=32)))
)  # fmt: skip
def test_gaps_are_filled_by_linear_interpolation(x):
    filled = fill_gaps(tf.constant(x), tf.constant(~np.isnan(x)))
    for row in range(x.shape[0]):
        for channel in range(x.shape[2]):
            np.testing.assert_allclose(filled[row, :, channel], naive.fill_gaps(x[row, :, channel]), atol=1e-5)


def test_a_row_ends_with_its_last_observed_step():
    observed = np.zeros((3, 4, 2), bool)
    observed[0, 3, 1] = observed[1, 0, 0] = True
    np.testing.assert_array_equal(row_lengths(tf.constant(observed)), [4, 1, 0])


def test_rows_are_reversed_within_their_length():
    x = tf.reshape(tf.range(8.0), [2, 4, 1])
    np.testing.assert_array_equal(reverse_rows(x)[..., 0], [[3, 2, 1, 0], [7, 6, 5, 4]])
    np.testing.assert_array_equal(reverse_rows(x, tf.constant([2, 4]))[..., 0], [[1, 0, 2, 3], [7, 6, 5, 4]])
    np.testing.assert_array_equal(step_mask(tf.constant([1, 3]), 3)[..., 0], [[1, 0, 0], [1, 1, 1]])
