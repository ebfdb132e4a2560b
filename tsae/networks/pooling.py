"""Pooling of a layer's states over time into one vector per window: one class each, for TensorFlow and for ONNX.

A new pooling is a class here. TensorFlow is loaded only where its form for TensorFlow is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# The ramp from 0 to 1 around a threshold, in units of the standard deviation of the unit's states. Rounding, which
# differs between processors and run times, moves a state across a threshold, but not across the ramp.
RAMP = 0.05
# No ramp is narrower: a unit that hardly moves has no standard deviation to speak of.
LEAST_RAMP = 1e-3


class Pooling:
    """One way of pooling.

    Attributes
    ----------
    needs_cell_state : bool
        Whether it can be used with cells that have a cell state alone.
    has_thresholds : bool
        Whether it needs thresholds, which are learned from the training windows once the network is trained. Until
        then it says nothing, so that no decoder reads it.
    """

    needs_cell_state = False
    has_thresholds = False

    def feature_names(self, kind: str, quantiles: Sequence[float]) -> list[str]:  # noqa: ARG002
        """Name of each value that it gives per unit.

        Parameters
        ----------
        kind : str
            Its key.
        quantiles : sequence of float
            Of the thresholds.

        Returns
        -------
        list of str
        """
        return [kind]

    def pool(self, states: Any, lengths: Any) -> Any:
        """Pool in TensorFlow.

        Parameters
        ----------
        states : tsae.networks.encoder.LayerStates
            ``sequence``: (batch, n_timesteps, width); ``last`` and ``cell``: (batch, width); ``thresholds``:
            (n_quantiles, width), ``ramp``: (width,).
        lengths : int tensor of shape (batch,) or None
            Steps of each window; None: all.

        Returns
        -------
        tensor of shape (batch, width), or (batch, n_quantiles * width)
        """
        raise NotImplementedError

    def add_to_graph(self, graph: Any, states: Any) -> Any:
        """The same as nodes of an ONNX graph.

        Parameters
        ----------
        graph : tsae.onnx.builder.GraphBuilder
        states : tsae.onnx.recurrent.LayerStates
            Names of tensors: ``sequence``, (n_timesteps, batch, width); ``last`` and ``cell``, (batch, width);
            ``inside``, (n_timesteps, batch, 1) bool, and ``lengths``, (batch,), None where all steps count. And arrays:
            ``thresholds``, (n_quantiles, width), and ``ramp``, (width,).

        Returns
        -------
        str
            Name of the result, of the same shape.
        """
        raise NotImplementedError


class Last(Pooling):
    """The hidden state after the last step of each direction."""

    def pool(self, states, lengths):
        return states.last

    def add_to_graph(self, graph, states):
        return states.last


class CellState(Pooling):
    """The cell state after the last step of each direction."""

    needs_cell_state = True

    def pool(self, states, lengths):
        return states.cell

    def add_to_graph(self, graph, states):
        return states.cell


class Mean(Pooling):
    """The mean of the hidden states."""

    def pool(self, states, lengths):
        return _mean(states.sequence, lengths)

    def add_to_graph(self, graph, states):
        return _graph_mean(graph, states.sequence, states)


class Std(Pooling):
    """The standard deviation of the hidden states."""

    epsilon = 1e-8  # the square root has no gradient at zero

    def pool(self, states, lengths):
        import tensorflow as tf

        centered = states.sequence - _mean(states.sequence, lengths)[:, None]
        return tf.sqrt(_mean(tf.square(centered), lengths) + self.epsilon)

    def add_to_graph(self, graph, states):
        centered = graph("Sub", states.sequence, _graph_mean(graph, states.sequence, states))
        variance = _graph_mean(graph, graph("Mul", centered, centered), states)
        return graph("Sqrt", graph("Add", variance, graph.constant(self.epsilon, np.float32)))


class Max(Pooling):
    """The largest hidden state of each unit."""

    def pool(self, states, lengths):
        return _max(states.sequence, lengths)

    def add_to_graph(self, graph, states):
        return _graph_extreme(graph, states, "ReduceMax", -np.inf)


class Min(Pooling):
    """The smallest hidden state of each unit."""

    def pool(self, states, lengths):
        return -_max(-states.sequence, lengths)

    def add_to_graph(self, graph, states):
        return _graph_extreme(graph, states, "ReduceMin", np.inf)


class Change(Pooling):
    """The mean absolute change of the hidden states from step to step."""

    def pool(self, states, lengths):
        import tensorflow as tf

        steps = tf.abs(states.sequence[:, 1:] - states.sequence[:, :-1])
        inside = _inside(lengths - 1, steps) if lengths is not None else tf.ones_like(steps[..., :1])
        return tf.math.divide_no_nan(tf.reduce_sum(steps * inside, axis=1), tf.reduce_sum(inside, axis=1))

    def add_to_graph(self, graph, states):
        end, one = graph.axis(states.sequence, 0), graph.constant(1)
        later, earlier = graph.cut(states.sequence, 0, 1, end), graph.cut(states.sequence, 0, 0, -1)
        steps = graph("Abs", graph("Sub", later, earlier))
        if states.lengths is None:
            count = graph("Max", graph("Sub", end, one), one)
            total = graph("ReduceSum", steps, graph.constant([0]), keepdims=0)
            return graph("Div", total, graph.as_float(count))
        count = graph("Max", graph("Sub", states.lengths, one), one)
        return _graph_mean_inside(graph, steps, graph.cut(states.inside, 0, 1, end), count)


class ShareAbove(Pooling):
    """The share of steps at which a unit is above each of its thresholds.

    The proportion of positive values of Dempster et al. (2021), MiniRocket, arXiv:2012.08791, section 3, with one
    threshold per quantile of the unit's states on the training windows. A step counts in part within a narrow ramp
    around the threshold.
    """

    has_thresholds = True

    def feature_names(self, kind, quantiles):
        return [f"{kind}{100 * quantile:g}" for quantile in quantiles]

    def pool(self, states, lengths):
        import tensorflow as tf

        slope = 1 / states.ramp
        shares = [  # the difference first: it is exact where it matters
            _mean(tf.clip_by_value((states.sequence - threshold) * slope + 0.5, 0.0, 1.0), lengths)
            for threshold in tf.unstack(states.thresholds)
        ]
        return tf.concat(shares, axis=-1)

    def add_to_graph(self, graph, states):
        slope, half = graph.constant(1 / states.ramp, np.float32), graph.constant(0.5, np.float32)
        zero, one = graph.constant(0, np.float32), graph.constant(1, np.float32)
        shares = []
        for threshold in states.thresholds:
            above = graph("Sub", states.sequence, graph.constant(threshold, np.float32))
            step = graph("Clip", graph("Add", graph("Mul", above, slope), half), zero, one)
            shares.append(_graph_mean(graph, step, states))
        return graph("Concat", *shares, axis=-1)


POOLINGS: dict[str, Pooling] = {
    "last": Last(),
    "cell": CellState(),
    "mean": Mean(),
    "max": Max(),
    "min": Min(),
    "std": Std(),
    "change": Change(),
    "ppv": ShareAbove(),
}


# -- TensorFlow, (batch, n_timesteps, width) -------------------------------------------------------------------------


def _inside(lengths, sequence):
    """1.0 at the steps of each window, 0.0 in its padding: (batch, n_timesteps, 1)."""
    import tensorflow as tf

    from tsae.networks.masking import step_mask

    return step_mask(lengths, tf.shape(sequence)[1])


def _mean(sequence, lengths):
    import tensorflow as tf

    if lengths is None:
        return tf.reduce_mean(sequence, axis=1)
    inside = _inside(lengths, sequence)
    return tf.reduce_sum(sequence * inside, axis=1) / tf.reduce_sum(inside, axis=1)


def _max(sequence, lengths):
    import tensorflow as tf

    if lengths is not None:
        sequence = tf.where(_inside(lengths, sequence) > 0, sequence, sequence.dtype.min)
    return tf.reduce_max(sequence, axis=1)


# -- ONNX, (n_timesteps, batch, width) -------------------------------------------------------------------------------


def _graph_mean(graph, sequence, states):
    if states.lengths is None:
        return graph("ReduceMean", sequence, axes=[0], keepdims=0)
    return _graph_mean_inside(graph, sequence, states.inside, states.lengths)


def _graph_mean_inside(graph, sequence, inside, count):
    """Sum over the steps inside each window, divided by `count`, (batch,)."""
    kept = graph("Where", inside, sequence, graph.constant(0, np.float32))
    total = graph("ReduceSum", kept, graph.constant([0]), keepdims=0)
    return graph("Div", total, graph.as_float(graph("Unsqueeze", count, graph.constant([1]))))


def _graph_extreme(graph, states, operator, outside):
    sequence = states.sequence
    if states.lengths is not None:
        sequence = graph("Where", states.inside, sequence, graph.constant(outside, np.float32))
    return graph(operator, sequence, axes=[0], keepdims=0)
