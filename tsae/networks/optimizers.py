"""Optimizers as plain values, for model files: Keras's own classes, by name, with plain settings and nothing else."""

from __future__ import annotations

from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from tsae.networks.plain_values import check_plain, find_class, listed_classes, plain_settings

OPTIMIZERS = listed_classes(keras.optimizers, (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lion", "Muon", "Nadam", "RMSprop", "SGD",
))  # fmt: skip
SCHEDULES = listed_classes(keras.optimizers.schedules, (
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
    "PolynomialDecay",
))  # fmt: skip


def schedule_of(optimizer: Any) -> LearningRateSchedule | None:
    """Return the learning rate schedule that an optimizer was given, if any.

    Its public attribute `learning_rate` is the schedule's current value.
    """
    schedule = getattr(optimizer, "_learning_rate", None)
    return schedule if isinstance(schedule, LearningRateSchedule) else None


def plain_optimizer(optimizer: Any) -> dict:
    """Class name and settings of a Keras optimizer, without its state.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        One of `OPTIMIZERS`, with a constant learning rate or one of `SCHEDULES`.

    Returns
    -------
    dict
        {"name": ..., "settings": {...}}, plain values.

    Raises
    ------
    TypeError
        For any other object, and for an optimizer with settings that are not plain.
    """
    if type(optimizer) not in OPTIMIZERS.values():
        raise TypeError(
            f"{type(optimizer).__name__} is not one of the Keras optimizers that a model file holds: "
            f"{', '.join(OPTIMIZERS)}"
        )
    settings, schedule = optimizer.get_config(), schedule_of(optimizer)
    if schedule is None:
        return {"name": type(optimizer).__name__, "settings": plain_settings(settings)}
    if type(schedule) not in SCHEDULES.values():
        raise TypeError(f"its schedule {type(schedule).__name__} is not one of Keras's {', '.join(SCHEDULES)}")
    rate = {"schedule": type(schedule).__name__, "settings": plain_settings(schedule.get_config())}
    del settings["learning_rate"]
    return {"name": type(optimizer).__name__, "settings": {**plain_settings(settings), "learning_rate": rate}}


def rebuild_optimizer(plain: dict) -> keras.optimizers.Optimizer:
    """Make the optimizer that `plain_optimizer` described.

    Raises
    ------
    ValueError
        For a class that is not listed.
    TypeError
        For settings that are not plain.
    """
    make, settings = find_class(OPTIMIZERS, plain["name"]), dict(plain["settings"])
    rate = settings.get("learning_rate")
    if not isinstance(rate, dict):
        return make(**check_plain(settings))
    del settings["learning_rate"]
    schedule = find_class(SCHEDULES, rate["schedule"])(**check_plain(rate["settings"]))
    return make(**check_plain(settings), learning_rate=schedule)
