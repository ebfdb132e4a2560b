"""Networks as plain values: configuration and named weights, and back, for pickles and model files."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from tsae.networks.building import NETWORKS, build_network
from tsae.networks.layout import check_weights, feature_names, layer_widths

_CELL = re.compile(r"/(lstm|gru)_cell(_\d+)?/")


def network_state(network: Any) -> dict:
    """Configuration and weights, {"config": dict, "weights": {name: array}}; names are "lstm_0/kernel" and so on."""
    names = [_CELL.sub("/", variable.path) for variable in network.weights]
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise ValueError(f"two layers of the network have one name: {twice[0]}")
    return {"config": network.get_config(), "weights": dict(zip(names, network.get_weights(), strict=True))}


def restore_network(config: dict, weights: dict[str, np.ndarray]) -> Any:
    """Undo `network_state`.

    Raises
    ------
    ValueError
        If configuration and weights do not belong together; found out before a network of another size is made.
    """
    _refuse_sizes(config, weights)
    network = build_network(config)
    expected = network_state(network)["weights"]
    if expected.keys() != weights.keys():
        odd = sorted(expected.keys() ^ weights.keys())
        raise ValueError(f"the weights of {odd[0]} are missing or have no layer")
    for name, made in expected.items():
        found = weights[name]
        if found.shape != made.shape or found.dtype != made.dtype:
            raise ValueError(f"the weights {name} are {found.dtype} {found.shape}; expected {made.dtype} {made.shape}")
    network.set_weights([weights[name] for name in expected])
    return network


def _refuse_sizes(config: Any, weights: Any) -> None:
    """A configuration of a network larger than its weights is refused: building it could take all memory."""
    if not isinstance(weights, dict) or not all(isinstance(array, np.ndarray) for array in weights.values()):
        raise ValueError("the weights of the network are not named arrays")
    if not isinstance(config, dict) or config.get("name") not in NETWORKS:
        raise ValueError(f"the network is not one of {', '.join(NETWORKS)}")
    if not isinstance(config.get("encoder"), dict):
        raise ValueError("the network has no encoder")
    check_weights(config["encoder"], weights)
    decoders = _recurrent_decoders(config)
    if len(decoders) > len(weights):
        raise ValueError(f"the network has {len(decoders)} decoders, more than it has weights")
    stored = Counter(len(array) for name, array in weights.items() if name.endswith("/recurrent_kernel"))
    units: list[int] = config["decoder_units"] if decoders else []
    if Counter(units) - stored:
        raise ValueError(f"the network has decoder_units={units!r}, but no weights of that size")
    for name, shape in _other_sizes(config, decoders).items():
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else "missing"
            raise ValueError(f"the weights {name} are {found}; expected is {shape}")


def _recurrent_decoders(config: dict) -> list[str]:
    """Names of the network's recurrent decoders."""
    if config["name"] == "autoencoder":
        return [f"{head}_decoder" for head in config["decoders"] if head != "imputation"]
    return ["decoder"] if config["name"] == "seq2seq" else []


def _other_sizes(config: dict, decoders: list[str]) -> dict[str, tuple]:
    """Shapes of the weights whose sizes neither the encoder nor units tell."""
    shapes = {}
    if config["name"] == "classifier":
        shapes["classes/kernel"] = (len(feature_names(config["encoder"])), config["n_classes"])
    decoder = config.get("decoder") or {}
    for name in decoders:
        if decoder.get("attention") == "location":
            shapes[f"{name}_attention/query_kernel"] = (config["decoder_units"][-1], decoder["n_memory_steps"])
    if config["name"] == "seq2seq":
        n_outputs = config["n_outputs"] + config["stops"]
        attends_before = decoder.get("attention") == "additive"
        read_from = config["decoder_units"][-1] + (layer_widths(config["encoder"])[-1] if attends_before else 0)
        shapes["decoder_output/kernel"] = (read_from, n_outputs)
        if config["embedding"] and config["input_symbols"]:
            shapes["read/table"] = (config["n_inputs"], config["embedding"])
        if config["embedding"] and config["output_symbols"]:
            shapes["said/table"] = (n_outputs, config["embedding"])
    return shapes
