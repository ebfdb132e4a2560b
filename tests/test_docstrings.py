"""Public docstrings follow numpydoc, and document the parameters that there are."""

from __future__ import annotations

import inspect
from functools import cached_property
from importlib import import_module

import pytest
from numpydoc.validate import validate

import tsae

CODES = {
    "GL06": "unknown section",
    "GL07": "sections out of order",
    "GL08": "no docstring",
    "SS03": "summary without a full stop",
    "SS06": "summary of more than one line",
    "PR01": "a parameter is not documented",
    "PR02": "a documented parameter does not exist",
    "PR03": "parameters in another order than in the signature",
    "PR10": "no space before the colon of a parameter",
    "RT01": "no Returns section",
    "YD01": "no Yields section",
    "EX01": "no Examples section",
}

MODULES = ["tsae.datasets", "tsae.splitting", "tsae.timeline", "tsae.anomaly.thresholds"]


def public_objects():
    """Classes and functions of the public interface, by their full names."""
    found = [getattr(tsae, name) for name in tsae.__all__]
    for module in map(import_module, MODULES):
        own = [key for key, item in vars(module).items() if getattr(item, "__module__", None) == module.__name__]
        found += [getattr(module, key) for key in getattr(module, "__all__", own) if not key.startswith("_")]
    found = [item for item in found if (inspect.isclass(item) or inspect.isfunction(item)) and is_ours(item)]
    return {f"{item.__module__}.{item.__qualname__}": item for item in found}


def is_ours(item):
    item = getattr(item, "fget", None) or getattr(item, "func", None) or getattr(item, "__func__", item)
    return getattr(item, "__module__", "").split(".")[0] == "tsae"


def methods_of(cls):
    """Full names of the public methods and properties that are defined in tsae.

    A method without a docstring of its own has that of the base class it overrides.
    """
    kinds = (property, cached_property, classmethod, staticmethod)
    for name in sorted({name for base in cls.__mro__ for name in vars(base) if not name.startswith("_")}):
        homes = [base for base in cls.__mro__ if name in vars(base)]
        method = vars(homes[0])[name]
        if is_ours(method) and (inspect.isfunction(method) or isinstance(method, kinds)):
            home = next((base for base in homes if vars(base)[name].__doc__), homes[0])
            if is_ours(home):
                yield f"{home.__module__}.{home.__qualname__}.{name}"


OBJECTS = public_objects()
METHODS = sorted({method for item in OBJECTS.values() if inspect.isclass(item) for method in methods_of(item)})


def problems(name, without=()):
    return [f"{code}: {text}" for code, text in validate(name)["errors"] if code in CODES and code not in without]


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_classes_and_functions(name):
    item = OBJECTS[name]
    is_error = inspect.isclass(item) and issubclass(item, Exception)
    found = problems(name, without={"EX01"} if is_error else ())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    found = problems(name, without={"EX01"})
    assert not found, "\n".join(found)


def badly_documented(alpha, gamma):
    """Do nothing.

    Parameters
    ----------
    alpha : float
        The first.
    beta : float
        Not there.
    """


def test_the_check_finds_parameters_that_do_not_exist_and_those_left_out():
    found = "\n".join(problems(f"{__name__}.badly_documented"))
    assert "PR01" in found
    assert "gamma" in found
    assert "PR02" in found
    assert "beta" in found
