"""The job `init`."""

import numpy as np
import pandas as pd
import pytest

from tsae import describe
from tsae.jobs.config import read_config
from tsae.jobs.report import read_parts

QUICK = ["--units", 2, "--epochs", 1, "--set", "bidirectional=false", "--set-detector", "scores=errors"]


def train_table(path):
    options = set(read_config(path, "train", {"input", "model", "id_column", "time_column", "value_columns", "width",
                                              "stride", "task", "label_column", "separator", "decimal", "time_format",
                                              "missing_values", "id_from_file"}))  # fmt: skip
    return read_config(path, "train", options)


def test_the_file_runs_as_it_is(tsae, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labelled = table.assign(fault=np.arange(len(table)) // 10 % 20 == 19, note="ok")
    labelled.astype({"fault": int}).to_csv("machines.csv", index=False)
    code, _, err = tsae("init", "machines.csv")
    assert code == 0, err
    found, suggested = train_table(tmp_path / "tsae.toml"), describe(table, id_column="machine", time_column="time")
    assert found["value_columns"] == ["load", "heat"]
    assert (found["id_column"], found["time_column"], found["label_column"]) == ("machine", "time", "fault")
    assert (found["width"], found["stride"]) == (suggested.width, suggested.stride)
    text = (tmp_path / "tsae.toml").read_text()
    assert '# not taken, as text or as a label: "note"' in text
    assert "3 series, 609 rows" in text
    for command in (["train", *QUICK, "--width", 12], ["features"], ["anomalies"]):
        code, _, err = tsae(*command, "--config", "tsae.toml")
        assert code == 0, err
    assert len(read_parts(tmp_path / "anomalies")) == 609
    assert (tmp_path / "anomalies.html").exists()
    code, _, err = tsae("init", "machines.csv")
    assert code == 1
    assert "tsae.toml exists; use --overwrite" in err
    assert (tmp_path / "tsae.toml").read_text() == text


def written(tsae, table, folder, *options, **to_csv):
    table.to_csv(folder / "in.csv", **{"index": False, **to_csv})
    code, _, err = tsae("init", folder / "in.csv", folder / "out.toml", "--overwrite", *options)
    assert code == 0, err
    return train_table(folder / "out.toml")


def test_columns_are_told_apart(tsae, tmp_path):
    n = 60
    hours = pd.date_range("2024-01-01", periods=n, freq="h")
    values = {"x": np.sin(np.arange(n)), "y z": np.arange(n) * 0.5}
    found = written(tsae, pd.DataFrame(values), tmp_path)
    assert "time_column" not in found
    assert "id_column" not in found
    assert found["value_columns"] == ["x", "y z"]
    found = written(tsae, pd.DataFrame({"ds": range(n), **values}), tmp_path)
    assert (found["time_column"], found["value_columns"]) == ("ds", ["x", "y z"])
    found = written(tsae, pd.DataFrame({"YEAR": np.arange(1900, 1900 + n), **values}), tmp_path)
    assert (found["time_column"], found["value_columns"]) == ("YEAR", ["x", "y z"])
    quarters = pd.DataFrame({"year": 1900 + np.arange(n) // 4, **values})
    assert "time_column" not in written(tsae, quarters, tmp_path)  # the years repeat
    index = pd.DataFrame(values, index=hours)  # pandas writes an index without a name
    assert written(tsae, index, tmp_path, index=True)["time_column"] == ""
    twice = pd.DataFrame({"machine_id": np.repeat([1, 2], n), "when": [*hours, *hours],
                          **{name: [*column, *column] for name, column in values.items()}})  # fmt: skip
    found = written(tsae, twice, tmp_path)
    assert (found["id_column"], found["time_column"], found["value_columns"]) == ("machine_id", "when", ["x", "y z"])
    states = twice.assign(state=["on", "off"] * n).rename(columns={"machine_id": "number"})
    states["number"] = states["number"].map({1: "one", 2: "two"})
    assert written(tsae, states, tmp_path)["id_column"] == "number"  # times do not increase within "state"
    assert "id_column" not in written(tsae, states[:n], tmp_path)
    german = ["--separator", ";", "--decimal", ",", "--time-format", "%d.%m.%Y %H:%M", "--time-column", "zeit"]
    table = pd.DataFrame({"zeit": hours.strftime("%d.%m.%Y %H:%M"), **values})
    found = written(tsae, table, tmp_path, *german, sep=";", decimal=",")
    assert (found["separator"], found["decimal"], found["value_columns"]) == (";", ",", ["x", "y z"])
    quoted = pd.DataFrame({'a "b" \\': values["x"], "té": values["x"]})
    assert written(tsae, quoted, tmp_path)["value_columns"] == ['a "b" \\', "té"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"time": ["1.2.2024", "2.2.2024"], "x": [1, 2]}, "no time in ISO 8601; name it and its format"),
        ({"time": ["2024-01-01"] * 2, "x": [1, 2]}, "times of column 'time' repeat or go back; name the columns of"),
        ({"kind": ["a", "b"]}, "none of which holds numbers"),
    ],
)
def test_what_cannot_be_told(tsae, tmp_path, table, message):
    pd.DataFrame(table).to_csv(tmp_path / "in.csv", index=False)
    code, _, err = tsae("init", tmp_path / "in.csv", tmp_path / "out.toml")
    assert (code, message in err) == (1, True)
    assert not (tmp_path / "out.toml").exists()


def test_folders_that_name_a_column_are_the_series(tsae, tmp_path):
    for name in ("m1", "m2"):
        folder = tmp_path / "in" / f"machine={name}"
        folder.mkdir(parents=True)
        times = pd.date_range("2024-01-01", periods=30, freq="h")
        pd.DataFrame({"time": times, "x": np.arange(30.0), "state": "on"}).to_csv(folder / "part.csv", index=False)
    code, _, err = tsae("init", tmp_path / "in", tmp_path / "out.toml")
    assert code == 0, err
    found = train_table(tmp_path / "out.toml")
    assert (found["id_column"], found["time_column"], found["value_columns"]) == ("machine", "time", ["x"])


def test_results_do_not_go_into_the_input(tsae, table, tmp_path, monkeypatch):
    table.to_csv(tmp_path / "in.csv", index=False)
    monkeypatch.chdir(tmp_path)
    code, _, err = tsae("init", ".")
    assert code == 1
    assert "the current directory lies within the input" in err
