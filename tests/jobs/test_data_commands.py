import pandas as pd

from tests.jobs.conftest import names_of
from tsae import describe
from tsae.datasets import load_pump_faults, load_pumps, load_sea_surface_temperature


def test_the_command_writes_what_the_package_loads(tsae, tmp_path):
    code, out, err = tsae("sample-data", tmp_path / "data")
    assert (code, out) == (0, "")
    assert err.count("wrote ") == 3
    expected = {
        "pumps": load_pumps(),
        "pump_faults": load_pump_faults(),
        "sea_surface_temperature": load_sea_surface_temperature(),
    }
    assert names_of(tmp_path / "data") == sorted(f"{name}.csv" for name in expected)
    for name, table in expected.items():
        dates = [column for column in table if table[column].dtype.kind == "M"]
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "data" / f"{name}.csv", parse_dates=dates), table)


def test_the_command_replaces_nothing_unasked(tsae, tmp_path):
    (tmp_path / "pump_faults.csv").write_text("mine")
    code, _, err = tsae("sample-data", tmp_path)
    assert (code, names_of(tmp_path)) == (1, ["pump_faults.csv"])
    assert "use --overwrite" in err
    assert tsae("sample-data", tmp_path, "--overwrite", "--quiet") == (0, "", "")


def test_describe(tsae, table, tmp_path):
    table.to_csv(tmp_path / "table.csv", index=False)
    columns = ["--id-column", "machine", "--time-column", "time"]
    code, out, _ = tsae("describe", tmp_path / "table.csv", *columns)
    first, *lines, fit, faster = out.splitlines()
    assert (code, "\n".join(lines)) == (0, str(describe(table, id_column="machine", time_column="time")))
    assert first == "columns: times in 'time'; series in 'machine'"
    assert fit.startswith("LSTMAutoencoder().fit on them: ")
    assert faster.startswith("faster: units=16, epochs=3 ")
    code, out, err = tsae("describe", tmp_path / "table.csv", *columns, "--id-from-file")
    assert (code, out) == (2, "")
    assert "exclude each other" in err
    assert tsae("describe", tmp_path / "none.csv")[0] == 1


def test_describe_finds_columns_as_init_does(tsae, table, tmp_path):
    with_label = table.assign(fault=0)
    with_label.assign(note="ok").to_csv(tmp_path / "table.csv", index=False)
    code, out, err = tsae("describe", tmp_path / "table.csv")
    assert (code, err) == (0, "")
    announced, *described = out.splitlines()
    assert announced == "columns: times in 'time'; series in 'machine'; labels in 'fault'; left out, as text: 'note'"
    assert "\n".join(described[:-2]) == str(describe(with_label, id_column="machine", time_column="time"))
    code, _, err = tsae("init", tmp_path / "table.csv", tmp_path / "out.toml")
    assert (code, err.splitlines()[0]) == (0, announced)
