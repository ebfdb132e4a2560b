"""Calibrators as ONNX nodes, in float64: the graph form of `tsae.anomaly.thresholds`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tsae.anomaly.thresholds import Calibrator, ConformalThreshold, PeaksOverThreshold, QuantileThreshold
from tsae.anomaly.tolerance import raised
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.masked import log1p, number


def pvalues(graph: GraphBuilder, calibrator: Calibrator, scores: str) -> str:
    """Add the p-values of known scores, (batch, 1).

    Parameters
    ----------
    graph : GraphBuilder
    calibrator : fitted Calibrator
    scores : str
        (batch, 1)

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the calibrator has no graph form.
    """
    check_calibrator(calibrator)
    return FORMS[type(calibrator)](graph, calibrator, scores)


def check_calibrator(calibrator: Calibrator) -> None:
    """Refuse a calibrator that has no graph form.

    Raises
    ------
    ValueError
    """
    if type(calibrator) not in FORMS:
        known = ", ".join(cls.__name__ for cls in FORMS)
        raise ValueError(f"{type(calibrator).__name__} cannot be turned into ONNX; {known} can")


def _conformal(graph: GraphBuilder, calibrator: ConformalThreshold, scores: str) -> str:
    block_length = calibrator.block_length
    counted = graph("Add", _n_at_least(graph, calibrator, scores), number(graph, block_length))
    return graph("Div", counted, number(graph, block_length + calibrator.n_scores_))


def _quantile(graph: GraphBuilder, calibrator: Calibrator, scores: str) -> str:
    return graph("Div", _n_at_least(graph, calibrator, scores), number(graph, calibrator.n_scores_))


def _peaks(graph: GraphBuilder, calibrator: PeaksOverThreshold, scores: str) -> str:
    """The survival function of the generalised Pareto distribution above the level, the empirical share below.

    NaN where too few scores leave the tail without a fit; `Calibrator.pvalues` then raises.
    """
    if calibrator.n_scores_ < calibrator.required(0.5):
        return graph("Mul", scores, number(graph, np.nan))
    shape, zero = calibrator.shape_, number(graph, 0)
    excess = graph("Max", graph("Sub", scores, number(graph, calibrator.level_)), zero)
    excess = graph("Div", excess, number(graph, calibrator.scale_))
    if shape == 0:
        decay = excess
    elif shape > 0:
        decay = graph("Div", log1p(graph, graph("Mul", excess, number(graph, shape))), number(graph, shape))
    else:  # the tail ends where 1 + shape * excess is 0
        left = graph("Max", graph("Add", number(graph, 1), graph("Mul", excess, number(graph, shape))), zero)
        decay = graph("Div", graph("Log", left), number(graph, shape))
    tail = graph("Mul", graph("Exp", graph("Neg", decay)), number(graph, calibrator.tail_share_))
    is_tail = graph("Greater", scores, number(graph, raised(calibrator.level_)))
    return graph("Where", is_tail, tail, _quantile(graph, calibrator, scores))


def _n_at_least(graph: GraphBuilder, calibrator: Calibrator, scores: str) -> str:
    """How many calibration scores are at least as large as each score, by bisection: (batch, 1) float64."""
    steps = 1 << np.arange(calibrator.n_scores_.bit_length())[::-1]
    table = np.full(2 * steps[0], np.inf)
    table[: calibrator.n_scores_] = raised(calibrator.scores_)
    sorted_scores, below = number(graph, table), graph("Mul", graph.as_int(scores), graph.constant(0))
    for step in steps:
        further = graph("Add", below, graph.constant(step))
        last = graph("Gather", sorted_scores, graph("Sub", further, graph.constant(1)))
        below = graph("Where", graph("Less", last, scores), further, below)
    return graph("Sub", number(graph, calibrator.n_scores_), graph.as_double(below))


FORMS: dict[type[Calibrator], Callable[[GraphBuilder, Any, str], str]] = {
    ConformalThreshold: _conformal,
    QuantileThreshold: _quantile,
    PeaksOverThreshold: _peaks,
}
