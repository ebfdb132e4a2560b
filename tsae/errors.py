"""Errors with a name of their own."""

from __future__ import annotations


class TrainingDivergedError(RuntimeError):
    """The training loss became NaN or infinite.

    The estimator keeps the weights of its best epoch before that, so it can still be used.
    """
