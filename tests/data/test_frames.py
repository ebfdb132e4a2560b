"""Tables of pandas and polars: where ids, times and channels are found, and what is refused."""

from __future__ import annotations

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.examples import COLUMNS, as_frame, bad, quiet_windows
from tsae import make_windows

# ------------------------------------------------------------------------------------------ kinds of tables


def test_wide_tables_take_their_times_from_the_index():
    times = pd.date_range("2024-01-01", periods=6, freq="h")
    frame = pd.DataFrame({"x": np.arange(6.0), "y": 1.0}, index=times)
    windows = make_windows(frame, 2, 2)
    assert windows.channel_names == ["x", "y"]
    assert windows.index["start"].tolist() == times[::2].tolist()
    assert windows.max_gap == pd.Timedelta("2.5h")
    assert len(make_windows(frame["x"], 2)) == 5
    assert len(make_windows(frame.set_index(times.to_period("h")), 2)) == 5
    assert len(make_windows(frame.set_index(times - times[0]), 2)) == 5


def test_an_index_of_numbers_is_no_time():
    frame = pd.DataFrame({"x": np.arange(4.0)}, index=[10, 20, 90, 0])
    assert make_windows(frame, 2).index["start"].tolist() == [0, 1, 2]


def test_ids_and_times_may_be_levels_of_the_index():
    frame = as_frame([("b", 1, [1.0]), ("a", 1, [2.0]), ("b", 2, [3.0]), ("a", 2, [4.0])])
    for indexed in (frame.set_index("id"), frame.set_index(["id", "time"]), frame.set_index("time")):
        assert make_windows(indexed, 2, **COLUMNS).gather()[..., 0].tolist() == [[1, 3], [2, 4]]


DAYS = pd.date_range("2024-01-01", periods=3)


@pytest.mark.parametrize(
    ("names", "first", "second", "time"),
    [
        (["time", "id"], DAYS, [7, 8], 0),
        ([None, None], DAYS, [7, 8], 0),
        (["when", "what"], DAYS, [7, 8], 0),
        (["when", "what"], DAYS.to_period("D"), [7, 8], 0),
        (["when", "what"], DAYS, ["a", "b"], 0),
        ([None, None], DAYS - DAYS[0], ["a", "b"], 0),
        (["time", "id"], [0, 1, 2], [7, 8], 0),
        (["step", "b"], [0, 1, 2], [7, 8], 0),
        (["a", "sensor_id"], [0, 1, 2], [7, 8], 0),
        ([None, None], [7, 8], [0, 1, 2], 1),
        (["id", "time"], [7, 8], [0, 1, 2], 1),
        (["a", "b"], [7, 8], DAYS, 1),
        ([None, None], ["x", "y"], [0, 1, 2], 1),
        (["batch", "step"], DAYS[:2], [0, 1, 2], 1),
    ],
)  # fmt: skip
def test_levels_are_recognised_by_their_types_and_names(names, first, second, time):
    index = pd.MultiIndex.from_product([first, second], names=names)
    for data in (pd.DataFrame({"x": np.arange(6.0)}, index=index), pd.Series(np.arange(6.0), index=index)):
        windows = make_windows(data, 3)
        assert list(windows.grouped.names) == list((second, first)[time])
        assert list(windows.grouped.times[:3]) == list((first, second)[time])
        assert windows.values[:3, 0].tolist() == ([0, 2, 4] if time == 0 else [0, 1, 2])


@pytest.mark.parametrize(
    ("names", "first", "second", "advice"),
    [
        (["time", "id"], [0, 1], ["a", "b"], "name id_column='id' and time_column='time', or the other way round"),
        ([None, None], [0, 1], ["a", "b"], r"data.index.names = \['id', 'time'\]"),
        (["id", "time"], ["a", "b"], ["2024-01-01", "2024-01-02"], "pandas.to_datetime"),
        (["time", "step"], DAYS, [0, 1], "name id_column='step' and time_column='time'"),
    ],
)  # fmt: skip
def test_ambiguous_levels_are_refused(names, first, second, advice):
    index = pd.MultiIndex.from_product([first, second], names=names)
    frame = pd.DataFrame({"x": np.arange(float(len(index)))}, index=index)
    with pytest.raises(ValueError, match=f"MultiIndex of levels .*, which do not tell ids from times: .*{advice}"):
        make_windows(frame, 2)
    if names[0] == "time":
        assert len(quiet_windows(frame, 2, id_column=names[1], time_column="time")) > 0


def test_value_columns_choose_and_order_the_channels():
    frame = pd.DataFrame({"x": [1.0, 2.0], "note": ["a", "b"], "y": [3, 4]})
    assert make_windows(frame, 2, value_columns=["y", "x"]).gather().tolist() == [[[3, 1], [4, 2]]]
    assert make_windows(frame, 2, value_columns="x").channel_names == ["x"]


@pytest.mark.parametrize("dtype", ["Int64", "Int8", "Float32", "boolean", "int32[pyarrow]", "bool[pyarrow]"])
def test_nullable_columns_keep_their_missing_values(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"x": pd.array([1, None, 0], dtype=dtype)})
    np.testing.assert_array_equal(make_windows(frame, 3).gather().ravel(), [1, np.nan, 0])


def test_arrow_tables_are_read():
    pytest.importorskip("pyarrow")
    for times in ("numbers", "datetimes", "zoned"):
        frame = as_frame([("a", time, [float(time)]) for time in range(4)], times)
        arrow = frame.convert_dtypes(dtype_backend="pyarrow")
        windows, expected = make_windows(arrow, 2, **COLUMNS), make_windows(frame, 2, **COLUMNS)
        np.testing.assert_array_equal(windows.gather(), expected.gather())
        assert windows.index["start"].tolist() == expected.index["start"].tolist()


def test_polars_tables_are_read_as_pandas_tables_are():
    pl = pytest.importorskip("polars")
    rows = [(name, time, [float(time), np.nan]) for name in "ab" for time in range(4)]
    for times in ("datetimes", "zoned"):
        frame = as_frame(rows, times)
        windows, expected = (quiet_windows(data, 2, **COLUMNS) for data in (pl.from_pandas(frame), frame))
        np.testing.assert_array_equal(windows.gather(), expected.gather())
        assert windows.index["end"].tolist() == expected.index["end"].tolist()
    frame = pl.DataFrame(
        {
            "day": [datetime.date(2024, 1, day) for day in (1, 2, 3)],
            "count": [1, None, 3],
            "flag": [True, None, False],
            "price": pl.Series(["1.5", "2.5", None]).cast(pl.Decimal(10, 2)),
        }
    )
    windows = make_windows(frame, 3, time_column="day")
    np.testing.assert_array_equal(windows.gather()[0], [[1, 1, 1.5], [np.nan, np.nan, 2.5], [3, 0, np.nan]])
    assert windows.index["end"].tolist() == [pd.Timestamp("2024-01-03")]
    assert make_windows(frame["count"], 3).channel_names == ["count"]


def test_tables_are_read_without_importing_polars():
    code = "import sys, numpy, tsae; tsae.make_windows(numpy.ones(3), 2); assert 'polars' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_table_is_left_as_it_is():
    frame = as_frame([("b", 1, [1.0]), ("a", 1, [2.0]), ("b", 2, [3.0])])
    before = frame.copy()
    quiet_windows(frame, 2, **COLUMNS)
    pd.testing.assert_frame_equal(frame, before)


# ------------------------------------------------------------------------------------------ what is refused

HOURS = pd.date_range("2024-01-01", periods=6, freq="h")
MIXED = np.array([*HOURS[:5].tz_localize("UTC"), HOURS[5].tz_localize("Europe/Berlin")], dtype=object)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (bad(time=HOURS[[0, 2, 1, 3, 4, 5]]), "in series 'a' 2024-01-01 01:00:00 comes after 2024-01-01 02:00:00"),
        (bad(time=HOURS[[0, 1, 2, 4, 4, 5]]), "in series 'b' 2024-01-01 04:00:00 comes twice"),
        (bad(time=HOURS[[0, 1, 2, 5, 4, 3]]), r"series 'b' .*\(2 places in all\); sort by id and time"),
        (bad(time=[1, 2, 3, 3, 3, 4]), "in series 'b' 3 comes twice"),
        (bad(time=MIXED), "time_column 'time' mixes time zones: UTC in row 0, Europe/Berlin in row 5"),
        (bad(time=HOURS.astype(str)), r"time_column 'time' holds text \('2024-01-01.* pandas.to_datetime"),
        (bad(time=HOURS.where(np.arange(6) != 4)), r"time_column 'time' is missing in row 4"),
        (bad(time=[0, 1, 2, 3, np.nan, 5]), "time_column 'time' is missing in row 4"),
        (bad(time=[0, 1, 2, 3, 4, np.inf]), "time_column 'time' is inf in row 5"),
        (bad(time=[True, False] * 3), "time_column 'time' has dtype bool"),
        (bad(time=[(1,)] * 6), "time_column 'time' has dtype object"),
        (bad(id=["a", None, "a", "b", "b", "b"]), "ids are missing in 1 rows, the first is row 1"),
        (bad(x=[0, 1, 2, 3, np.inf, 5]), "holds inf in series 'b', time 2024-01-01 04:00:00, column 'x'"),
        (bad(x=list("012345")), "column 'x' has dtype .* and holds '0' in row 0; values must be numbers"),
        (bad(x=np.array([0, 1, None, "?", 4, 5], dtype=object)), r"column 'x' .*object and holds '\?' in row 3"),
        (bad(x=np.array([0, 1, None, 3, 4, 5], dtype=object)), "column 'x' has dtype object; values must be"),
        (bad(x=pd.Categorical(list("aabbcc"))), "column 'x' has dtype category and holds 'a' in row 0"),
        (bad(x=HOURS), "column 'x' has dtype datetime64.* and holds Timestamp"),
        (bad(x=1j), "Complex data not supported: column 'x'"),
        (bad().iloc[:0], "data has no rows"),
        (bad()[["id", "time"]], "no column besides the id and the time"),
        (pd.concat([bad(), bad()], axis=1), "several columns named 'id'"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_by_name(frame, message):
    with pytest.raises(ValueError, match=message):
        make_windows(frame, 2, **COLUMNS)


@pytest.mark.parametrize("argument", ["id_column", "time_column", "value_columns"])
@pytest.mark.parametrize("value", [bad()["x"], {"x"}, {"x": 1}, [["x"]], lambda table: table, np.array("x"), 1.5, b"x"])
def test_arguments_that_name_no_column_are_refused(argument, value):
    if isinstance(value, pd.Series) and argument == "value_columns":
        value = [value]
    with pytest.raises(ValueError, match=rf"^{argument}( is a |: there is no column )"):
        make_windows(bad(), 2, **(COLUMNS | {argument: value}))


def test_ids_must_be_hashable_and_columns_named_once():
    with pytest.raises(ValueError, match=r"id_column 'id' holds \[1\]; ids must be text, numbers or times"):
        make_windows(bad(id=[[1]] * 6), 2, **COLUMNS)
    with pytest.raises(ValueError, match="id_column and time_column are both 'time'"):
        make_windows(bad(), 2, id_column="time", time_column="time")
    with pytest.raises(ValueError, match="value_columns names 'x' twice"):
        make_windows(bad(), 2, **COLUMNS, value_columns=["x", "x"])
    assert make_windows(bad(), 2, **COLUMNS, value_columns=np.array(["x"])).channel_names == ["x"]


@pytest.mark.parametrize("column", ["struct", "list", "object"])
@pytest.mark.parametrize("argument", ["id_column", "time_column", "value_columns"])
def test_polars_columns_of_other_kinds_are_refused_by_name(column, argument):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"x": [1.0, 2.0], "list": [[1], [2]]}).with_columns(
        struct=pl.struct("x"), object=pl.Series([object()] * 2, dtype=pl.Object)
    )
    with pytest.raises(
        ValueError, match=f"column '{column}' has dtype {column.title()}.*; allowed are numbers, text and"
    ):
        make_windows(frame, 2, **({"value_columns": ["x"]} | {argument: column}))
    with pytest.raises(ValueError, match="time_column is a (Expr|Series)"):
        make_windows(frame, 2, time_column=pl.col("x"))
    with pytest.raises(TypeError, match="data is a polars Expr"):
        make_windows(pl.col("x"), 2)


def test_an_index_must_be_understood_or_dropped():
    frame = bad().set_index("id")[["x"]]
    with pytest.raises(ValueError, match=r"the index holds text .*reset_index\(drop=True\)"):
        make_windows(frame, 2)
    assert len(make_windows(frame.reset_index(drop=True), 2)) == 5
    with pytest.raises(ValueError, match="name id_column and time_column both"):
        make_windows(bad().set_index(["id", "time"]), 2, id_column="id")
    with pytest.raises(ValueError, match="MultiIndex of levels"):
        make_windows(bad(y=1.0).set_index(["id", "time", "y"]), 2)


def test_a_lazy_polars_frame_must_be_read_first():
    pl = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"data.collect\(\)"):
        make_windows(pl.DataFrame({"x": [1.0]}).lazy(), 1)
