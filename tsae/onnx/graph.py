"""The encoder as an ONNX graph, made from its config and weights alone.

Everything that `transform` does to a batch is inside: scaling by channel, filling of gaps, scaling by window, the
recurrent layers, pooling. The number of windows is open, that of steps open or fixed. NaN means missing, as it does
everywhere in tsae.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from tsae.networks.config import EncoderConfig
from tsae.networks.pooling import POOLINGS
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.inputs import differences, not_empty, scaled_by_channel, scaled_by_window, window_lengths, without_gaps
from tsae.onnx.recurrent import recurrent_layers

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
    layers = recurrent_layers(graph, config, weights, _encoder_inputs(graph, config, values, observed), lengths)
    pooled = layers if config.pooled_layers == "all" else layers[-1:]
    parts = [POOLINGS[kind].add_to_graph(graph, layer) for layer in pooled for kind in config.pooling]
    features = graph("Concat", *parts, axis=-1)
    if config.n_components is not None:
        constants = [graph.constant(weights[f"projection/{name}"], np.float32) for name in PROJECTION]
        centered = graph("Sub", features, constants[0])
        features = graph("MatMul", graph("Mul", centered, constants[1]), constants[2])
    _without_lost(graph, infinite if missing else lost, features)
    names = config.feature_names()
    element_type = {"float32": "FLOAT", "float64": "DOUBLE"}[dtype]
    return graph.serialized(
        windows=(element_type, ["batch", n_timesteps or "steps", config.n_channels]),
        features=("FLOAT", ["batch", len(names)]),
        metadata={"feature_names": json.dumps(names), **(metadata or {})},
    )


def _encoder_inputs(graph: GraphBuilder, config: EncoderConfig, values: str, observed: str | None) -> str:
    """What the bottom layer reads: values, values scaled by window, and differences, depending on the config."""
    if config.window_scale == "none" and not config.differences:
        return values
    own, center, spread, constant = scaled_by_window(graph, values, observed)
    parts = {"none": [values], "only": [own], "concat": [values, own]}[config.window_scale]
    if config.differences:
        parts.append(differences(graph, own, center, spread, constant, observed))
    return graph("Concat", *parts, axis=-1)


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
