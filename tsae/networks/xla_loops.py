"""LSTM loops for XLA: explicit loops over time, faster than the fused kernel once compiled.

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
    """Whether this build of TensorFlow includes XLA for the CPU; not all builds do."""
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True, autograph=False)(tf.zeros([1]))
    except tf.errors.OpError:
        return False
    return True


@contextmanager
def for_compiler() -> Iterator[None]:
    """Make layers traced in this context avoid the fused kernel, which XLA does not support."""
    with _set(_FOR_COMPILER, True):
        yield


def is_for_compiler() -> bool:
    """Whether layers are traced within `for_compiler`."""
    return _FOR_COMPILER.get()


@contextmanager
def compiled_training(wanted: bool) -> Iterator[None]:
    """Make layers traced in this context use `trained_lstm` and `repeated_input_lstm`, if `wanted`."""
    with _set(_TRAINING, wanted):
        yield


def trains_compiled() -> bool:
    """Whether layers are traced within ``compiled_training(True)``."""
    return _TRAINING.get()


@contextmanager
def _set(variable: ContextVar[bool], value: bool) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _gate_scale(units: int):
    """Factors of the weights of the gates, in Keras's order: input, forget, cell, output."""
    half = tf.fill([units], 0.5)
    return tf.concat([half, half, tf.ones([units]), half], axis=0)


def _step(preactivations, c):
    """One step from the (scaled) preactivations of the gates: h, c and the tanh of each gate."""
    gates = tf.tanh(preactivations)
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
    return 0.5 * (o + 1.0) * tf.tanh(c), c, gates


def looped_lstm(x, h0, c0, kernel, recurrent_kernel, bias):
    """Run an LSTM over x, (n_timesteps, batch, n_inputs).

    Returns
    -------
    h, c : tensors of shape (n_timesteps, batch, units)
        XLA does not keep them if only the last step is used.
    last_h, last_c : tensors of shape (batch, units)
    """
    n_timesteps, scale = x.shape[0], _gate_scale(h0.shape[-1])
    weights, bias = tf.concat([kernel, recurrent_kernel], axis=0) * scale, bias * scale
    arrays = [tf.TensorArray(tf.float32, n_timesteps, element_shape=h0.shape) for _ in range(2)]

    def step(t, h, c, hs, cs):
        h, c, _ = _step(tf.matmul(tf.concat([x[t], h], axis=-1), weights) + bias, c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c)

    _, h, c, hs, cs = tf.while_loop(lambda t, *_: t < n_timesteps, step, (0, h0, c0, *arrays))
    return hs.stack(), cs.stack(), h, c


# Module-level functions, so that all networks share the traced graphs, which TensorFlow never frees.
@tf.function(autograph=False)
def trained_lstm(x, h0, c0, kernel, recurrent_kernel, bias, input_gradient):
    """Run an LSTM over x, (n_timesteps, batch, n_inputs), with a compiled backward pass.

    Parameters
    ----------
    x : tensor of shape (n_timesteps, batch, n_inputs)
    h0, c0 : tensors of shape (batch, units)
    kernel, recurrent_kernel, bias : tensors
        The weights of `keras.layers.LSTM`.
    input_gradient : bool
        Whether to compute the gradient with respect to x.

    Returns
    -------
    h : tensor of shape (n_timesteps, batch, units)
    last_c : tensor of shape (batch, units)
    """

    @tf.custom_gradient
    def run(x, h0, c0, kernel, recurrent_kernel, bias):
        h, c, gates = _forward(x, h0, c0, kernel, recurrent_kernel, bias)

        def gradient(dh, dc):
            dh0, dc0, dweights, dgates_sum, dgates = _backward(
                x, h0, c0, recurrent_kernel, h, c, gates, dh, dc, keep_dgates=input_gradient
            )
            dx = tf.einsum("tbg,ng->tbn", dgates, kernel) if input_gradient else None
            dkernel, drecurrent = tf.split(dweights, [x.shape[-1], h.shape[-1]])
            return dx, dh0, dc0, dkernel, drecurrent, tf.reduce_sum(dgates_sum, axis=0)

        return (h, c[-1]), gradient

    return run(x, h0, c0, kernel, recurrent_kernel, bias)


@tf.function(autograph=False)
def repeated_input_lstm(projected, h0, c0, recurrent_kernel, n_timesteps):
    """Run an LSTM over an input that is the same at every step, with a compiled backward pass.

    Decoders read the context in this way. The input is projected once instead of at every step.

    Parameters
    ----------
    projected : tensor of shape (batch, 4 * units)
        The input times the kernel, plus the bias; gates in Keras's order.
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
            no_inputs = tf.zeros([n_timesteps, h0.shape[0], 0])
            dh0, dc0, dweights, dgates_sum, _ = _backward(
                no_inputs, h0, c0, recurrent_kernel, h, c, gates, dh, no_dc, keep_dgates=False
            )
            return dgates_sum, dh0, dc0, dweights

        return h, gradient

    return run(projected, h0, c0, recurrent_kernel)


@tf.function(jit_compile=True, autograph=False)
def _forward(x, h0, c0, kernel, recurrent_kernel, bias):
    """Return h and c of each step, and the tanh of each gate: (n_timesteps, batch, ...)."""
    scale = _gate_scale(h0.shape[-1])
    weights, bias = tf.concat([kernel, recurrent_kernel], axis=0) * scale, bias * scale
    return _run_and_keep(lambda t, h: tf.matmul(tf.concat([x[t], h], axis=-1), weights) + bias, h0, c0, x.shape[0])


@tf.function(jit_compile=True, autograph=False)
def _forward_repeated_input(projected, h0, c0, recurrent_kernel, n_timesteps):
    """As `_forward`, for an input that is projected already."""
    scale = _gate_scale(h0.shape[-1])
    weights, projected = recurrent_kernel * scale, projected * scale
    return _run_and_keep(lambda _, h: tf.matmul(h, weights) + projected, h0, c0, n_timesteps)


def _run_and_keep(preactivations, h0, c0, n_timesteps):
    """Return h, c and gates of all steps; preactivations(t, h) gives those of the gates at step t."""
    batch, units = h0.shape
    arrays = [tf.TensorArray(tf.float32, n_timesteps, element_shape=[batch, k * units]) for k in (1, 1, 4)]

    def step(t, h, c, hs, cs, gates):
        h, c, gate = _step(preactivations(t, h), c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c), gates.write(t, gate)

    _, _, _, *arrays = tf.while_loop(lambda t, *_: t < n_timesteps, step, (0, h0, c0, *arrays))
    return [array.stack() for array in arrays]


@tf.function(jit_compile=True, autograph=False)
def _backward(x, h0, c0, recurrent_kernel, hs, cs, gates, dhs, dc, keep_dgates):
    """Backward pass through all steps.

    The gradient of the weights is summed step by step: one product over all steps would have to store their gradients,
    and has two to three times the rounding error.

    Parameters
    ----------
    x : tensor of shape (n_timesteps, batch, n_inputs)
        The input; with n_inputs = 0 if it was projected already.
    h0, c0, recurrent_kernel : tensors
    hs, cs, gates : tensors
        The results of the forward pass.
    dhs : tensor of shape (n_timesteps, batch, units)
        Gradient with respect to `hs`.
    dc : tensor of shape (batch, units)
        Gradient with respect to the last of `cs`.
    keep_dgates : bool
        Whether to return `dgates`.

    Returns
    -------
    dh0, dc0 : tensors of shape (batch, units)
    dweights : tensor of shape (n_inputs + units, 4 * units)
        Gradient with respect to the kernel and, below it, the recurrent kernel.
    dgates_sum : tensor of shape (batch, 4 * units)
        Gradient with respect to the preactivations of the gates, summed over the steps.
    dgates : tensor of shape (n_timesteps, batch, 4 * units)
        The same for each step; of no steps without `keep_dgates`.
    """
    n_timesteps, batch, units = cs.shape
    transposed = tf.transpose(recurrent_kernel)
    array = tf.TensorArray(tf.float32, n_timesteps if keep_dgates else 0, element_shape=[batch, 4 * units])
    dweights, dgates_sum = tf.zeros([x.shape[-1] + units, 4 * units]), tf.zeros([batch, 4 * units])

    # The gates of the next step are loop variables: read where they are used, they would be fetched from memory in many
    # small parts, which takes longer than all that is computed from them.
    def step(k, dh, dc, gate, dweights, dgates_sum, dgates):
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
        dgates = dgates.write(t, dgate) if keep_dgates else dgates
        dh, next_gate = tf.matmul(dgate, transposed), gates[tf.maximum(t - 1, 0)]
        return k + 1, dh, dc * f, next_gate, dweights, dgates_sum + dgate, dgates

    start = (0, tf.zeros_like(c0), dc, gates[n_timesteps - 1], dweights, dgates_sum, array)
    _, dh0, dc0, _, dweights, dgates_sum, array = tf.while_loop(lambda k, *_: k < n_timesteps, step, start)
    return dh0, dc0, dweights, dgates_sum, array.stack()
