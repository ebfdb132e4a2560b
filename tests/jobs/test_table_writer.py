import numpy as np
import pandas as pd
import pytest

from tsae.jobs.spec import Columns
from tsae.jobs.table_writer import read_result, result_writer, with_zone, write_result


def test_the_time_zone_is_restored():
    table = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=2)})
    assert with_zone(table, Columns(time_kind="utc"), "time")["time"].dt.tz is not None
    assert with_zone(table, Columns(time_kind="datetime"), "time") is table


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_written_in_chunks_are_read_back(tmp_path, suffix):
    table = pd.DataFrame(
        {
            "series": ["1", "2", "2"],
            "start": pd.to_datetime(["2024-01-01T00:00:00.5", "2024-01-02T00:00:00.0", "2024-01-03T00:00:00.0"]),
            "f": np.array([0.1, np.nan, 3e-9], dtype=np.float32),
        }
    )
    path = tmp_path / "new" / f"t{suffix}"
    with result_writer(path) as append:
        append(table[:0])
        append(table[:2])
        append(table[2:])
    back = read_result(path)
    assert back["series"].tolist() == ["1", "2", "2"]
    assert (back["start"] == table["start"]).all()
    np.testing.assert_array_equal(back["f"].astype(np.float32), table["f"])


def write_half(table, path):
    with result_writer(path) as append:
        append(table)
        raise ValueError("half way")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_failed_write_leaves_what_was_there(tmp_path, suffix):
    table = pd.DataFrame({"a": [1, 2]})
    path = tmp_path / f"t{suffix}"
    write_result(table, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="half"):
        write_half(table, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_results_in_csv_are_read_back_to_the_last_bit(tmp_path):
    table = pd.DataFrame({"series": "a", "time": np.arange(2000), "p_value": np.arange(1, 2001) / 15203})
    write_result(table, tmp_path / "t.csv")
    assert (read_result(tmp_path / "t.csv")["p_value"] == table["p_value"]).all()
