"""The encoder as an ONNX graph, made from its settings and weights alone.

Everything that `transform` does to a batch is inside: scaling by channel, filling of gaps, scaling by window, the
recurrent layers, pooling. The number of windows is open, that of steps open or fixed. NaN means missing, as it does
everywhere in tsae.

The graph is ONNX opset 17. Recurrent layers are its LSTM and GRU operators, which read (n_timesteps, batch, width).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tsae.networks.layout import (
    LEAST_VARIANCE,
    ROUNDING_VARIANCE,
    STILL_VARIANCE,
    check_weights,
    feature_names,
    reads_differences,
)

OPSET, IR_VERSION = 17, 8
SETTINGS = {
    "n_channels", "units", "dilations", "cell", "bidirectional", "pooling", "pooled_layers", "window_scale",
    "differences", "dropout", "unroll", "kernel_l1", "kernel_l2", "recurrent_l1", "recurrent_l2", "seed", "name",
}  # fmt: skip
# Position of each gate of Keras's weights in the order of ONNX: input, output, forget, cell; update, reset, hidden.
GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}


def encoder_model(
    settings: Mapping[str, Any],
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
    settings, weights
        Of `tsae.networks.encoder.Encoder`.
    mean, scale : float64 arrays of shape (n_channels,)
        Values are read as ``(x - mean) / scale``, computed in float64.
    n_timesteps : int or None
        Steps of a window; None: any number.
    dtype : "float32" or "float64"
        Of the input.
    missing : bool
        Whether NaN is understood. Without, the graph is smaller, and a window with NaN has features of NaN.
    metadata : mapping of str to str, optional
        Stored in the model, beside the names of the features.

    Returns
    -------
    bytes
        A serialised ``onnx.ModelProto``: "windows" (batch, n_timesteps, n_channels) -> "features" (batch,
        n_features) float32.

    Raises
    ------
    ValueError
        If settings and weights do not belong together, or the encoder can do what this graph cannot.
    ImportError
        Without the onnx package.
    """
    check_weights(settings, weights)
    if set(settings) - SETTINGS:
        raise ValueError(f"the encoder has the setting {sorted(set(settings) - SETTINGS)[0]}, unknown to ONNX export")
    unknown = [kind for kind in settings["pooling"] if kind not in POOLING]
    if unknown or ("cell" in settings["pooling"] and settings["cell"] == "gru"):
        raise ValueError(f"the encoder has the pooling {(unknown or ['cell'])[0]!r}, unknown to ONNX export")
    graph = _Graph()
    values = _scaled(graph, "windows", mean, scale, dtype)
    lost = graph("Or", graph("IsNaN", values), graph("IsInf", values))
    observed, lengths = None, None
    if missing:
        observed = graph("Not", lost)
        lengths = _lengths(graph, observed)
        values = _without_gaps(graph, values, observed)
    if settings["window_scale"] != "none" or reads_differences(settings):
        own, center, spread, still = _scaled_by_window(graph, values, observed)
        read = {"none": [values], "only": [own], "beside": [values, own]}[settings["window_scale"]]
        if reads_differences(settings):
            read.append(_differences(graph, own, center, spread, still, observed))
        values = graph("Concat", *read, axis=-1)
    layers = _recurrent_layers(graph, settings, weights, values, lengths)
    pooled = layers if settings["pooled_layers"] == "all" else layers[-1:]
    parts = [POOLING[kind](graph, layer) for layer in pooled for kind in settings["pooling"]]
    if missing:
        graph("Concat", *parts, axis=-1, outputs=["features"])
    else:  # the operators of ONNX Runtime would make numbers out of NaN
        spoilt = graph("ReduceMax", graph.as_int(lost), axes=[1, 2], keepdims=0)
        spoilt = graph("Unsqueeze", graph("Greater", spoilt, graph.constant(0)), graph.constant([1]))
        nothing = graph.constant(np.nan, np.float32)
        graph("Where", spoilt, nothing, graph("Concat", *parts, axis=-1), outputs=["features"])
    names = feature_names(settings)
    kind = {"float32": "FLOAT", "float64": "DOUBLE"}[dtype]
    return graph.serialised(
        windows=(kind, ["batch", n_timesteps or "steps", settings["n_channels"]]),
        features=("FLOAT", ["batch", len(names)]),
        metadata={"feature_names": json.dumps(names), **(metadata or {})},
    )


class _Graph:
    """A growing graph: calling it adds a node and returns the name of its (first) output."""

    def __init__(self):
        try:
            import onnx
        except ImportError as error:
            raise ImportError("ONNX models need the onnx package: pip install 'tsae[onnx]'") from error
        self._onnx = onnx
        self._nodes, self._constants = [], {}

    def __call__(self, operator: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> Any:
        names = outputs or [f"{operator}_{len(self._nodes)}"]
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def several(self, operator: str, n_outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        names = [f"{operator}_{len(self._nodes)}_{i}" for i in range(n_outputs)]
        self(operator, *inputs, outputs=names, **attributes)
        return names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._onnx.numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return self._constants[key].name

    def axis(self, of: str, axis: int) -> str:
        """Length of an axis, (1,) int64."""
        return self("Shape", of, start=axis, end=axis + 1)

    def cut(self, x: str, axis: int, start: int | str, end: int | str) -> str:
        bounds = [part if isinstance(part, str) else self.constant([part]) for part in (start, end)]
        return self("Slice", x, *bounds, self.constant([axis]))

    def total(self, x: str, axis: int) -> str:
        return self("ReduceSum", x, self.constant([axis]), keepdims=1)

    def as_float(self, x: str) -> str:
        return self("Cast", x, to=self._onnx.TensorProto.FLOAT)

    def as_double(self, x: str) -> str:
        return self("Cast", x, to=self._onnx.TensorProto.DOUBLE)

    def as_int(self, x: str) -> str:
        return self("Cast", x, to=self._onnx.TensorProto.INT64)

    def as_int32(self, x: str) -> str:
        return self("Cast", x, to=self._onnx.TensorProto.INT32)

    def steps_of(self, x: str, axis: int, rank: int) -> str:
        """0, 1, 2, ... along an axis, int64, of length 1 along the others."""
        n_steps = self("Squeeze", self.axis(x, axis))
        steps = self("Range", self.constant(0), n_steps, self.constant(1))
        return self("Reshape", steps, self.constant([-1 if i == axis else 1 for i in range(rank)]))

    def serialised(self, windows: tuple, features: tuple, metadata: Mapping[str, str]) -> bytes:
        from tsae import __version__

        onnx = self._onnx
        describe = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            self._nodes, "tsae_encoder",
            [describe("windows", getattr(onnx.TensorProto, windows[0]), windows[1])],
            [describe("features", getattr(onnx.TensorProto, features[0]), features[1])],
            list(self._constants.values()),
        )  # fmt: skip
        model = onnx.helper.make_model(
            graph, producer_name="tsae", producer_version=__version__, ir_version=IR_VERSION,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        )  # fmt: skip
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


# -- what the layers read, (batch, n_timesteps, n_channels) ----------------------------------------------------------


def _scaled(graph: _Graph, values: str, mean: np.ndarray, scale: np.ndarray, dtype: str) -> str:
    if not np.any(mean) and np.all(scale == 1.0):
        return values if dtype == "float32" else graph.as_float(values)
    shifted = graph("Sub", graph.as_double(values), graph.constant(mean, np.float64))
    return graph.as_float(graph("Div", shifted, graph.constant(scale, np.float64)))


def _lengths(graph: _Graph, observed: str) -> str:
    """Steps up to the last with an observed value, at least 1: (batch,) int64."""
    seen = graph("ReduceMax", graph.as_int(observed), axes=[2], keepdims=0)
    ends = graph("Add", graph.steps_of(seen, 1, rank=2), graph.constant(1))
    return graph("Max", graph("ReduceMax", graph("Mul", seen, ends), axes=[1], keepdims=0), graph.constant([1]))


def _without_gaps(graph: _Graph, values: str, observed: str) -> str:
    """The straight line between observed neighbours, as `tsae.networks.masking.fill_gaps` draws it.

    The observed steps of each channel are numbered; a table from number to step then says of every step where the
    observed ones before and after it lie.
    """
    zero, one = graph.constant(0), graph.constant(1)
    values = graph("Where", observed, values, graph.constant(0, np.float32))
    steps = graph("Expand", graph.steps_of(values, 1, rank=3), graph("Shape", values))
    number = graph("CumSum", graph.as_int(observed), graph.constant(1))  # of the last observed step, from 1; 0: none
    n_observed = graph("ReduceMax", number, axes=[1], keepdims=1)

    # One slot for "none", one for each number, and one for what the unobserved steps write.
    spare = graph("Add", graph.axis(values, 1), one)
    slots = graph("Concat", graph.axis(values, 0), graph("Add", spare, one), graph.axis(values, 2), axis=0)
    empty = graph("Expand", graph.constant([0]), slots)
    table = graph("ScatterElements", empty, graph("Where", observed, number, spare), steps, axis=1)

    following = graph("Where", observed, number, graph("Add", number, one))
    has_before = graph("Greater", number, zero)
    has_after = graph("LessOrEqual", following, n_observed)
    before_step = graph("GatherElements", table, number, axis=1)
    after_step = graph("GatherElements", table, following, axis=1)
    before = graph("GatherElements", values, before_step, axis=1)
    after = graph("GatherElements", values, after_step, axis=1)

    apart = graph("Max", graph("Sub", after_step, before_step), one)
    share = graph("Div", graph.as_float(graph("Sub", steps, before_step)), graph.as_float(apart))
    line = graph("Add", before, graph("Mul", share, graph("Sub", after, before)))
    one_sided = graph("Where", has_before, before, after)
    return graph("Where", graph("And", has_before, has_after), line, one_sided)


def _scaled_by_window(graph: _Graph, values: str, observed: str | None) -> tuple[str, str, str, str]:
    """Values at mean 0 and standard deviation 1; that mean, that deviation, and where there is none."""
    number = lambda value: graph.constant(value, np.float32)  # noqa: E731
    if observed is None:
        center = graph("ReduceMean", values, axes=[1], keepdims=1)
        variance = graph("ReduceMean", _square(graph, graph("Sub", values, center)), axes=[1], keepdims=1)
    else:
        seen = graph.as_float(observed)
        n_seen = graph.total(seen, 1)
        count = graph("Max", n_seen, number(1))
        center = graph("Div", graph.total(graph("Mul", seen, values), 1), count)
        squares = _square(graph, graph("Sub", values, center))
        variance = graph("Div", graph.total(graph("Mul", seen, squares), 1), count)
    limit = graph("Add", graph("Mul", number(STILL_VARIANCE), _square(graph, center)), number(LEAST_VARIANCE))
    still = graph("LessOrEqual", variance, limit)
    spread = graph("Sqrt", graph("Where", still, number(1), variance))
    scaled = graph("Div", graph("Sub", values, center), spread)
    if observed is not None:
        scaled = graph("Where", graph("Greater", n_seen, number(0)), scaled, number(0))
    return scaled, center, spread, still


def _differences(graph: _Graph, scaled: str, center: str, spread: str, still: str, observed: str | None) -> str:
    """Changes from step to step at root mean square 1, as `tsae.networks.encoder` reads them."""
    number = lambda value: graph.constant(value, np.float32)  # noqa: E731
    end = graph.axis(scaled, 1)
    changes = graph("Sub", graph.cut(scaled, 1, 1, end), graph.cut(scaled, 1, 0, -1))
    squares = _square(graph, changes)
    if observed is None:
        count = graph.as_float(graph("Max", graph("Sub", end, graph.constant(1)), graph.constant(1)))
    else:
        seen = graph.as_float(graph("And", graph.cut(observed, 1, 1, end), graph.cut(observed, 1, 0, -1)))
        count = graph("Max", graph.total(seen, 1), number(1))
        squares = graph("Mul", seen, squares)
    square = graph("Div", graph.total(squares, 1), count)
    level = _square(graph, graph("Div", center, spread))
    rounding = graph("Mul", number(ROUNDING_VARIANCE), graph("Add", number(1), level))
    rough = graph("Or", still, graph("LessOrEqual", square, rounding))
    changes = graph("Div", changes, graph("Sqrt", graph("Where", rough, number(1), square)))
    first = graph("Mul", graph.cut(scaled, 1, 0, 1), number(0))
    return graph("Concat", first, changes, axis=1)


def _square(graph: _Graph, x: str) -> str:
    return graph("Mul", x, x)


# -- recurrent layers, (n_timesteps, batch, width) -------------------------------------------------------------------


class _Layer:
    """What one (bidirectional) layer says: names of tensors."""

    def __init__(self, graph: _Graph, sequence: str, last: str, cell: str | None, lengths: str | None):
        self.sequence, self.last, self.cell = sequence, last, cell  # (n_timesteps, batch, width), twice (batch, width)
        self.lengths = lengths  # (batch,) int64; None: all steps count
        if lengths is not None:
            steps = graph.steps_of(sequence, 0, rank=3)
            self.inside = graph("Less", steps, graph("Reshape", lengths, graph.constant([1, -1, 1])))


def _recurrent_layers(graph, settings, weights, values, lengths) -> list[_Layer]:
    x = graph("Transpose", values, perm=[1, 0, 2])
    layers = []
    for depth, dilation in enumerate(settings.get("dilations") or [1] * len(settings["units"])):
        layers.append(_recurrent_layer(graph, settings, weights, depth, dilation, x, lengths))
        x = layers[-1].sequence
    return layers


def _recurrent_layer(graph, settings, weights, depth, dilation, x, lengths) -> _Layer:
    """A dilated layer reads `dilation` interleaved sequences side by side, as further rows of the batch."""
    n_rows, n_steps = graph.axis(x, 1), graph.axis(x, 0)
    if dilation == 1:
        row_lengths = "" if lengths is None else graph.as_int32(lengths)
        sequence, states = _run(graph, settings, weights, depth, x, row_lengths)
        states = [_side_by_side(graph, state) for state in states]
        return _Layer(graph, _joined(graph, sequence), states[0], states[1] if len(states) > 1 else None, lengths)

    ends = graph("Expand", n_steps, n_rows) if lengths is None else lengths
    padded = _padded_to_multiple(graph, x, n_steps, dilation)
    side_by_side = graph("Concat", graph.constant([-1]), graph("Mul", n_rows, graph.constant([dilation])),
                         graph.axis(x, 2), axis=0)  # fmt: skip
    # Of sequence k of a row with n steps the steps k, k + dilation, ... < n are its own.
    offsets = graph.constant(dilation - 1 - np.arange(dilation)[:, None])
    own = graph("Div", graph("Add", graph("Unsqueeze", ends, graph.constant([0])), offsets), graph.constant(dilation))
    own = graph.as_int32(graph("Reshape", graph("Max", own, graph.constant(1)), graph.constant([-1])))
    sequence, states = _run(graph, settings, weights, depth, graph("Reshape", padded, side_by_side), own)
    sequence = _joined(graph, sequence)
    laid_out = graph("Concat", graph.constant([-1]), n_rows, graph.axis(sequence, 2), axis=0)
    sequence = graph.cut(graph("Reshape", sequence, laid_out), 0, 0, n_steps)
    final = graph("Mod", graph("Sub", ends, graph.constant(1)), graph.constant(dilation))
    states = [_final_states(graph, state, dilation, n_rows, final, settings["bidirectional"]) for state in states]
    return _Layer(graph, sequence, states[0], states[1] if len(states) > 1 else None, lengths)


def _run(graph, settings, weights, depth, x, row_lengths) -> tuple[str, list[str]]:
    """Run the operator: (n_timesteps, n_directions, rows, units), and its states, (n_directions, rows, units) each."""
    cell, units = settings["cell"], settings["units"][depth]
    directions = ["", "_backward"] if settings["bidirectional"] else [""]

    def stacked(kind):
        arrays = [weights[f"{cell}_{depth}{direction}/{kind}"] for direction in directions]
        turned = _bias_in_onnx_order if kind == "bias" else _kernel_in_onnx_order
        return graph.constant(np.stack([turned(array, cell) for array in arrays]), np.float32)

    attributes = {"hidden_size": units, "direction": "bidirectional" if len(directions) > 1 else "forward"}
    if cell == "gru":  # Keras applies the reset gate after the matrix product
        attributes["linear_before_reset"] = 1
    inputs = [x, stacked("kernel"), stacked("recurrent_kernel"), stacked("bias"), row_lengths]
    sequence, *states = graph.several(cell.upper(), 3 if cell == "lstm" else 2, *inputs, **attributes)
    return sequence, states


def _kernel_in_onnx_order(kernel: np.ndarray, cell: str) -> np.ndarray:
    """(n_inputs, gates * units) with gates in Keras's order -> (gates * units, n_inputs) with gates in ONNX's."""
    order = list(GATE_ORDER[cell])
    return kernel.reshape(len(kernel), len(order), -1)[:, order].reshape(kernel.shape).T


def _bias_in_onnx_order(bias: np.ndarray, cell: str) -> np.ndarray:
    """The biases of input and of state, (2 * gates * units,); Keras's LSTM has one, where ONNX adds up two."""
    both = bias if cell == "gru" else np.stack([bias, np.zeros_like(bias)])
    return both.reshape(2, len(GATE_ORDER[cell]), -1)[:, list(GATE_ORDER[cell])].reshape(-1)


def _joined(graph, sequence: str) -> str:
    """(n_timesteps, n_directions, rows, units) -> (n_timesteps, rows, width)."""
    sequence = graph("Transpose", sequence, perm=[0, 2, 1, 3])
    return graph("Reshape", sequence, graph.constant([0, 0, -1]))


def _side_by_side(graph, state: str) -> str:
    """(n_directions, rows, units) -> (rows, width)."""
    return graph("Reshape", graph("Transpose", state, perm=[1, 0, 2]), graph.constant([0, -1]))


def _padded_to_multiple(graph, x: str, n_steps: str, dilation: int) -> str:
    missing = graph("Mod", graph("Neg", n_steps), graph.constant(dilation))
    zeros = graph.constant([0, 0])
    return graph("Pad", x, graph("Concat", graph.constant([0, 0, 0]), missing, zeros, axis=0))


def _final_states(graph, state: str, dilation: int, n_rows: str, final: str, bidirectional: bool) -> str:
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


# -- pooling over time, (batch, width) -------------------------------------------------------------------------------


def _mean(graph: _Graph, layer: _Layer, of: str | None = None) -> str:
    of = of or layer.sequence
    if layer.lengths is None:
        return graph("ReduceMean", of, axes=[0], keepdims=0)
    return _sum_inside(graph, of, layer.inside, layer.lengths)


def _sum_inside(graph: _Graph, x: str, inside: str, count: str) -> str:
    """Sum of x over the steps inside each row, divided by `count`, (batch,)."""
    kept = graph("Where", inside, x, graph.constant(0, np.float32))
    total = graph("ReduceSum", kept, graph.constant([0]), keepdims=0)
    return graph("Div", total, graph.as_float(graph("Unsqueeze", count, graph.constant([1]))))


def _std(graph: _Graph, layer: _Layer) -> str:
    centered = graph("Sub", layer.sequence, _mean(graph, layer))
    variance = _mean(graph, layer, of=_square(graph, centered))
    return graph("Sqrt", graph("Add", variance, graph.constant(1e-8, np.float32)))


def _max(graph: _Graph, layer: _Layer) -> str:
    return _extreme(graph, layer, "ReduceMax", -np.inf)


def _min(graph: _Graph, layer: _Layer) -> str:
    return _extreme(graph, layer, "ReduceMin", np.inf)


def _extreme(graph: _Graph, layer: _Layer, operator: str, outside: float) -> str:
    x = layer.sequence
    if layer.lengths is not None:
        x = graph("Where", layer.inside, x, graph.constant(outside, np.float32))
    return graph(operator, x, axes=[0], keepdims=0)


def _change(graph: _Graph, layer: _Layer) -> str:
    end = graph.axis(layer.sequence, 0)
    later, earlier = graph.cut(layer.sequence, 0, 1, end), graph.cut(layer.sequence, 0, 0, -1)
    steps = graph("Abs", graph("Sub", later, earlier))
    if layer.lengths is None:
        count = graph("Max", graph("Sub", end, graph.constant(1)), graph.constant(1))
        total = graph("ReduceSum", steps, graph.constant([0]), keepdims=0)
        return graph("Div", total, graph.as_float(count))
    count = graph("Max", graph("Sub", layer.lengths, graph.constant(1)), graph.constant(1))
    return _sum_inside(graph, steps, graph.cut(layer.inside, 0, 1, end), count)


POOLING = {
    "last": lambda graph, layer: layer.last,
    "cell": lambda graph, layer: layer.cell,
    "mean": _mean,
    "max": _max,
    "min": _min,
    "std": _std,
    "change": _change,
}
