"""Tables of files: the same series from every format, and faults named with their place."""

import gzip

import numpy as np
import pandas as pd
import pyarrow
import pytest

from tsae.jobs.errors import InputError, JobError
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


# -- faults of files -----------------------------------------------------------------------------------------------

VALUES = Columns(values=("u", "v"))


@pytest.mark.parametrize(
    "text",
    [
        ",u,v\n0,1,2\n1,3,4\n",  # the index that pandas writes
        "Unnamed: 0,u,v\n0,1,2\n1,3,4\n",
        "u,v,\n1,2,\n3,4,\n",  # a comma at each line end
        "u,v\n1,2,\n3,4,\n",
    ],
)
def test_columns_without_a_name_are_no_channels(tmp_path, text):
    path = write(tmp_path / "t.csv", text)
    for columns in (Columns(), VALUES):
        series = read_rows(path, columns).series
        assert series.channel_names == ["u", "v"]
        assert series.values.tolist() == [[1, 2], [3, 4]]


def test_an_index_without_a_name_in_parquet_is_no_channel(tmp_path):
    pd.DataFrame({"u": [1.0, 2]}, index=[5, 7]).to_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet", Columns()).series.channel_names == ["u"]


def test_a_line_break_within_a_name(tmp_path):
    path = write(tmp_path / "t.csv", '"speed\n[rpm]",v\n1,2\n3,x\n')
    with pytest.raises(InputError, match="line 4: column 'v' holds 'x'"):
        read_rows(path, Columns())
    series = read_rows(write(path, '"speed\n[rpm]",v\n1,2\n3,4\n'), Columns()).series
    assert series.channel_names == ["speed\n[rpm]", "v"]
    assert series.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "text",
    [
        "u\n\n\n \n\n\nERR\n",
        "u\n1\n2\n3\n4\n5\nERR\n",
        'note,u\n"a\nb\nc",1\n\n\nx,ERR\n',
        "u\r\n1\r\n\r\n\r\n\r\n2\r\nERR",
    ],
)
def test_lines_are_counted_as_in_the_file(tmp_path, text):
    with pytest.raises(InputError, match="line 7: column 'u' holds 'ERR'"):
        read_rows(write(tmp_path / "t.csv", text), Columns(values=("u",)))


def test_a_nul_byte_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "u,v\n1,2\n12.0\x0034,5\n")
    with pytest.raises(InputError, match="line 3: a NUL byte"):
        read_rows(path, VALUES)


@pytest.mark.parametrize("first", ["2024-01-01 00:00", "2024-01-01", "2024-01-01T00:00:00.5"])
@pytest.mark.parametrize("zoned", ["2024-01-02T00:00Z", "2024-01-02 00:00+02:00", "2024-01-02T00:00:00-0530"])
def test_times_with_and_without_a_zone_are_not_mixed(tmp_path, first, zoned):
    for times in ([first, zoned], [zoned, first]):
        path = write(tmp_path / "t.csv", f"time,x\n{times[0]},1\n{times[1]},2\n")
        with pytest.raises(InputError, match=f"line {2 + times.index(first)}: .* has no time zone, while other"):
            read_rows(path, Columns(time="time", values=("x",)))


@pytest.mark.parametrize("time_format", ["%s", "%Q", "%Y-%"])
def test_formats_that_are_none_are_refused(tmp_path, time_format):
    path = write(tmp_path / "t.csv", "time,x\n1,1\n2,2\n")
    with pytest.raises(JobError, match="--time-format .* is no format of datetime.strptime"):
        read_rows(path, Columns(time="time", values=("x",), time_format=time_format))


@pytest.mark.parametrize("times", [[20240131, 20240201], ["20240131", "20240201"], [20240131.0, 20240201.0]])
def test_the_format_of_times_holds_for_parquet_as_well(tmp_path, times):
    pd.DataFrame({"time": times, "x": [1.0, 2]}).to_parquet(tmp_path / "t.parquet")
    rows = read_rows(tmp_path / "t.parquet", Columns(time="time", values=("x",), time_format="%Y%m%d"))
    assert rows.series.times.tolist() == [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_are_read_in_seconds_whatever_their_unit(tmp_path, unit):
    durations = pd.to_timedelta([90, 150], unit="s").as_unit(unit)
    pd.DataFrame({"time": durations, "x": durations}).to_parquet(tmp_path / "t.parquet")
    rows = read_rows(tmp_path / "t.parquet", Columns(time="time", values=("x",)))
    assert rows.series.times.tolist() == [90.0, 150.0]
    assert rows.series.values[:, 0].tolist() == [90.0, 150.0]
    assert rows.time_kind == "float"


def test_datetimes_are_no_values(tmp_path):
    pd.DataFrame({"x": pd.to_datetime(["2024-01-01"])}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="row 1: column 'x' holds Timestamp"):
        read_rows(tmp_path / "t.parquet", Columns())


def test_integer_names_in_parquet(tmp_path):
    pd.DataFrame({0: [1.0, 2.0], 1: [3.0, 4.0]}).to_parquet(tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet", Columns()).series.channel_names == ["0", "1"]
    assert read_rows(tmp_path / "t.parquet", Columns(values=("1",))).series.values.tolist() == [[3.0], [4.0]]


def test_floating_times_are_read_exactly(tmp_path):
    times = [0.1, 0.3, 1 / 3, 1.1 + 2.2, 1711843200.123457]
    path = write(tmp_path / "t.csv", "time,x\n" + "".join(f"{time!r},1\n" for time in times))
    rows = read_rows(path, Columns(time="time", values=("x",)))
    assert rows.series.times.tolist() == times


# -- marks of missing values, separators, ids ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_marks_of_missing_values(tmp_path, suffix):
    marks = Columns(values=("u", "v", "w"), missing=("-999", "9999", "NAN", "#N/A", "-3.4028235e38"))
    frame = pd.DataFrame(
        {
            "u": ["1", "NAN", "#N/A", "-999.0", "5"],
            "v": [-999, 2, 9999, 4, -99],
            "w": np.array([1, -999, 3, np.finfo(np.float32).min, 9999], np.float32),
        }
    )
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    nan = np.nan
    expected = [[1, nan, 1], [nan, 2, nan], [nan, nan, 3], [nan, 4, nan], [5, -99, nan]]
    np.testing.assert_array_equal(read_rows(path, marks).series.values, expected)


def test_marks_of_missing_values_do_not_touch_ids_and_times(tmp_path):
    path = write(tmp_path / "t.csv", "id,time,x\n9999,9999,9999\n")
    series = read_rows(path, Columns("id", "time", ("x",), missing=("9999",))).series
    assert (series.names[0], series.times[0]) == ("9999", 9999)
    assert np.isnan(series.values[0, 0])


def test_semicolons_and_decimal_commas(tmp_path):
    path = write(tmp_path / "t.csv", "id;time;x;y\na, b;1,5;2,25;NA\na, b;2,5;-1;1e3;\n")
    rows = read_rows(path, Columns("id", "time", separator=";", decimal=","))
    np.testing.assert_array_equal(rows.series.values, [[2.25, np.nan], [-1, 1000]])
    assert rows.series.times.tolist() == [1.5, 2.5]
    assert rows.series.names.tolist() == ["a, b"]
    with pytest.raises(InputError, match="line 3: 5 fields, but 4 columns"):
        read_rows(write(path, "id;time;x;y\na;1;2;3\na;2;3;4;5\n"), Columns("id", "time", separator=";"))
    text = "id;time;x;y\na;1;2,5;3\na;2;oops;4\n"  # text in a column with decimal commas
    with pytest.raises(InputError, match="line 3: column 'x' holds 'oops'"):
        read_rows(write(path, text), Columns("id", "time", separator=";", decimal=","))


@pytest.mark.parametrize(
    ("text", "columns", "hint"),
    [
        ("id;time;x;y\na;1;2;3\n", COLUMNS, "use --separator ';'"),
        ("x;y\n1;2\n", Columns(), "use --separator ';'"),
        ("x;y\n1,5;2\n", Columns(), "use --separator ';'"),
        ("x\ty\n1\t2\n", Columns(), r"use --separator '\\t'"),
        ("x,y\n1,2\n", Columns(separator=";"), "use --separator ','"),
        ("x;y\n1,5;2\n", Columns(separator=";"), "use --decimal ','"),
        ("when,y\n2024-01-01,1\n2024-01-02,1\n", Columns(), "If these are times, use --time-column 'when'"),
        ("site,y\nnorth,1\nsouth,1\n", Columns(), "If it tells series apart, use --id-column 'site'"),
    ],
)
def test_what_is_probably_meant_is_a_hint(tmp_path, text, columns, hint):
    with pytest.raises(InputError, match=hint):
        read_rows(write(tmp_path / "t.csv", text), columns)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_of_several_columns(tmp_path, suffix):
    frame = pd.DataFrame({"a": ["x", "x/y", "x"], "b": ["y/z", "z", "y/z"], "v": [1.0, 2, 3]})
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    series = read_rows(path, Columns(("a", "b"))).series
    assert len(set(series.names)) == 2
    assert series.channel_names == ["v"]
    assert series.values[:, 0].tolist() == [1, 3, 2]
    simple = pd.DataFrame({"a": [1, 2], "b": ["u", "u"], "v": [1.0, 2]})
    simple.to_parquet(tmp_path / "s.parquet")
    assert read_rows(tmp_path / "s.parquet", Columns(("a", "b"))).series.names.tolist() == ["1/u", "2/u"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_directories_name_columns(tmp_path, suffix):
    folder = tmp_path / "site=north%20sea" / "machine=m1"
    folder.mkdir(parents=True)
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    path = folder / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    assert read_rows(path, Columns("machine")).series.names.tolist() == ["m1"]
    assert read_rows(path, Columns(("site", "machine"))).series.names.tolist() == ["north sea/m1"]
    assert read_rows(path, Columns("machine")).series.channel_names == ["x"]
    with pytest.raises(InputError, match="no column 'pump'"):
        read_rows(path, Columns("pump"))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files(tmp_path, suffix):
    text = b"id,time,x,y\nb,1,1.5,2\nb,2,,oops\n"
    for content in (text.replace(b"oops", b"4"), text):
        path = tmp_path / f"t.csv{suffix}"
        packed = gzip.compress(content) if suffix == ".gz" else pyarrow.compress(content, codec="zstd", asbytes=True)
        path.write_bytes(packed)
        if content == text:
            with pytest.raises(InputError, match="line 3: column 'y' holds 'oops'"):
                read_rows(path, COLUMNS)
        else:
            np.testing.assert_array_equal(read_rows(path, COLUMNS).series.values, [[1.5, 2], [np.nan, 4]])
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="t.csv"):
        read_rows(path, COLUMNS)
    path.write_bytes(b"plain text")
    with pytest.raises(InputError, match="t.csv"):
        read_rows(path, COLUMNS)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", ["datetime", "utc", "integer", "float"])
def test_a_table_without_rows_is_a_part_of_no_rows(tmp_path, frame, suffix, kind):
    path = tmp_path / f"t{suffix}"
    frame[:0].to_csv(path, index=False) if suffix == ".csv" else frame[:0].to_parquet(path)
    rows = read_rows(path, Columns("id", "time", ("x", "y"), time_kind=kind), extra=["note"])
    assert rows.series.values.shape == (0, 2)
    assert (len(rows.series.names), len(rows.series.times), len(rows.extra), rows.time_kind) == (0, 0, 0, kind)
