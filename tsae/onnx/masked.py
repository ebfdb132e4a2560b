"""Arithmetic of numbers of which some are unknown, as ONNX nodes in float64: the graph form of NaN.

ONNX leaves open what operators make of NaN, so that each tensor goes with another that tells where it is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tsae.onnx.builder import GraphBuilder


class Masked(NamedTuple):
    """Names of a tensor and of where it is known, a bool tensor that broadcasts to it; elsewhere it means nothing."""

    values: str
    known: str


def number(graph: GraphBuilder, value: object) -> str:
    """A constant in float64."""
    return graph.constant(value, np.float64)


def or_zero(graph: GraphBuilder, x: Masked) -> str:
    """Values, 0 where unknown."""
    return graph("Where", x.known, x.values, number(graph, 0))


def or_nan(graph: GraphBuilder, x: Masked) -> str:
    """Values, NaN where unknown."""
    return graph("Where", x.known, x.values, number(graph, np.nan))


def mean(graph: GraphBuilder, x: Masked, axis: int) -> Masked:
    """The mean of the known values along an axis, which stays, of length 1."""
    count = graph.count(x.known, axis)
    summed = graph.total(or_zero(graph, x), axis)
    known = graph("Greater", count, number(graph, 0))
    return Masked(graph("Div", summed, graph("Max", count, number(graph, 1))), known)


def total(graph: GraphBuilder, x: Masked, axis: int) -> Masked:
    """The sum of the known values along an axis, which stays, of length 1."""
    return Masked(graph.total(or_zero(graph, x), axis), graph.any_of(x.known, axis))


def log1p(graph: GraphBuilder, x: str) -> str:
    """log(1 + x) of numbers that are not negative, small ones as exactly as others.

    The rounding of 1 + x is made good by the factor x / ((1 + x) - 1) (Higham, *Accuracy and Stability of Numerical
    Algorithms*, 2nd edition, 2002, section 1.14.1).
    """
    one = number(graph, 1)
    raised = graph("Add", one, x)
    added = graph("Sub", raised, one)
    is_lost = graph("Equal", added, number(graph, 0))
    factor = graph("Div", x, graph("Where", is_lost, one, added))
    return graph("Where", is_lost, x, graph("Mul", graph("Log", raised), factor))


def softplus(graph: GraphBuilder, x: str) -> str:
    """log(1 + exp(x))."""
    smaller = graph("Exp", graph("Neg", graph("Abs", x)))
    return graph("Add", graph("Max", x, number(graph, 0)), log1p(graph, smaller))
