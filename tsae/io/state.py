"""Between estimators and model files: objects of tsae's own classes become trees of plain values, and back.

A tree holds what JSON holds; everything else is an object with one key that begins with "$". Only classes registered
with `tsae.storable` are written, and only they are rebuilt: a name in a file is looked up there and nowhere else.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from tsae.errors import ForkedProcessError, ModelFileError
from tsae.io.archive import write_archive
from tsae.networks.process import ensure_usable
from tsae.storable import storable_classes

MAX_DEPTH = 100  # of a tree; no model is nested deeper

Tree = dict[str, Any]


class Saveable:
    """Adds `save` to an estimator."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a model file, which `tsae.load` reads.

        The file is a zip of JSON and plain arrays; reading it runs no code. It holds the parameters, the network's
        configuration and weights, the scaler, thresholds, library versions, checksums and a training summary. It
        does not hold callbacks and the optimizer's state: training that goes on after `load` starts a new optimizer.

        Parameters
        ----------
        path : path-like
            An existing file is replaced, all at once: a reader sees the old file or the new one.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If a parameter or attribute is of a kind that model files do not hold.
        OSError
            If the file cannot be written. What was at `path` is then still there.

        Warns
        -----
        UserWarning
            If there are callbacks, which are left out.
        """
        check_is_fitted(self)
        arrays = Arrays()
        state = to_tree(self, type(self).__name__, arrays)
        write_archive(path, type(self).__name__, state, arrays.stored, summary_of(self))


def summary_of(estimator: Any) -> Tree:
    """What a reader of a model file may want to know without loading it."""
    facts = {name: getattr(estimator, f"{name}_", None) for name in ("n_channels", "n_timesteps", "n_features_in")}
    if hasattr(estimator, "get_feature_names_out"):
        facts["n_features"] = len(estimator.get_feature_names_out())
    history = getattr(estimator, "history_", None)
    if isinstance(history, pd.DataFrame) and len(history):
        facts["n_epochs"] = len(history)
        facts.update((f"last_{name}", history[name].iloc[-1]) for name in ("loss", "val_loss") if name in history)
        if "val_loss" in history:
            facts["best_val_loss"] = history["val_loss"].min()
    held = {name: getattr(value, "estimator", value) for name, value in vars(estimator).items()}
    nested = {name: value for name, value in held.items() if _is_fitted_estimator(name, value)}
    facts.update((name, {"kind": type(value).__name__, **summary_of(value)}) for name, value in nested.items())
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in facts.items()}


def _is_fitted_estimator(name: str, value: Any) -> bool:
    return name.endswith("_") and isinstance(value, BaseEstimator) and type(value) in storable_classes().values()


# -- to trees --------------------------------------------------------------------------------------------------------


class Arrays:
    """The arrays of a tree; equal ones are stored once, such as the weights of an estimator that two others hold."""

    def __init__(self) -> None:
        self.stored: list[np.ndarray] = []
        self._positions: dict[tuple[Any, ...], int] = {}

    def add(self, array: np.ndarray) -> int:
        """Store an array and return its position."""
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._positions:
            self._positions[key] = len(self.stored)
            self.stored.append(array)
        return self._positions[key]


def to_tree(value: Any, where: str, arrays: Arrays) -> Any:
    """Turn a value into plain JSON; arrays are added to `arrays`. `where` names the value in errors."""
    if value is None or isinstance(value, (bool, int, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, np.ndarray):
        return _array_to_tree(value, where, arrays)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"$scalar": [value.dtype.name, to_tree(value.item(), where, arrays)]}
    if isinstance(value, list):
        return [to_tree(part, f"{where}[{i}]", arrays) for i, part in enumerate(value)]
    if type(value) is tuple:
        return {"$tuple": to_tree(list(value), where, arrays)}
    if isinstance(value, dict):
        return _dict_to_tree(value, where, arrays)
    if isinstance(value, pd.DataFrame):
        return _frame_to_tree(value, where, arrays)
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return _generator_to_tree(value, where, arrays)
    if isinstance(value, (timedelta, np.timedelta64)):
        return {"$timedelta": pd.Timedelta(value).isoformat()}
    if isinstance(value, FrozenEstimator):
        return {"$frozen": to_tree(value.estimator, f"{where}.estimator", arrays)}
    if type(value).__module__.startswith("keras."):
        return _keras_to_tree(value, where)
    return _object_to_tree(value, where, arrays)


def _array_to_tree(array: np.ndarray, where: str, arrays: Arrays) -> Tree:
    if array.dtype.kind == "O":
        if not all(isinstance(part, (str, int, float, bool, type(None))) for part in array.flat):
            raise TypeError(f"{where} is an array of objects, which a model file does not hold")
        return {"$objects": {"shape": list(array.shape), "values": to_tree(array.ravel().tolist(), where, arrays)}}
    if array.dtype.kind == "V":
        raise TypeError(f"{where} is an array of {array.dtype}, which a model file does not hold")
    return {"$array": arrays.add(array)}


def _dict_to_tree(value: Tree, where: str, arrays: Arrays) -> Tree:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: to_tree(part, f"{where}[{key!r}]", arrays) for key, part in value.items()}
    items = [[key, part] for key, part in value.items()]
    return {"$items": to_tree(items, where, arrays)}


def _frame_to_tree(frame: pd.DataFrame, where: str, arrays: Arrays) -> Tree:
    if not frame.index.equals(pd.RangeIndex(len(frame))) or not all(type(name) is str for name in frame):
        raise TypeError(f"{where} is a table with an index or with columns not named by text; reset its index")
    columns = [[name, to_tree(frame[name].to_numpy(), f"{where}[{name!r}]", arrays)] for name in frame]
    return {"$frame": columns}


def _generator_to_tree(value: Any, where: str, arrays: Arrays) -> Tree:
    if isinstance(value, np.random.RandomState):
        return {"$random_state": to_tree(value.get_state(legacy=False), where, arrays)}
    return {"$generator": to_tree(value.bit_generator.state, where, arrays)}


def _keras_to_tree(value: Any, where: str) -> Tree:
    from tsae.networks.optimizers import plain_optimizer
    from tsae.networks.regularizers import is_regularizer, plain_regularizer

    try:
        if is_regularizer(value):
            return {"$regularizer": plain_regularizer(value)}
        return {"$optimizer": plain_optimizer(value)}
    except TypeError as error:
        raise TypeError(f"{where} cannot be stored in a model file: {error}") from error


def _object_to_tree(value: Any, where: str, arrays: Arrays) -> Tree:
    name, classes = type(value).__name__, storable_classes()
    if classes.get(name) is not type(value):
        raise TypeError(
            f"{where} is {_a_kind(value)}, which a model file does not hold; it holds plain values, arrays and "
            f"objects of {', '.join(sorted(classes))}. Use pickle or joblib for anything else, among people you trust"
        )
    state = dict((value.__getstate__() if hasattr(value, "__getstate__") else vars(value)) or {})
    if state.get("callbacks"):
        warnings.warn(
            f"{where}.callbacks are not stored in the model file; set them again after load", UserWarning, stacklevel=2
        )
        state["callbacks"] = None
    return {"$object": name, "state": {key: to_tree(part, f"{where}.{key}", arrays) for key, part in state.items()}}


def _a_kind(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


# -- from trees ------------------------------------------------------------------------------------------------------


def from_tree(tree: Any, arrays: list[np.ndarray], depth: int = 0) -> Any:
    """Undo `to_tree`; ModelFileError for anything that it does not write."""
    if depth > MAX_DEPTH:
        raise ModelFileError(f"state.json is nested more than {MAX_DEPTH} deep")
    if isinstance(tree, list):
        return [from_tree(part, arrays, depth + 1) for part in tree]
    if not isinstance(tree, dict):
        return tree
    tags = [key for key in tree if key.startswith("$")]
    if not tags:
        return {key: from_tree(part, arrays, depth + 1) for key, part in tree.items()}
    if tags == ["$object"]:
        name, state = object_state(tree, arrays, depth)
        return rebuild(name, state)
    tag = tags[0]
    if len(tree) != 1 or tag not in {"$array", *_FROM_PLAIN, *_FROM_PARTS}:
        raise ModelFileError(f"state.json holds {sorted(tree)[:5]}, which this tsae does not know")
    try:
        if tag == "$array":
            return _array(tree[tag], arrays)
        if tag in _FROM_PLAIN:
            return _FROM_PLAIN[tag](tree[tag])
        return _FROM_PARTS[tag](from_tree(tree[tag], arrays, depth + 1))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"state.json holds a {tag} that cannot be read ({error})") from error


def object_state(tree: Tree, arrays: list[np.ndarray], depth: int = 0) -> tuple[str, Tree]:
    """Class name and attributes of a stored object, itself not yet rebuilt."""
    name, state = tree.get("$object"), tree.get("state")
    classes = storable_classes()
    if not isinstance(name, str) or name not in classes:
        raise ModelFileError(f"the file holds an object of class {name!r}; allowed are {', '.join(sorted(classes))}")
    if set(tree) != {"$object", "state"} or not isinstance(state, dict):
        raise ModelFileError(f"the stored {name} has no state")
    return name, {key: from_tree(part, arrays, depth + 1) for key, part in state.items()}


def rebuild(name: str, state: Tree) -> Any:
    """Make an object of a registered class from its attributes."""
    cls = storable_classes()[name]
    state = {**_default_parameters(cls), **state}
    parameters = set(inspect.signature(cls).parameters)
    for key in state:
        is_state = key.endswith("_") or key.startswith("_") or not issubclass(cls, BaseEstimator)
        known = key in parameters or (is_state and not hasattr(cls, key))
        if not key.isidentifier() or key.startswith("__") or not known:
            raise ModelFileError(f"{key!r} is not an attribute of {name}")
    made = cls.__new__(cls)
    try:
        made.__setstate__(state) if hasattr(made, "__setstate__") else vars(made).update(state)
        if hasattr(made, "_check_restored"):
            made._check_restored()  # noqa: SLF001, the hook of storable classes
    except (ForkedProcessError, ModelFileError, ImportError):
        raise
    except Exception as error:  # a forged file can make a constructor or Keras raise anything
        raise ModelFileError(f"the stored {name} cannot be rebuilt: {error}") from error
    return made


def _default_parameters(cls: type) -> Tree:
    """Parameters that came after a file was written have their defaults."""
    if not issubclass(cls, BaseEstimator):
        return {}
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _array(position: Any, arrays: list[np.ndarray]) -> np.ndarray:
    if type(position) is not int or not 0 <= position < len(arrays):
        raise ModelFileError(f"state.json refers to array {position!r}; the file has {len(arrays)}")
    return arrays[position]


def _scalar(parts: Any) -> Any:
    dtype, value = parts
    if dtype not in _SCALARS:
        raise ModelFileError(f"state.json holds a number of type {dtype!r}")
    return np.dtype(dtype).type(value)


def _objects(parts: Any) -> np.ndarray:
    shape, values = tuple(parts["shape"]), parts["values"]
    if not all(isinstance(part, (str, int, float, bool, type(None))) for part in values):
        raise ModelFileError("state.json holds an array of objects")
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made.reshape(shape)


def _random_state(state: Any) -> np.random.RandomState:
    made = np.random.RandomState(0)
    made.set_state(state)
    return made


def _generator(state: Any) -> np.random.Generator:
    if state["bit_generator"] not in _BIT_GENERATORS:
        raise ModelFileError(f"state.json holds a random generator of type {state['bit_generator']!r}")
    made = getattr(np.random, state["bit_generator"])(0)
    made.state = state
    return np.random.Generator(made)


def _frozen(estimator: Any) -> FrozenEstimator:
    if not isinstance(estimator, BaseEstimator):
        raise ModelFileError("state.json holds a frozen estimator that is none")
    return FrozenEstimator(estimator)


def _optimizer(plain: Any) -> Any:
    ensure_usable()
    from tsae.networks.optimizers import rebuild_optimizer

    return rebuild_optimizer(plain)


def _regularizer(plain: Any) -> Any:
    ensure_usable()
    from tsae.networks.regularizers import make_regularizer

    return make_regularizer(plain)


_SCALARS = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "float16", "float32")
_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# What is made of the content of a tag: of plain values as they are stored, or of parts that are rebuilt first.
_FROM_PLAIN: dict[str, Callable[[Any], Any]] = {
    "$float": {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.__getitem__,
    "$timedelta": pd.Timedelta,
    "$optimizer": _optimizer,
    "$regularizer": _regularizer,
}
_FROM_PARTS: dict[str, Callable[[Any], Any]] = {
    "$tuple": tuple,
    "$items": dict,
    "$scalar": _scalar,
    "$objects": _objects,
    "$frame": lambda columns: pd.DataFrame(dict(columns)),
    "$random_state": _random_state,
    "$generator": _generator,
    "$frozen": _frozen,
}
