"""Containers of data that are accepted as series (by `make_windows`) and as windows (by estimators).

Each kind is a small class that recognises and reads it. To add one, write a `Container` and decorate it with
`register`: `make_windows` and `as_windows` then accept it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.frames import is_table, name_channels, series_from_table, times_of_parts
from tsae.data.missing import MissingValues
from tsae.data.nested import count_dimensions, holds_arrays, list_arrays
from tsae.data.series import (
    LARGEST,
    GroupedSeries,
    as_array,
    concatenate_arrays,
    first_infinite,
    number_channels,
    one_series_per_window,
    series_from_arrays,
)
from tsae.data.times import check_increasing
from tsae.data.windows import Windows


@dataclass(frozen=True)
class ColumnNames:
    """The arguments of `make_windows` that name columns, and the markers of missing values in columns of text."""

    id_column: Any
    time_column: Any
    value_columns: Sequence[Any] | None
    missing: MissingValues = MissingValues()

    def refuse(self, data: Any) -> None:
        """Raise if a column is named, for data that has none."""
        for argument in ("id_column", "time_column", "value_columns"):
            value = getattr(self, argument)
            if value is not None:
                raise ValueError(
                    f"{argument}={reprlib.repr(value)}, but data is a {type(data).__name__}, without columns"
                )


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

    def as_table(self, X: Any) -> Any:
        """Return what ``validate_data`` is to check in place of X.

        Parameters
        ----------
        X : object
            For which `is_tabular` is true.

        Returns
        -------
        object
            X itself, unless scikit-learn would lose a part of it.
        """
        return as_array(X, "X") if isinstance(X, np.ma.MaskedArray) else X


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
        names = (columns.id_column, columns.time_column, columns.value_columns)
        return series_from_table(data, *names, missing=columns.missing)

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read the values of all columns."""
        if hasattr(X, "columns"):
            X = series_from_table(X.reset_index(drop=True) if isinstance(X, pd.DataFrame) else X, label=name).values
        return one_series_per_window(X, name)


@register
class Array(Container):
    """A numpy array."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is an array."""
        return isinstance(data, np.ndarray)

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read one series."""
        columns.refuse(data)
        return series_from_arrays(data)


class _ArrayGroup(Container):
    """Several arrays or Series, each of which is a series of its own."""

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read one series per entry, with the times in the index of pandas Series."""
        columns.refuse(data)
        grouped = series_from_arrays(data)
        parts = list(data.values()) if isinstance(data, Mapping) else data
        return _with_times(grouped, parts, [f"data[{name!r}]" for name in grouped.names.tolist()])


@register
class ArrayDict(_ArrayGroup):
    """A dict of arrays by id."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is a dict."""
        return isinstance(data, Mapping)

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Refuse it."""
        raise TypeError(
            f"{name} is a {type(X).__name__}; allowed are Windows, arrays, tables and lists of arrays. A dict of "
            f"series by id is cut with make_windows({name}, width); of windows, pass list({name}.values())"
        )

    def is_tabular(self, X: Any) -> bool:  # noqa: ARG002
        """Tell that it is no table."""
        return False


@register
class ArrayList(_ArrayGroup):
    """A list of arrays; as windows, one array per window, whose lengths may differ."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is a list or tuple."""
        return isinstance(data, (list, tuple))

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read one window per entry, with the times in the index of pandas Series."""
        if not X:
            raise ValueError(f"Found {name} with 0 sample(s): the list is empty")
        if pd.api.types.is_scalar(X[0]) or np.ndim(as_array(X[0], f"{name}[0]")) == 0:
            raise ValueError(
                f"Expected 2D array, got 1D array instead: {name} is a list of single values, such as {X[0]!r}. "
                "Reshape your data: a list holds one array of shape (n_timesteps,) or (n_timesteps, n_channels) each"
            )
        labels = [f"{name}[{position}]" for position in range(len(X))]
        values, offsets = concatenate_arrays(X, labels)
        lengths = np.diff(offsets)
        if not lengths.all():
            raise ValueError(f"{name}[{np.flatnonzero(lengths == 0)[0]}] has no steps")
        names, channels = pd.RangeIndex(len(X)), number_channels(values.shape[1])
        return _with_times(GroupedSeries(values, offsets, names, channels, has_names=False), X, labels)

    def is_tabular(self, X: Any) -> bool:
        """Tell whether X is a list of rows of equal length, not of 2-D arrays."""
        if any(isinstance(part, (str, Mapping)) or hasattr(part, "columns") for part in X):
            return False
        dimensions, sizes = zip(*(count_dimensions(part) for part in X), strict=True) if len(X) else ((0,), (0,))
        return max(dimensions) <= 1 and len(set(sizes)) <= 1

    def as_table(self, X: Any) -> Any:
        """Read Series and masked arrays, of which scikit-learn would drop the index and the mask."""
        if not any(isinstance(part, (pd.Series, np.ma.MaskedArray)) and np.ndim(part) for part in X):
            return X
        return self.read_windows(X, "X").values.reshape(len(X), -1)


@register
class NestedArrays(Container):
    """Arrays in an array of objects, a Series, or the cells of a table (one row per window, one column per channel)."""

    def accepts(self, data: Any) -> bool:
        """Tell whether the entries of `data` are arrays."""
        return holds_arrays(data)

    def read_series(self, data: Any, columns: ColumnNames) -> GroupedSeries:
        """Read one series per entry; the index of a pandas Series or table holds their ids."""
        columns.refuse(data)
        index = getattr(data, "index", None)
        grouped = find_container([]).read_series(list_arrays(data, "data"), columns)
        if index is not None and not index.is_unique:
            raise ValueError(f"data has several series of the id {index[index.duplicated()][0]!r} in its index")
        grouped = grouped if index is None else replace(grouped, names=index)
        return _with_columns(grouped, data)

    def read_windows(self, X: Any, name: str) -> GroupedSeries:
        """Read one window per entry."""
        return _with_columns(find_container([]).read_windows(list_arrays(X, name), name), X)

    def is_tabular(self, X: Any) -> bool:  # noqa: ARG002
        """Tell that it is no table of numbers."""
        return False


def _with_times(grouped: GroupedSeries, parts: Sequence[Any], labels: Sequence[str]) -> GroupedSeries:
    """Add the times of Series, which must increase, and the name that all of them have."""
    if not any(isinstance(part, pd.Series) for part in parts):
        return grouped
    grouped = replace(grouped, times=times_of_parts(parts, labels))
    check_increasing(grouped)
    return grouped


def _with_columns(grouped: GroupedSeries, table: Any) -> GroupedSeries:
    """Name the channels by the columns of a nested table."""
    if not isinstance(table, pd.DataFrame) or table.shape[1] != len(grouped.channel_names):
        return grouped
    return replace(grouped, **name_channels(table.columns))


@register
class SparseMatrix(Container):
    """A sparse matrix of scipy, which is refused."""

    def accepts(self, data: Any) -> bool:
        """Tell whether `data` is sparse."""
        return hasattr(data, "tocsr")

    def read_windows(self, X: Any, name: str) -> GroupedSeries:  # noqa: ARG002
        """Refuse it."""
        raise TypeError(f"{name} is a sparse matrix; sparse data are not supported, pass {name}.toarray()")


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


def as_table(X: Any) -> Any:
    """Return what scikit-learn's ``validate_data`` is to check in place of X.

    Parameters
    ----------
    X : object
        For which `is_tabular` is true.

    Returns
    -------
    object
        X itself, or an array where scikit-learn would drop the mask of arrays or the index of Series.

    Examples
    --------
    >>> as_table(np.ma.masked_equal([[1, -999, 3]], -999))
    array([[ 1., nan,  3.]])
    """
    return find_container(X).as_table(X)


def _refuse_infinite_windows(grouped: GroupedSeries, name: str) -> None:
    """Name the window, step and channel of the first infinity."""
    found = first_infinite(grouped.values)
    if found is None:
        return
    row, channel = found
    window = int(grouped.codes_at(np.array([row]))[0])
    raise ValueError(
        f"{name} holds {grouped.values[found]} in window {window}, step {row - grouped.offsets[window]}, channel "
        f"{channel}; infinity, and what lies beyond {LARGEST:g}, is not allowed, NaN is a missing value"
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
