"""Tables of files, a chunk at a time."""

import numpy as np
import pandas as pd
import pytest

from tsae.jobs.errors import InputError
from tsae.jobs.spec import Columns
from tsae.jobs.table_reader import read_chunks, read_rows


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_chunks_hold_the_rows_of_the_table(tmp_path, suffix):
    table = pd.DataFrame({"time": np.arange(25), "x": np.arange(25) / 4, "note": [f"n{n}" for n in range(25)]})
    path = tmp_path / f"t{suffix}"
    table.to_parquet(path, index=False) if suffix == ".parquet" else table.to_csv(path, index=False)
    columns = Columns(time="time", values=("x",))
    chunks = list(read_chunks(path, columns, 10, extra=["note"]))
    assert [len(rows.series.values) for rows in chunks] == [10, 10, 5]
    whole = read_rows(path, columns, extra=["note"])
    np.testing.assert_array_equal(np.concatenate([rows.series.values for rows in chunks]), whole.series.values)
    assert [time for rows in chunks for time in rows.series.times] == list(whole.series.times)
    assert [note for rows in chunks for note in rows.extra["note"]] == list(whole.extra["note"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("24,oops", "line 26: column 'x' holds 'oops'"),
        ("24,1,2", "line 26: 3 fields, but 2 columns"),
        ("24", "line 26: 1 fields, but 2 columns"),
        ("24.5,1", "times of kind 'float', but .* the rows before are of this kind"),
    ],
)
def test_what_is_wrong_in_a_later_chunk_is_named(tmp_path, line, message):
    path = tmp_path / "t.csv"
    path.write_text("time,x\n" + "".join(f"{number},1\n" for number in range(24)) + f"{line}\n")
    with pytest.raises(InputError, match=message):
        list(read_chunks(path, Columns(time="time", values=("x",)), 10))


def test_a_table_without_rows_is_one_chunk(tmp_path):
    (tmp_path / "t.csv").write_text("time,x\n")
    pd.DataFrame({"time": [], "x": []}).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        [rows] = read_chunks(tmp_path / name, Columns(time="time", values=("x",)), 10)
        assert len(rows.series.values) == 0
