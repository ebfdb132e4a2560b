"""The classes that model files hold. Each registers itself where it is defined, with the decorator `storable`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

# Modules that define them; imported before a class is looked up by name. None of them loads TensorFlow.
_HOMES = (
    "tsae.anomaly.combination",
    "tsae.anomaly.detector",
    "tsae.anomaly.defaults",  # which imports all scores
    "tsae.anomaly.thresholds",
    "tsae.data.scaling",
    "tsae.estimators.augmentation",
    "tsae.estimators.autoencoder",
    "tsae.estimators.classifier",
    "tsae.estimators.decoding",
    "tsae.estimators.seq2seq",
)
_CLASSES: dict[str, Any] = {}

C = TypeVar("C", bound=type)


def storable(cls: C) -> C:
    """Let model files hold objects of a class; a decorator."""
    known = _CLASSES.setdefault(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"model files hold {known.__module__}.{known.__name__} already; choose another name")
    return cls


def storable_classes() -> dict[str, Any]:
    """All registered classes by name."""
    for home in _HOMES:
        import_module(home)
    return _CLASSES
