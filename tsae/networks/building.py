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


def make_optimizer(optimizer: Any, learning_rate: float) -> keras.optimizers.Optimizer:
    """A new optimizer from a name, with the learning rate, or from another optimizer, with all of its settings.

    Raises
    ------
    ValueError
        For a name that Keras does not know.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    try:
        made = keras.optimizers.get(optimizer)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"optimizer={optimizer!r} is not allowed; it must be the name of a Keras optimizer, such as 'adam' or "
            "'rmsprop', or a Keras optimizer"
        ) from error
    made.learning_rate = learning_rate
    return made
