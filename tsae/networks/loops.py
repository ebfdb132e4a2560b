"""Loops inside a graph whose steps depend on the step before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Up to this many steps a loop is unrolled: it runs faster and compiles more slowly.
UNROLLED_STEPS = 16


def run_steps(step: Callable, carry: Any, n_steps: int, unroll: bool = False) -> tuple[Any, Any]:
    """Run ``carry, output = step(i, carry)`` for i in 0 ... n_steps - 1.

    Parameters
    ----------
    step : callable(i, carry) -> (carry, output)
        carry, output: structures of tensors; those of `output` have shape (batch, ...).
    carry : structure of tensors
        What the first step is given.
    n_steps : int
    unroll : bool
        Always unroll the loop; otherwise up to `UNROLLED_STEPS` steps.

    Returns
    -------
    carry : structure of tensors
        As returned by the last step.
    outputs : structure of tensors of shape (batch, n_steps, ...)
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

    # The first step runs outside the loop: it shows the structure and types of the outputs.
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
