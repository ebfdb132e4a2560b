"""Loops over steps that depend on one another, inside a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# So many steps are laid out one after the other, which runs faster than a loop and is compiled more slowly.
UNROLLED_STEPS = 16


def run_steps(step: Callable, carry: Any, n_steps: int, unroll: bool = False) -> tuple[Any, Any]:
    """Run ``carry, output = step(i, carry)`` for i in 0 ... n_steps - 1.

    Returns
    -------
    carry : as the last step left it
    outputs : the steps' outputs (a structure of tensors), stacked along a new axis after the batch's
    """
    if unroll or n_steps <= UNROLLED_STEPS:
        outputs = []
        for i in range(n_steps):
            carry, output = step(tf.constant(i), carry)
            outputs.append(output)
        return carry, tf.nest.map_structure(lambda *parts: tf.stack(parts, axis=1), *outputs)
    flat_carry = tf.nest.flatten(carry)

    def traced(i, flat):
        after, output = step(i, tf.nest.pack_sequence_as(carry, flat))
        return tf.nest.flatten(after), output

    # The first step stands outside, since only from it the kinds of the outputs are known.
    flat_carry, first = traced(tf.constant(0), flat_carry)
    kept = [
        tf.TensorArray(part.dtype, size=n_steps, element_shape=part.shape).write(0, part)
        for part in tf.nest.flatten(first)
    ]

    def body(i, flat, arrays):
        flat, output = traced(i, flat)
        written = [array.write(i, part) for array, part in zip(arrays, tf.nest.flatten(output), strict=True)]
        return i + 1, flat, written

    _, flat_carry, kept = tf.while_loop(
        lambda i, *_: i < n_steps, body, (tf.constant(1), flat_carry, kept), maximum_iterations=n_steps - 1
    )
    stacked = [_batch_first(array.stack()) for array in kept]
    return tf.nest.pack_sequence_as(carry, flat_carry), tf.nest.pack_sequence_as(first, stacked)


def _batch_first(x):
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
