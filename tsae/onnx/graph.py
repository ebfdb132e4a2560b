"""The encoder as an ONNX graph, made from its config and weights alone.

Everything that `transform` does to a batch is inside: scaling by channel, filling of gaps, scaling by window, the
recurrent layers, pooling. The number of windows is open, that of steps open or fixed. NaN means missing, as it does
everywhere in tsae.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tsae.networks.config import EncoderConfig
from tsae.networks.pooling import POOLINGS
from tsae.onnx.builder import ELEMENT_TYPES, GraphBuilder
from tsae.onnx.inputs import (
    differences,
    not_empty,
    read_steps,
    scaled_by_channel,
    scaled_by_window,
    window_lengths,
    without_gaps,
)
from tsae.onnx.recurrent import LayerStates, recurrent_layers

PROJECTION = ("mean", "inverse_std", "components")


def encoder_model(
    config: EncoderConfig,
    weights: Mapping[str, np.ndarray],
    mean: np.ndarray,
    scale: np.ndarray,
    *,
    n_timesteps: int | None = None,
    dtype: str = "float32",
    missing: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Build the graph of an encoder.

    Parameters
    ----------
    config : EncoderConfig
    weights : mapping of str to ndarray
        Of `tsae.networks.encoder.Encoder`, by name.
    mean, scale : float64 arrays of shape (n_channels,)
        Values are read as ``(x - mean) / scale``, computed in float64.
    n_timesteps : int or None
        Steps of a window; None: any number.
    dtype : "float32" or "float64"
        Of the input.
    missing : bool
        Whether NaN is understood. Without, the graph is smaller, and a window with NaN has features of NaN. With or
        without, so has a window with a value that is infinite, or too large for float32 once it is scaled.
    metadata : mapping of str to str, optional
        Stored in the model, in addition to the names of the features.

    Returns
    -------
    bytes
        A serialized ``onnx.ModelProto``: "windows" (batch, n_timesteps, n_channels) -> "features" (batch,
        n_features) float32.

    Raises
    ------
    ValueError
        If config and weights do not belong together.
    ImportError
        Without the onnx package.
    """
    config.check_weights(weights)
    graph = GraphBuilder()
    values = scaled_by_channel(graph, not_empty(graph, "windows", n_timesteps, dtype), mean, scale, dtype)
    infinite = graph("IsInf", values)
    lost = graph("Or", graph("IsNaN", values), infinite)
    observed, lengths = None, None
    if missing:
        observed = graph("Not", lost)
        lengths = window_lengths(graph, observed)
        values = without_gaps(graph, values, observed)
    encoded = encode(graph, config, weights, values, observed, lengths)
    _without_lost(graph, infinite if missing else lost, features_of(graph, config, weights, encoded.layers))
    names = config.feature_names()
    return graph.serialized(
        "tsae_encoder",
        windows=(ELEMENT_TYPES[dtype], ["batch", n_timesteps or "steps", config.n_channels]),
        outputs={"features": ("FLOAT", ["batch", len(names)])},
        metadata={"feature_names": json.dumps(names), **(metadata or {})},
    )


class Encoded(NamedTuple):
    """Names of what the encoder makes of scaled windows."""

    layers: list[LayerStates]
    lengths: str | None  # (batch,) int64, steps that it read; None: all that there are
    center: str | None  # (batch, 1, n_channels): mean and scale of each window, where it is read in their units alone
    spread: str | None


def encode(
    graph: GraphBuilder, config: EncoderConfig, weights: Mapping[str, np.ndarray], values: str, observed: str | None,
    lengths: str | None, ahead: int = 0,
) -> Encoded:  # fmt: skip
    """Add the layers of an encoder.

    Parameters
    ----------
    graph : GraphBuilder
    config : EncoderConfig
    weights : mapping of str to ndarray
    values : str
        Windows, scaled by channel and without gaps.
    observed, lengths : str or None
        Where there was a value, (batch, n_timesteps, n_channels) bool, and steps up to the last one, (batch,) int64.
        None: all of them.
    ahead : int
        Steps at the end of each window that are not read.

    Returns
    -------
    Encoded
    """
    seen = read_steps(graph, observed, values, lengths, ahead)
    inputs, center, spread = _encoder_inputs(graph, config, values, seen, observed)
    if ahead and lengths is None:
        inputs = graph.cut(inputs, 1, 0, -ahead)
    elif ahead:
        lengths = graph("Max", graph("Sub", lengths or "", graph.constant([ahead])), graph.constant([1]))
    layers = recurrent_layers(graph, config, weights, inputs, lengths)
    return Encoded(layers, lengths, center, spread)


def features_of(
    graph: GraphBuilder, config: EncoderConfig, weights: Mapping[str, np.ndarray], layers: list[LayerStates]
) -> str:
    """Add what `transform` returns: (batch, n_features)."""
    features = pooled(graph, config, layers, config.pooling)
    if config.n_components is None:
        return features
    mean, inverse_std, components = (graph.constant(weights[f"projection/{name}"], np.float32) for name in PROJECTION)
    return graph("MatMul", graph("Mul", graph("Sub", features, mean), inverse_std), components)


def pooled(graph: GraphBuilder, config: EncoderConfig, layers: list[LayerStates], kinds: tuple[str, ...]) -> str:
    """Add some poolings of all pooled layers, side by side."""
    parts = [POOLINGS[kind].add_to_graph(graph, layers[depth]) for depth in config.pooled_depths for kind in kinds]
    return graph("Concat", *parts, axis=-1)


def _encoder_inputs(
    graph: GraphBuilder, config: EncoderConfig, values: str, seen: str | None, observed: str | None
) -> tuple[str, str | None, str | None]:
    """What the bottom layer reads: values, values scaled by window, and differences, depending on the config."""
    if config.window_scale == "none" and not config.differences:
        return values, None, None
    own, center, spread, constant = scaled_by_window(graph, values, seen, observed)
    parts = {"none": [values], "only": [own], "concat": [values, own]}[config.window_scale]
    if config.differences:
        parts.append(differences(graph, own, center, spread, constant, seen))
    inputs = graph("Concat", *parts, axis=-1)
    return (inputs, center, spread) if config.window_scale == "only" else (inputs, None, None)


def _without_lost(graph: GraphBuilder, lost: str, features: str) -> None:
    """Give windows with a lost value features of NaN (the operators of ONNX Runtime would turn NaN into numbers).

    Lost is NaN where it is not understood, and what is infinite once it is scaled: no number is made up for it. The
    rows that `not_empty` added are dropped.
    """
    has_lost = graph("ReduceMax", graph.as_int(lost), axes=[1, 2], keepdims=0)
    has_lost = graph("Unsqueeze", graph("Greater", has_lost, graph.constant(0)), graph.constant([1]))
    marked = graph("Where", has_lost, graph.constant(np.nan, np.float32), features)
    bounds = graph.constant([0]), graph.axis("windows", 0), graph.constant([0])
    graph("Slice", marked, *bounds, outputs=["features"])
