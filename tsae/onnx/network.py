"""The network of a fitted autoencoder, as graphs are made from it: settings, weights and scale, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsae.data.scaling import ChannelScaler
from tsae.errors import ModelFileError
from tsae.io.state import object_state
from tsae.networks.config import AutoencoderConfig, from_json
from tsae.networks.objectives import OBJECTIVES

EXPORTED = "LSTMAutoencoder"


@dataclass(frozen=True)
class Network:
    """Encoder and decoders of an `LSTMAutoencoder`.

    Attributes
    ----------
    config : AutoencoderConfig
    weights : mapping of str to float32 ndarray
        By name, such as "lstm_0/kernel"; those of the encoder are checked.
    scaler : ChannelScaler
    """

    config: AutoencoderConfig
    weights: Mapping[str, np.ndarray]
    scaler: ChannelScaler

    @classmethod
    def of(cls, estimator: Any) -> Network:
        """Take the network out of a fitted estimator.

        Raises
        ------
        TypeError
            For an estimator of another class.
        ValueError
            If it is not fitted.
        """
        return cls.from_state(state_of(estimator))

    @classmethod
    def from_tree(cls, tree: Any, arrays: list[np.ndarray]) -> Network:
        """Take the network out of a stored estimator."""
        return cls.from_state(stored_state(tree, arrays, ("scaler_",)))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Network:
        """Take the network out of the state of an estimator, as pickles and model files hold it.

        Raises
        ------
        ValueError
            For parts that do not belong together.
        """
        network, scaler = state["_network_state"], state["scaler_"]
        config = from_json(AutoencoderConfig, network["config"])
        weights = {name: array for name, array in network["weights"].items() if "/" in name}
        config.encoder.check_weights(weights)
        n_channels = config.encoder.n_channels
        parts = [scaler.mean_, scaler.scale_] if isinstance(scaler, ChannelScaler) else []
        if not parts or any(part.shape != (n_channels,) or part.dtype != np.float64 for part in parts):
            raise ValueError(f"scaler_ is not that of {n_channels} channels")
        return cls(config, weights, scaler)

    @property
    def ahead(self) -> int:
        """Steps at the end of each window that the encoder is not given when decoders are used."""
        predicts = any(OBJECTIVES[name].predicts_ahead for name in self.config.objectives)
        return (self.config.horizon or 0) if predicts else 0

    @property
    def least_steps(self) -> int:
        """Steps that a window needs for its decoders."""
        return max(OBJECTIVES[name].least_steps(self.config.horizon) for name in self.config.objectives)

    def weight(self, name: str, *shape: int) -> np.ndarray:
        """The weights of that name.

        Raises
        ------
        ValueError
            If there are none, or of another shape.
        """
        found = self.weights.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32:
            described = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise ValueError(f"the weights {name} are {described}; expected are float32 {shape}")
        return found


def state_of(estimator: Any) -> dict[str, Any]:
    """State of a fitted `LSTMAutoencoder`; TypeError for other classes, ValueError before `fit`."""
    if type(estimator).__name__ != EXPORTED:
        raise TypeError(f"estimator is a {type(estimator).__name__}; only {EXPORTED} can be turned into ONNX")
    state: dict[str, Any] = estimator.__getstate__()
    if "_network_state" not in state:
        raise ValueError("estimator is not fitted; call fit first")
    return state


def stored_state(tree: Any, arrays: list[np.ndarray], names: tuple[str, ...]) -> dict[str, Any]:
    """Some attributes of a stored `LSTMAutoencoder`, by name, and its network; nothing else is rebuilt."""
    state = tree.get("state") if isinstance(tree, dict) and tree.get("$object") == EXPORTED else None
    if not isinstance(state, dict) or "_network_state" not in state:
        raise ModelFileError(f"the file holds no {EXPORTED} with a network where one is needed")
    few = {name: state[name] for name in (*names, "_network_state") if name in state}
    return object_state({"$object": EXPORTED, "state": few}, arrays)[1]
