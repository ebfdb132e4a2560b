"""From configs to networks."""

from __future__ import annotations

from typing import Any

import keras

from tsae.networks.classification import Classifier
from tsae.networks.network import Autoencoder
from tsae.networks.seq2seq import Seq2Seq

NETWORKS: dict[str, Any] = {"autoencoder": Autoencoder, "classifier": Classifier, "seq2seq": Seq2Seq}
_BY_CONFIG = {network.config_class: network for network in NETWORKS.values()}


def build_network(config: Any) -> Any:
    """Make the network of an AutoencoderConfig, ClassifierConfig or Seq2SeqConfig, with its initial weights."""
    return _BY_CONFIG[type(config)](config)


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
