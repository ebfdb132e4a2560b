"""LSTM loops for XLA: written step by step, slow as they stand, faster than the fused kernel once compiled.

sigmoid(x) is 0.5 tanh(x / 2) + 0.5: with the weights of three gates halved beforehand, one tanh serves all four gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import tensorflow as tf

_FOR_COMPILER: ContextVar[bool] = ContextVar("tsae_for_compiler", default=False)
_TRAINING: ContextVar[bool] = ContextVar("tsae_compiled_training", default=False)


@lru_cache(maxsize=1)
def has_compiler() -> bool:
    """Whether this build of TensorFlow has XLA for the processor; not all builds have."""
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True, autograph=False)(tf.zeros([1]))
    except tf.errors.OpError:
        return False
    return True


@contextmanager
def for_compiler() -> Iterator[None]:
    """Layers that are traced within are to be compiled by XLA, which does not know the fused kernel."""
    with _set(_FOR_COMPILER, True):
        yield


def is_for_compiler() -> bool:
    return _FOR_COMPILER.get()


@contextmanager
def compiled_training(wanted: bool) -> Iterator[None]:
    """Whether layers that are traced within are to use `trained_lstm` and `repeated_input_lstm`."""
    with _set(_TRAINING, wanted):
        yield


def trains_compiled() -> bool:
    return _TRAINING.get()


@contextmanager
def _set(variable: ContextVar[bool], value: bool) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _halved(units: int):
    """What the weights of the gates are multiplied by, in Keras's order: input, forget, cell, output."""
    half = tf.fill([units], 0.5)
    return tf.concat([half, half, tf.ones([units]), half], axis=0)


def _step(summed, c):
    """One step from the (halved) sums of all that the gates read: h, c and the tanh of each gate."""
    gates = tf.tanh(summed)
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
    return 0.5 * (o + 1.0) * tf.tanh(c), c, gates


def looped_lstm(x, h0, c0, kernel, recurrent_kernel, bias):
    """Run an LSTM over x, (n_timesteps, batch, n_inputs).

    Returns
    -------
    h, c : tensors of shape (n_timesteps, batch, units)
    last_h, last_c : tensors of shape (batch, units)
        For whoever needs these alone the sequences are not kept.
    """
    n_timesteps, scale = x.shape[0], _halved(h0.shape[-1])
    weights, bias = tf.concat([kernel, recurrent_kernel], axis=0) * scale, bias * scale
    arrays = [tf.TensorArray(tf.float32, n_timesteps, element_shape=h0.shape) for _ in range(2)]

    def step(t, h, c, hs, cs):
        h, c, _ = _step(tf.matmul(tf.concat([x[t], h], axis=-1), weights) + bias, c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c)

    _, h, c, hs, cs = tf.while_loop(lambda t, *_: t < n_timesteps, step, (0, h0, c0, *arrays))
    return hs.stack(), cs.stack(), h, c


# Functions of the module, so that all networks share what is traced, and what TensorFlow keeps of it for good.
@tf.function(autograph=False)
def trained_lstm(x, h0, c0, kernel, recurrent_kernel, bias, input_gradient):
    """Run an LSTM over x, (n_timesteps, batch, n_inputs): to be trained.

    Parameters
    ----------
    input_gradient : bool
        Whether anything below wants the gradient with respect to x.

    Returns
    -------
    h : tensor of shape (n_timesteps, batch, units)
    last_c : tensor of shape (batch, units)
    """

    @tf.custom_gradient
    def run(x, h0, c0, kernel, recurrent_kernel, bias):
        h, c, gates = _forward(x, h0, c0, kernel, recurrent_kernel, bias)

        def gradient(dh, dc):
            dh0, dc0, dweights, total, dgates = _backward(
                x, h0, c0, recurrent_kernel, h, c, gates, dh, dc, keep=input_gradient
            )
            dx = tf.einsum("tbg,ng->tbn", dgates, kernel) if input_gradient else None
            dkernel, drecurrent = tf.split(dweights, [x.shape[-1], h.shape[-1]])
            return dx, dh0, dc0, dkernel, drecurrent, tf.reduce_sum(total, axis=0)

        return (h, c[-1]), gradient

    return run(x, h0, c0, kernel, recurrent_kernel, bias)


@tf.function(autograph=False)
def repeated_input_lstm(projected, h0, c0, recurrent_kernel, n_timesteps):
    """Run an LSTM that reads the same at every step, as a decoder does that has_recurrent_decoders a context: to be trained.

    The input is projected once instead of at every step.

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
        h, c, gates = _forward_repeated_input(projected, h0, c0, recurrent_kernel, n_timesteps)

        def gradient(dh):
            no_dc = tf.zeros_like(c0)
            nothing = tf.zeros([n_timesteps, h0.shape[0], 0])
            dh0, dc0, dweights, total, _ = _backward(
                nothing, h0, c0, recurrent_kernel, h, c, gates, dh, no_dc, keep=False
            )
            return total, dh0, dc0, dweights

        return h, gradient

    return run(projected, h0, c0, recurrent_kernel)


@tf.function(jit_compile=True, autograph=False)
def _forward(x, h0, c0, kernel, recurrent_kernel, bias):
    """h and c of each step, and the tanh of each gate; (n_timesteps, batch, ...)."""
    scale = _halved(h0.shape[-1])
    weights, bias = tf.concat([kernel, recurrent_kernel], axis=0) * scale, bias * scale
    return _keep_all(lambda t, h: tf.matmul(tf.concat([x[t], h], axis=-1), weights) + bias, h0, c0, x.shape[0])


@tf.function(jit_compile=True, autograph=False)
def _forward_repeated_input(projected, h0, c0, recurrent_kernel, n_timesteps):
    """The same where each step reads what is projected already."""
    scale = _halved(h0.shape[-1])
    weights, projected = recurrent_kernel * scale, projected * scale
    return _keep_all(lambda t, h: tf.matmul(h, weights) + projected, h0, c0, n_timesteps)


def _keep_all(summed, h0, c0, n_timesteps):
    """h, c and gates of all steps, where summed(t, h) is what the gates of step t read."""
    batch, units = h0.shape
    arrays = [tf.TensorArray(tf.float32, n_timesteps, element_shape=[batch, k * units]) for k in (1, 1, 4)]

    def step(t, h, c, hs, cs, gates):
        h, c, gate = _step(summed(t, h), c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c), gates.write(t, gate)

    _, _, _, *arrays = tf.while_loop(lambda t, *_: t < n_timesteps, step, (0, h0, c0, *arrays))
    return [array.stack() for array in arrays]


@tf.function(jit_compile=True, autograph=False)
def _backward(x, h0, c0, recurrent_kernel, hs, cs, gates, dhs, dc, keep):
    """The way back through all steps.

    The gradient of the weights is summed up on the way: one product over the rows of all steps would have to store what
    the steps say, and has two to three times the rounding error.

    Parameters
    ----------
    x : tensor of shape (n_timesteps, batch, n_inputs)
        What was read at each step; of no width where that was the same at every step.
    keep : bool
        Whether what each step says is wanted.

    Returns
    -------
    dh0, dc0 : tensors of shape (batch, units)
    dweights : tensor of shape (n_inputs + units, 4 * units)
        With respect to the kernel and the recurrent kernel below it.
    total : tensor of shape (batch, 4 * units)
        Gradient with respect to the sums that the gates read, over all steps.
    dgates : tensor of shape (n_timesteps, batch, 4 * units)
        The same step by step; without `keep` nothing.
    """
    n_timesteps, batch, units = cs.shape
    transposed = tf.transpose(recurrent_kernel)
    array = tf.TensorArray(tf.float32, n_timesteps if keep else 0, element_shape=[batch, 4 * units])
    dweights, total = tf.zeros([x.shape[-1] + units, 4 * units]), tf.zeros([batch, 4 * units])

    # The gates of the next step are handed on as a whole: read where they are used they would be fetched from memory
    # in many small parts, which takes longer than all that is computed from them.
    def step(k, dh, dc, gate, dweights, total, dgates):
        t = n_timesteps - 1 - k
        h_before, c_before = (tf.where(t > 0, seq[tf.maximum(t - 1, 0)], first) for seq, first in ((hs, h0), (cs, c0)))
        i, f, g, o = tf.split(gate, 4, axis=-1)
        i, f, o = 0.5 * (i + 1.0), 0.5 * (f + 1.0), 0.5 * (o + 1.0)
        tanh_c = tf.tanh(cs[t])
        dh += dhs[t]
        dc += dh * o * (1.0 - tf.square(tanh_c))
        dgate = tf.concat([
            dc * g * i * (1.0 - i), dc * c_before * f * (1.0 - f), dc * i * (1.0 - tf.square(g)),
            dh * tanh_c * o * (1.0 - o),
        ], axis=-1)  # fmt: skip
        dweights += tf.matmul(tf.concat([x[t], h_before], axis=-1), dgate, transpose_a=True)
        dgates = dgates.write(t, dgate) if keep else dgates
        return k + 1, tf.matmul(dgate, transposed), dc * f, gates[tf.maximum(t - 1, 0)], dweights, total + dgate, dgates

    start = (0, tf.zeros_like(c0), dc, gates[n_timesteps - 1], dweights, total, array)
    _, dh0, dc0, _, dweights, total, array = tf.while_loop(lambda k, *_: k < n_timesteps, step, start)
    return dh0, dc0, dweights, total, array.stack()
