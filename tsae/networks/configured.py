"""Keras models that are made from a frozen config, held as `.config`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras

from tsae.networks.config import from_json, to_json


class ConfiguredModel(keras.Model):
    """Base of the networks: built from a config alone, and stored by Keras as that config's plain values.

    Parameters
    ----------
    config : the class's `config_class`
    name : str
    """

    config_class: ClassVar[type]

    def __init__(self, config: Any, name: str, **kwargs: Any):
        super().__init__(name=name, dtype="float32", **kwargs)  # whatever the policy of Keras
        self.config = config

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Functions (x, masked, **options) of a batch of windows, by name.

        x: (batch, n_timesteps, n_channels) float32, NaN where missing; masked: whether any value is missing.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**to_json(self.config), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003, as in Keras
        plain = dict(config)
        name = plain.pop("name")
        return cls(from_json(cls.config_class, plain), name=name)


class TrainableModel(ConfiguredModel):
    """Base of the networks that a `Trainer` fits; see `tsae.networks.protocols.TrainableNetwork`."""

    tbptt_steps: int | None = None
    has_recurrent_decoders = False

    def initial_state(self, batch_size: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} is not trained in chunks; {batch_size} windows have no state")
