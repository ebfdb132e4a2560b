"""The published systems that tsae generalises, each through its public API: published figure beside measured figure.

    python -m benchmarks.reference_systems                # all of them: the table of docs/reference-systems.md
    python -m benchmarks.reference_systems --only S8 S10

One function per system. All data are generated from fixed seeds, so that one machine always gives the same figures;
only times differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """One measured figure, beside the published one."""

    what: str
    published: str
    ours: str
    reached: bool


class System(NamedTuple):
    """A published system: its name, how much training it gets, and the function that rebuilds it."""

    name: str
    budget: str
    run: Callable[[], Iterator[Row]]


SYSTEMS: dict[str, System] = {}


def system(key: str, name: str, budget: str) -> Callable:
    """Register a function that yields the rows of a system."""

    def register(run: Callable[[], Iterator[Row]]) -> Callable:
        SYSTEMS[key] = System(name, budget, run)
        return run

    return register


# The encoder of the tutorials: one forward layer, whose last state is the code.
CLASSIC = {"dilations": 1, "bidirectional": False, "pooling": "last", "scale": None, "schedule": "constant"}


def mean_and_spread(values: Any) -> str:
    """Format mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def shapes(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Windows of 48 steps: five kinds of noisy wave, of random phase and period; and the kind of each."""
    kinds = rng.integers(0, 5, n)
    turns = np.arange(48) / rng.uniform(12, 16, (n, 1)) + rng.uniform(0, 1, (n, 1))
    saw = turns % 1
    waves = np.stack([
        np.sin(2 * np.pi * turns), np.sign(np.sin(2 * np.pi * turns)), 2 * saw - 1, 1 - 2 * saw,
        2 * np.abs(2 * saw - 1) - 1,
    ])  # fmt: skip
    X = waves[kinds, np.arange(n)] + 0.1 * rng.normal(size=(n, 48))
    return X[..., None], kinds
