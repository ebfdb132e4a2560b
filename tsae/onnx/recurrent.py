"""Recurrent layers as ONNX nodes, (n_timesteps, batch, width): the graph form of `tsae.networks.recurrent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsae.networks.cells import Cell
from tsae.networks.config import EncoderConfig
from tsae.onnx.builder import GraphBuilder

Weights = Mapping[str, np.ndarray]


class LayerStates:
    """The states of one (bidirectional) layer: names of tensors."""

    def __init__(self, graph: GraphBuilder, sequence: str, last: str, cell: str | None, lengths: str | None):
        self.sequence, self.last, self.cell = sequence, last, cell  # (n_timesteps, batch, width), twice (batch, width)
        self.lengths = lengths  # (batch,) int64; None: all steps count
        self.thresholds: np.ndarray | None = None  # (n_quantiles, width)
        self.ramp: np.ndarray | None = None  # (width,)
        if lengths is not None:
            steps = graph.steps_of(sequence, 0, rank=3)
            self.inside = graph("Less", steps, graph("Reshape", lengths, graph.constant([1, -1, 1])))


def recurrent_layers(
    graph: GraphBuilder, config: EncoderConfig, weights: Weights, values: str, lengths: str | None
) -> list[LayerStates]:
    """Run all layers on values of shape (batch, n_timesteps, n_inputs)."""
    x = graph("Transpose", values, perm=[1, 0, 2])
    layers = []
    for depth in range(len(config.units)):
        layer = _recurrent_layer(graph, config, weights, depth, x, lengths)
        layer.thresholds, layer.ramp = (weights.get(f"pooling_{depth}/{name}") for name in ("thresholds", "ramp"))
        layers.append(layer)
        x = layer.sequence
    return layers


def _recurrent_layer(
    graph: GraphBuilder, config: EncoderConfig, weights: Weights, depth: int, x: str, lengths: str | None
) -> LayerStates:
    """A dilated layer reads `dilation` interleaved sequences in parallel, as further rows of the batch."""
    dilation = config.dilations[depth]
    n_rows, n_steps = graph.axis(x, 1), graph.axis(x, 0)
    if dilation == 1:
        row_lengths = "" if lengths is None else graph.as_int32(lengths)
        sequence, states = _run(graph, config, weights, depth, x, row_lengths)
        states = [_side_by_side(graph, state) for state in states]
        return LayerStates(graph, joined(graph, sequence), states[0], states[1] if len(states) > 1 else None, lengths)

    ends = graph("Expand", n_steps, n_rows) if lengths is None else lengths
    padded = _padded_to_multiple(graph, x, n_steps, dilation)
    side_by_side = graph("Concat", graph.constant([-1]), graph("Mul", n_rows, graph.constant([dilation])),
                         graph.axis(x, 2), axis=0)  # fmt: skip
    # Sequence k of a row with n steps holds the steps k, k + dilation, ... < n.
    offsets = graph.constant(dilation - 1 - np.arange(dilation)[:, None])
    own = graph("Div", graph("Add", graph("Unsqueeze", ends, graph.constant([0])), offsets), graph.constant(dilation))
    own = graph.as_int32(graph("Reshape", graph("Max", own, graph.constant(1)), graph.constant([-1])))
    sequence, states = _run(graph, config, weights, depth, graph("Reshape", padded, side_by_side), own)
    sequence = joined(graph, sequence)
    laid_out = graph("Concat", graph.constant([-1]), n_rows, graph.axis(sequence, 2), axis=0)
    sequence = graph.cut(graph("Reshape", sequence, laid_out), 0, 0, n_steps)
    final = graph("Mod", graph("Sub", ends, graph.constant(1)), graph.constant(dilation))
    states = [_final_states(graph, state, dilation, n_rows, final, config.bidirectional) for state in states]
    return LayerStates(graph, sequence, states[0], states[1] if len(states) > 1 else None, lengths)


def _run(
    graph: GraphBuilder, config: EncoderConfig, weights: Weights, depth: int, x: str, row_lengths: str
) -> tuple[str, list[str]]:
    """Run the operator: (n_timesteps, n_directions, rows, units), and its states, (n_directions, rows, units) each."""
    return operator(graph, config.cell_entry, weights, config.layer_names()[depth], x, row_lengths)


def operator(
    graph: GraphBuilder, cell: Cell, weights: Weights, names: tuple[str, ...], x: str, row_lengths: str = "",
    states: Sequence[str] = (),
) -> tuple[str, list[str]]:  # fmt: skip
    """Add a recurrent layer, of one direction or two.

    Parameters
    ----------
    graph : GraphBuilder
    cell : Cell
    weights : mapping of str to ndarray
    names : tuple of str
        Of the forward layer and, where there is one, the backward one.
    x : str
        (n_timesteps, rows, n_inputs)
    row_lengths : str
        (rows,) int32; empty: all steps count.
    states : sequence of str
        Before the first step, (n_directions, rows, units) each; empty: zeros.

    Returns
    -------
    sequence : str
        (n_timesteps, n_directions, rows, units)
    states : list of str
        After the last step of each row, (n_directions, rows, units) each.
    """

    def stacked(kind: str) -> str:
        in_onnx_order = cell.onnx_bias if kind == "bias" else cell.onnx_kernel
        return graph.constant(np.stack([in_onnx_order(weights[f"{name}/{kind}"]) for name in names]), np.float32)

    inputs = [x, stacked("kernel"), stacked("recurrent_kernel"), stacked("bias"), row_lengths, *states]
    sequence, *after = graph.several(
        cell.onnx_operator, 1 + cell.n_states, *inputs, hidden_size=len(weights[f"{names[0]}/recurrent_kernel"]),
        direction="bidirectional" if len(names) > 1 else "forward", **cell.onnx_attributes,
    )  # fmt: skip
    return sequence, after


def joined(graph: GraphBuilder, sequence: str) -> str:
    """(n_timesteps, n_directions, rows, units) -> (n_timesteps, rows, width)."""
    sequence = graph("Transpose", sequence, perm=[0, 2, 1, 3])
    return graph("Reshape", sequence, graph.constant([0, 0, -1]))


def _side_by_side(graph: GraphBuilder, state: str) -> str:
    """(n_directions, rows, units) -> (rows, width)."""
    return graph("Reshape", graph("Transpose", state, perm=[1, 0, 2]), graph.constant([0, -1]))


def _padded_to_multiple(graph: GraphBuilder, x: str, n_steps: str, dilation: int) -> str:
    missing = graph("Mod", graph("Neg", n_steps), graph.constant(dilation))
    zeros = graph.constant([0, 0])
    return graph("Pad", x, graph("Concat", graph.constant([0, 0, 0]), missing, zeros, axis=0))


def _final_states(graph: GraphBuilder, state: str, dilation: int, n_rows: str, final: str, bidirectional: bool) -> str:
    """The state after the last step, of that of the interleaved sequences which holds it: (rows, width).

    `final`, (rows,), is that sequence; a backward layer always ends with the first.
    """
    n_directions = 2 if bidirectional else 1
    units = graph.axis(state, 2)
    split = graph("Concat", graph.constant([n_directions, dilation]), n_rows, units, axis=0)
    state = graph("Reshape", state, split)
    forward = graph("Squeeze", graph.cut(state, 0, 0, 1), graph.constant([0]))
    chosen = graph("Expand", graph("Reshape", final, graph.constant([1, -1, 1])),
                   graph("Concat", graph.constant([1]), n_rows, units, axis=0))  # fmt: skip
    states = [graph("Squeeze", graph("GatherElements", forward, chosen, axis=0), graph.constant([0]))]
    if bidirectional:
        backward = graph.cut(graph.cut(state, 0, 1, 2), 1, 0, 1)
        states.append(graph("Squeeze", backward, graph.constant([0, 1])))
    return graph("Concat", *states, axis=-1)
