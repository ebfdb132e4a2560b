"""An LSTM that reads the same input at every step, as a decoder does that unfolds a context; for long training.

The input is projected once instead of at every step, and the loop, forward and backward, is compiled by XLA: about
1.5 times as fast as the fused kernel on the repeated input, after a second of compilation for each shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import tensorflow as tf

_COMPILED: ContextVar[bool] = ContextVar("tsae_compiled_unfolding", default=False)


@contextmanager
def compiled_unfolding(wanted: bool) -> Iterator[None]:
    """Whether decoders that are traced within are to use `unfold_lstm`."""
    token = _COMPILED.set(wanted)
    try:
        yield
    finally:
        _COMPILED.reset(token)


@lru_cache(maxsize=1)
def has_compiler() -> bool:
    """Whether this build of TensorFlow has XLA for the processor; not all builds have."""
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True, autograph=False)(tf.zeros([1]))
    except tf.errors.OpError:
        return False
    return True


def unfolds_compiled() -> bool:
    return _COMPILED.get()


# Functions of the module, so that all networks share what is traced, and what TensorFlow keeps of it for good.
@tf.function(autograph=False)
def unfold_lstm(projected, h0, c0, recurrent_kernel, n_timesteps):
    """Run an LSTM whose input does not change.

    Parameters
    ----------
    projected : tensor of shape (batch, 4 * units)
        The input times the kernel, plus the bias; gates in the order of Keras.
    h0, c0 : tensors of shape (batch, units)
    recurrent_kernel : tensor of shape (units, 4 * units)
    n_timesteps : int

    Returns
    -------
    h : tensor of shape (n_timesteps, batch, units)
    """

    @tf.custom_gradient
    def run(projected, h0, c0, recurrent_kernel):
        h, c, gates = _forward(projected, h0, c0, recurrent_kernel, n_timesteps)

        def gradient(dh):
            return _backward(h0, c0, recurrent_kernel, h, c, gates, dh)

        return h, gradient

    return run(projected, h0, c0, recurrent_kernel)


@tf.function(jit_compile=True, autograph=False)
def _forward(projected, h0, c0, recurrent_kernel, n_timesteps):
    """h and c of each step, and the tanh of each gate (sigmoid(x) is 0.5 tanh(x / 2) + 0.5)."""
    batch, units = h0.shape
    half = tf.fill([units], 0.5)
    scale = tf.concat([half, half, tf.ones([units]), half], axis=0)
    weights, projected = recurrent_kernel * scale, projected * scale
    arrays = [tf.TensorArray(tf.float32, n_timesteps, element_shape=[batch, k * units]) for k in (1, 1, 4)]

    def step(t, h, c, hs, cs, gates):
        gate = tf.tanh(tf.matmul(h, weights) + projected)
        i, f, g, o = tf.split(gate, 4, axis=-1)
        c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
        h = 0.5 * (o + 1.0) * tf.tanh(c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c), gates.write(t, gate)

    _, _, _, *arrays = tf.while_loop(lambda t, *_: t < n_timesteps, step, (0, h0, c0, *arrays))
    return [array.stack() for array in arrays]


@tf.function(jit_compile=True, autograph=False)
def _backward(h0, c0, recurrent_kernel, hs, cs, gates, dhs):
    """Gradients with respect to the arguments of `_forward`; those of the weights by one product over all steps."""
    n_timesteps, batch, units = hs.shape
    before = tf.concat([c0[None], cs[:-1]], axis=0)
    transposed = tf.transpose(recurrent_kernel)
    array = tf.TensorArray(tf.float32, n_timesteps, element_shape=[batch, 4 * units])

    def step(k, dh, dc, dgates):
        t = n_timesteps - 1 - k
        i, f, g, o = tf.split(gates[t], 4, axis=-1)
        i, f, o = 0.5 * (i + 1.0), 0.5 * (f + 1.0), 0.5 * (o + 1.0)
        tanh_c = tf.tanh(cs[t])
        dh += dhs[t]
        dc += dh * o * (1.0 - tf.square(tanh_c))
        dgate = tf.concat([
            dc * g * i * (1.0 - i), dc * before[t] * f * (1.0 - f), dc * i * (1.0 - tf.square(g)),
            dh * tanh_c * o * (1.0 - o),
        ], axis=-1)  # fmt: skip
        return k + 1, tf.matmul(dgate, transposed), dc * f, dgates.write(t, dgate)

    zeros = tf.zeros_like(h0)
    _, dh0, dc0, array = tf.while_loop(lambda k, *_: k < n_timesteps, step, (0, zeros, zeros, array))
    dgates = array.stack()
    previous = tf.reshape(tf.concat([h0[None], hs[:-1]], axis=0), [-1, units])
    dkernel = tf.matmul(previous, tf.reshape(dgates, [-1, 4 * units]), transpose_a=True)
    return tf.reduce_sum(dgates, axis=0), dh0, dc0, dkernel
