"""Markers of missing values, such as -999 or "#N/A", which are read as NaN."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.series import GroupedSeries, as_array, row_blocks


@dataclass(frozen=True)
class MissingValues:
    """The markers that `make_windows` was given.

    Parameters
    ----------
    numbers : tuple of float, default=()
        Numbers that stand for a missing value, in whatever column.
    texts : tuple of str, default=()
        Texts that do, in columns of text, all of whose other entries are numbers.

    Examples
    --------
    >>> MissingValues.of(["-999", "#N/A"])
    MissingValues(numbers=(-999.0,), texts=('-999', '#N/A'))
    """

    numbers: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, markers: Any) -> MissingValues:
        """Read the argument `missing_values`.

        Parameters
        ----------
        markers : number, str, list of these, or None
            A text that reads as a number also stands for this number.

        Returns
        -------
        MissingValues

        Raises
        ------
        ValueError
            For anything else.
        """
        if markers is None:
            return cls()
        single = isinstance(markers, (str, Real))
        if not single and not isinstance(markers, (list, tuple, set, frozenset, np.ndarray)):
            raise ValueError(f"missing_values={markers!r}; it must be a list of numbers and texts")
        numbers, texts = [], []
        for marker in [markers] if single else list(markers):
            if isinstance(marker, (bool, np.bool_)) or not isinstance(marker, (str, Real)):
                raise ValueError(f"missing_values holds {marker!r}; allowed are numbers and texts")
            if isinstance(marker, str):
                texts.append(marker.strip())
            with suppress(ValueError):  # a text that is no number
                numbers.append(float(marker))
        return cls(tuple(numbers), tuple(texts))

    def clear(self, series: GroupedSeries) -> GroupedSeries:
        """Replace numbers by NaN, in a copy where there are any.

        Parameters
        ----------
        series : GroupedSeries
            Is left as it is.

        Returns
        -------
        GroupedSeries
        """
        values = series.values
        with np.errstate(over="ignore"):
            held = {number: values.dtype.type(number) for number in self.numbers}
        markers = [mine for number, mine in held.items() if np.isinf(mine) == np.isinf(number)]
        if not markers:
            return series
        for block in row_blocks(values):
            is_missing = np.isin(values[block], markers)
            if is_missing.any():
                if values is series.values:
                    values = values.copy()
                values[block][is_missing] = np.nan
        return replace(series, values=values)

    def parse_column(self, column: pd.Series, label: str) -> pd.Series:
        """Read a column of text as numbers; other columns, and all without `texts`, stay as they are.

        Parameters
        ----------
        column : pandas.Series
            Of any type.
        label : str
            How errors call it.

        Returns
        -------
        pandas.Series

        Raises
        ------
        ValueError
            For a text that is neither a number nor a marker.
        """
        if not self.texts:
            return column
        entries = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
        if pd.api.types.infer_dtype(entries, skipna=True) not in ("string", "mixed", "mixed-integer"):
            return column
        entries = entries.astype(object).map(lambda entry: entry.strip() if isinstance(entry, str) else entry)
        is_missing = (entries.isin(self.texts) | entries.isna()).to_numpy(dtype=bool)
        numbers = pd.to_numeric(entries.mask(is_missing), errors="coerce")
        wrong = np.flatnonzero(numbers.isna().to_numpy() & ~is_missing)
        if len(wrong):
            raise ValueError(
                f"{label} holds {entries.iloc[wrong[0]]!r} in row {wrong[0]}, which is neither a number nor one of "
                f"missing_values={list(self.texts)}"
            )
        return numbers.astype(np.float64)

    def parse_arrays(self, data: Any, label: str = "data") -> Any:
        """Read text in an array, or in a list or dict of arrays or Series, as numbers.

        Parameters
        ----------
        data : object
            Anything but arrays, and lists and dicts of them, stays as it is.
        label : str
            How errors call it.

        Returns
        -------
        object
            Of the same kind.
        """
        if not self.texts:
            return data
        if isinstance(data, Mapping):
            return {name: self._parse_part(part, f"{label}[{name!r}]") for name, part in data.items()}
        if isinstance(data, (list, tuple)):
            return [self._parse_part(part, f"{label}[{position}]") for position, part in enumerate(data)]
        return self._parse_part(data, label) if isinstance(data, np.ndarray) else data

    def _parse_part(self, part: Any, label: str) -> Any:
        if isinstance(part, pd.Series):
            return self.parse_column(part, label)
        if isinstance(part, (list, tuple)):
            part = np.array(part, dtype=object)
        if not isinstance(part, np.ndarray) or part.dtype.kind not in "OUT" or part.ndim == 0:
            return part
        column = pd.Series(as_array(part, label).ravel().astype(object))
        return self.parse_column(column, label).to_numpy().reshape(part.shape)
