"""A detector as one ONNX graph: windows in, scores, p-values, contributions and the values of timelines out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    for score in combination.scores:
        form_of(score)  # refuses before any work
    window = WindowGraph(graph, parts.autoencoder, n_timesteps, dtype, missing)
    steps, shares = [], []
    for score in combination.scores:
        values = form_of(score).values(window, score)
        steps.append(or_nan(graph, scaled(graph, score, smoothed(graph, score, values, parts.smoothing))))
        shares.append(contributions(graph, score, scaled(graph, score, mean(graph, values, 1))))
    contributed = combined(graph, combination, shares)
    found = total(graph, contributed, 3)
    p_value = pvalues(graph, parts.calibrator, graph("Reshape", found.values, graph.constant([-1, 1])))
    known = graph("Reshape", found.known, graph.constant([-1]))

    def result(name: str, x: str, shape: list[int], *axes: int) -> None:
        """An output, of the windows and steps that were given: see `not_empty`."""
        x = graph("Reshape", x, graph.constant(shape))
        ends = graph("Concat", *(graph.axis("windows", axis) for axis in axes), axis=0)
        graph("Slice", x, graph.constant([0] * len(axes)), ends, graph.constant(list(axes)), outputs=[name])

    n_channels, n_values = window.n_channels, combination.n_values
    result(SCORE, or_nan(graph, found), [-1], 0)
    result(P_VALUE, or_nan(graph, Masked(graph("Reshape", p_value, graph.constant([-1])), known)), [-1], 0)
    result(CONTRIBUTIONS, or_nan(graph, contributed), [-1, n_channels], 0)
    together = steps[0] if len(steps) == 1 else graph("Concat", *steps, axis=2)
    result(VALUES, together, [0, 0, n_values, n_channels], 0, 1)
    steps_axis = n_timesteps or "steps"
    return graph.serialized(
        "tsae_detector",
        windows=(ELEMENT_TYPES[dtype], ["batch", steps_axis, n_channels]),
        outputs={
            SCORE: ("DOUBLE", ["batch"]),
            P_VALUE: ("DOUBLE", ["batch"]),
            CONTRIBUTIONS: ("DOUBLE", ["batch", n_channels]),
            VALUES: ("DOUBLE", ["batch", steps_axis, n_values, n_channels]),
        },
        metadata=metadata,
    )
