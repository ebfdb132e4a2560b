"""The job `forecast`."""

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, SMALL, write_parts
from tsae import load
from tsae.jobs.dataset import read_dataset
from tsae.jobs.models import open_model
from tsae.jobs.train import Training, train

HORIZON, WIDTH = 3, 12


@pytest.fixture(scope="module")
def model(table_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "ahead.tsae"
    settings = {**SMALL, "decoder": "prediction", "horizon": HORIZON}
    train(str(table_file), path, Training(COLUMNS, width=WIDTH, stride=5, max_gap="15min", autoencoder=settings))
    return open_model(path)


def rows_of(table, name):
    return table[table["machine"] == name].reset_index(drop=True)


def test_the_newest_rows_of_each_series_are_continued(tsae, model, table, table_file, tmp_path):
    code, _, err = tsae("forecast", model.path, table_file, tmp_path / "out.csv")
    assert code == 0, err
    out = pd.read_csv(tmp_path / "out.csv", parse_dates=["end", "time"])
    assert list(out) == ["series", "end", "step", "time", "forecast_load", "forecast_heat"]
    autoencoder = load(model.path)
    found = 0
    for name in table["machine"].unique():
        rows = rows_of(table, name)
        newest = rows.iloc[-WIDTH:]
        own = out[out["series"] == name]
        if newest["time"].diff().max() > pd.Timedelta("15min"):
            assert own.empty
            assert f"series have no forecast ('{name}')" in err
            continue
        expected = autoencoder.forecast(newest[["load", "heat"]].to_numpy()[np.newaxis])[0]
        np.testing.assert_allclose(own[["forecast_load", "forecast_heat"]], expected, rtol=1e-4, atol=1e-6)
        assert own["step"].tolist() == [1, 2, 3]
        assert (own["end"] == newest["time"].iloc[-1]).all()
        expected_times = newest["time"].iloc[-1] + pd.to_timedelta([10, 20, 30], "min")
        assert own["time"].tolist() == expected_times.tolist()
        found += 1
    assert found


def test_the_division_into_parts_changes_nothing(tsae, model, table, table_file, tmp_path):
    parts = write_parts(table, tmp_path / "in", 4)
    for source, out in ((table_file, "one.csv"), (parts, "four.csv")):
        assert tsae("forecast", model.path, source, tmp_path / out, "--all-windows")[0] == 0
    keys = ["series", "end", "step"]
    one, four = (pd.read_csv(tmp_path / name).sort_values(keys, ignore_index=True) for name in ("one.csv", "four.csv"))
    pd.testing.assert_frame_equal(one, four, rtol=1e-4)
    windows = model.spec.cut(read_dataset(str(table_file), model.spec.columns).series)
    assert len(one) == HORIZON * len(windows)


@pytest.mark.parametrize("times", [None, "months"])
def test_times_go_on_in_their_own_kind(tsae, times, tmp_path):
    n = 60
    frame = pd.DataFrame({"x": np.sin(np.arange(n) / 3)})
    options = ["--width", 12, "--epochs", 1, "--units", 2, "--decoder", "prediction", "--set", "horizon=2"]
    if times is not None:
        frame["t"] = pd.date_range("2020-01-01", periods=n, freq="MS")
        options += ["--time-column", "t"]
    source, model_path, out = tmp_path / "in.csv", tmp_path / "m.tsae", tmp_path / "out.parquet"
    frame.to_csv(source, index=False)
    assert tsae("train", source, model_path, *options)[0] == 0
    assert tsae("forecast", model_path, source, out)[0] == 0
    found = pd.read_parquet(out)
    assert found["time"].tolist() == {
        None: [60, 61], "months": list(pd.to_datetime(["2025-01-01", "2025-02-01"])),
    }[times]  # fmt: skip
    assert found["series"].tolist() == ["0", "0"]


def test_what_cannot_be_used(tsae, model, autoencoder_file, table, table_file, tmp_path):
    def fails(*arguments):
        code, _, err = tsae("forecast", *arguments)
        assert code == 1
        return err

    out = tmp_path / "out.csv"
    assert "does not forecast" in fails(autoencoder_file.path, table_file, out)
    assert "--set horizon=N" in fails(autoencoder_file.path, table_file, out)
    assert "no .csv or .parquet file" in fails(model.path, table_file, tmp_path / "out")
    assert "would replace the input" in fails(model.path, table_file, table_file, "--overwrite")
    short = tmp_path / "short.csv"
    table[:20].to_csv(short, index=False)
    assert "no series has a window of 12 rows" in fails(model.path, short, out)
    (tmp_path / "bad.csv").write_text("machine,time,load,heat\nm0,2024-01-01,1,x\n")
    assert "bad.csv, line 2: column 'heat' holds 'x'" in fails(model.path, tmp_path / "bad.csv", out)
    assert not out.exists()
    out.touch()
    assert "exists; use --overwrite" in fails(model.path, table_file, out)
    code, _, err = tsae("forecast", model.path, table_file, out, "--stride", 2)
    assert (code, "--stride is for --all-windows" in err) == (2, True)
