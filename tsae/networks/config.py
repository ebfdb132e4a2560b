"""Settings of networks and of their training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training, apart from those of the optimizer.

    Parameters
    ----------
    batch_size : int
        Windows per batch.
    clipnorm : float, optional
        Upper limit on the norm of each variable's gradient.
    clipvalue : float, optional
        Upper limit on the absolute values of the gradients; applied before `clipnorm`.
    schedule : "constant" or "cosine"
        Learning rate over the steps of one fit, see `tsae.networks.schedules.cosine_rates`. An optimizer with a Keras
        ``LearningRateSchedule`` keeps that schedule.
    """

    batch_size: int
    clipnorm: float | None = None
    clipvalue: float | None = None
    schedule: str = "constant"
