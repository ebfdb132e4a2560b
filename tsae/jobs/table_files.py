"""Files of tables: the names of their columns, a selection of their columns, and places in them."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import pandas as pd

from tsae.jobs.errors import InputError, JobError, listed
from tsae.jobs.logs import log_warning
from tsae.jobs.spec import Columns
from tsae.jobs.stores import StoredFile

MOST_NAMES = 20  # in messages
MAX_COLUMNS = 10_000  # with more, channels must be named
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]  # missing values in CSV files
INDEX_NAME = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # of an index that pandas wrote as a column
SEPARATORS = ";\t|,"


def open_table(path: Path | StoredFile, name: str, columns: Columns) -> TableFile:
    """Open a .parquet file, or a .csv file, which may be compressed.

    Raises
    ------
    InputError
        If its column names cannot be read.
    """
    kind = ParquetTable if path.suffix.lower() == ".parquet" else CsvTable
    return kind(path, name, columns)


class TableFile:
    """A file that holds a table.

    Attributes
    ----------
    path, name
        Of the file; `name` is for messages.
    columns : list of str
        Names of its columns.
    partition : dict of str
        Further columns, constant in this file, from directories such as ``machine=m1``.
    """

    hint = ""  # added to messages on columns and values
    rows_before = 0  # of the file, before the rows that were read last

    def __init__(self, path: Path | StoredFile, name: str, settings: Columns):
        self.path, self.name, self.settings = path, name, settings
        self.columns = self._read_names()
        pairs = (folder.partition("=") for folder in path.parent.parts)
        self.partition = {
            key: unquote(value) for key, equals, value in pairs if equals and key and key not in self.columns
        }

    def _read_names(self) -> list[str]:
        raise NotImplementedError

    def _read(self, names: list[str], text: list[str], n_rows: int | None) -> Iterator[pd.DataFrame]:
        raise NotImplementedError

    def most_rows(self) -> int:
        """Count the rows fast; there may be fewer."""
        raise NotImplementedError

    def read(self, names: list[str], text: Sequence[str] = ()) -> pd.DataFrame:
        """Read columns; those in `text` stay unparsed if the file holds text."""
        [table] = self.chunks(names, text, None)
        return table

    def chunks(self, names: list[str], text: Sequence[str], n_rows: int | None) -> Iterator[pd.DataFrame]:
        """Read columns as `read` does, so many rows at a time; None reads all at once.

        There is at least one chunk, which may have no rows.
        """
        stored = [name for name in names if name not in self.partition]
        constants = {name: self.partition[name] for name in names if name in self.partition}
        n_seen = 0
        # A column is read even if none is needed, for the number of rows.
        for frame in self._read(stored or self.columns[:1], [name for name in text if name in stored], n_rows):
            self.rows_before = n_seen
            n_seen += len(frame)
            yield frame.assign(**constants)[names] if constants else frame[names]

    def place(self, row: int) -> str:
        """Describe the place of a row of the table that was given last."""
        return f"row {self.rows_before + row + 1}"

    def require(self, names: Sequence[str]) -> None:
        """Refuse names of columns that are not there, or not unique."""
        known = {*self.columns, *self.partition}
        for name in names:
            if name not in known:
                raise InputError(
                    f"{self.name} has no column {name!r}; it has {listed(self.columns, MOST_NAMES)}{self.hint}"
                )
            if self.columns.count(name) > 1:
                raise InputError(f"{self.name} has several columns named {name!r}")

    def other_columns(self, taken: set[str | None]) -> tuple[str, ...]:
        """Return the columns that are not taken, without an index that pandas wrote."""
        others = [column for column in self.columns if column not in taken]
        nameless = [column for column in others if INDEX_NAME.fullmatch(column)]
        others = [column for column in others if column not in nameless]
        if nameless:
            log_warning(
                f"{self.name}: {len(nameless)} column(s) without a name, as pandas writes for an index, are left out"
            )
        if not others:
            raise InputError(
                f"{self.name} has the columns {listed(self.columns, MOST_NAMES)}; none is left for the channels"
            )
        if len(others) > MAX_COLUMNS:
            raise InputError(f"{self.name} has {len(self.columns)} columns; name the channels with --value-columns")
        return tuple(others)


class CsvTable(TableFile):
    """A CSV file in UTF-8, plain or compressed (.gz, .zst), whose first line names the columns."""

    def place(self, row: int) -> str:
        """Describe the place of a row of the table that was given last: the line on which it begins."""
        row += self.rows_before
        with self._errors(), self._open_text() as file:
            lines = csv.reader(file, delimiter=self.settings.separator)
            next(lines)
            begin = lines.line_num
            for fields in lines:
                if not (len(fields) < 2 and not "".join(fields).strip()):  # pandas skips blank lines
                    row -= 1
                if row < 0:
                    return f"line {begin + 1}"
                begin = lines.line_num
        raise IndexError("the file has fewer rows")

    def _read_names(self) -> list[str]:
        with self._errors(), self._open_text() as file:
            return self._checked_names(next(csv.reader(file, delimiter=self.settings.separator), []))

    def _checked_names(self, names: list[str]) -> list[str]:
        while names and not names[-1]:
            names.pop()  # a separator at the end of each line
        if not any(names):
            raise InputError(f"{self.name} is empty: its first line must hold the names of the columns")
        if len(names) == 1:
            found = next((s for s in SEPARATORS if s != self.settings.separator and s in names[0]), None)
            if found is not None:
                self.hint = f". If {found!r} separates its columns, use --separator {found!r}"
        return names

    def most_rows(self) -> int:
        """Count the line ends; a field in quotes may hold some."""
        n_lines = 1
        with self._errors(), self._open() as file:
            while block := file.read(1 << 20):
                n_lines += block.count(b"\n")
        return n_lines

    def _read(self, names: list[str], text: list[str], n_rows: int | None) -> Iterator[pd.DataFrame]:
        n_read = 0
        with self._errors(), self._open() as file:
            tables = pd.read_csv(file, header=0, chunksize=n_rows, **self._options(names, text))
            if n_rows is None:
                self._check_fields(len(tables))
                tables = [tables]
            for table in tables:
                n_read += len(table)
                yield self._named(table)
            if n_rows is not None:
                self._check_fields(n_read)

    def _options(self, names: list[str], text: list[str]) -> dict[str, Any]:
        """How pandas is to read columns: by position, since names may come twice or be empty."""
        at = {name: self.columns.index(name) for name in names}
        missing = {at[name]: [""] if name in text else [*MISSING, *self.settings.missing] for name in names}
        return {
            "names": list(range(len(self.columns))), "usecols": sorted(at.values()), "index_col": False,
            "dtype": {at[name]: "str" for name in text}, "encoding": "utf-8-sig", "sep": self.settings.separator,
            "decimal": self.settings.decimal, "keep_default_na": False, "na_values": missing, "low_memory": False,
        }  # fmt: skip

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Name columns that were read by position."""
        return table.reset_index(drop=True).rename(columns=lambda position: self.columns[position])

    def _check_fields(self, n_rows: int) -> None:
        """Refuse what pandas would silently cut or fill: lines with more or fewer fields than columns, and NUL."""
        n_separators = n_quotes = n_nul = 0
        with self._open() as file:
            while block := file.read(1 << 20):
                n_separators += block.count(self.settings.separator.encode())
                n_quotes += block.count(b'"')
                n_nul += block.count(b"\0")
        if n_quotes == n_nul == 0 and n_separators == (n_rows + 1) * (len(self.columns) - 1):
            return
        with self._open_text() as text:
            lines = csv.reader(self._without_nul(text), delimiter=self.settings.separator)
            for fields in lines:
                while len(fields) > len(self.columns) and not fields[-1]:
                    fields.pop()  # a separator at the end of the line
                if fields and len(fields) != len(self.columns):
                    raise InputError(
                        f"{self.name}, line {lines.line_num}: {len(fields)} fields, but {len(self.columns)} columns "
                        f"are named in the first line{self.hint}"
                    )

    def _without_nul(self, text: IO[str]) -> Iterator[str]:
        for number, line in enumerate(text, start=1):
            if "\0" in line:
                raise InputError(f"{self.name}, line {number}: a NUL byte; the file is damaged or not text")
            yield line

    def _open(self) -> IO[bytes]:
        suffix = self.path.suffix.lower()
        stored = self.path.open() if isinstance(self.path, StoredFile) else None
        if suffix == ".gz":
            return gzip.open(stored or str(self.path), "rb")  # type: ignore[return-value]
        if suffix == ".zst":
            try:
                import pyarrow
            except ImportError as error:
                raise JobError(".zst files need pyarrow: pip install 'tsae[parquet]'") from error
            return io.BufferedReader(pyarrow.input_stream(stored or str(self.path), compression="zstd"))
        return stored or open(str(self.path), "rb")

    def _open_text(self) -> IO[str]:
        return io.TextIOWrapper(self._open(), encoding="utf-8-sig", newline="")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name} is not UTF-8 text: byte {error.object[error.start]:#04x} at byte {error.start}; "
                "save it as UTF-8"
            ) from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
            raise InputError(f"{self.name} is not a table of comma-separated values: {error}") from error
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{self.name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


class CsvLines(CsvTable):
    """Lines of CSV that arrive one after the other.

    Parameters
    ----------
    header : str
        The first line.
    name : str
        Of the source, for messages.
    settings : Columns
    """

    def __init__(self, header: str, name: str, settings: Columns):
        self.path, self.name, self.settings = Path(name), name, settings
        self.partition: dict[str, str] = {}
        self.numbers: Sequence[int] = []
        self.columns = self._checked_names(self._split(header, 1))

    def place(self, row: int) -> str:
        """Describe the place of a row of the table that was given last: its line."""
        return f"line {self.numbers[row]}"

    def table(self, lines: Sequence[str], numbers: Sequence[int], names: list[str], text: list[str]) -> pd.DataFrame:
        """Read columns of lines with these numbers; those in `text` stay unparsed."""
        self.numbers = numbers
        for line, number in zip(lines, numbers, strict=True):
            n_fields = len(self._fields(line, number))
            if n_fields != len(self.columns):
                raise InputError(
                    f"{self.name}, line {number}: {n_fields} fields, but {len(self.columns)} columns are named in the "
                    f"first line{self.hint}"
                )
        with self._errors():
            return self._named(
                pd.read_csv(io.StringIO("\n".join(lines) + "\n"), header=None, **self._options(names, text))
            )[names]

    def _fields(self, line: str, number: int) -> list[str]:
        fields = self._split(line, number)
        while len(fields) > len(self.columns) and not fields[-1]:
            fields.pop()  # a separator at the end of the line
        return fields

    def _split(self, line: str, number: int) -> list[str]:
        if "\0" in line:
            raise InputError(f"{self.name}, line {number}: a NUL byte; the input is damaged or not text")
        try:
            line.encode()
            return next(csv.reader([line], delimiter=self.settings.separator, strict=True), [])
        except csv.Error as error:
            raise InputError(f"{self.name}, line {number}: {error}") from error
        except UnicodeEncodeError as error:
            raise InputError(f"{self.name}, line {number} is not UTF-8 text") from error


class ParquetTable(TableFile):
    """A Parquet file; an index that pandas stored is a column like any other."""

    def _read_names(self) -> list[str]:
        self.parquet = import_parquet()
        with self._errors():
            return list(self.parquet.read_schema(self._file()).names)

    def _file(self) -> Any:
        return self.path.open(in_order=False) if isinstance(self.path, StoredFile) else self.path

    def most_rows(self) -> int:
        """Return the number of rows that the file states."""
        with self._errors():
            return int(self.parquet.read_metadata(self._file()).num_rows)

    def _read(self, names: list[str], _text: list[str], n_rows: int | None) -> Iterator[pd.DataFrame]:
        with self._errors():
            file = self.parquet.ParquetFile(self._file())
            if n_rows is None or file.metadata.num_rows == 0:
                tables: Iterable[Any] = [file.read(columns=names)]
            else:
                tables = map(_one_batch, file.iter_batches(n_rows, columns=names))
            for table in tables:
                # Without the metadata of pandas all names are text, as in the file.
                yield table.to_pandas(ignore_metadata=True, date_as_object=False)[names]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{self.name} cannot be read as a Parquet file: {error}") from error


def _one_batch(batch: Any) -> Any:
    import pyarrow

    return pyarrow.Table.from_batches([batch])


def import_parquet() -> Any:
    """Import ``pyarrow.parquet``, with an error that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise JobError("Parquet files need pyarrow: pip install 'tsae[parquet]' (or use CSV files)") from error
    return pyarrow.parquet
