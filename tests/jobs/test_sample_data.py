import pandas as pd

from tests.jobs.conftest import names_of
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
