"""Containers of data that are accepted as series (by `make_windows`) and as windows (by estimators).

Each kind is a small class that recognises and reads it. To add one, write a `Container` and decorate it with
`register`: `make_windows` and `as_windows` then accept it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.frames import is_table, series_from_table
from tsae.data.series import (
    GroupedSeries,
    as_float,
    concatenate_arrays,
    first_infinite,
    number_channels,
    series_from_arrays,
)
from tsae.data.windows import Windows

# ------------------------------------------------------------------------------------------ containers


@dataclass(frozen=True)
class ColumnNames:
    """The arguments of `make_windows` that name columns."""

    id_column: Any
    time_column: Any
    value_columns: Sequence[Any] | None

    def refuse(self, data: Any) -> None:
        """Raise if a column is named, for data that has none."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                raise ValueError(f"{field.name}={value!r}, but data is a {type(data).__name__}, without columns")


class Container:
    """A kind of input: how it is recognised, and how it is read as series or as windows.

    This base class is also the last in the list. It accepts everything: as windows whatever numpy makes an array of,
    as series nothing.
    """

    def accepts(self, data: Any) -> bool:  # noqa: ARG002
        """Tell whether `data` is of this kind.

        Parameters
        ----------
        data : object
            What the user passed.

        Returns
        -------
        bool
            The first container in the list that accepts the data reads it.
        """
        return True

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read the series that `make_windows` cuts.

        Parameters
        ----------
        data : object
            What the user passed.
        columns : ColumnNames
            The columns that were named; a container without columns calls ``columns.refuse(data)``.

        Returns
        -------
        GroupedSeries
            Not yet checked for infinities.
        """
        columns.refuse(data)
        raise TypeError(
            f"data is a {type(data).__module__}.{type(data).__qualname__}; allowed are tables of pandas and "
            "polars, arrays of shape (n_rows,) or (n_rows, n_channels), and lists or dicts of such arrays"
        )

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read the X of estimators.

        Parameters
        ----------
        X : object
            What the user passed.
        name : str
            How errors call it.

        Returns
        -------
        GroupedSeries
            Each window as a series of its own, not yet checked for infinities.
        """
        return one_series_per_window(X, name)

    def is_tabular(self, X: Any) -> bool:
        """Tell whether scikit-learn's ``validate_data`` is to check X first.

        Parameters
        ----------
        X : object
            What the user passed.

        Returns
        -------
        bool
            True for one row per window and one column per feature, and for what is not understood at all.
        """
        return getattr(X, "ndim", 2) != 3


CONTAINERS: list[Container] = [Container()]


def register(kind: type[Container]) -> type[Container]:
    """Add a kind of container, as a class decorator."""
    CONTAINERS.insert(0, kind())
    return kind


def find_container(data: Any) -> Container:
    """Return the first container that accepts `data`."""
    return next(container for container in CONTAINERS if container.accepts(data))


@register
class Table(Container):
    """A pandas or polars table; as windows, one row per window and one column per step."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is a table."""
        return is_table(data)

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read a long or a wide table."""
        return series_from_table(data, columns.id_column, columns.time_column, columns.value_columns)

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read the values of all columns."""
        if hasattr(X, "columns"):
            X = series_from_table(X.reset_index(drop=True) if isinstance(X, pd.DataFrame) else X).values
        return one_series_per_window(X, name)


@register
class Arrays(Container):
    """A numpy array, or a dict of arrays."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is an array or a dict."""
        return isinstance(data, (np.ndarray, Mapping))

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read an array as one series, a dict as one series per entry."""
        columns.refuse(data)
        return series_from_arrays(data)


@register
class ArrayList(Arrays):
    """A list of arrays; as windows, one array per window, whose lengths may differ."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is a list or tuple."""
        return isinstance(data, (list, tuple))

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read one window per entry."""
        if not X:
            raise ValueError(f"Found {name} with 0 sample(s): the list is empty")
        if np.ndim(X[0]) == 0:
            raise ValueError(
                f"Expected 2D array, got 1D array instead: {name} is a list of single values. Reshape your data: "
                "a list holds one array of shape (n_timesteps,) or (n_timesteps, n_channels) per window"
            )
        values, offsets = concatenate_arrays(X, [f"{name}[{position}]" for position in range(len(X))])
        lengths = np.diff(offsets)
        if not lengths.all():
            raise ValueError(f"{name}[{np.flatnonzero(lengths == 0)[0]}] has no steps")
        names, channels = pd.RangeIndex(len(X)), number_channels(values.shape[1])
        return GroupedSeries(values, offsets, names, channels, has_names=False)

    def is_tabular(self, X: Any) -> bool:
        """Tell whether X is a list of rows of equal length, not of 2-D arrays."""
        if len(X) and all(isinstance(part, np.ndarray) and part.ndim == 2 for part in X):
            return False
        return len({np.size(part) for part in X}) <= 1 and not (len(X) and np.ndim(X[0]) > 1)


@register
class SparseMatrix(Container):
    """A sparse matrix of scipy, which is refused."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is sparse."""
        return hasattr(data, "tocsr")

    def read_windows(self, X: Any, name: str) -> GroupedSeries:  # noqa: ARG002
        """Refuse it."""
        raise TypeError(f"{name} is a sparse matrix; sparse data are not supported, pass {name}.toarray()")


def one_series_per_window(X: Any, name: str) -> GroupedSeries:
    """Read an array of shape (n_windows, n_timesteps[, n_channels]); a view where possible."""
    X = np.asarray(X)
    if X.ndim not in (2, 3):
        raise ValueError(
            f"Expected 2D or 3D array, got {X.ndim}D array instead: {name} has shape {X.shape}, allowed are "
            "(n_windows, n_timesteps) and (n_windows, n_timesteps, n_channels). Reshape your data, for "
            f"example with {name}.reshape(1, -1) for a single window, or cut series with make_windows"
        )
    for axis, word in enumerate(("feature(s)", "channel(s)")[: X.ndim - 1], start=1):
        if X.shape[axis] == 0:
            raise ValueError(f"{name} has 0 {word} (shape={X.shape}) while a minimum of 1 is required.")
    X = as_float(X, name)
    if X.ndim == 2:
        X = X[:, :, np.newaxis]
    n_windows, n_timesteps, n_channels = X.shape
    _check_axis_order(X.shape, name)
    values, offsets = X.reshape(n_windows * n_timesteps, n_channels), np.arange(n_windows + 1) * n_timesteps
    names = pd.RangeIndex(n_windows)
    return GroupedSeries(values, offsets, names, number_channels(n_channels), has_names=False)


def _check_axis_order(shape: tuple[int, int, int], name: str) -> None:
    """Few steps of many channels look like another toolkit's (n_windows, n_channels, n_timesteps)."""
    n_windows, n_timesteps, n_channels = shape
    if n_timesteps >= n_channels or n_channels < 20:
        return
    message = (
        f"{name} has shape {shape}: {n_timesteps} steps of {n_channels} channels each. If it is "
        f"(n_windows, n_channels, n_timesteps), as in aeon and sktime, convert it with from_channels_first({name})"
    )
    if n_timesteps < 10 and n_channels >= 10 * n_timesteps:
        raise ValueError(f"{message}. If not, pass make_windows(list({name}), width={n_timesteps})")
    warnings.warn(message, UserWarning, stacklevel=5)


# ------------------------------------------------------------------------------------------ windows


def as_windows(X: Any, *, name: str = "X", n_timesteps: int | None = None, n_channels: int | None = None) -> Windows:
    """Read and check X, in any of the layouts that estimators accept.

    Parameters
    ----------
    X : Windows, ndarray, DataFrame or list of ndarray
        Windows as they are; an array of shape (n_windows, n_timesteps, n_channels), or, of one channel,
        (n_windows, n_timesteps); a table with one row per window and one column per step; or, for windows of
        different lengths, a list of arrays of shape (n_timesteps_i, n_channels) or (n_timesteps_i,). NaN is a
        missing value.
    name : str, default="X"
        How errors call it.
    n_timesteps : int, default=None
        The number of steps that a fitted estimator expects; None: any.
    n_channels : int, default=None
        The number of channels that it expects; None: any.

    Returns
    -------
    Windows
        Shares memory with X where X is a C-contiguous float32 or float64 array.

    Raises
    ------
    ValueError
        For a wrong shape, and for values that are not numbers, infinite, or all missing in a window; the message
        names the window, step and channel.
    TypeError
        For sparse matrices, and for objects that are not numbers.

    Examples
    --------
    >>> as_windows(np.zeros((5, 20))).shape
    (5, 20, 1)
    >>> ragged = as_windows([np.zeros((3, 2)), np.zeros((5, 2))])
    >>> ragged.shape, ragged.lengths.tolist()
    ((2, 5, 2), [3, 5])
    """
    if isinstance(X, Windows):
        windows = X
    else:
        grouped = find_container(X).read_windows(X, name)
        _refuse_infinite_windows(grouped, name)
        windows = Windows.one_per_series(grouped)
    if len(windows) == 0:
        raise ValueError(f"Found {name} with 0 sample(s) (shape={windows.shape}): there are no windows")
    _check_expected(windows, name, n_timesteps, n_channels)
    _refuse_unobserved(windows, name)
    return windows


def is_tabular(X: Any) -> bool:
    """Tell whether X is a table for scikit-learn's ``validate_data`` to check, before `as_windows` reads it.

    Parameters
    ----------
    X : object
        What an estimator was given.

    Returns
    -------
    bool
        True for anything that is not plainly windows: neither `Windows`, nor 3-D, nor a list of arrays that is
        ragged or holds 2-D arrays.

    Examples
    --------
    >>> is_tabular(np.zeros((5, 20))), is_tabular(np.zeros((5, 20, 3)))
    (True, False)
    """
    return not isinstance(X, Windows) and find_container(X).is_tabular(X)


def from_channels_first(X: Any) -> np.ndarray | list[np.ndarray]:
    """Move channels after time: from the layout of aeon and sktime to that of tsae.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, n_timesteps), or list of ndarray
        The arrays of a list are of shape (n_channels, n_timesteps_i).

    Returns
    -------
    ndarray of shape (n_windows, n_timesteps, n_channels), or list of ndarray
        The arrays of a list are of shape (n_timesteps_i, n_channels).

    Raises
    ------
    ValueError
        For other shapes.

    Examples
    --------
    >>> from_channels_first(np.zeros((10, 3, 50))).shape
    (10, 50, 3)
    """
    if isinstance(X, (list, tuple)):
        parts = [np.asarray(part) for part in X]
        for position, part in enumerate(parts):
            if part.ndim != 2:
                raise ValueError(f"X[{position}] has shape {part.shape}; expected (n_channels, n_timesteps)")
        return [np.ascontiguousarray(part.T) for part in parts]
    X = np.asarray(X)
    if X.ndim != 3:
        raise ValueError(f"X has shape {X.shape}; expected (n_windows, n_channels, n_timesteps)")
    return np.ascontiguousarray(X.transpose(0, 2, 1))


def _refuse_infinite_windows(grouped: GroupedSeries, name: str) -> None:
    """Name the window, step and channel of the first infinity."""
    found = first_infinite(grouped.values)
    if found is None:
        return
    row, channel = found
    window = int(grouped.codes_at(np.array([row]))[0])
    raise ValueError(
        f"{name} holds {grouped.values[found]} in window {window}, step {row - grouped.offsets[window]}, channel "
        f"{channel}; infinity is not allowed, NaN is a missing value"
    )


def _check_expected(windows: Windows, name: str, n_timesteps: int | None, n_channels: int | None) -> None:
    if n_channels is not None and windows.n_channels != n_channels:
        raise ValueError(f"{name} has {windows.n_channels} channels, but {n_channels} are expected")
    if n_timesteps is not None and (windows.is_ragged or windows.width != n_timesteps):
        found = f"windows of up to {windows.width}" if windows.is_ragged else f"{windows.width}"
        raise ValueError(f"{name} has {found} steps, but {n_timesteps} are expected")


def _refuse_unobserved(windows: Windows, name: str) -> None:
    observed = windows.observed
    if observed.all():
        return
    missing = np.flatnonzero(~observed)
    raise ValueError(
        f"{name} has {len(missing)} window(s) without any value, the first of them window {missing[0]}, which "
        f"starts at {windows.describe_start(missing[0])}; leave them out: Windows have a mask for that, "
        "windows[windows.observed]"
    )
