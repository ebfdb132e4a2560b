"""Keras objects as plain values: only classes that are listed by name, only settings that JSON can hold."""

from __future__ import annotations

from typing import Any


def listed_classes(module: Any, names: tuple[str, ...]) -> dict[str, type]:
    """Those of the named classes that this version of Keras has."""
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def find_class(classes: dict[str, type], name: Any) -> type:
    """Look up a class; ValueError for a name that is not listed."""
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"{name!r} is not one of {', '.join(classes)}")
    return classes[name]


def plain_settings(settings: dict) -> dict:
    """Convert NumPy scalars among the settings to Python's; TypeError for settings that are not plain."""
    return check_plain({key: value.item() if hasattr(value, "item") else value for key, value in settings.items()})


def check_plain(settings: dict) -> dict:
    """Return the settings if all of them are None, booleans, numbers, strings or lists of these; else TypeError."""
    for key, value in settings.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        if not all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            raise TypeError(f"the setting {key}={value!r} is not a plain value")
    return settings
