"""Random rng for training: a fresh, reproducible stream for every step, and no global state."""

from __future__ import annotations

import tensorflow as tf


class StepRandomState:
    """Random tensors that depend on a seed and on the order of asking, and on nothing else.

    Parameters
    ----------
    seed : int32 tensor of shape (2,)
        The run's seed and the number of the step.
    """

    def __init__(self, seed):
        self._seed = seed
        self._asked = 0

    @property
    def step(self):
        """Number of the update these rng are for, from 0."""
        return self._seed[1] - 1

    def _next(self):
        self._asked += 1
        return tf.random.fold_in(self._seed, self._asked)

    def uniform(self, shape):
        return tf.random.stateless_uniform(shape, self._next())

    def normal(self, shape):
        return tf.random.stateless_normal(shape, self._next())

    def dropout(self, x, rate: float):
        """Inverted dropout; one draw a row and feature, held over time (Gal & Ghahramani 2016, section 4)."""
        shape = tf.concat([tf.shape(x)[:1], tf.ones([x.shape.rank - 2], tf.int32), tf.shape(x)[-1:]], axis=0)
        return tf.where(self.uniform(shape) >= rate, x / (1.0 - rate), 0.0)

    def spans(self, n_rows, n_timesteps: int, rate: float, longest: int):
        """Hide about `rate` of the steps in spans of 1 to `longest`: (n_rows, n_timesteps, 1) bool."""
        drawn = n_timesteps + longest - 1
        begins = self.uniform([n_rows, drawn]) < span_probability(rate, longest)
        length = 1 + tf.cast(self.uniform([n_rows, drawn]) * longest, tf.int32)
        hidden = [(begins & (length > age))[:, longest - 1 - age : drawn - age] for age in range(longest)]
        return tf.reduce_any(hidden, axis=0)[..., None]


def span_probability(rate: float, longest: int) -> float:
    """Probability that a span begins at a step, so that a share `rate` of the steps is hidden.

    A step is seen when no span of at least `age + 1` steps began `age` steps before it, for any age.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        seen = 1.0
        for age in range(longest):
            seen *= 1.0 - middle * (longest - age) / longest
        low, high = (middle, high) if 1.0 - seen < rate else (low, middle)
    return high
