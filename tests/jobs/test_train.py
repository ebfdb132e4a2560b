import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, SMALL, write_parts
from tsae import make_windows
from tsae.jobs.errors import JobError
from tsae.jobs.models import open_model
from tsae.jobs.spec import Columns
from tsae.jobs.train import Training, make_estimator, read_windows, train


def windows_of(source, **options):
    windows, chosen, spec = read_windows(str(source), Training(**{"columns": COLUMNS, "width": 12, **options}))
    return windows[chosen], spec


@pytest.mark.parametrize("n_parts", [1, 5])
def test_windows_are_those_of_the_whole_table(table, tmp_path, n_parts):
    windows, spec = windows_of(write_parts(table, tmp_path / "in", n_parts), stride=5)
    whole = make_windows(table, 12, 5, id_column="machine", time_column="time", value_columns=["load", "heat"])
    assert windows.index.sort_values(["series", "start"]).to_numpy().tolist() == (
        whole.index.sort_values(["series", "start"]).to_numpy().tolist()
    )
    assert spec.max_gap == "0 days 00:25:00"
    assert spec.columns.time_kind == "datetime"


def test_channels_are_found_where_none_are_named(table_file):
    windows, spec = windows_of(table_file, columns=Columns("machine", "time"))
    assert windows.channel_names == ["load", "heat"] == list(spec.columns.values)


def test_windows_before_a_time(table_file):
    windows, _ = windows_of(table_file, before="2024-03-01 12:00")
    ends = windows.index["end"]
    assert ends.max() < pd.Timestamp("2024-03-01 12:00") <= ends.max() + pd.Timedelta("10min")


def test_windows_with_labelled_rows_are_left_out(table, tmp_path):
    labelled = table.assign(fault=0)
    rows = labelled.index[labelled["machine"] == "m1"][50:53]
    labelled.loc[rows, "fault"] = 1
    source = write_parts(labelled, tmp_path / "in", 3)
    everything, _ = windows_of(source)
    normal, spec = windows_of(source, columns=Columns("machine", "time"), label_column="fault")
    times = labelled.loc[rows, "time"]
    index = everything.index
    touched = (index["series"] == "m1") & (index["start"] <= times.max()) & (index["end"] >= times.min())
    assert touched.sum() > 0
    assert len(normal) == len(everything) - touched.sum()
    assert spec.columns.values == ("load", "heat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 300}, "width=300, but no series has as many rows without a gap; the longest of 3 has 240 rows"),
        ({"before": "2020-01-01"}, "none of .* windows is left"),
        ({"before": "soon"}, "--before soon"),
        ({"max_gap": "wide"}, "max_gap='wide'"),
        ({"label_column": "machine"}, "holds 'm.'; labels must be numbers"),
        ({"columns": Columns("machine", "time", ("load", "none"))}, "no column 'none'"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(table_file, options, message):
    with pytest.raises(JobError, match=message):
        windows_of(table_file, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoencoder": {"unit": 4}}, "LSTMAutoencoder has no parameter 'unit'"),
        ({"autoencoder": {"units": -4}}, "units"),
        ({"detector": {"alpha": 0.1}}, "alpha: for --task anomalies only"),
        ({"task": "anomalies", "detector": {"beta": 0.1}}, "AnomalyDetector has no parameter 'beta'"),
    ],
)
def test_wrong_parameters_are_refused_before_training(table_file, tmp_path, options, message):
    with pytest.raises(JobError, match=message):
        train(str(table_file), tmp_path / "model.tsae", Training(COLUMNS, 12, **options))
    assert not (tmp_path / "model.tsae").exists()


def test_estimators_have_the_parameters_given():
    detector = make_estimator(Training(COLUMNS, 12, task="anomalies", autoencoder=SMALL, detector={"alpha": 0.2}), 100)
    assert (detector.alpha, detector.autoencoder.units) == (0.2, 4)
    assert make_estimator(Training(COLUMNS, 12, autoencoder={"epochs": 3}), 100).epochs == 3


def test_windows_without_any_value_are_left_out(table, tmp_path):
    holes = table.copy()
    rows = holes.index[holes["machine"] == "m0"][20:60]
    holes.loc[rows, ["load", "heat"]] = np.nan
    windows, _ = windows_of(write_parts(holes, tmp_path / "in", 1))
    assert windows.observed.all()
    assert len(windows) < len(windows_of(write_parts(table, tmp_path / "all", 1))[0])


def test_the_model_file_is_complete(autoencoder_file):
    assert open_model(autoencoder_file.path).spec.stride == 5
