"""Networks as plain values: configuration and named weights, and back, for pickles and model files."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from tsae.encoder_layout import check_weights
from tsae.networks.building import NETWORKS, build_network

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
    if not isinstance(weights, dict) or not all(isinstance(part, np.ndarray) for part in weights.values()):
        raise ValueError("the weights of the network are not named arrays")
    if not isinstance(config, dict) or config.get("name") not in NETWORKS:
        raise ValueError(f"the network is not one of {', '.join(NETWORKS)}")
    if not isinstance(config.get("encoder"), dict):
        raise ValueError("the network has no encoder")
    check_weights(config["encoder"], weights)
    stored = Counter(len(array) for name, array in weights.items() if name.endswith("recurrent_kernel"))
    for key, units in config.items():
        if key.endswith("_units") and _is_built(key, config) and Counter(_as_list(units)) - stored:
            raise ValueError(f"the network has {key}={units!r}, but no weights of that size")
    for key, value in config.items():
        if isinstance(value, list) and len(value) > len(weights):
            raise ValueError(f"the network has {len(value)} {key}, more than it has weights")


def _is_built(key: str, config: dict) -> bool:
    """Whether the network makes recurrent layers of these units; an autoencoder of linear heads has no use for them."""
    return key != "decoder_units" or config.get("decoders") != ["imputation"]


def _as_list(units: Any) -> list:
    return units if isinstance(units, list) else [units]
