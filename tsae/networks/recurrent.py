"""Recurrent layers: Keras's own LSTM and GRU, with a faster loop where it gives the same numbers.

`LSTM` has the weights, names and configuration of `keras.layers.LSTM`. On a CPU, with the default activations, its
loop over time is TensorFlow's fused ``BlockLSTM`` kernel. Anything else (another activation, recurrent dropout,
``unroll``, a GPU, where cuDNN is faster still) runs the loop of Keras.

Both layers add a method `run` for right-padded batches. It takes the length of each row instead of a mask, which fused
kernels do not support and cuDNN only in part. Steps past the end of a row are computed and ignored.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tsae.networks.xla_loops import is_for_compiler, looped_lstm, repeated_input_lstm, trained_lstm, trains_compiled


def fused_lstm(x, h0, c0, kernel, recurrent_kernel, bias):
    """Run an LSTM over time in one kernel.

    Parameters
    ----------
    x : tensor of shape (n_timesteps, batch, n_inputs)
    h0, c0 : tensors of shape (batch, units)
    kernel, recurrent_kernel, bias : tensors
        The weights of `keras.layers.LSTM`; gates in the order input, forget, cell, output.

    Returns
    -------
    h, c : tensors of shape (n_timesteps, batch, units)

    Notes
    -----
    This is the first version of TensorFlow's kernel, with gates in the order input, cell, forget, output. The second
    version has Keras's order, but its registered gradient is that of the first version, which is wrong for it. A
    gradient of our own (`tf.custom_gradient`) is no way out: each graph would register it again, never to be freed.
    """
    no_peephole = tf.zeros_like(bias[: h0.shape[-1]])
    n_rows = tf.shape(x)[1]
    x, c0, h0 = _even_rows(x, c0, h0)
    _, c, _, _, _, _, h = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.shape(x, out_type=tf.int64)[0], x=x, cs_prev=c0, h_prev=h0,
        w=_kernel_order(tf.concat([kernel, recurrent_kernel], axis=0)), b=_kernel_order(bias),
        wci=no_peephole, wcf=no_peephole, wco=no_peephole, forget_bias=0.0, cell_clip=0.0, use_peephole=False,
    )  # fmt: skip
    return h[:, :n_rows], c[:, :n_rows]


def _even_rows(x, c0, h0):
    """Add a row to an odd batch of odd width: the kernel is slow on these, and says so at every call."""
    is_odd_width = x.shape[2] % 2 or h0.shape[1] % 2
    if not is_odd_width or (x.shape[1] is not None and x.shape[1] % 2 == 0):
        return x, c0, h0
    end = [0, tf.shape(x)[1] % 2]
    return tf.pad(x, [[0, 0], end, [0, 0]]), tf.pad(c0, [end, [0, 0]]), tf.pad(h0, [end, [0, 0]])


def _kernel_order(weights):
    """Reorder gates from Keras's order to that of the kernel."""
    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)


def at_step(sequence, step):
    """Select one step of each row: (batch, n_timesteps, k), (batch,) -> (batch, k)."""
    return tf.gather(sequence, step, batch_dims=1)


def _runs_on_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


class _RightPadded(keras.layers.RNN):
    """A Keras recurrent layer that returns its sequence and its state."""

    def run(self, x, lengths=None, initial_state=None):
        """Run over a right-padded batch.

        Parameters
        ----------
        x : tensor of shape (batch, n_timesteps, n_inputs)
        lengths : int tensor of shape (batch,), optional
            Steps in each row; None: all of them.
        initial_state : list of tensors of shape (batch, units), optional

        Returns
        -------
        sequence : tensor of shape (batch, n_timesteps, units)
            The output of each step; undefined past the end of a row.
        state : list of tensors of shape (batch, units)
            The state after the last step of each row: [h, c], for a GRU [h].
        """
        mask = None if lengths is None else tf.sequence_mask(lengths, tf.shape(x)[1])
        sequence, *state = self(x, mask=mask, initial_state=initial_state)
        return sequence, state

    def run_repeated(self, x, n_timesteps, initial_state):
        """Run over an input that is the same at every step.

        Parameters
        ----------
        x : tensor of shape (batch, n_inputs)
        n_timesteps : int
        initial_state : list of tensors of shape (batch, units)

        Returns
        -------
        sequence : tensor of shape (batch, n_timesteps, units)
        """
        return self.run(tf.repeat(x[:, None], n_timesteps, axis=1), None, initial_state)[0]

    @property
    def n_states(self) -> int:
        """Number of tensors in the state."""
        return len(self.cell.state_size) if isinstance(self.cell.state_size, (list, tuple)) else 1

    def step(self, x, state):
        """Run one step: (batch, n_inputs) and the state before it -> the output and the state after it."""
        return self.cell(x, state)


@keras.saving.register_keras_serializable(package="tsae")
class LSTM(_RightPadded, keras.layers.LSTM):
    """`keras.layers.LSTM` with the fused kernel; arguments, weights and results are those of Keras.

    Attributes
    ----------
    input_gradient : bool
        Whether the compiled loop computes the gradient with respect to the layer's input; set it to False if nothing
        below the layer is trained.
    """

    input_gradient = True

    @property
    def is_fusable(self) -> bool:
        """Whether the fused kernel gives the same results as Keras's loop, and is the fastest to do so."""
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and not self.dropout
            and not self.recurrent_dropout
            and not self.unroll
            and not self.go_backwards
            and self.compute_dtype == "float32"
            and not _runs_on_gpu()
        )

    def run(self, x, lengths=None, initial_state=None):  # noqa: D102 (inherited)
        if not self.is_fusable:
            return super().run(x, lengths, initial_state)
        if lengths is None and trains_compiled():
            return self._trained(x, initial_state)
        h, c, *last = self._fused(x, initial_state)
        if lengths is None:
            return h, last
        return h, [at_step(h, lengths - 1), at_step(c, lengths - 1)]

    def run_repeated(self, x, n_timesteps, initial_state):  # noqa: D102 (inherited)
        if not (self.is_fusable and trains_compiled()):
            return super().run_repeated(x, n_timesteps, initial_state)
        cell = self.cell
        projected = tf.matmul(x, cell.kernel.value) + cell.bias.value
        h = repeated_input_lstm(projected, *initial_state, cell.recurrent_kernel.value, n_timesteps)
        return tf.transpose(h, [1, 0, 2])

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Run the loop that Keras's `call` uses."""
        if mask is not None or not self.is_fusable:
            return super().inner_loop(sequences, initial_state, mask, training)
        h, _, *last = self._fused(sequences, initial_state)
        return last[0], h if self.return_sequences else h[:, -1:], last

    def _trained(self, x, initial_state):
        h, last_c = trained_lstm(*self._arguments(x, initial_state), self.input_gradient)
        return tf.transpose(h, [1, 0, 2]), [h[-1], last_c]

    def _arguments(self, x, initial_state):
        """Arguments of the loops: x with time first, the initial state, the weights."""
        cell = self.cell
        zeros = tf.zeros([x.shape[0] or tf.shape(x)[0], self.units])
        state = [zeros, zeros] if initial_state is None else initial_state
        return tf.transpose(x, [1, 0, 2]), *state, cell.kernel.value, cell.recurrent_kernel.value, cell.bias.value

    def _fused(self, x, initial_state):
        arguments = self._arguments(x, initial_state)
        if is_for_compiler():
            h, c, *last = looped_lstm(*arguments)
        else:
            h, c = fused_lstm(*arguments)
            last = [h[-1], c[-1]]
        return tf.transpose(h, [1, 0, 2]), tf.transpose(c, [1, 0, 2]), *last


@keras.saving.register_keras_serializable(package="tsae")
class GRU(_RightPadded, keras.layers.GRU):
    """`keras.layers.GRU`; for its variant of the GRU TensorFlow has no fused kernel on a CPU."""


def run_dilated(layer, x, lengths, dilation: int):
    """Run a layer whose state comes from `dilation` steps before instead of one (Chang et al. 2017, section 2.1).

    The steps are divided into `dilation` interleaved sequences, which the layer reads in parallel: the larger the
    dilation, the fewer sequential steps. Parameters and results are otherwise those of `run`.
    """
    if dilation == 1:
        return layer.run(x, lengths)
    batch, n_timesteps, width = tf.shape(x)[0], x.shape[1], x.shape[2]
    n_steps = -(-n_timesteps // dilation)
    x = tf.pad(x, [[0, 0], [0, n_steps * dilation - n_timesteps], [0, 0]])
    x = tf.transpose(tf.reshape(x, [batch, n_steps, dilation, width]), [0, 2, 1, 3])
    ends = tf.fill([batch], n_timesteps) if lengths is None else lengths
    # Sequence k of a row with n steps consists of the steps k, k + dilation, ... < n.
    n_own = (ends[:, None] - tf.range(dilation)[None] + dilation - 1) // dilation
    sequence, state = layer.run(tf.reshape(x, [-1, n_steps, width]), tf.reshape(tf.maximum(n_own, 1), [-1]))
    sequence = tf.reshape(sequence, [batch, dilation, n_steps, layer.units])
    sequence = tf.reshape(tf.transpose(sequence, [0, 2, 1, 3]), [batch, n_steps * dilation, layer.units])
    final = (ends - 1) % dilation  # the sequence with the last step
    state = [at_step(tf.reshape(part, [batch, dilation, layer.units]), final) for part in state]
    return sequence[:, :n_timesteps], state
