"""Decoders as ONNX nodes: the graph form of `tsae.networks.heads`, for decoders that read nothing of their own output.

The output of each is aligned with the steps of the window, (batch, n_timesteps, n_channels) float32, and comes with
where it has one, (batch, n_timesteps, 1) bool; elsewhere its values mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tsae.networks.objectives import OBJECTIVES
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.graph import Encoded, pooled
from tsae.onnx.masked import Masked
from tsae.onnx.network import Network
from tsae.onnx.recurrent import joined, operator


class Window(NamedTuple):
    """Names of what decoders are aligned with."""

    values: str  # (batch, n_timesteps, n_channels)
    lengths: str | None  # (batch,) int64; None: all steps count


def check_decoders(network: Network, n_timesteps: int | None) -> None:
    """Refuse decoders that have no graph form.

    Parameters
    ----------
    network : Network
    n_timesteps : int or None
        Steps of a window; None: any number.

    Raises
    ------
    ValueError
        Naming the setting.
    """
    config = network.config
    unknown = [name for name in config.objectives if name not in ALIGNED]
    if unknown:
        raise ValueError(f"decoder={unknown[0]!r} cannot be turned into ONNX; {', '.join(ALIGNED)} can")
    if n_timesteps is not None and n_timesteps < network.least_steps:
        raise ValueError(f"the decoders need windows of {network.least_steps} steps; these have {n_timesteps}")
    if config.tbptt_steps is not None and (n_timesteps is None or n_timesteps > config.tbptt_steps):
        raise ValueError(
            f"tbptt_steps={config.tbptt_steps} cannot be turned into ONNX for longer windows, whose decoders work in "
            "chunks; train with tbptt_steps=None"
        )
    if not any(OBJECTIVES[name].is_recurrent for name in config.objectives):
        return
    for name in ("attention", "feedback"):
        if getattr(config.decoder, name) is not None:
            raise ValueError(
                f"DecoderOptions({name}={getattr(config.decoder, name)!r}) cannot be turned into ONNX; decoders with "
                f"{name}=None can"
            )


def decoder_output(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, window: Window) -> Masked:
    """Add a decoder, and what `reconstruct` makes of its output but for the scale of the channels.

    Nothing is hidden from the encoder: see `tsae.anomaly.residuals.decoder_output`.
    """
    output = ALIGNED[name](graph, network, name, encoded, window)
    if encoded.center is not None and encoded.spread is not None:
        values = graph("Add", graph("Mul", output.values, encoded.spread), encoded.center)
        return Masked(values, output.known)
    return output


# -- one function per objective: the output, aligned ------------------------------------------------------------------


def _reconstruction(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, window: Window) -> Masked:
    n_read = graph.axis(encoded.layers[-1].sequence, 0)
    output = _recurrent(graph, network, name, encoded, n_read)
    if network.config.reverse_target:
        batch = graph.axis(output, 1)
        lengths = encoded.lengths or graph("Expand", n_read, batch)
        output = graph("ReverseSequence", output, lengths, time_axis=0, batch_axis=1)
    return Masked(_padded(graph, _by_window(graph, output), 0, window), _before(graph, network, window))


def _imputation(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, window: Window) -> Masked:  # noqa: ARG001
    config = network.config
    n_outputs = config.encoder.n_inputs * (1 + 2 * len(config.target_offsets))
    memory = _by_window(graph, encoded.layers[-1].sequence)
    output = _dense(graph, network, "imputation_output", memory, config.encoder.widths[-1], n_outputs)
    return Masked(_padded(graph, output, 0, window), _before(graph, network, window))


def _prediction(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, window: Window) -> Masked:
    horizon, n_steps = network.config.horizon, graph.axis(window.values, 1)
    steps = graph.steps_of(window.values, 1, rank=3)
    ends = n_steps if window.lengths is None else graph("Reshape", window.lengths, graph.constant([-1, 1, 1]))
    if horizon is None:
        output = _recurrent(graph, network, name, encoded, graph("Sub", n_steps, graph.constant([1])))
        first = graph.constant([1])
        output = _padded(graph, _by_window(graph, output), 1, window)
    else:
        output = _recurrent(graph, network, name, encoded, graph.constant([horizon]))
        first = graph("Sub", ends, graph.constant([horizon]))
        place = graph("Max", graph("Sub", steps, first), graph.constant([0]))
        place = graph("Min", place, graph.constant([horizon - 1]))
        place = graph("Expand", place, graph("Shape", window.values))
        output = graph("GatherElements", _by_window(graph, output), place, axis=1)
    inside = graph("And", graph("GreaterOrEqual", steps, first), graph("Less", steps, ends))
    return Masked(output, inside)


ALIGNED: dict[str, Callable[[GraphBuilder, Network, str, Encoded, Window], Masked]] = {
    "reconstruction": _reconstruction,
    "prediction": _prediction,
    "imputation": _imputation,
}


# -- recurrent decoders -----------------------------------------------------------------------------------------------


def _recurrent(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, n_steps: str) -> str:
    """What a recurrent decoder generates, the same input at each step: (n_steps, batch, n_channels)."""
    config, layers = network.config, encoded.layers
    encoder, decoder, prefix = config.encoder, config.decoder, f"{name}_decoder"
    batch = graph.axis(layers[-1].sequence, 1)
    width = len(encoder.context_columns()) if decoder.bridge != "initial_state" else 0
    if width:
        x = graph("Unsqueeze", pooled(graph, encoder, layers, encoder.context_pooling), graph.constant([0]))
    else:
        x = graph.constant(np.zeros((1, 1, 1)), np.float32)  # a layer that would read nothing reads a zero
    n_inputs = max(1, width)
    x = graph("Expand", x, graph("Concat", n_steps, batch, graph.constant([n_inputs]), axis=0))
    for depth, units in enumerate(decoder.units):
        layer, cell = f"{prefix}_{encoder.cell}_{depth}", encoder.cell_entry
        network.weight(f"{layer}/kernel", n_inputs, cell.n_gates * units)
        network.weight(f"{layer}/recurrent_kernel", units, cell.n_gates * units)
        network.weight(f"{layer}/bias", *cell.bias_shape(units))
        states = _initial_states(graph, network, name, encoded, depth)
        x = joined(graph, operator(graph, cell, network.weights, (layer,), x, states=states)[0])
        n_inputs = units
    return _dense(graph, network, f"{prefix}_output", x, n_inputs, encoder.n_inputs)


def _initial_states(graph: GraphBuilder, network: Network, name: str, encoded: Encoded, depth: int) -> list[str]:
    """The states of the encoder's layer, brought to the width of the decoder's: (1, batch, units) each; none: zeros."""
    config = network.config
    if config.decoder.bridge == "repeat_vector":
        return []
    cell, below = config.encoder.cell_entry, min(depth, len(encoded.layers) - 1)
    width, units = config.encoder.widths[below], config.decoder.units[depth]
    final = [encoded.layers[below].last, encoded.layers[below].cell][: cell.n_states]
    states = []
    for part, state, activation in zip("hc", final, cell.bridge_activations, strict=False):
        state = state or ""
        if width != units:
            state = _dense(graph, network, f"{name}_decoder_bridge_{depth}_{part}", state, width, units, units)
            state = graph("Tanh", state) if activation == "tanh" else state
        states.append(graph("Unsqueeze", state, graph.constant([0])))
    return states


# -- parts ------------------------------------------------------------------------------------------------------------


def _dense(
    graph: GraphBuilder, network: Network, name: str, x: str, width: int, n_outputs: int, n_used: int | None = None
) -> str:
    """A dense layer, of which the first outputs are used: those of the channels' own values."""
    kernel = network.weight(f"{name}/kernel", width, n_outputs)
    bias = network.weight(f"{name}/bias", n_outputs)
    n_used = network.config.encoder.n_channels if n_used is None else n_used
    product = graph("MatMul", x, graph.constant(kernel[:, :n_used], np.float32))
    return graph("Add", product, graph.constant(bias[:n_used], np.float32))


def _by_window(graph: GraphBuilder, sequence: str) -> str:
    """(n_timesteps, batch, width) -> (batch, n_timesteps, width)."""
    return graph("Transpose", sequence, perm=[1, 0, 2])


def _padded(graph: GraphBuilder, output: str, before: int, window: Window) -> str:
    """Add steps before and after, so that there are as many as in the window."""
    missing = graph("Sub", graph.axis(window.values, 1), graph.axis(output, 1))
    after = graph("Sub", missing, graph.constant([before]))
    return graph("Pad", output, graph("Concat", graph.constant([0, before, 0, 0]), after, graph.constant([0]), axis=0))


def _before(graph: GraphBuilder, network: Network, window: Window) -> str:
    """The steps that the encoder is given: (batch or 1, n_timesteps, 1)."""
    steps = graph.steps_of(window.values, 1, rank=3)
    if window.lengths is None:
        ends = graph.axis(window.values, 1)
    else:
        ends = graph("Reshape", window.lengths, graph.constant([-1, 1, 1]))
    return graph("Less", steps, graph("Sub", ends, graph.constant([network.ahead])))
