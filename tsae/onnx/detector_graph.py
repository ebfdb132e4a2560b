"""A detector as one ONNX graph: windows in, scores, p-values, contributions and the values of timelines out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tsae.anomaly.combination import Combination
from tsae.anomaly.thresholds import Calibrator
from tsae.onnx.builder import ELEMENT_TYPES, GraphBuilder
from tsae.onnx.calibrators import pvalues
from tsae.onnx.combination import combined
from tsae.onnx.masked import Masked, mean, or_nan, total
from tsae.onnx.network import Network
from tsae.onnx.scores import contributions, form_of, scaled, smoothed
from tsae.onnx.windows import WindowGraph

SCORE, P_VALUE, CONTRIBUTIONS, VALUES = "score", "p_value", "contributions", "values"  # the outputs


@dataclass(frozen=True)
class DetectorParts:
    """What a graph is made of.

    Attributes
    ----------
    autoencoder : Network
    combination : Combination
        The encoders of its scores are `Network`, too.
    smoothing : int or None
        As of `AnomalyDetector`.
    calibrator : Calibrator
        Of windows.
    """

    autoencoder: Network
    combination: Combination
    smoothing: int | None
    calibrator: Calibrator


def detector_model(
    parts: DetectorParts, *, n_timesteps: int | None, dtype: str, missing: bool, metadata: Mapping[str, str]
) -> bytes:
    """Build the graph of a detector.

    Parameters
    ----------
    parts : DetectorParts
    n_timesteps : int or None
        Steps of a window; None: any number.
    dtype : "float32" or "float64"
        Of the input.
    missing : bool
        Whether NaN is understood. Without, a window with NaN has outputs of NaN.
    metadata : mapping of str to str

    Returns
    -------
    bytes
        A serialized ``onnx.ModelProto``.

    Raises
    ------
    ValueError
        If a part has no graph form, or parts do not belong together.
    ImportError
        Without the onnx package.
    """
    graph, combination = GraphBuilder(), parts.combination
    window = WindowGraph(graph, parts.autoencoder, n_timesteps, dtype, missing)
    steps, shares = [], []
    for score in combination.scores:
        values = form_of(score).values(window, score)
        steps.append(or_nan(graph, scaled(graph, score, smoothed(graph, score, values, parts.smoothing))))
        shares.append(contributions(graph, score, scaled(graph, score, mean(graph, values, 1))))
    contributed = combined(graph, combination, shares)
    found = total(graph, contributed, 3)
    p_value = pvalues(graph, parts.calibrator, graph("Reshape", found.values, graph.constant([-1, 1])))
    p_value = graph("Reshape", p_value, graph.constant([-1, 1, 1, 1]))
    n_channels, n_values, n_steps = window.n_channels, combination.n_values, n_timesteps or "steps"
    outputs: dict[str, tuple[str, list[Any]]] = {
        SCORE: (or_nan(graph, found), ["batch"]),
        P_VALUE: (or_nan(graph, Masked(p_value, found.known)), ["batch"]),
        CONTRIBUTIONS: (or_nan(graph, contributed), ["batch", n_channels]),
        VALUES: (graph("Concat", *steps, axis=2), ["batch", n_steps, n_values, n_channels]),
    }
    for name, (x, shape) in outputs.items():
        _add_output(graph, name, x, shape)
    return graph.serialized(
        "tsae_detector",
        windows=(ELEMENT_TYPES[dtype], ["batch", n_steps, n_channels]),
        outputs={name: ("DOUBLE", shape) for name, (_, shape) in outputs.items()},
        metadata=metadata,
    )


def _add_output(graph: GraphBuilder, name: str, x: str, shape: list[Any]) -> None:
    """Name a result, (batch, n_timesteps or 1, n_values or 1, n_channels or 1), without what `not_empty` added."""
    n_summed = 4 - len(shape)
    x = graph("Squeeze", x, graph.constant([1, 2, 3][:n_summed])) if n_summed else x
    n_open = 1 if n_summed else 2
    ends = graph("Concat", *(graph.axis("windows", axis) for axis in range(n_open)), axis=0)
    graph("Slice", x, graph.constant([0] * n_open), ends, graph.constant(range(n_open)), outputs=[name])
