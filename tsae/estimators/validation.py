"""Checks of constructor arguments; every error names the argument, the value got and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """Refuse a value that is not one of those allowed."""
    allowed = list(allowed)
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in allowed):
        raise ValueError(f"{name}={value!r} is not allowed; choose from {', '.join(map(repr, allowed))}")


def check_flag(name: str, value: Any) -> None:
    """Refuse a value that is neither True nor False."""
    check_choice(name, value, [True, False])


def check_number(
    name: str, value: Any, low: float, high: float = np.inf, *, integer: bool = False, none: bool = False,
    open_low: bool = False, open_high: bool = False, or_else: str = "",
) -> None:  # fmt: skip
    """Refuse a value that is not a number, or an integer, from `low` to `high`."""
    if none and value is None:
        return
    kind: Any = Integral if integer else Real
    inside = isinstance(value, kind) and not isinstance(value, (bool, np.bool_)) and low <= value <= high
    if inside and not (open_low and value == low) and not (open_high and value == high):
        return
    noun = "an integer" if integer else "a number"
    upper = "" if high == np.inf else f" and {'below' if open_high else 'at most'} {high}"
    raise ValueError(
        f"{name}={value!r} is not allowed; it must be {noun} {'above' if open_low else 'of at least'} {low}{upper}"
        + (", or None" if none else "")
        + (f", or {or_else}" if or_else else "")
    )


def check_or_auto(name: str, value: Any, low: int, *, none: bool = False) -> None:
    """An integer of at least `low`, or "auto"."""
    if not (isinstance(value, str) and value == "auto"):
        check_number(name, value, low, integer=True, none=none, or_else="'auto'")


def as_layers(name: str, value: Any) -> list[int]:
    """Units of stacked layers: an integer, or a sequence of them."""
    layers: Sequence[Any] = [value] if isinstance(value, (Integral, Real, str)) or value is None else list(value)
    if not layers:
        raise ValueError(f"{name}={value!r} is not allowed; it needs at least one layer")
    for units in layers:
        if not isinstance(units, Integral) or isinstance(units, bool) or units < 1:
            raise ValueError(
                f"{name}={value!r} is not allowed; it must be an integer of at least 1, or a sequence of such, "
                "one per layer"
            )
    return [int(units) for units in layers]


def as_choices(name: str, value: Any, allowed: Iterable[str]) -> list[str]:
    """One or several of the allowed words, none twice."""
    allowed = list(allowed)
    chosen = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if not chosen or len(set(map(repr, chosen))) < len(chosen) or any(c not in allowed for c in chosen):
        raise ValueError(
            f"{name}={value!r} is not allowed; choose one or several (each once) of {', '.join(map(repr, allowed))}"
        )
    return chosen


def check_random_state(random_state: Any) -> None:
    """Refuse what `draw_seed` cannot draw a seed from."""
    if not isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        generators = "a numpy.random.RandomState or Generator"
        check_number("random_state", random_state, 0, 2**32 - 1, integer=True, none=True, or_else=generators)


def draw_seed(random_state: Any) -> int:
    """A seed from scikit-learn's kind of `random_state`, without touching any global generator."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    check_random_state(random_state)
    return int(np.random.RandomState(int(random_state)).randint(2**31))
