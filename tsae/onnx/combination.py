"""Several scores as one, as ONNX nodes in float64: the graph form of `tsae.anomaly.combination`.

All tensors have the shape (batch, 1, 1, n_channels), or (batch, 1, 1, 1) for what belongs to the window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsae.anomaly.combination import UPPER_SHARE, Combination
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.masked import Masked, number, or_zero, softplus, total

CHANNELS = 3  # their axis


def combined(graph: GraphBuilder, combination: Combination, shares: Sequence[Masked]) -> Masked:
    """`Combination.contributions`: what each channel adds to the combined score.

    Parameters
    ----------
    graph : GraphBuilder
    combination : Combination
    shares : sequence of Masked
        Contributions of each score.

    Returns
    -------
    Masked
    """
    if len(shares) == 1:
        return shares[0]
    scores = combination.scores
    proportions = [_proportions(graph, share) for share in shares]
    told = combination.telling_channels_apart()
    known = _either(graph, [share.known for share in shares])
    common = _proportions(graph, Masked(_sum(graph, [or_zero(graph, proportions[i]) for i in told]), known))
    squares, added = [], []
    for i, score in enumerate(scores):
        part = or_zero(graph, _comparable(graph, combination, i, shares[i]))
        proportion = proportions[i] if score.by_channel else common
        squares.append(graph("Mul", part, part))
        added.append(graph("Mul", squares[-1], or_zero(graph, proportion)))
    n_known = _sum(graph, [graph.as_double(graph.any_of(share.known, CHANNELS)) for share in shares])
    n_known = graph("Max", n_known, number(graph, 1))
    root = graph("Sqrt", graph("Div", _sum(graph, squares), n_known))
    divisor = graph("Mul", n_known, root)
    is_positive = graph("Greater", root, number(graph, 0))
    of_channel = graph("Div", _sum(graph, added), graph("Where", is_positive, divisor, number(graph, 1)))
    return Masked(of_channel, known)


def _comparable(graph: GraphBuilder, combination: Combination, i: int, share: Masked) -> Masked:
    """-log10 of the p-value of a score by itself, by a log-logistic law."""
    score = total(graph, share, CHANNELS)
    median, upper = np.log(combination.levels_[i])
    beta = np.log(1 / UPPER_SHARE - 1) / (upper - median)
    logarithm = graph("Log", graph("Max", score.values, number(graph, np.finfo(np.float64).tiny)))
    relative = graph("Mul", graph("Sub", logarithm, number(graph, median)), number(graph, beta))
    return Masked(graph("Div", softplus(graph, relative), number(graph, np.log(10))), score.known)


def _proportions(graph: GraphBuilder, share: Masked) -> Masked:
    """Shares of channels as parts of 1; equal ones where all are 0."""
    summed = total(graph, share, CHANNELS).values
    is_positive = graph("Greater", summed, number(graph, 0))
    equal = graph("Div", number(graph, 1), graph("Max", graph.count(share.known, CHANNELS), number(graph, 1)))
    part = graph("Div", or_zero(graph, share), graph("Where", is_positive, summed, number(graph, 1)))
    return Masked(graph("Where", is_positive, part, equal), share.known)


def _sum(graph: GraphBuilder, parts: Sequence[str]) -> str:
    summed = parts[0]
    for part in parts[1:]:
        summed = graph("Add", summed, part)
    return summed


def _either(graph: GraphBuilder, parts: Sequence[str]) -> str:
    found = parts[0]
    for part in parts[1:]:
        found = graph("Or", found, part)
    return found
