"""What the trainer needs of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tsae.networks.random_state import StepRandomState


class TrainableNetwork(Protocol):
    """A Keras model that `tsae.networks.training.Trainer` can fit.

    Attributes
    ----------
    config : Any
        The settings that it was made from.
    variables, trainable_variables : list of keras.Variable
    losses : list of scalar tensors
        Penalties on weights; added to the loss once per batch.
    optimizer, stop_training : Any, bool
        Set by the trainer and by Keras callbacks.
    tbptt_steps : int or None
        Truncated backpropagation through time: a window is processed in chunks of this many steps, with one update
        after each; None: a window is one chunk.
    has_recurrent_decoders : bool
        Whether there are recurrent decoders, whose loops are worth compiling in long training.
    prepare : callable(x, weights, masked, rng[, targets]) -> dict
        Turns a whole batch into what `batch_loss` reads, a structure of tensors with one row per window.
        x: (batch, n_timesteps, n_channels) float32, NaN where missing if `masked`; weights: (batch,) float32; rng: a
        `StepRandomState`; targets: (batch, n_target_timesteps, n_target_channels) float32, if the data has targets.
        It must not depend on the network's weights.
    """

    config: Any
    variables: list
    trainable_variables: list
    losses: list
    optimizer: Any
    stop_training: bool
    tbptt_steps: int | None
    has_recurrent_decoders: bool
    prepare: Callable[..., dict[str, Any]]

    def batch_loss(self, batch: dict[str, Any], rng: StepRandomState | None) -> Any:
        """Compute the loss of a batch, or of some of its rows; losses of parts of a batch add up to that of the batch.

        Parameters
        ----------
        batch : dict
            What `prepare` returned. With `tbptt_steps` also "state": before the first chunk `initial_state`, later the
            state that this method returned for the chunk before.
        rng : StepRandomState or None
            None: no dropout or other randomness, as in validation.

        Returns
        -------
        scalar tensor; with ``batch["state"]`` a tuple of it and the state after the chunk
        """

    def initial_state(self, batch_size: int) -> Any:
        """State before the first chunk of a window, a structure of tensors (batch_size, units)."""

    def get_weights(self) -> list:
        """Values of all weights."""

    def set_weights(self, weights: list) -> None:
        """Assign the values of all weights."""
