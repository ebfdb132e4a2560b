"""Optimizers: made from a name or from one another; and as plain values, for model files.

A model file holds Keras's own classes, by name, with plain settings and nothing else.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from tsae.networks.plain_values import check_plain, find_class, listed_classes, plain_settings

OPTIMIZERS = listed_classes(keras.optimizers, (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lion", "Muon", "Nadam", "RMSprop", "SGD",
))  # fmt: skip
SCHEDULES = listed_classes(keras.optimizers.schedules, (
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
    "PolynomialDecay",
))  # fmt: skip


def optimizer_settings(optimizer: Any) -> Any:
    """What tells optimizers given as a parameter apart: the name, or the class and settings."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).__name__, optimizer.get_config()
    return optimizer


def make_optimizer(optimizer: Any, learning_rate: float, variables: list) -> keras.optimizers.Optimizer:
    """A new optimizer of variables: from a name, with the learning rate, or with all settings of another optimizer.

    Raises
    ------
    ValueError
        For a name that Keras does not know.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        made = type(optimizer).from_config(optimizer.get_config())
    else:
        made = _optimizer_of_name(optimizer)
        made.learning_rate = learning_rate
    made.build(variables)
    _skip_all_reduce(made)
    return made


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is neither an optimizer nor the name of one.

    Raises
    ------
    ValueError
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        _optimizer_of_name(optimizer)


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


def _skip_all_reduce(optimizer: Any) -> None:
    """With one replica, skip the sum of gradients over replicas: TensorFlow never frees the graphs that contain it."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1 and hasattr(optimizer, "_all_reduce_sum_gradients"):
        # Keras has no public way to switch it off.
        optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars  # noqa: SLF001
