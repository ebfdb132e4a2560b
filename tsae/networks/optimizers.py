"""Optimizers as plain values, for model files: Keras's own classes, by name, with plain settings and nothing else."""

from __future__ import annotations

from typing import Any

import keras

OPTIMIZERS = (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lion", "Muon", "Nadam", "RMSprop", "SGD",
)  # fmt: skip
SCHEDULES = (
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
    "PolynomialDecay",
)  # fmt: skip


def plain_optimizer(optimizer: Any) -> dict:
    """Class name and settings of one of Keras's optimizers; its state is left out.

    Raises
    ------
    TypeError
        For any other object, and for an optimizer with settings that are not plain.
    """
    if type(optimizer) not in _classes(keras.optimizers, OPTIMIZERS).values():
        raise TypeError(
            f"{type(optimizer).__name__} is not one of the Keras optimizers that a model file holds: "
            f"{', '.join(OPTIMIZERS)}"
        )
    settings = optimizer.get_config()
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        if type(schedule) not in _classes(keras.optimizers.schedules, SCHEDULES).values():
            raise TypeError(f"its schedule {type(schedule).__name__} is not one of Keras's {', '.join(SCHEDULES)}")
        settings["learning_rate"] = {"schedule": type(schedule).__name__, "settings": _plain(schedule.get_config())}
    return {"name": type(optimizer).__name__, "settings": _plain(settings)}


def rebuild_optimizer(plain: dict) -> keras.optimizers.Optimizer:
    """Undo `plain_optimizer`; ValueError for what it does not write."""
    settings = dict(plain["settings"])
    rate = settings.get("learning_rate")
    if isinstance(rate, dict):
        schedules = _classes(keras.optimizers.schedules, SCHEDULES)
        settings["learning_rate"] = _named(schedules, rate["schedule"])(**_checked(rate["settings"]))
        return _named(_classes(keras.optimizers, OPTIMIZERS), plain["name"])(**_checked(settings, "learning_rate"))
    return _named(_classes(keras.optimizers, OPTIMIZERS), plain["name"])(**_checked(settings))


def _classes(module: Any, names: tuple[str, ...]) -> dict[str, type]:
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def _named(classes: dict[str, type], name: Any) -> type:
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"{name!r} is not one of {', '.join(classes)}")
    return classes[name]


def _plain(settings: dict) -> dict:
    settings = {key: value.item() if hasattr(value, "item") else value for key, value in settings.items()}
    return _checked(settings, "learning_rate" if isinstance(settings.get("learning_rate"), dict) else None)


def _checked(settings: dict, but: str | None = None) -> dict:
    """The settings, if all of them (`but` one) are plain values or lists of them."""
    for key, value in settings.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        if key != but and not all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            raise TypeError(f"the setting {key}={value!r} is not a plain value")
    return settings
