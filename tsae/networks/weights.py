"""Networks as plain values: kind, config and named weights, and back, for pickles and model files."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from tsae.networks.building import NETWORKS, build_network
from tsae.networks.config import AutoencoderConfig, ClassifierConfig, Seq2SeqConfig, from_json, to_json
from tsae.networks.objectives import OBJECTIVES

_CELL = re.compile(r"/\w+_cell(_\d+)?/")  # the layer that Keras puts between a recurrent layer and its weights


def network_state(network: Any) -> dict[str, Any]:
    """Plain values of a network: {"kind": str, "config": dict, "weights": {name: array}}.

    Names of weights are "lstm_0/kernel" and so on.
    """
    names = [_CELL.sub("/", variable.path) for variable in network.weights]
    if len(set(names)) < len(names):
        duplicate = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"two layers of the network have one name: {duplicate}")
    weights = dict(zip(names, network.get_weights(), strict=True))
    return {"kind": network.name, "config": to_json(network.config), "weights": weights}


def restore_network(kind: str, config: dict, weights: dict[str, np.ndarray]) -> Any:
    """Undo `network_state`.

    Raises
    ------
    ValueError
        If config and weights do not belong together; found out before a network of another size is made.
    """
    if not isinstance(weights, dict) or not all(isinstance(array, np.ndarray) for array in weights.values()):
        raise ValueError("the weights of the network are not named arrays")
    if kind not in NETWORKS:
        raise ValueError(f"the network is not one of {', '.join(NETWORKS)}")
    settings = from_json(NETWORKS[kind].config_class, config)
    _refuse_sizes(settings, weights)
    network = build_network(settings)
    expected = network_state(network)["weights"]
    if expected.keys() != weights.keys():
        raise ValueError(f"the weights of {min(expected.keys() ^ weights.keys())} are missing or have no layer")
    for name, made in expected.items():
        found = weights[name]
        if found.shape != made.shape or found.dtype != made.dtype:
            raise ValueError(f"the weights {name} are {found.dtype} {found.shape}; expected {made.dtype} {made.shape}")
    network.set_weights([weights[name] for name in expected])
    return network


def _refuse_sizes(config: Any, weights: dict[str, np.ndarray]) -> None:
    """A config of a network larger than its weights is refused: building it could take all memory."""
    config.encoder.check_weights(weights)
    decoders = _recurrent_decoders(config)
    if len(decoders) > len(weights):
        raise ValueError(f"the network has {len(decoders)} decoders, more than it has weights")
    stored = Counter(len(array) for name, array in weights.items() if name.endswith("/recurrent_kernel"))
    units = config.decoder.units if decoders else ()
    if Counter(units) - stored:
        raise ValueError(f"the network has a decoder of units={units!r}, but no weights of that size")
    for name, shape in _other_sizes(config, decoders).items():
        if name not in weights or weights[name].shape != shape:
            found = weights[name].shape if name in weights else "missing"
            raise ValueError(f"the weights {name} are {found}; expected is {shape}")


def _recurrent_decoders(config: Any) -> list[str]:
    """Names of the network's recurrent decoders."""
    if isinstance(config, AutoencoderConfig):
        return [f"{name}_decoder" for name in config.objectives if OBJECTIVES[name].is_recurrent]
    return ["decoder"] if isinstance(config, Seq2SeqConfig) else []


def _other_sizes(config: Any, decoders: list[str]) -> dict[str, tuple]:
    """Shapes of the weights whose sizes follow neither from the encoder nor from units."""
    if isinstance(config, ClassifierConfig):
        return {"classes/kernel": (len(config.encoder.feature_names()), config.n_classes)}
    decoder, shapes = config.decoder, {}
    for name in decoders:
        if decoder.attention == "location":
            shapes[f"{name}_attention/query_kernel"] = (decoder.units[-1], decoder.n_memory_steps)
    if isinstance(config, Seq2SeqConfig):
        n_outputs = config.n_outputs + config.has_end_token
        memory_width = config.encoder.widths[-1] if decoder.attention == "additive" else 0
        shapes["decoder_output/kernel"] = (decoder.units[-1] + memory_width, n_outputs)
        if config.embedding and config.input_tokens:
            shapes["input_tokens/table"] = (config.n_inputs, config.embedding)
        if config.embedding and config.output_tokens and decoder.feedback:
            shapes["output_tokens/table"] = (n_outputs, config.embedding)
    return shapes
