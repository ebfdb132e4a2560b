"""Series concatenated in one array: the form in which every table and array is held."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tsae.messages import warn_in_lines

LARGEST = 1e36  # what lies beyond counts as infinite: float32 ends at 3.4e38, and a spread must fit in beside it
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
    has_names : bool, default=True
        Whether `channel_names` were given with the data; False where channels are only numbered.
    """

    values: np.ndarray
    offsets: np.ndarray
    names: pd.Index
    channel_names: list[str]
    times: pd.Index | None = None
    has_names: bool = True

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

    def rows_between(self, name: Any, start: Any, end: Any) -> np.ndarray:
        """Return the rows of a stretch of time, first and last time included.

        Parameters
        ----------
        name : label
            The series, compared as text.
        start, end : object
            Times of the kind of the series.

        Returns
        -------
        int64 ndarray
            Positions in `values`; none for a series that there is not.
        """
        [code] = self.names.map(str).get_indexer([str(name)])
        rows = np.arange(self.offsets[code], self.offsets[code + 1]) if code >= 0 else np.arange(0)
        times = self.times_at(rows)
        return rows[np.asarray((times >= start) & (times <= end), dtype=bool)]

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
        offsets = np.array([0, len(values)])
        return GroupedSeries(values, offsets, names, number_channels(values.shape[1]), has_names=False)
    if not arrays:
        raise ValueError(f"data is an empty {type(arrays).__name__}; at least one series is needed")
    is_dict = isinstance(arrays, Mapping)
    names = pd.Index(list(arrays)) if is_dict else pd.RangeIndex(len(arrays))
    parts = list(arrays.values()) if is_dict else arrays
    values, offsets = concatenate_arrays(parts, [f"data[{name!r}]" for name in names.tolist()])
    return GroupedSeries(values, offsets, names, number_channels(values.shape[1]), has_names=False)


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
            'pandas.concat(tables, names=["id", "time"]), whose index make_windows understands, or pass their values '
            "as arrays"
        )
    if isinstance(array, Mapping):
        raise ValueError(f"{label} is a {type(array).__name__}; a series is an array")
    array = as_array(array, label)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        hints = {
            0: "; a list holds one array per series",
            3: "; windows that are cut already go to an estimator directly",
        }
        raise ValueError(
            f"{label} has shape {array.shape}, not (n_rows,) or (n_rows, n_channels){hints.get(array.ndim, '')}"
        )
    if array.shape[1] == 0:
        raise ValueError(f"{label} has shape {array.shape}: no channels")
    return as_float(array, label)


def one_series_per_window(X: Any, name: str) -> GroupedSeries:
    """Read an array of shape (n_windows, n_timesteps[, n_channels]); a view where possible."""
    kind, X = type(X).__name__, as_array(X, name)
    if X.ndim not in (2, 3):
        what = f"is a {kind}" if X.ndim == 0 else f"has shape {X.shape}"
        raise ValueError(
            f"Expected 2D or 3D array, got {X.ndim}D array instead: {name} {what}, allowed are "
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
    found = f"{name} has shape {shape}: {n_timesteps} steps of {n_channels} channels each."
    remedy = (
        f"If it is (n_windows, n_channels, n_timesteps), as in aeon and sktime, convert it with "
        f"from_channels_first({name})"
    )
    if n_timesteps < 10 and n_channels >= 10 * n_timesteps:
        raise ValueError(f"{found} {remedy}. If not, pass make_windows(list({name}), width={n_timesteps})")
    warn_in_lines(found, remedy, stacklevel=5)


# ------------------------------------------------------------------------------------------ numbers


def as_array(data: Any, label: str) -> np.ndarray:
    """Read anything that numpy makes an array of; masked entries become NaN.

    Parameters
    ----------
    data : array-like
        A view where possible.
    label : str
        How errors call it.

    Returns
    -------
    ndarray
        Not masked.

    Raises
    ------
    ValueError
        For sequences of different lengths within each other.

    Examples
    --------
    >>> as_array(np.ma.masked_equal([1, -999, 3], -999), "data").tolist()
    [1.0, nan, 3.0]
    """
    if isinstance(data, np.ma.MaskedArray):
        if not np.ma.is_masked(data):
            return data.data
        values: Any = data if data.dtype.kind == "O" else data.astype(float_dtype(data.dtype, label))
        return np.asarray(values.filled(np.nan))
    if isinstance(data, (list, tuple)) and any(isinstance(part, np.ma.MaskedArray) for part in data):
        data = [as_array(part, label) for part in data]
    try:
        return np.asarray(data)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label} is a {type(data).__name__} that is no array: {error}") from None


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
                raise type(error)(f"{label} holds {reprlib.repr(value)} at {place}, not a number: {error}") from None
        raise


def row_blocks(values: np.ndarray) -> list[slice]:
    """Return slices of rows, each a few megabytes of `values`."""
    n_rows = max(1, BLOCK_BYTES // max(1, values.shape[1] * values.itemsize))
    return [slice(begin, begin + n_rows) for begin in range(0, len(values), n_rows)]


def all_finite(values: np.ndarray) -> bool:
    """Tell whether a float array holds neither NaN nor infinity, in one pass; may be False where its sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def has_missing(values: np.ndarray) -> bool:
    """Tell whether a float array without infinities holds NaN; in one pass, without a temporary."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(values.sum()))


def first_infinite(values: np.ndarray, largest: float = LARGEST) -> tuple[int, int] | None:
    """Return (row, column) of the first entry of a 2-D float array that lies beyond `largest`, or None."""
    for block in row_blocks(values):
        part = values[block]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(np.vdot(part, part))  # one fast pass without a temporary, which sees NaN and infinity
            if np.isfinite(squares) and squares <= largest**2:
                continue
            beyond = np.abs(part) > largest
        if beyond.any():
            row, column = np.argwhere(beyond)[0].tolist()
            return block.start + row, column
    return None
