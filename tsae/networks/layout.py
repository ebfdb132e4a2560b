"""What an encoder's settings say of its weights and its features, known without building a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

GATES = {"lstm": 4, "gru": 3}
# A channel of a window is taken to stand still when its variance is at most STILL_VARIANCE times its squared mean (8
# times the rounding of a float32) plus LEAST_VARIANCE. A small ripple is a shape of its own, and no rounding.
STILL_VARIANCE, LEAST_VARIANCE = 1e-12, 1e-20
# Its differences are taken for rounding when their mean square, in units of its variance, is at most this times 1 plus
# its squared mean in the same units: the values, about as large as their mean, are rounded to 2^-24 of that.
ROUNDING_VARIANCE = 1e-14


def layer_widths(settings: Mapping[str, Any]) -> list[int]:
    """Width of each layer's hidden state, bottom first."""
    return [units * (2 if settings["bidirectional"] else 1) for units in settings["units"]]


def n_inputs(settings: Mapping[str, Any]) -> int:
    """Width of what the bottom layer reads at each step."""
    beside = settings["window_scale"] == "concat"
    return settings["n_channels"] * (1 + beside + reads_differences(settings))


def reads_differences(settings: Mapping[str, Any]) -> bool:
    """Whether differences are read; files of early versions do not say so, and their encoders read none."""
    return settings.get("differences", False)


def feature_names(settings: Mapping[str, Any]) -> list[str]:
    """Names of the features in order: "mean_3", or "layer0_mean_3" where several layers are pooled."""
    widths = dict(enumerate(layer_widths(settings)))
    if settings["pooled_layers"] == "last":
        widths = {-1: widths[len(widths) - 1]}
    return [
        (f"layer{depth}_" if len(widths) > 1 else "") + f"{kind}_{i}"
        for depth, width in widths.items()
        for kind in settings["pooling"]
        for i in range(width)
    ]


def weight_shapes(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shape of each weight array of the recurrent layers, by name: "lstm_0/kernel", "lstm_0_backward/bias", ..."""
    cell, gates = settings["cell"], GATES[settings["cell"]]
    inputs = [n_inputs(settings), *layer_widths(settings)[:-1]]
    directions = ("", "_backward") if settings["bidirectional"] else ("",)
    shapes: dict[str, tuple[int, ...]] = {}
    for depth, (units, width) in enumerate(zip(settings["units"], inputs, strict=True)):
        for direction in directions:
            name = f"{cell}_{depth}{direction}"
            shapes[f"{name}/kernel"] = (width, gates * units)
            shapes[f"{name}/recurrent_kernel"] = (units, gates * units)
            shapes[f"{name}/bias"] = (gates * units,) if cell == "lstm" else (2, gates * units)
    return shapes


def check_weights(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    """Check that an encoder of these settings has these weights, before anything of its size is made.

    Raises
    ------
    ValueError
        Naming the setting or the array at fault.
    """
    _check_settings(settings)
    for name, shape in weight_shapes(settings).items():
        if name not in weights:
            raise ValueError(f"the weights {name} of the encoder are missing")
        found = weights[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(f"the weights {name} are {found.dtype} {found.shape}; expected are float32 {shape}")


def _check_settings(settings: Mapping[str, Any]) -> None:
    def is_count(value):
        return type(value) is int and value >= 1

    units, pooling, dilations = settings.get("units"), settings.get("pooling"), settings.get("dilations")
    rules = {
        "n_channels": is_count(settings.get("n_channels")),
        "units": isinstance(units, list) and bool(units) and all(map(is_count, units)),
        "cell": settings.get("cell") in GATES,
        "bidirectional": type(settings.get("bidirectional")) is bool,
        "pooling": isinstance(pooling, list) and all(isinstance(kind, str) for kind in pooling)
        and 0 < len(pooling) == len(set(pooling)),
        "pooled_layers": settings.get("pooled_layers") in ("all", "last"),
        "window_scale": settings.get("window_scale") in ("none", "only", "concat"),
        "differences": type(reads_differences(settings)) is bool,
        "dilations": dilations is None
        or (isinstance(dilations, list) and len(dilations) == len(units or ()) and all(map(is_count, dilations))),
    }  # fmt: skip
    for name, holds in rules.items():
        if not holds:
            raise ValueError(f"the encoder's setting {name}={settings.get(name)!r} is not allowed")
