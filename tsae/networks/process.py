"""The process that networks run in: TensorFlow loaded quietly, Keras on top of it, and not forked after it ran."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tsae.errors import ForkedProcessError

# What TensorFlow's libraries write as they start, on every machine without a GPU.
_START_MESSAGES = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations|Could not find cuda drivers|cuInit|"
    rb"cpu_feature_guard|To enable the following instructions|[Uu]nable to register cu|computation_placer|TF-TRT"
)


@dataclass
class _State:
    is_ready: bool = False
    is_forked: bool = False


_state = _State()


def ensure_usable() -> None:
    """Load TensorFlow and Keras, at the first call; before anything else of theirs is used.

    Raises
    ------
    ForkedProcessError
        In a process that was forked after TensorFlow had run.
    ImportError
        If Keras runs on another backend, or is not installed.
    """
    if _state.is_forked:
        raise ForkedProcessError(
            "this process was forked from one in which TensorFlow had already run; here TensorFlow would wait for "
            "ever for threads that were not copied. Start processes with multiprocessing's 'spawn' or joblib's 'loky' "
            "(the default); or load models in the children alone (gunicorn: without --preload); or use "
            "tsae.load(path, engine='onnx'), an OnnxEncoder, which needs no TensorFlow"
        )
    if not _state.is_ready:
        with _without_start_messages():
            _load()
        _state.is_ready = True


def _load() -> None:
    wanted = os.environ.get("KERAS_BACKEND", "tensorflow")
    remedy = "set the environment variable KERAS_BACKEND=tensorflow before Python imports keras"
    try:
        import keras
    except ImportError as error:
        if wanted == "tensorflow":
            raise
        raise ImportError(f"tsae runs on TensorFlow, but KERAS_BACKEND is {wanted!r} ({error}); {remedy}") from error
    if keras.config.backend() != "tensorflow":
        raise ImportError(f"tsae runs on TensorFlow, but Keras runs on {keras.config.backend()!r}; {remedy}")
    import tensorflow as tf

    tf.config.list_logical_devices()  # looks for GPUs now, instead of at the first operation


@contextmanager
def _without_start_messages() -> Iterator[None]:
    """Hold back what is written to standard error, and pass on all but TensorFlow's usual start messages."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            others = b"".join(line for line in held if not _START_MESSAGES.search(line))
            if others:
                os.write(2, others)


def _after_fork() -> None:
    # Keras models that are not of tsae start TensorFlow, too; it has no public way to ask.
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    _state.is_forked = _state.is_forked or _state.is_ready or bool(getattr(context, "_initialized", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
