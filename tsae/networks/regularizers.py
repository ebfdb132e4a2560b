"""Regularizers as plain values, for settings and model files: four classes of Keras, with plain settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tsae.networks.plain_values import check_plain, find_class, listed_classes, plain_settings

REGULARIZERS = listed_classes(keras.regularizers, ("L1", "L2", "L1L2", "OrthogonalRegularizer"))
# The default factors of Keras's L1 and L2, for "l1_l2" too: those of L1L2 are 0, which would do nothing.
NAMED = {
    "l1": {"class_name": "L1", "config": {"l1": 0.01}},
    "l2": {"class_name": "L2", "config": {"l2": 0.01}},
    "l1_l2": {"class_name": "L1L2", "config": {"l1": 0.01, "l2": 0.01}},
}
ALLOWED = (
    f"None, {', '.join(map(repr, NAMED))}, a keras.regularizers object ({', '.join(REGULARIZERS)}) or its plain form "
    '{"class_name": ..., "config": {...}}'
)


def plain_regularizer(value: Any, name: str = "regularizer") -> dict | None:
    """Class name and settings of a Keras regularizer.

    Parameters
    ----------
    value : None, str, keras.regularizers.Regularizer or dict
        "l1", "l2" or "l1_l2", with a factor of 0.01 each; an object of one of `REGULARIZERS`; or Keras's plain form of
        one, {"class_name": ..., "config": {...}}, as of ``keras.regularizers.serialize``.
    name : str
        The argument that error messages name.

    Returns
    -------
    dict or None
        {"class_name": str, "config": {...}} with plain values.

    Raises
    ------
    TypeError
        For an object of another type.
    ValueError
        For an unknown name or class, or settings that the class does not take.

    Examples
    --------
    >>> plain_regularizer("l2")
    {'class_name': 'L2', 'config': {'l2': 0.01}}
    """
    if value is None:
        return None
    if isinstance(value, dict):
        return _describe(_make(value, name))
    if isinstance(value, str):
        if value not in NAMED:
            raise ValueError(f"{name}={value!r} is not allowed; it must be {ALLOWED}")
        return _describe(_make(NAMED[value], name))
    if type(value) not in REGULARIZERS.values():
        raise TypeError(f"{name} is of type {type(value).__name__}, which is not allowed; it must be {ALLOWED}")
    return _describe(value)


def is_regularizer(value: Any) -> bool:
    """Whether a value is one of Keras's regularizers, allowed or not."""
    return isinstance(value, keras.regularizers.Regularizer)


def make_regularizer(plain: Mapping[str, Any] | None) -> keras.regularizers.Regularizer | None:
    """Make the regularizer that `plain_regularizer` described.

    Raises
    ------
    ValueError
        For a class that is not listed, or settings that it does not take.
    """
    return None if plain is None else _make(plain, "regularizer")


def _describe(regularizer: keras.regularizers.Regularizer) -> dict:
    return {"class_name": type(regularizer).__name__, "config": plain_settings(regularizer.get_config())}


def _make(plain: Mapping[str, Any], name: str) -> keras.regularizers.Regularizer:
    try:
        return find_class(REGULARIZERS, plain["class_name"])(**check_plain(plain["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name}={plain!r} is not allowed ({error}); it must be {ALLOWED}") from error
