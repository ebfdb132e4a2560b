"""Upgrade of model files of earlier format versions to the present names and settings.

Works on the plain JSON of a file, before anything is rebuilt from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tsae.errors import ModelFileError

Tree = dict[str, Any]

_FEEDBACK = {"teacher": "teacher_forcing", "scheduled": "scheduled_sampling"}
_BRIDGES = {"context": "repeat_vector", "state": "initial_state"}
_SIDES = {"symbols": "tokens"}
_NETWORK_LAYERS = {"read/": "input_tokens/", "said/": "output_tokens/"}
_RENAMED = {
    "LSTMAutoencoder": {"truncate": "tbptt_steps"},
    "LSTMSeq2Seq": {
        "shared_symbols": "shared_vocabulary",
        "input_symbols_": "input_vocabulary_",
        "output_symbols_": "output_vocabulary_",
        "stops_": "has_end_token_",
    },
}


def upgrade(state: Tree, version: int) -> Tree:
    """The state of a file of an earlier format version, as the present one would have written it.

    Parameters
    ----------
    state : dict
        The content of state.json.
    version : int
        The file's format version.

    Raises
    ------
    ModelFileError
        If it is not such a state.
    """
    if version > 1:
        return state
    try:
        upgraded = _from_1(state)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the state of format version 1 cannot be read: {error!r}") from error
    assert isinstance(upgraded, dict)
    return upgraded


def _from_1(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_from_1(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    tree = {key: _from_1(part) for key, part in tree.items()}
    kind, state = tree.get("$object"), tree.get("state")
    if isinstance(kind, str) and isinstance(state, dict):
        for old, new in _RENAMED.get(kind, {}).items():
            if old in state:
                state[new] = state.pop(old)
        if kind in _OBJECTS:
            _OBJECTS[kind](state)
    return tree


def _estimator(state: Tree) -> None:
    """Parameters and network that all estimators have."""
    for weights in ("kernel", "recurrent"):
        l1, l2 = (state.pop(f"{weights}_{norm}", 0.0) for norm in ("l1", "l2"))
        state[f"{weights}_regularizer"] = _regularizer(l1, l2)
    state.pop("gradient_norm", None)
    if "_network_state" in state:
        state["_network_state"] = _network(state["_network_state"])


def _autoencoder(state: Tree) -> None:
    _estimator(state)
    state["decoder_options"] = _decoder_options(state, {"handover": "context", "conditioning": None})
    defaults = {"noise": 0.0, "mask_rate": None, "mask_span": None, "crop": "auto"}
    given = {name: state.pop(name, default) for name, default in defaults.items()}
    state["augmentation"] = None if given == defaults else {"$object": "Augmentation", "state": given}


def _seq2seq(state: Tree) -> None:
    _estimator(state)
    state["decoder_options"] = _decoder_options(state, {"handover": "state", "conditioning": "teacher"})
    for side in ("inputs", "outputs"):
        state[side] = _SIDES.get(state[side], state[side])


def _decoder_options(state: Tree, own_defaults: Tree) -> Tree | None:
    """The parameters of decoders, once of the estimator itself, as an object; None: all had their defaults."""
    defaults = {
        "decoder_units": None, "sampling": "linear", "sampling_epochs": None, "sampling_floor": 0.0, "attention": None,
        "input_feeding": False, "offsets": "auto", **own_defaults,
    }  # fmt: skip
    given = {name: state.pop(name, default) for name, default in defaults.items()}
    if given == defaults:
        return None
    options = {
        "units": given["decoder_units"],
        "bridge": _BRIDGES.get(given["handover"], given["handover"]),
        "feedback": _FEEDBACK.get(given["conditioning"], given["conditioning"]),
        "decay": given["sampling"],
        "decay_epochs": given["sampling_epochs"],
        "decay_minimum": given["sampling_floor"],
        "attention": given["attention"],
        "input_feeding": given["input_feeding"],
        "target_offsets": given["offsets"],
    }
    return {"$object": "DecoderOptions", "state": options}


def _detector(state: Tree) -> None:
    state["block_length"] = state.pop("block")
    state["scores"] = "relative_errors"  # the only score there was
    if "normal_size_" in state:
        score = {"scale_": state.pop("normal_size_"), "decoders_": state["decoders_"]}
        combination = {"scores": {"$tuple": [{"$object": "RelativeErrors", "state": score}]}, "levels_": [[1.0, 1.0]]}
        state["combination_"] = {"$object": "Combination", "state": combination}


def _threshold(state: Tree) -> None:
    state["block_length"] = state.pop("block")


_OBJECTS: dict[str, Callable[[Tree], None]] = {
    "LSTMAutoencoder": _autoencoder,
    "LSTMClassifier": _estimator,
    "LSTMSeq2Seq": _seq2seq,
    "AnomalyDetector": _detector,
    "ConformalThreshold": _threshold,
    "QuantileThreshold": _threshold,
    "PeaksOverThreshold": _threshold,
}


# -- networks --------------------------------------------------------------------------------------------------------


def _network(stored: Tree) -> Tree:
    old, weights = dict(stored["config"]), stored["weights"]
    kind = old.pop("name")
    old["encoder"] = _encoder(old["encoder"])
    if kind == "classifier":
        config = old
    else:
        decoder = _decoder(old)
        config = _seq2seq_network(old, decoder) if kind == "seq2seq" else _autoencoder_network(old, decoder)
    for prefix, new in _NETWORK_LAYERS.items():
        weights = {new + name[len(prefix) :] if name.startswith(prefix) else name: a for name, a in weights.items()}
    return {"kind": kind, "config": config, "weights": weights}


def _encoder(old: Tree) -> Tree:
    config = {key: value for key, value in old.items() if key != "name"}
    for weights in ("kernel", "recurrent"):
        l1, l2 = (config.pop(f"{weights}_{norm}", 0.0) for norm in ("l1", "l2"))
        config[f"{weights}_regularizer"] = _regularizer(l1, l2)
    config["dilations"] = config.get("dilations") or []
    if config["window_scale"] == "beside":
        config["window_scale"] = "concat"
    return config


def _decoder(old: Tree) -> Tree:
    """Settings of the recurrent decoders, taken out of those of the network."""
    reads, decay = old.pop("decoder") or {}, old.pop("sampling")
    feedback, handover = old.pop("conditioning"), reads.get("handover", "context")
    return {
        "units": old.pop("decoder_units"),
        "bridge": _BRIDGES.get(handover, handover),
        "feedback": _FEEDBACK.get(feedback, feedback),
        "decay": decay and {"kind": decay["schedule"], "updates": decay["updates"], "minimum": decay["floor"]},
        "attention": reads.get("attention"),
        "input_feeding": reads.get("input_feeding", False),
        "n_memory_steps": reads.get("n_memory_steps"),
    }


def _autoencoder_network(old: Tree, decoder: Tree) -> Tree:
    config = {"objectives": old.pop("decoders"), "tbptt_steps": old.pop("truncate"), **old, "decoder": decoder}
    config["target_offsets"] = config.pop("offsets", [])
    return config


def _seq2seq_network(old: Tree, decoder: Tree) -> Tree:
    renamed = {"input_symbols": "input_tokens", "output_symbols": "output_tokens", "stops": "has_end_token"}
    return {**{renamed.get(key, key): value for key, value in old.items()}, "decoder": decoder}


def _regularizer(l1: float, l2: float) -> Tree | None:
    return {"class_name": "L1L2", "config": {"l1": l1, "l2": l2}} if l1 or l2 else None
