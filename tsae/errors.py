"""Errors with a name of their own."""

from __future__ import annotations


class TrainingDivergedError(RuntimeError):
    """The training loss became NaN or infinite.

    The estimator keeps the weights of its best epoch before that, so it can still be used.
    """


class ModelFileError(ValueError):
    """A model file cannot be read: it is damaged, of another format or version, or holds what tsae does not know."""


class ForkedProcessError(RuntimeError):
    """A network is used in a process that was forked after TensorFlow had run, where TensorFlow never answers."""
