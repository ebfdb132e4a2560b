"""Scores of windows as ONNX nodes, in float64: the graph form of `tsae.anomaly.scores` and the modules beside it.

All tensors have the shape (batch, n_timesteps, n_values, n_channels), of length 1 where an axis is summed up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsae.anomaly.linear import LinearErrors
from tsae.anomaly.neighbors import LARGEST_STANDARDISED, NeighborErrors
from tsae.anomaly.rebuilding import RebuildingErrors
from tsae.anomaly.residuals import LARGEST_ERROR
from tsae.anomaly.scores import LogErrors, RelativeErrors, Score
from tsae.anomaly.subspace import SubspaceResidual
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.masked import Masked, log1p, mean, number, or_zero
from tsae.onnx.windows import WindowGraph

WINDOW, QUARTER, NONE = "window", "quarter", "none"


@dataclass(frozen=True)
class ScoreForm:
    """How a score is written as nodes.

    Attributes
    ----------
    values : callable(WindowGraph, score) -> Masked
        `Score.values`.
    smoothing : {"window", "quarter", "none"}
        What `Score.smooth` averages over where no number of steps is given; "none": it never does.
    is_logarithmic : bool
        Whether `Score.scaled` takes the logarithm of relative values, so that `Score.contributions` divides by nothing.
    """

    values: Callable[[WindowGraph, Any], Masked]
    smoothing: str
    is_logarithmic: bool


def form_of(score: Score) -> ScoreForm:
    """The graph form of a score.

    Raises
    ------
    ValueError
        If it has none.
    """
    if type(score) not in FORMS:
        known = ", ".join(repr(cls.name) for cls in FORMS)
        raise ValueError(f"the score {score.name!r} cannot be turned into ONNX; {known} can")
    return FORMS[type(score)]


def smoothed(graph: GraphBuilder, score: Score, values: Masked, n_steps: int | None) -> Masked:
    """`Score.smooth`."""
    form = form_of(score)
    if form.smoothing == NONE:
        return values
    if n_steps is None and form.smoothing == WINDOW:
        return Masked(mean(graph, values, 1).values, values.known)
    width = graph.axis(values.values, 1)
    if n_steps is None:
        quarter = graph("Div", width, graph.constant([4]))
        steps = graph("Max", quarter, graph.constant([1]))
    else:
        steps = graph.constant([n_steps])
    band = graph.as_double(_near(graph, width, steps))

    def summed(x: str) -> str:
        """Sums over the nearest steps: (n_timesteps, n_timesteps) times (batch, n_timesteps, the rest)."""
        flat = graph("Reshape", x, graph("Concat", graph.axis(x, 0), width, graph.constant([-1]), axis=0))
        return graph("Reshape", graph("MatMul", band, flat), graph("Shape", x))

    known = graph("Expand", values.known, graph("Shape", values.values))
    count = graph("Max", summed(graph.as_double(known)), number(graph, 1))
    return Masked(graph("Div", summed(or_zero(graph, values)), count), values.known)


def _near(graph: GraphBuilder, width: str, n_steps: str) -> str:
    """Which of the steps (columns) are averaged for each step (rows)."""
    steps = graph("Range", graph.constant(0), graph("Squeeze", width), graph.constant(1))
    first = graph("Sub", graph("Unsqueeze", steps, graph.constant([1])), graph("Div", n_steps, graph.constant([2])))
    columns = graph("Unsqueeze", steps, graph.constant([0]))
    return graph("And", graph("GreaterOrEqual", columns, first), graph("Less", columns, graph("Add", first, n_steps)))


def scaled(graph: GraphBuilder, score: Score, values: Masked) -> Masked:
    """`Score.scaled`."""
    if not form_of(score).is_logarithmic:
        return values
    relative = graph("Div", or_zero(graph, values), number(graph, score.scale_))
    return Masked(log1p(graph, graph("Min", relative, number(graph, np.finfo(np.float64).max))), values.known)


def contributions(graph: GraphBuilder, score: Score, values: Masked) -> Masked:
    """`Score.contributions`: what each channel adds."""
    scale = np.ones_like(score.scale_) if form_of(score).is_logarithmic else score.scale_
    relative = graph("Div", or_zero(graph, values), number(graph, scale))
    of_channel = mean(graph, Masked(graph("Min", relative, number(graph, LARGEST_ERROR**2)), values.known), 2)
    n_known = graph("Max", graph.count(of_channel.known, 3), number(graph, 1))
    return Masked(graph("Div", of_channel.values, n_known), of_channel.known)


# -- one function per score: its values -------------------------------------------------------------------------------


def _errors(window: WindowGraph, score: RelativeErrors) -> Masked:
    graph = window.graph
    parts = [_squared_error(window, window.decoder_output(name or "")) for name in score.decoders_]
    values, known = ([graph("Unsqueeze", part[i], graph.constant([2])) for part in parts] for i in (0, 1))
    if len(parts) == 1:
        return Masked(values[0], known[0])
    return Masked(graph("Concat", *values, axis=2), graph("Concat", *known, axis=2))


def _squared_error(window: WindowGraph, output: Masked) -> Masked:
    graph = window.graph
    error = graph("Sub", window.given, output.values)
    error = graph("Max", graph("Min", error, number(graph, LARGEST_ERROR)), number(graph, -LARGEST_ERROR))
    return Masked(graph("Mul", error, error), graph("And", window.observed, output.known))


def _rebuilt(window: WindowGraph, score: RebuildingErrors, n_flat: int, rebuild: Callable[[str], str]) -> Masked:
    """The values of `RebuildingErrors`; `rebuild` adds what maps flat, standardised windows to rebuilt ones."""
    graph, n_channels = window.graph, len(score.mean_)
    _check(score.std_, (n_channels,))
    if n_channels != window.n_channels or window.n_timesteps is None or n_flat != window.n_timesteps * n_channels:
        raise ValueError(f"the score {score.name!r} needs windows of the length of training; use fixed_steps=True")
    mean_, std = number(graph, score.mean_), number(graph, score.std_)
    standardised = graph("Div", graph("Sub", window.shown, mean_), std)
    standardised = graph("Where", window.observed, standardised, number(graph, 0))
    rebuilt = rebuild(graph("Reshape", standardised, graph.constant([0, -1])))
    rebuilt = graph("Reshape", rebuilt, graph.constant([-1, window.n_timesteps, n_channels]))
    error = _squared_error(window, Masked(graph("Add", graph("Mul", rebuilt, std), mean_), window.observed))
    return Masked(*(graph("Unsqueeze", part, graph.constant([2])) for part in error))


def _linear(window: WindowGraph, score: LinearErrors) -> Masked:
    graph, (n_flat,) = window.graph, score.center_.shape
    _check(score.components_, (len(score.components_), n_flat))

    def project(flat: str) -> str:
        center, components = number(graph, score.center_), number(graph, score.components_)
        projected = graph("MatMul", graph("Sub", flat, center), number(graph, score.components_.T))
        return graph("Add", graph("MatMul", projected, components), center)

    return _rebuilt(window, score, n_flat, project)


def _neighbors(window: WindowGraph, score: NeighborErrors) -> Masked:
    graph, kept = window.graph, score.windows_.astype(np.float64)
    if kept.ndim != 2 or not len(kept):
        raise ValueError(f"the kept windows of a score have shape {kept.shape}; expected are flat windows")

    def nearest(flat: str) -> str:
        near = graph("Min", flat, number(graph, LARGEST_STANDARDISED))
        near = graph("Max", near, number(graph, -LARGEST_STANDARDISED))
        halves = number(graph, np.square(kept).sum(axis=1) / 2)
        half_distances = graph("Sub", halves, graph("MatMul", near, number(graph, kept.T)))
        return graph("Gather", number(graph, kept), graph("ArgMin", half_distances, axis=1, keepdims=0), axis=0)

    return _rebuilt(window, score, kept.shape[1], nearest)


def _subspace(window: WindowGraph, score: SubspaceResidual) -> Masked:
    graph, n_features = window.graph, len(score.mean_)
    _check(score.inverse_std_, (n_features,))
    _check(score.components_, (len(score.components_), n_features))
    features = window.features(score.encoder_, n_features)
    standardised = graph("Mul", graph("Sub", features, number(graph, score.mean_)), number(graph, score.inverse_std_))
    projected = graph("MatMul", standardised, number(graph, score.components_.T))
    residual = graph("Sub", standardised, graph("MatMul", projected, number(graph, score.components_)))
    length = graph("Sqrt", graph.total(graph("Mul", residual, residual), 1))
    known = graph("Unsqueeze", window.observed, graph.constant([2]))
    length = graph("Reshape", length, graph.constant([-1, 1, 1, 1]))
    return Masked(graph("Expand", length, graph("Shape", known)), known)


def _check(array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"an array of a score has shape {array.shape}; expected is {shape}")


FORMS: dict[type[Score], ScoreForm] = {
    RelativeErrors: ScoreForm(_errors, QUARTER, is_logarithmic=False),
    LogErrors: ScoreForm(_errors, WINDOW, is_logarithmic=True),
    LinearErrors: ScoreForm(_linear, WINDOW, is_logarithmic=True),
    NeighborErrors: ScoreForm(_neighbors, WINDOW, is_logarithmic=True),
    SubspaceResidual: ScoreForm(_subspace, NONE, is_logarithmic=False),
}
