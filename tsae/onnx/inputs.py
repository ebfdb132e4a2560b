"""Inputs of the recurrent layers as ONNX nodes: the graph form of `tsae.networks.inputs`.

All tensors have the shape (n_windows, n_timesteps, n_channels).
"""

from __future__ import annotations

import numpy as np

from tsae.networks.config import CONSTANT_VARIANCE, LEAST_VARIANCE, ROUNDING_VARIANCE
from tsae.onnx.builder import GraphBuilder


def not_empty(graph: GraphBuilder, windows: str, n_timesteps: int | None, dtype: str, least: int = 1) -> str:
    """Windows, one of NaN where there are none, and steps of NaN up to `least` if their number is open.

    The recurrent operators of ONNX Runtime crash on empty tensors.
    """

    def lacking(axis: int, least: int) -> str:
        return graph("Max", graph("Sub", graph.constant([least]), graph.axis(windows, axis)), graph.constant([0]))

    steps = lacking(1, least) if n_timesteps is None else graph.constant([0])
    ends = graph("Concat", graph.constant([0, 0, 0]), lacking(0, 1), steps, graph.constant([0]), axis=0)
    return graph("Pad", windows, ends, graph.constant(np.nan, dtype))


def scaled_by_channel(graph: GraphBuilder, values: str, mean: np.ndarray, scale: np.ndarray, dtype: str) -> str:
    """Values at mean 0 and standard deviation 1 over the training windows, computed in float64."""
    if not np.any(mean) and np.all(scale == 1.0):
        return values if dtype == "float32" else graph.as_float(values)
    shifted = graph("Sub", graph.as_double(values), graph.constant(mean, np.float64))
    return graph.as_float(graph("Div", shifted, graph.constant(scale, np.float64)))


def window_lengths(graph: GraphBuilder, observed: str) -> str:
    """Steps up to the last with an observed value, at least 1: (batch,) int64."""
    seen = graph("ReduceMax", graph.as_int(observed), axes=[2], keepdims=0)
    ends = graph("Add", graph.steps_of(seen, 1, rank=2), graph.constant(1))
    return graph("Max", graph("ReduceMax", graph("Mul", seen, ends), axes=[1], keepdims=0), graph.constant([1]))


def without_gaps(graph: GraphBuilder, values: str, observed: str) -> str:
    """The straight line between observed neighbours, as `tsae.networks.masking.fill_gaps` draws it.

    The observed steps of each channel are numbered; a table from number to step then gives for every step where the
    observed ones before and after it lie.
    """
    zero, one = graph.constant(0), graph.constant(1)
    values = graph("Where", observed, values, graph.constant(0, np.float32))
    steps = graph("Expand", graph.steps_of(values, 1, rank=3), graph("Shape", values))
    number = graph("CumSum", graph.as_int(observed), graph.constant(1))  # of the last observed step, from 1; 0: none
    n_observed = graph("ReduceMax", number, axes=[1], keepdims=1)

    # One slot for "none", one for each number, and one for what the unobserved steps write.
    spare = graph("Add", graph.axis(values, 1), one)
    slots = graph("Concat", graph.axis(values, 0), graph("Add", spare, one), graph.axis(values, 2), axis=0)
    empty = graph("Expand", graph.constant([0]), slots)
    table = graph("ScatterElements", empty, graph("Where", observed, number, spare), steps, axis=1)

    following = graph("Where", observed, number, graph("Add", number, one))
    has_before = graph("Greater", number, zero)
    has_after = graph("LessOrEqual", following, n_observed)
    before_step = graph("GatherElements", table, number, axis=1)
    after_step = graph("GatherElements", table, following, axis=1)
    before = graph("GatherElements", values, before_step, axis=1)
    after = graph("GatherElements", values, after_step, axis=1)

    apart = graph("Max", graph("Sub", after_step, before_step), one)
    share = graph("Div", graph.as_float(graph("Sub", steps, before_step)), graph.as_float(apart))
    line = graph("Add", before, graph("Mul", share, graph("Sub", after, before)))
    one_sided = graph("Where", has_before, before, after)
    return graph("Where", graph("And", has_before, has_after), line, one_sided)


def read_steps(graph: GraphBuilder, observed: str | None, values: str, lengths: str | None, ahead: int) -> str | None:
    """Where the values are that an encoder reads, which is not given the last `ahead` steps; None: everywhere."""
    if not ahead:
        return observed
    steps = graph.steps_of(values, 1, rank=3)
    ends = graph.axis(values, 1) if lengths is None else graph("Reshape", lengths, graph.constant([-1, 1, 1]))
    inside = graph("Less", steps, graph("Sub", ends, graph.constant(ahead)))
    return graph("Expand", inside, graph("Shape", values)) if observed is None else graph("And", observed, inside)


def scaled_by_window(graph: GraphBuilder, values: str, seen: str | None, observed: str | None) -> tuple[str, ...]:
    """Values at mean 0 and standard deviation 1; that mean, that deviation, and where there is none.

    Mean and deviation are those of the values that are seen; a channel without an observed value is 0.
    """
    if seen is None:
        center = graph("ReduceMean", values, axes=[1], keepdims=1)
        variance = graph("ReduceMean", _square(graph, graph("Sub", values, center)), axes=[1], keepdims=1)
    else:
        seen = graph.as_float(seen)
        count = graph("Max", graph.total(seen, 1), _number(graph, 1))
        center = graph("Div", graph.total(graph("Mul", seen, values), 1), count)
        squares = _square(graph, graph("Sub", values, center))
        variance = graph("Div", graph.total(graph("Mul", seen, squares), 1), count)
    limit = graph(
        "Add", graph("Mul", _number(graph, CONSTANT_VARIANCE), _square(graph, center)), _number(graph, LEAST_VARIANCE)
    )
    constant = graph("LessOrEqual", variance, limit)
    spread = graph("Sqrt", graph("Where", constant, _number(graph, 1), variance))
    scaled = graph("Div", graph("Sub", values, center), spread)
    if observed is not None:
        scaled = graph("Where", graph.any_of(observed, 1), scaled, _number(graph, 0))
    return scaled, center, spread, constant


def differences(graph: GraphBuilder, scaled: str, center: str, spread: str, constant: str, seen: str | None) -> str:
    """Changes from step to step at root mean square 1 where seen, as `tsae.networks.inputs` computes them."""
    end = graph.axis(scaled, 1)
    changes = graph("Sub", graph.cut(scaled, 1, 1, end), graph.cut(scaled, 1, 0, -1))
    squares = _square(graph, changes)
    if seen is None:
        count = graph.as_float(graph("Max", graph("Sub", end, graph.constant(1)), graph.constant(1)))
    else:
        both = graph.as_float(graph("And", graph.cut(seen, 1, 1, end), graph.cut(seen, 1, 0, -1)))
        count = graph("Max", graph.total(both, 1), _number(graph, 1))
        squares = graph("Mul", both, squares)
    square = graph("Div", graph.total(squares, 1), count)
    level = _square(graph, graph("Div", center, spread))
    rounding = graph("Mul", _number(graph, ROUNDING_VARIANCE), graph("Add", _number(graph, 1), level))
    rough = graph("Or", constant, graph("LessOrEqual", square, rounding))
    changes = graph("Div", changes, graph("Sqrt", graph("Where", rough, _number(graph, 1), square)))
    first = graph("Mul", graph.cut(scaled, 1, 0, 1), _number(graph, 0))
    return graph("Concat", first, changes, axis=1)


def _number(graph: GraphBuilder, value: float) -> str:
    return graph.constant(value, np.float32)


def _square(graph: GraphBuilder, x: str) -> str:
    return graph("Mul", x, x)
