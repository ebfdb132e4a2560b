"""Attention of a decoder to the steps of the encoder (Luong et al. 2015; Bahdanau et al. 2015)."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tsae")
class Attention(keras.layers.Layer):
    """Global attention: the mean of all steps of a memory, weighted by the softmax of their scores.

    Parameters
    ----------
    kind : "dot", "general", "concat", "location" or "additive"
        How a query q scores a step m of the memory. Luong et al. 2015 (section 3.1): "dot" q·m; "general" q·Wm;
        "concat" v·tanh(W[q; m]); "location" the entry of Wq for that step, independent of m. "additive" (Bahdanau et
        al. 2015, appendix A.1.2) has the formula of "concat", but another place in the decoder.
    query_width, memory_width : int
    n_memory_steps : int or None
        Steps of the longest memory; for "location" alone.
    seeds : iterator of int
        Seeds of the initial weights.
    """

    def __init__(self, kind, query_width, memory_width, n_memory_steps, seeds, name=None):
        super().__init__(name=name, dtype="float32")
        self.kind = kind

        def weight(label, *shape):
            glorot = keras.initializers.GlorotUniform(seed=next(seeds))
            return self.add_weight(shape=shape, initializer=glorot, name=label)

        if kind == "general":
            self.memory_kernel = weight("memory_kernel", memory_width, query_width)
        elif kind in ("concat", "additive"):
            self.query_kernel = weight("query_kernel", query_width, query_width)
            self.memory_kernel = weight("memory_kernel", memory_width, query_width)
            self.score_kernel = weight("score_kernel", query_width, 1)
        elif kind == "location":
            self.query_kernel = weight("query_kernel", query_width, n_memory_steps)
        self.built = True

    def keys(self, memory):
        """The part of the scores that depends on the memory alone, computed once for all queries."""
        if self.kind in ("general", "concat", "additive"):
            return tf.matmul(memory, self.memory_kernel.value)
        return memory

    def call(self, query, memory, keys, lengths=None):
        """Attend to the memory.

        Parameters
        ----------
        query : tensor of shape (batch, n_queries, query_width)
        memory : tensor of shape (batch, n_steps, memory_width)
        keys : tensor
            The result of `keys` for this memory.
        lengths : int tensor of shape (batch,), optional
            Steps of each memory; None: all of them.

        Returns
        -------
        attended : tensor of shape (batch, n_queries, memory_width)
        weights : tensor of shape (batch, n_queries, n_steps)
            They sum to 1 over the steps; 0 past the end of a memory.
        """
        scores = self._scores(query, keys)
        if lengths is not None:
            inside = tf.sequence_mask(lengths, tf.shape(memory)[1])[:, None]
            scores = tf.where(inside, scores, -1e9)
        weights = tf.nn.softmax(scores)
        return tf.matmul(weights, memory), weights

    def _scores(self, query, keys):
        if self.kind in ("dot", "general"):
            return tf.matmul(query, keys, transpose_b=True)
        projected = tf.matmul(query, self.query_kernel.value)
        if self.kind == "location":
            return _fit_width(projected, keys.shape[1])
        summed = tf.tanh(projected[:, :, None] + keys[:, None])
        # A product of two matrices: oneDNN crashes on some products of higher rank.
        scores = tf.matmul(tf.reshape(summed, [-1, summed.shape[-1]]), self.score_kernel.value)
        return tf.reshape(scores, tf.shape(summed)[:-1])


def _fit_width(scores, n_steps: int):
    """Cut or pad the scores of positions to `n_steps`; positions that are added are padding of the memory."""
    missing = max(0, n_steps - scores.shape[-1])
    return tf.pad(scores[..., :n_steps], [[0, 0], [0, 0], [0, missing]], constant_values=-1e9)
