"""From configs to networks and trainers."""

from __future__ import annotations

from typing import Any

import keras

from tsae.networks.classification import Classifier
from tsae.networks.config import TrainingConfig
from tsae.networks.network import Autoencoder
from tsae.networks.seq2seq import Seq2Seq
from tsae.networks.training import Trainer

NETWORKS: dict[str, Any] = {"autoencoder": Autoencoder, "classifier": Classifier, "seq2seq": Seq2Seq}
_BY_CONFIG = {network.config_class: network for network in NETWORKS.values()}


def build_network(config: Any) -> Any:
    """Make the network of an AutoencoderConfig, ClassifierConfig or Seq2SeqConfig, with its initial weights."""
    return _BY_CONFIG[type(config)](config)


def build_trainer(network: Any, optimizer: Any, learning_rate: float, config: TrainingConfig, seed: int) -> Trainer:
    """Make a trainer; `optimizer` is a name that Keras knows, or an optimizer to copy."""
    return Trainer(network, make_optimizer(optimizer, learning_rate), config, seed=seed)


def optimizer_settings(optimizer: Any) -> Any:
    """What tells optimizers given as a parameter apart: the name, or the class and settings."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).__name__, optimizer.get_config()
    return optimizer


def make_optimizer(optimizer: Any, learning_rate: float) -> keras.optimizers.Optimizer:
    """A new optimizer from a name, with the learning rate, or from another optimizer, with all of its settings.

    Raises
    ------
    ValueError
        For a name that Keras does not know.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    made = _optimizer_of_name(optimizer)
    made.learning_rate = learning_rate
    return made


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is neither an optimizer nor the name of one.

    Raises
    ------
    ValueError
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        _optimizer_of_name(optimizer)


def check_callbacks(callbacks: Any) -> None:
    """Refuse what is no list of callbacks.

    Raises
    ------
    ValueError
    """
    if callbacks is None:
        return
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks={callbacks!r} is not allowed; it must be a list of Keras callbacks, or None")
    for position, callback in enumerate(callbacks):
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                f"callbacks[{position}]={callback!r} is not allowed; it must be a keras.callbacks.Callback"
            )


def _optimizer_of_name(optimizer: Any) -> keras.optimizers.Optimizer:
    message = (
        f"optimizer={optimizer!r} is not allowed; it must be the name of a Keras optimizer, such as 'adam' or "
        "'rmsprop', or a Keras optimizer"
    )
    if not isinstance(optimizer, str):
        raise ValueError(message)
    try:
        return keras.optimizers.get(optimizer)
    except ValueError as error:
        raise ValueError(message) from error
