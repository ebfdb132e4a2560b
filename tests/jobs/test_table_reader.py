import numpy as np
import pandas as pd
import pytest

from tsae.jobs.errors import InputError
from tsae.jobs.spec import Columns
from tsae.jobs.table_reader import read_rows

COLUMNS = Columns("id", "time", ("x", "y"))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "id": ["b", "a", "b", "a"],
            "time": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"]),
            "x": [1.5, 2.0, np.nan, 4.0],
            "y": [1, 2, 3, 4],
            "note": ["k", "l", "m", "n"],
        }
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_both_formats_give_the_same_series(tmp_path, frame, suffix):
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    rows = read_rows(path, COLUMNS, extra=["note"])
    assert rows.series.names.tolist() == ["b", "a"]
    np.testing.assert_array_equal(rows.series.values, [[1.5, 1], [np.nan, 3], [2, 2], [4, 4]])
    assert rows.series.times.dtype == "datetime64[ns]"
    assert rows.time_kind == "datetime"
    assert rows.extra["note"].tolist() == ["k", "m", "l", "n"]  # as the rows of the series


def test_without_columns_named_every_other_column_is_a_channel(tmp_path):
    path = write(tmp_path / "t.csv", "u,v\n1,2\n3,\n")
    rows = read_rows(path, Columns())
    assert rows.series.channel_names == ["u", "v"]
    assert rows.series.times is None
    assert rows.series.names.tolist() == ["0"]


def test_a_trailing_comma_is_allowed(tmp_path):
    path = write(tmp_path / "t.csv", "u,v,u\n1,2,3,\n3,4,5,\n")
    assert read_rows(path, Columns(values=("v",))).series.values.tolist() == [[2.0], [4.0]]


def test_commas_and_line_ends_in_quotes(tmp_path):
    path = write(tmp_path / "t.csv", 'note,u\n"a, b",1\n"c\nd",2\n\n"e ""f""",3\n')
    rows = read_rows(path, Columns(values=("u",)), extra=["note"])
    assert rows.extra["note"].tolist() == ["a, b", "c\nd", 'e "f"']


def test_a_file_can_be_a_series(tmp_path):
    path = write(tmp_path / "t.csv", "u\n1\n")
    assert read_rows(path, Columns(id_from_file=True), name="day/pump.csv").series.names.tolist() == ["day/pump"]


def test_ids_are_text_whatever_they_look_like(tmp_path):
    path = write(tmp_path / "t.csv", "id,x\n007,1\nNA,2\n")
    assert read_rows(path, Columns("id", values=("x",))).series.names.tolist() == ["007", "NA"]
    pd.DataFrame({"id": [7, 8], "x": [1.0, 2]}).to_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet", Columns("id", values=("x",))).series.names.tolist() == ["7", "8"]


@pytest.mark.parametrize(
    ("times", "kind", "first"),
    [
        (["2024-01-01T00:00:00.000000001", "2024-01-02"], "datetime", np.datetime64("2024-01-01T00:00:00.000000001")),
        (["2024-01-01 00:00+02:00", "2024-01-02 00:00+02:00"], "utc", np.datetime64("2023-12-31T22:00")),
        (["2024-03-31 01:00+01:00", "2024-03-31 03:00+02:00"], "utc", np.datetime64("2024-03-31T00:00")),
        (["1711843200123456789", "1711843200123456790"], "integer", 1711843200123456789),
        (["0.5", "1e3"], "float", 0.5),
    ],
)
def test_kinds_of_times(tmp_path, times, kind, first):
    path = write(tmp_path / "t.csv", f"time,x\n{times[0]},1\n{times[1]},2\n")
    rows = read_rows(path, Columns(time="time", values=("x",)))
    assert rows.time_kind == kind
    assert rows.series.times[0] == first
    assert len(rows.series.times) == 2


def test_time_format(tmp_path):
    path = write(tmp_path / "t.csv", "time,x\n31.12.2023 23:00,1\n01.01.2024 00:00,2\n")
    rows = read_rows(path, Columns(time="time", time_format="%d.%m.%Y %H:%M"))
    assert rows.series.times[1] == pd.Timestamp("2024-01-01")


def test_integers_are_read_as_floats_where_the_model_was_trained_on_floats(tmp_path):
    path = write(tmp_path / "t.csv", "time,x\n1,1\n2,2\n")
    assert read_rows(path, Columns(time="time", time_kind="float")).series.times.dtype == np.float64


BAD = {
    "no file": (None, "cannot be read"),
    "empty": ("", "is empty"),
    "blank first line": ("\n1,2\n", "is empty"),
    "no such column": ("id,time,x\na,1,2\n", "no column 'y'; it has 'id', 'time', 'x'"),
    "twice the column": ("id,time,x,y,y\na,1,2,3,4\n", "several columns named 'y'"),
    "text": ("id,time,x,y\na,1,2,3\na,2,oops,4\n", "line 3: column 'x' holds 'oops'"),
    "date as value": ("id,time,x,y\na,1,2024-01-01,3\n", "line 2: column 'x' holds '2024-01-01'"),
    "infinity": ("id,time,x,y\na,1,2,3\na,2,-inf,4\n", "line 3: column 'x' holds -inf"),
    "no id": ("id,time,x,y\na,1,2,3\n,2,3,4\n", "line 3: column 'id' is empty"),
    "no time": ("id,time,x,y\na,,2,3\n", "line 2: column 'time' is empty"),
    "no such time": ("id,time,x,y\na,2024-01-01,2,3\na,01/02/2024,2,3\n", "line 3: column 'time' holds '01/02/2024'"),
    "no such day": ("id,time,x,y\na,2024-02-30,2,3\n", "line 2: column 'time' holds '2024-02-30'"),
    "far away": ("id,time,x,y\na,9999-01-01,2,3\n", "column 'time'"),
    "mixed times": ("id,time,x,y\na,2024-01-01,2,3\na,7,2,3\n", "line 3: column 'time' holds '7'"),
    "time twice": ("id,time,x,y\na,1,2,3\nb,1,2,3\na,1,2,3\n", "in series 'a' 1 comes twice"),
    "time back": ("id,time,x,y\na,2,2,3\na,1,2,3\n", "in series 'a' 1 comes after 2"),
    "not UTF-8": ("id,time,x,y\nM\xfcller,1,2,3\n".encode("latin-1"), "is not UTF-8 text: byte 0xfc"),
    "UTF-16": ("id,time,x,y\na,1,2,3\n".encode("utf-16"), "is not UTF-8"),
    "too many fields": ("id,time,x,y\na,1,2,3\na,2,3,4,5\n", "line 3: 5 fields, but 4 columns"),
    "too many fields everywhere": ("id,time,x,y\na,1,2,3,4\na,2,3,4,5\n", "line 2: 5 fields, but 4 columns"),
    "decimal commas": ("id,time,x,y\na,1,2,5,3,5\n", "line 2: 6 fields, but 4 columns"),
    "cut off": ("id,time,x,y\na,1,2,3\na,2,", "line 3: 3 fields, but 4 columns"),
    "semicolons": ("id;time;x;y\na;1;2;3\n", "no column 'id'; it has 'id;time;x;y'"),
    "binary": (bytes(range(256)), "t.csv"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_csv_files_are_refused_with_their_place(tmp_path, case):
    text, message = BAD[case]
    path = tmp_path / "t.csv"
    if text is not None:
        write(path, text)
    with pytest.raises(InputError) as caught:
        read_rows(path, COLUMNS)
    assert message in str(caught.value)
    assert "t.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": ["1", "2", "b", "4"]}, "row 3: column 'x' holds 'b'"),
        ({"x": [1.0, np.inf, 0, 0]}, "row 2: column 'x' holds inf"),
        ({"id": ["a", None, "b", "b"]}, "row 2: column 'id' is empty"),
        ({"x": [[1], [2], [3], [4]]}, "row 1: column 'x' holds"),
    ],
)
def test_bad_parquet_files_are_refused_with_their_place(tmp_path, frame, change, message):
    frame.assign(**change).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError) as caught:
        read_rows(tmp_path / "t.parquet", COLUMNS)
    assert message in str(caught.value)


def test_a_damaged_parquet_file_is_refused(tmp_path, frame):
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as a Parquet file"):
        read_rows(path, COLUMNS)


def test_an_index_that_pandas_stored_is_a_column(tmp_path, frame):
    frame.set_index("time").to_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet", COLUMNS).time_kind == "datetime"


def test_many_columns_are_no_channels_unless_named(tmp_path):
    n = 20_000
    names = ",".join(f"c{i}" for i in range(n))
    path = write(tmp_path / "t.csv", f"{names}\n{','.join('1' * n)}\n")
    with pytest.raises(InputError, match="20000 columns; name the channels with --value-columns"):
        read_rows(path, Columns())
    assert read_rows(path, Columns(values=("c7",))).series.values.tolist() == [[1.0]]


def test_kinds_of_times_may_not_change(tmp_path):
    path = write(tmp_path / "t.csv", "time,x\n1,1\n")
    with pytest.raises(InputError, match="times of kind 'integer', but the model was trained on 'datetime'"):
        read_rows(path, Columns(time="time", time_kind="datetime"))
