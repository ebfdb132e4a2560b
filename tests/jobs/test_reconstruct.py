"""The job `reconstruct`."""

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, write_parts
from tsae import load
from tsae.jobs.dataset import read_dataset
from tsae.jobs.models import open_model
from tsae.jobs.report import read_parts
from tsae.timeline import to_timeline

NAMES = ["load", "heat"]


@pytest.mark.parametrize("kind", ["features", "anomalies"])
def test_rows_are_means_over_the_windows_that_cover_them(
    tsae, kind, autoencoder_file, detector_file, table_file, tmp_path
):
    model = {"features": autoencoder_file, "anomalies": detector_file}[kind]
    code, _, err = tsae("reconstruct", model.path, table_file, tmp_path / "out")
    assert code == 0, err
    found = read_parts(tmp_path / "out")
    assert list(found) == ["series", "time", "value_load", "reconstruction_load", "value_heat", "reconstruction_heat"]
    windows = open_model(model.path).spec.cut(read_dataset(str(table_file), COLUMNS).series)
    autoencoder = load(model.path)
    autoencoder = getattr(autoencoder, "autoencoder_", autoencoder)
    expected = to_timeline(windows, autoencoder.reconstruct(windows), columns=NAMES)
    expected[["value_load", "value_heat"]] = windows.values
    expected = expected.sort_values(["series", "time"], ignore_index=True)
    found = found.sort_values(["series", "time"], ignore_index=True)
    assert found["time"].tolist() == expected["time"].tolist()
    values = [f"value_{name}" for name in NAMES]
    np.testing.assert_array_equal(found[values], expected[values])
    np.testing.assert_allclose(
        found[[f"reconstruction_{name}" for name in NAMES]], expected[NAMES], rtol=1e-4, atol=1e-5
    )
    assert expected[NAMES].notna().any().all()
    assert expected[NAMES].isna().any().all()  # rows that no window covers


def test_the_division_into_parts_changes_nothing(tsae, detector_file, table, table_file, tmp_path):
    parts = write_parts(table, tmp_path / "in", 4)
    for source, out in ((table_file, "one"), (parts, "four")):
        assert tsae("reconstruct", detector_file.path, source, tmp_path / out, "--format", "csv")[0] == 0
    one, four = (
        read_parts(tmp_path / out).sort_values(["series", "time"], ignore_index=True) for out in ("one", "four")
    )
    pd.testing.assert_frame_equal(one, four, rtol=1e-4)


def test_what_cannot_be_used(tsae, detector_file, table, tmp_path):
    source = tmp_path / "in.csv"
    table[:10].to_csv(source, index=False)
    code, _, err = tsae("reconstruct", detector_file.path, source, tmp_path / "out", "--decoder", "forecast")
    assert code == 1
    assert "has no decoder 'forecast'; it has reconstruction" in err
    assert not (tmp_path / "out").exists()
    code, _, err = tsae("reconstruct", detector_file.path, source, tmp_path / "out")
    assert code == 4
    assert "nothing was reconstructed: 10 rows read" in err
