"""Attention: which steps of the encoder a decoder looks at (Luong et al. 2015; Bahdanau et al. 2015)."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tsae")
class Attention(keras.layers.Layer):
    """Global attention: scores of all steps of a memory, their softmax, and the mean of the steps weighted by it.

    Parameters
    ----------
    kind : "dot", "general", "concat", "location" or "additive"
        How a query q scores a step m of the memory. Luong et al. 2015 (section 3.1): "dot" q·m; "general" q·Wm;
        "concat" v·tanh(W[q; m]); "location" the entry for that step of Wq, whatever m is. "additive" (Bahdanau et
        al. 2015, appendix A.1.2) is the formula of "concat"; what differs is its place in the decoder.
    query_width, memory_width : int
    n_memory_steps : int or None
        For "location": steps of the longest memory.
    seeds : iterator of int
        Seeds for the initial weights.
    """

    def __init__(self, kind, query_width, memory_width, n_memory_steps, seeds, name=None):
        super().__init__(name=name)
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
        """What of the scores depends on the memory alone, worked out once for all queries."""
        if self.kind in ("general", "concat", "additive"):
            return tf.matmul(memory, self.memory_kernel.value)
        return memory

    def call(self, query, memory, keys, lengths=None):
        """Look at the memory.

        Parameters
        ----------
        query : (batch, n_queries, query_width)
        memory : (batch, n_steps, memory_width)
        keys : what `keys` made of the memory
        lengths : (batch,) steps of each memory; None: all

        Returns
        -------
        attended : (batch, n_queries, memory_width)
        weights : (batch, n_queries, n_steps), sums of 1; 0 past the end of a memory
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
        # as a product of two matrices: oneDNN ends the process on some of higher rank
        scores = tf.matmul(tf.reshape(summed, [-1, summed.shape[-1]]), self.score_kernel.value)
        return tf.reshape(scores, tf.shape(summed)[:-1])


def _fit_width(scores, n_steps: int):
    """Cut or fill the scores of places to `n_steps`; what is filled is padding of the memory."""
    missing = max(0, n_steps - scores.shape[-1])
    return tf.pad(scores[..., :n_steps], [[0, 0], [0, 0], [0, missing]], constant_values=-1e9)
