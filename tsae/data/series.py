"""Series concatenated in one array: the form in which every table and array is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

BLOCK_BYTES = 1 << 22  # values are checked in blocks of this size, so that a check needs little memory


@dataclass(frozen=True, eq=False)
class GroupedSeries:
    """Several series, concatenated in one array.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels), float32 or float64
        NaN is a missing value; there are no infinities.
    offsets : int64 ndarray of shape (n_series + 1,)
        Series ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    names : pandas.Index of length n_series
        The ids.
    channel_names : list of str
        One per channel.
    times : pandas.Index of length n_rows, or None
        Strictly increasing within a series. None: rows are numbered from 0 within their series.
    has_names : bool, default=False
        Whether the channels were named by the data, so that other data can be compared; False for arrays.
    """

    values: np.ndarray
    offsets: np.ndarray
    names: pd.Index
    channel_names: list[str]
    times: pd.Index | None = None
    has_names: bool = False

    def codes_at(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the series that each row belongs to.

        Parameters
        ----------
        rows : int ndarray of shape (k,)
            Positions in `values`.

        Returns
        -------
        int64 ndarray of shape (k,)
            From 0 to n_series - 1.
        """
        return np.asarray(np.searchsorted(self.offsets, rows, side="right") - 1)

    def names_at(self, rows: np.ndarray) -> pd.Index:
        """Return the id of the series that each row belongs to.

        Parameters
        ----------
        rows : int ndarray of shape (k,)
            Positions in `values`.

        Returns
        -------
        pandas.Index of length k
        """
        return self.names.take(self.codes_at(rows))

    def times_at(self, rows: np.ndarray) -> pd.Index:
        """Return the timestamp of each row.

        Parameters
        ----------
        rows : int ndarray of shape (k,)
            Positions in `values`.

        Returns
        -------
        pandas.Index of length k
            Step numbers within the series where there are no times.
        """
        if self.times is None:
            return pd.Index(rows - self.offsets[self.codes_at(rows)])
        return self.times.take(rows)

    def describe(self, row: int) -> str:
        """Describe the series and time of a row, for messages.

        Parameters
        ----------
        row : int
            Position in `values`.

        Returns
        -------
        str
            Such as ``series 'b', time 4``.
        """
        [name], [time] = self.names_at(np.array([row])).tolist(), self.times_at(np.array([row])).tolist()
        return f"series {name!r}, {'step' if self.times is None else 'time'} {time}"

    @cached_property
    def missing_stretches(self) -> tuple[np.ndarray, np.ndarray]:
        """Begins and ends of the stretches of rows in which every channel is missing."""
        if all_finite(self.values):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        missing = np.empty(len(self.values), dtype=bool)
        for block in row_blocks(self.values):
            np.isnan(self.values[block]).all(axis=1, out=missing[block])
        edges = np.flatnonzero(np.diff(missing, prepend=False, append=False))
        return edges[::2], edges[1::2]


# ------------------------------------------------------------------------------------------ from arrays


def series_from_arrays(arrays: Any) -> GroupedSeries:
    """Read one array as one series, or each array of a list or dict as one series.

    Parameters
    ----------
    arrays : ndarray, or list, tuple or dict of array-like
        Each of shape (n_rows,) or (n_rows, n_channels). The keys of a dict are the ids of the series.

    Returns
    -------
    GroupedSeries
        Holds a single float32 or float64 array without a copy.

    Examples
    --------
    >>> grouped = series_from_arrays({"a": [1.0, 2.0], "b": [3.0]})
    >>> grouped.offsets.tolist(), list(grouped.names)
    ([0, 2, 3], ['a', 'b'])
    """
    if isinstance(arrays, np.ndarray):
        values, names = _as_rows(arrays, "data"), pd.RangeIndex(1)
        return GroupedSeries(values, np.array([0, len(values)]), names, number_channels(values.shape[1]))
    if not arrays:
        raise ValueError(f"data is an empty {type(arrays).__name__}; at least one series is needed")
    is_dict = isinstance(arrays, Mapping)
    names = pd.Index(list(arrays)) if is_dict else pd.RangeIndex(len(arrays))
    parts = list(arrays.values()) if is_dict else arrays
    values, offsets = concatenate_arrays(parts, [f"data[{name!r}]" for name in names.tolist()])
    return GroupedSeries(values, offsets, names, number_channels(values.shape[1]))


def concatenate_arrays(arrays: Sequence[Any], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate arrays of shape (n_i,) or (n_i, n_channels).

    Parameters
    ----------
    arrays : sequence of array-like
        At least one.
    labels : sequence of str
        How errors call each of them.

    Returns
    -------
    values : ndarray of shape (sum of n_i, n_channels), float32 or float64
        The rows of all arrays.
    offsets : int64 ndarray of shape (n_arrays + 1,)
        The row at which each array begins.
    """
    parts = [_as_rows(array, label) for array, label in zip(arrays, labels, strict=True)]
    n_rows, n_channels = zip(*(part.shape for part in parts), strict=True)
    for n, label in zip(n_channels, labels, strict=True):
        if n != n_channels[0]:
            alike = len(set(n_rows)) == 1
            hint = "; are they (n_channels, n_timesteps)? then use from_channels_first" if alike else ""
            raise ValueError(f"{labels[0]} has {n_channels[0]} channels, but {label} has {n}{hint}")
    return np.concatenate(parts), np.cumsum([0, *n_rows], dtype=np.int64)


def number_channels(n_channels: int) -> list[str]:
    """Return names for channels that have none."""
    return [f"channel_{channel}" for channel in range(n_channels)]


def _as_rows(array: Any, label: str) -> np.ndarray:
    """Read one series as floats of shape (n_rows, n_channels); a view where possible."""
    if hasattr(array, "columns"):
        raise ValueError(
            f"{label} is a table; join the tables into one first, for example with "
            'pandas.concat(tables, names=["id", "time"]), whose index make_windows understands'
        )
    array = np.asarray(array)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        hint = "; windows that are cut already go to an estimator directly" if array.ndim == 3 else ""
        raise ValueError(f"{label} has shape {array.shape}, not (n_rows,) or (n_rows, n_channels){hint}")
    if array.shape[1] == 0:
        raise ValueError(f"{label} has shape {array.shape}: no channels")
    return as_float(array, label)


# ------------------------------------------------------------------------------------------ numbers


def as_float(array: np.ndarray, label: str) -> np.ndarray:
    """Convert numbers to the type that `float_dtype` chooses, without a copy where they have it.

    Arrays of objects are read as float64 where every entry is a number.
    """
    if array.dtype.kind == "O":
        return _parse_objects(array, label)
    return array.astype(float_dtype(array.dtype, label), copy=False)


def float_dtype(dtype: np.dtype, label: str) -> np.dtype:
    """Choose the type for numbers: float32 for 8 or 16 bits and booleans, float64 for all that is wider."""
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label} has dtype {dtype}")
    if dtype.kind not in "biuf":
        raise ValueError(f"{label} has dtype {dtype}; allowed are floats, integers and booleans")
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def _parse_objects(array: np.ndarray, label: str) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        for place, value in np.ndenumerate(array):
            try:
                float(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{label} holds {value!r} at {place}, not a number: {error}") from None
        raise


def row_blocks(values: np.ndarray) -> list[slice]:
    """Return slices of rows, each a few megabytes of `values`."""
    n_rows = max(1, BLOCK_BYTES // (values.shape[1] * values.itemsize))
    return [slice(begin, begin + n_rows) for begin in range(0, len(values), n_rows)]


def all_finite(values: np.ndarray) -> bool:
    """Tell whether a float array holds neither NaN nor infinity, in one pass; may be False where its sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def has_missing(values: np.ndarray) -> bool:
    """Tell whether a float array without infinities holds NaN; in one pass, without a temporary."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(values.sum()))


def first_infinite(values: np.ndarray) -> tuple[int, int] | None:
    """Return (row, column) of the first infinity in a 2-D float array, or None."""
    if all_finite(values):
        return None
    for block in row_blocks(values):
        infinite = np.isinf(values[block])
        if infinite.any():
            row, column = np.argwhere(infinite)[0].tolist()
            return block.start + row, column
    return None
