"""How names and parameters retire; the policy is in CONTRIBUTING.md."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

NOT_GIVEN = "deprecated"  # the default of a deprecated parameter, as in scikit-learn


def deprecated(*, since: str, removed_in: str, instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function or method warn, whenever it is called, that it will be removed.

    Parameters
    ----------
    since : str
        The version that deprecates it.
    removed_in : str
        The version that will no longer have it.
    instead : str
        What to use in its place.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> @deprecated(since="0.2", removed_in="0.4", instead="`make_windows`")
    ... def cut_windows(data):
    ...     return data
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def warn_and_call(*args: P.args, **kwargs: P.kwargs) -> R:
            _warn(f"`{function.__qualname__}`", since, removed_in, instead, stacklevel=3)
            return function(*args, **kwargs)

        return warn_and_call

    return decorate


def deprecated_parameter(name: str, value: Any, *, since: str, removed_in: str, instead: str) -> bool:
    """Tell whether a deprecated parameter was given, and warn if so.

    An estimator calls it in ``fit``, any other function where it begins.

    Parameters
    ----------
    name : str
        The parameter. Its default must be `NOT_GIVEN`.
    value : object
        The value it has.
    since : str
        The version that deprecates it.
    removed_in : str
        The version that will no longer have it.
    instead : str
        What to use in its place.

    Returns
    -------
    bool
        Whether it was given.

    Examples
    --------
    >>> def rate(learning_rate=0.001, lr=NOT_GIVEN):
    ...     if deprecated_parameter("lr", lr, since="0.2", removed_in="0.4", instead="`learning_rate`"):
    ...         learning_rate = lr
    ...     return learning_rate
    >>> rate()
    0.001
    """
    given = not (isinstance(value, str) and value == NOT_GIVEN)
    if given:
        _warn(f"The parameter `{name}`", since, removed_in, instead, stacklevel=4)
    return given


def _warn(what: str, since: str, removed_in: str, instead: str, stacklevel: int) -> None:
    """FutureWarning is shown by default, DeprecationWarning only to developers."""
    message = f"{what} is deprecated since tsae {since} and will be removed in {removed_in}; use {instead}."
    warnings.warn(message, FutureWarning, stacklevel=stacklevel)
