"""Arrays within arrays: in an array of objects, a Series, or the cells of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.frames import is_table, times_of_parts
from tsae.data.series import as_array


def holds_arrays(data: Any) -> bool:
    """Tell whether the entries of `data` are arrays; for a table of pandas, whether those of all columns are."""
    if isinstance(data, np.ndarray):
        return data.dtype == object and data.ndim == 1 and len(data) > 0 and _is_array(data[0])
    if isinstance(data, pd.DataFrame):
        return min(data.shape) > 0 and all(_is_array(cell) for cell in data.iloc[0])
    if isinstance(data, pd.Series):
        return data.dtype.kind == "O" and len(data) > 0 and _is_array(data.iloc[0])
    return is_table(data) and str(getattr(data, "dtype", "")).startswith(("List", "Array"))


def list_arrays(data: Any, label: str) -> list[Any]:
    """Return one array per entry; of a table, one per row, with one channel per column.

    Parameters
    ----------
    data : ndarray, Series or DataFrame
        For which `holds_arrays` is true.
    label : str
        How errors call it.

    Returns
    -------
    list of array-like
        Series of pandas as they are, where each is a series of its own.

    Raises
    ------
    ValueError
        Where the arrays of a row differ in length, or have times of their own.

    Examples
    --------
    >>> table = pd.DataFrame({"load": [[1, 2], [3, 4, 5]], "heat": [[6, 7], [8, 9, 0]]})
    >>> list_arrays(table, "X")[0].tolist()
    [[1, 6], [2, 7]]
    """
    if not isinstance(data, pd.DataFrame):
        return list(data)
    if data.shape[1] == 1:
        return data.iloc[:, 0].tolist()
    rows = []
    for number, cells in enumerate(data.itertuples(index=False, name=None)):
        labels = [f"column {column!r} of {label}, row {number}" for column in data.columns]
        if times_of_parts(cells, labels) is not None:
            raise ValueError(
                f"{labels[0]} has an index of times; pass a list of tables' values, or make one long table"
            )
        channels = [as_array(cell, place) for cell, place in zip(cells, labels, strict=True)]
        for channel, place in zip(channels, labels, strict=True):
            if channel.ndim != 1 or len(channel) != len(channels[0]):
                raise ValueError(f"{labels[0]} has shape {channels[0].shape}, but {place} has {channel.shape}")
        rows.append(np.stack(channels, axis=-1))
    return rows


def count_dimensions(part: Any) -> tuple[int, int]:
    """Return number of dimensions and size; a list whose entries differ in length has two dimensions."""
    try:
        return np.ndim(part), np.size(part)
    except ValueError:
        return 2, 0


def _is_array(entry: Any) -> bool:
    """Tell whether an entry is no single value; texts, bytes and dicts are."""
    return isinstance(entry, (list, tuple)) or (not isinstance(entry, Mapping) and getattr(entry, "ndim", 0) > 0)
