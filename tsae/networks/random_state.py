"""Random numbers for training: a reproducible stream for each step, without global state."""

from __future__ import annotations

import tensorflow as tf


class StepRandomState:
    """Random tensors of one training step, which depend only on the seed and on the order of the calls.

    Parameters
    ----------
    seed : int32 tensor of shape (2,)
        The seed of the run, and the number of the step plus 1.
    """

    def __init__(self, seed):
        self._seed = seed
        self._n_calls = 0

    @property
    def step(self):
        """Number of the step, from 0."""
        return self._seed[1] - 1

    def _next(self):
        self._n_calls += 1
        return tf.random.fold_in(self._seed, self._n_calls)

    def uniform(self, shape):
        """Float32 tensor of `shape`, uniform in [0, 1)."""
        return tf.random.stateless_uniform(shape, self._next())

    def normal(self, shape):
        """Float32 tensor of `shape`, standard normal."""
        return tf.random.stateless_normal(shape, self._next())

    def dropout(self, x, rate: float):
        """Inverted dropout; one mask per row and feature, the same at all steps (Gal & Ghahramani 2016, section 4)."""
        shape = tf.concat([tf.shape(x)[:1], tf.ones([x.shape.rank - 2], tf.int32), tf.shape(x)[-1:]], axis=0)
        return tf.where(self.uniform(shape) >= rate, x / (1.0 - rate), 0.0)

    def spans(self, n_rows, n_timesteps: int, rate: float, longest: int):
        """Random mask that hides about a share `rate` of the steps, in spans of 1 to `longest` steps.

        Parameters
        ----------
        n_rows : int or scalar tensor
        n_timesteps : int
        rate : float
        longest : int

        Returns
        -------
        bool tensor of shape (n_rows, n_timesteps, 1)
            True where hidden.
        """
        n_starts = n_timesteps + longest - 1  # spans may start before the first step
        starts = self.uniform([n_rows, n_starts]) < span_probability(rate, longest)
        length = 1 + tf.cast(self.uniform([n_rows, n_starts]) * longest, tf.int32)
        hidden = [(starts & (length > age))[:, longest - 1 - age : n_starts - age] for age in range(longest)]
        return tf.reduce_any(hidden, axis=0)[..., None]


def span_probability(rate: float, longest: int) -> float:
    """Probability of a span starting at a step for which a share `rate` of the steps is hidden.

    A step is visible if, for no `age`, a span of more than `age` steps started `age` steps before it. The probability
    is found by bisection.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        visible = 1.0
        for age in range(longest):
            visible *= 1.0 - middle * (longest - age) / longest
        low, high = (middle, high) if 1.0 - visible < rate else (low, middle)
    return high
