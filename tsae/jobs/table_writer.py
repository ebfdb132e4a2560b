"""Tables of results: written to CSV and Parquet files, whole or not at all, and read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
import pandas as pd

from tsae.jobs.places import Place, StoredPath, replaced
from tsae.jobs.spec import Columns
from tsae.jobs.table_files import import_parquet


class Append(Protocol):
    """Append a table to a file, with the columns of an array of shape (n_rows, n_names) to its right."""

    def __call__(self, table: pd.DataFrame, values: np.ndarray | None = None, names: Sequence[str] = ()) -> None:
        """Append rows."""


@contextmanager
def result_writer(path: Place) -> Iterator[Append]:
    """Give a function that appends tables to a new .parquet or .csv file.

    The file appears under its name when the block ends without an error, complete and on disk, or in its store;
    otherwise nothing is left. At least one table, which may have no rows, must be written.
    """
    with replaced(path) as file:
        writer = _CsvWriter(file) if path.suffix == ".csv" else _ParquetWriter(file)
        try:
            yield writer.append
        finally:
            writer.close()


class _CsvWriter:
    def __init__(self, file: BinaryIO):
        self.file, self.has_header = file, False

    def append(self, table: pd.DataFrame, values: np.ndarray | None = None, names: Sequence[str] = ()) -> None:
        if values is not None:
            table = pd.concat([table, pd.DataFrame(values, columns=list(names), copy=False)], axis=1)
        table.to_csv(self.file, index=False, header=not self.has_header, lineterminator="\n")
        self.has_header = True

    def close(self) -> None:
        pass


class _ParquetWriter:
    """Write numbers uncompressed: features hardly compress, and compressing would take longer than computing them."""

    def __init__(self, file: BinaryIO):
        self.file, self.parquet = file, import_parquet()
        self.writer: Any = None

    def append(self, table: pd.DataFrame, values: np.ndarray | None = None, names: Sequence[str] = ()) -> None:
        import pyarrow

        text = [name for name in table if table[name].dtype.kind == "O"]
        kinds = dict.fromkeys(text, pyarrow.string())  # explicit: an empty column of objects has no type to infer
        columns = {name: pyarrow.array(table[name], type=kinds.get(name), from_pandas=False) for name in table}
        if values is not None:  # column by column in memory, so that each becomes an Arrow array without a copy
            columns.update(zip(names, map(pyarrow.array, np.asfortranarray(values).T), strict=True))
        arrow = pyarrow.table(columns)
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(
                self.file, arrow.schema, compression="none", use_dictionary=text, write_statistics=list(table.columns)
            )
        self.writer.write_table(arrow)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def with_zone(table: pd.DataFrame, columns: Columns, *names: str) -> pd.DataFrame:
    """Return the table with the time zone UTC restored on columns whose times were read with a time zone."""
    if columns.time_kind != "utc":
        return table
    dated = [name for name in names if pd.api.types.is_datetime64_dtype(table[name].dtype)]
    return table.assign(**{name: table[name].dt.tz_localize("UTC") for name in dated})


def read_result(path: Place | IO[str]) -> pd.DataFrame:
    """Read a table that `result_writer` wrote, or an open CSV file; in CSV, columns of datetimes are parsed."""
    if isinstance(path, StoredPath):
        with path.open() as file:
            return import_parquet().read_table(file).to_pandas() if path.suffix == ".parquet" else _read_csv(file)
    if isinstance(path, Path) and path.suffix == ".parquet":
        return import_parquet().read_table(path).to_pandas()
    return _read_csv(path)


def _read_csv(path: Path | IO[Any]) -> pd.DataFrame:
    table = pd.read_csv(
        path, dtype={"series": "str"}, keep_default_na=False, na_values=[""], float_precision="round_trip"
    )
    for name in {"time", "start", "end", "peak"} & set(table.columns):
        if not pd.api.types.is_numeric_dtype(table[name].dtype):
            table[name] = pd.to_datetime(table[name], format="ISO8601").dt.as_unit("ns")
    return table


def write_result(table: pd.DataFrame, path: Place) -> None:
    """Write one table as a .parquet or .csv file, whole or not at all."""
    with result_writer(path) as append:
        append(table)
