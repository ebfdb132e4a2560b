"""From plain settings to networks and trainers."""

from __future__ import annotations

from typing import Any

import keras

from tsae.networks.classification import Classifier
from tsae.networks.network import Autoencoder
from tsae.networks.seq2seq import Seq2Seq
from tsae.networks.training import Trainer

NETWORKS = {"autoencoder": Autoencoder, "classifier": Classifier, "seq2seq": Seq2Seq}


def build_network(config: dict) -> Any:
    """Make the network that `config` (a network's `get_config`) describes, with its initial weights."""
    return NETWORKS[config["name"]](**config)


def build_trainer(network, *, optimizer, learning_rate, **options) -> Trainer:
    """Make a trainer; `optimizer` is a name of Keras's, or an optimizer to copy; `options` are the `Trainer`'s."""
    return Trainer(network, make_optimizer(optimizer, learning_rate), **options)


def make_optimizer(optimizer: Any, learning_rate: float) -> keras.optimizers.Optimizer:
    """A fresh optimizer from a name, with the learning rate, or from another optimizer, with all of its settings.

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
