import logging
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, SMALL, names_of, write_parts
from tests.jobs.dying_training import TRAINING
from tsae import AnomalyDetector, describe, make_windows
from tsae.jobs.errors import JobError
from tsae.jobs.features import run_features
from tsae.jobs.job import Job
from tsae.jobs.locks import locked
from tsae.jobs.memory import default_memory, free_memory, parse_size, reserved, row_bytes, size_text
from tsae.jobs.models import open_model
from tsae.jobs.report import read_parts
from tsae.jobs.spec import Columns
from tsae.jobs.train import Training, make_estimator, read_windows, train, training_windows


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
        ({"before": "03/02/2024"}, "--before 03/02/2024 is not a time in ISO 8601"),
        ({"before": "2024-03-02T00:00Z"}, "has a time zone, but the times of the input have none"),
        ({"label_column": "none"}, "no column 'none'"),
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


def test_without_settings_of_its_autoencoder_a_detector_is_that_of_python():
    shown = {"verbose": 1, "random_state": 3}
    training = Training(COLUMNS, 12, task="anomalies", autoencoder=shown, detector={"trim_fraction": 0.05})
    assert make_estimator(training, 100).get_params() == AnomalyDetector(trim_fraction=0.05, **shown).get_params()


def test_warnings_of_the_fit_are_logged(table_file, tmp_path, logged):
    training = Training(COLUMNS, 12, 5, task="anomalies", max_gap="15min", autoencoder=SMALL, detector={"alpha": 0.02})
    train(str(table_file), tmp_path / "m.tsae", training)
    assert any(line.startswith("warning: for timestamps alpha=0.02 cannot be used") for line in logged())


def test_windows_without_any_value_are_left_out(table, tmp_path):
    holes = table.copy()
    rows = holes.index[holes["machine"] == "m0"][20:60]
    holes.loc[rows, ["load", "heat"]] = np.nan
    windows, _ = windows_of(write_parts(holes, tmp_path / "in", 1))
    assert windows.observed.all()
    assert len(windows) < len(windows_of(write_parts(table, tmp_path / "all", 1))[0])


def test_the_model_file_is_complete(autoencoder_file):
    assert open_model(autoencoder_file.path).spec.stride == 5


def test_without_a_time_column_rows_are_numbered(table, tmp_path):
    source = write_parts(table[["load", "heat"]], tmp_path / "in", 2)
    for task in ("features", "anomalies"):
        training = Training(Columns(), 12, 5, task=task, autoencoder={**SMALL, "verbose": 0})
        train(str(source), tmp_path / f"{task}.tsae", training)
    file = open_model(tmp_path / "features.tsae")
    assert (file.spec.max_gap, file.spec.step, file.spec.columns.time) == (None, None, None)
    run_features(Job("features", file, str(source), tmp_path / "out", file.spec))
    features = read_parts(tmp_path / "out")
    assert features["start"].tolist() == list(range(0, len(table) - 11, 5))
    direct = file.estimator.transform(make_windows(table[["load", "heat"]].to_numpy(), 12, 5))
    np.testing.assert_allclose(features.iloc[:, 3:].to_numpy(), direct, atol=1e-5)


def fit_must_not_run(*_):
    raise AssertionError("trained before the check")


@pytest.fixture
def no_training(monkeypatch):
    """Let every start of training fail the test."""
    monkeypatch.setattr("tsae.estimators.autoencoder.LSTMAutoencoder.fit", fit_must_not_run)


@pytest.mark.parametrize("content", ["directory", "model", "below a file"])
def test_targets_that_cannot_be_written_are_refused_before_training(table_file, tmp_path, no_training, content):
    target = tmp_path / "m.tsae"
    if content == "directory":
        target.mkdir()
    else:
        target.write_text("mine")
    path, message = {
        "directory": (target, "is a directory"),
        "model": (target, "exists; use --overwrite"),
        "below a file": (target / "m.tsae", "is not a directory"),
    }[content]
    with pytest.raises(JobError, match=message):
        train(str(table_file), path, Training(COLUMNS, 12))
    assert content == "directory" or target.read_text() == "mine"


def test_the_input_is_never_replaced(table_file, no_training):
    content = table_file.read_bytes()
    with pytest.raises(JobError, match="would replace the input"):
        train(str(table_file), table_file, Training(COLUMNS, 12), overwrite=True)
    assert table_file.read_bytes() == content


def test_a_model_is_replaced_on_request(table_file, tmp_path):
    (tmp_path / "m.tsae").write_text("old")
    train(str(table_file), tmp_path / "m.tsae", Training(COLUMNS, 12, autoencoder=SMALL), overwrite=True)
    assert open_model(tmp_path / "m.tsae").spec.width == 12


def test_a_label_column_without_marks_leaves_nothing_out(table, tmp_path):
    source = write_parts(table.assign(fault=0), tmp_path / "in", 1)
    windows, _ = windows_of(source, columns=Columns("machine", "time"), label_column="fault")
    assert len(windows) == len(windows_of(source)[0])


@pytest.mark.parametrize(
    ("column", "values", "warned"),
    [("valve", [0, 1], True), ("Fault", [0.0, 2.5], True), ("is_anomaly", [0, 0], True), ("load2", [0.5, 1], False)],
)
def test_columns_that_look_like_labels_are_warned_about(table, tmp_path, caplog, monkeypatch, column, values, warned):
    source = write_parts(table.assign(**{column: np.resize(values, len(table))}), tmp_path / "in", 1)
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="tsae"):
        windows_of(source, columns=Columns("machine", "time"))
    warnings = [record.getMessage() for record in caplog.records if "--label-column" in record.getMessage()]
    assert [repr(column) in warning and "--value-columns" in warning for warning in warnings] == [True] * warned
    caplog.clear()
    windows_of(source, columns=Columns("machine", "time", ("load", column)))  # asked for by name
    assert not caplog.records


def test_parts_without_rows_are_left_out(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 2)
    (source / "part_0.csv").write_text("machine,time,load,heat\n")
    assert len(windows_of(source)[0]) == len(windows_of(source / "*[12].csv")[0])
    with pytest.raises(JobError, match="has no rows"):
        windows_of(source / "part_0.csv")


def test_where_gaps_leave_no_window_the_message_names_them(table, tmp_path):
    source = write_parts(table[table["machine"] == "m0"].iloc[::7], tmp_path / "in", 1)
    with pytest.raises(JobError, match=r"Windows end at 100% of the time steps, which are longer than max_gap="
                       r"0 days 00:15:00 \(given\); the median step is 0 days 01:.*--max-gap"):  # fmt: skip
        windows_of(source, max_gap="15min")


def with_a_slow_series(table):
    """Two series, one of them a hundred times slower."""
    slow = table[table["machine"] == "m0"].assign(machine="slow")
    slow["time"] = slow["time"].iloc[0] + 100 * (slow["time"] - slow["time"].iloc[0])
    return pd.concat([table[table["machine"] == "m1"], slow]).sort_values("time", kind="stable", ignore_index=True)


def test_series_of_different_sampling_rates_keep_their_own_max_gap(table, tmp_path):
    both = with_a_slow_series(table)
    windows, spec = windows_of(write_parts(both, tmp_path / "in", 3))
    assert spec.max_gaps == {"m1": "0 days 00:25:00", "slow": "1 days 17:40:00"}
    assert spec.max_gap == "1 days 17:40:00"  # of series that come later
    whole = make_windows(both, 12, id_column="machine", time_column="time", value_columns=["load", "heat"])
    assert len(windows) == len(whole[whole.observed])
    assert windows_of(tmp_path / "in", max_gap="15min")[1].max_gaps == {}
    drawn, drawn_spec = training_windows(str(tmp_path / "in"), Training(COLUMNS, 12, memory=LITTLE))
    assert drawn_spec == spec
    assert set(map(tuple, drawn.index.to_numpy())) <= set(map(tuple, windows.index.to_numpy()))


def test_values_that_look_like_markers_are_warned_about(table, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    marked = table.assign(heat=table["heat"].where(table.index % 100 > 0, -999.0))
    source = write_parts(marked, tmp_path / "in", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(str(source), tmp_path / "model.tsae", Training(COLUMNS, 12, stride=5, autoencoder=SMALL))
    [warning] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert re.match(r"warning: \d+ of \d+ rows of channel 'heat' are -999, .* use --missing-values=-999$", warning)
    caplog.clear()
    windows_of(source, columns=replace(COLUMNS, missing=("-999",)))
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_series_that_are_left_out_are_warned_about(table, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    kept = table[(table["machine"] == "m0") | (table.groupby("machine").cumcount() < 5)]
    windows_of(write_parts(kept, tmp_path / "in", 1))
    [warning] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith("warning: 2 of 3 series are shorter than width=12 and are left out")


def test_nested_parameters_reach_their_objects():
    small = {"decoder": "reconstruction", "decoder_options__attention": "general", "augmentation__noise": 0.1}
    training = Training(COLUMNS, 12, autoencoder=small)
    autoencoder = make_estimator(training, 100)
    assert autoencoder.decoder_options.attention == "general"
    assert autoencoder.augmentation.noise == 0.1
    with pytest.raises(JobError, match="has no parameter 'decoder_options__looks'"):
        train("nowhere", Path("nowhere.tsae"), Training(COLUMNS, 12, autoencoder={"decoder_options__looks": 1}))


# -- more data than memory -----------------------------------------------------------------------------------------

LITTLE = reserved(12) + 200 * row_bytes(2)  # for 200 of 609 rows


@pytest.fixture
def logged(caplog, monkeypatch):
    """Give what has been logged so far."""
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    caplog.set_level(logging.INFO, logger="tsae")
    return lambda: [record.getMessage() for record in caplog.records]


def test_what_fits_into_memory_is_trained_on_as_a_whole(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    for memory in (None, 2 * reserved(12)):
        windows, spec = training_windows(str(source), Training(COLUMNS, 12, 5, memory=memory))
        whole, whole_spec = windows_of(source, stride=5)
        assert spec == whole_spec
        assert windows.starts.tolist() == whole.starts.tolist()
        np.testing.assert_array_equal(windows.values, whole.values)


@pytest.mark.parametrize("task", ["features", "anomalies"])
def test_of_more_data_windows_are_drawn(table, tmp_path, logged, task):
    source = write_parts(table, tmp_path / "in", 3)
    settings = {**SMALL, "decoder": "reconstruction"}
    training = Training(COLUMNS, 12, 1, task=task, autoencoder=settings, memory=LITTLE)
    windows, spec = training_windows(str(source), training)
    whole, whole_spec = windows_of(source, stride=1)
    assert spec == whole_spec
    assert 0 < len(windows.values) <= 200 < len(whole.values)
    assert windows.overlapping() or task == "features"  # a detector is calibrated on windows that overlap
    wanted = f"drew {len(windows)} of {len(whole)} windows ({len(windows.values)} of 609 rows)"
    assert any(line.startswith(wanted) for line in logged())
    again, _ = training_windows(str(source), training)
    assert again.index.equals(windows.index)
    train(str(source), tmp_path / "m.tsae", training)
    assert open_model(tmp_path / "m.tsae").spec == spec


def test_windows_are_drawn_from_those_to_train_on(table, tmp_path):
    labelled = table.assign(fault=(table["time"].dt.hour == 5).astype(int))
    labelled.loc[labelled["machine"] == "m1", ["load", "heat"]] = np.nan
    source = write_parts(labelled, tmp_path / "in", 4)
    options = {"columns": Columns("machine", "time"), "before": "2024-03-02", "label_column": "fault"}
    allowed, _ = windows_of(source, **options)
    keys = set(map(tuple, allowed.index.to_numpy()))
    for seed in range(5):
        training = Training(width=12, memory=LITTLE, autoencoder={"random_state": seed}, **options)
        windows, _ = training_windows(str(source), training)
        assert set(map(tuple, windows.index.to_numpy())) <= keys


def test_a_broken_part_is_named_before_training(table, tmp_path, no_training):
    source = write_parts(table, tmp_path / "in", 3)
    with open(source / "part_3.csv", "a") as file:
        file.write("m0,2024-03-20 00:00:00,1,oops\n")
    with pytest.raises(JobError, match=r"part_3.csv, line \d+: column 'heat' holds 'oops'"):
        train(str(source), tmp_path / "m.tsae", Training(COLUMNS, 12, memory=LITTLE))


def test_fill_values_and_labels_of_large_data_are_warned_about(table, tmp_path, logged):
    marked = table.assign(fault=0)
    marked.loc[3, "fault"] = 1
    marked.loc[[7, 90], "load"] = -999
    source = write_parts(marked, tmp_path / "in", 3)
    training_windows(str(source), Training(Columns("machine", "time"), 12, memory=LITTLE))
    warnings = [line for line in logged() if line.startswith("warning")]
    assert any("2 of 609 rows of column 'load' hold -999" in line and "--missing-values" in line for line in warnings)
    assert any("column 'fault' holds only 0 and 1" in line for line in warnings)


def test_too_little_memory_is_refused(table_file, tmp_path, no_training):
    with pytest.raises(JobError, match="--memory 100MiB is too little"):
        train(str(table_file), tmp_path / "m.tsae", Training(COLUMNS, 12, memory=100 << 20))


def test_sizes_of_memory(tsae, table_file, tmp_path):
    assert [parse_size(text) for text in ("2GiB", "1.5 kib", "3MB", "17")] == [2 << 30, 1536, 3_000_000, 17]
    assert parse_size(size_text(5 << 20)) == 5 << 20
    assert free_memory() > 0
    assert default_memory(12) > reserved(12)
    code, _, err = tsae("train", table_file, tmp_path / "m.tsae", "--width", 12, "--memory", "much")
    assert (code, "'much' is not a size such as 2GiB" in err) == (2, True)


def test_the_width_that_describe_suggests(tsae, table, table_file, tmp_path):
    columns = ["--id-column", "machine", "--time-column", "time", "--stride", 20, "--units", 2, "--epochs", 1]
    code, _, err = tsae("train", table_file, tmp_path / "m.tsae", *columns, "--width", "auto")
    width = describe(table, id_column="machine", time_column="time").width
    assert code == 0
    assert f"width={width}, as tsae describe suggests" in err
    assert open_model(tmp_path / "m.tsae").spec.width == width
    for wrong in ("0", "wide", "1.5"):
        code, _, err = tsae("train", table_file, tmp_path / "n.tsae", *columns, "--width", wrong)
        assert (code, "neither a positive integer nor 'auto'" in err) == (2, True)


def test_width_and_stride_as_describe_suggests(table, table_file):
    suggested = describe(table, id_column="machine", time_column="time", value_columns=["load", "heat"])
    _, _, spec = read_windows(str(table_file), Training(COLUMNS, width="auto", stride="auto"))
    assert (spec.width, spec.stride) == (suggested.width, suggested.stride)
    _, _, spec = read_windows(str(table_file), Training(COLUMNS, width=12, stride="auto"))
    assert (spec.width, spec.stride) == (12, suggested.stride)
    with pytest.raises(JobError, match="--stride auto reads the whole data set, which does not fit"):
        training_windows(str(table_file), Training(COLUMNS, width=12, stride="auto", memory=LITTLE))


# -- training that was killed --------------------------------------------------------------------------------------


def train_until_death(source, model, n_files):
    """Train in a process that kills itself instead of writing its Nth file."""
    command = [sys.executable, "-m", "tests.jobs.dying_training", *map(str, (source, model, n_files))]
    died = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not model.exists()
    return sorted(file.name.split("-")[0] for file in model.with_name("m.tsae.progress").glob("*.npz"))


def test_training_that_was_killed_continues_to_the_same_model(table, tmp_path, logged, reads_of):
    source = write_parts(table, tmp_path / "in", 4)
    train(str(source), tmp_path / "whole.tsae", TRAINING)
    assert names_of(tmp_path) == ["in/part_1.csv", "in/part_2.csv", "in/part_3.csv", "in/part_4.csv", "whole.tsae"]
    model = tmp_path / "m.tsae"
    surveys = ["survey"] * 4
    assert train_until_death(source, model, 2) == ["survey"]
    assert train_until_death(source, model, 5) == ["carry", *surveys]
    assert train_until_death(source, model, 3) == ["carry", "draw", *surveys]
    assert train_until_death(source, model, 3) == ["carry", "draw", "draw", *surveys]
    assert train_until_death(source, model, 5) == ["carry", *["draw"] * 4, *surveys]  # instead of the model
    reads = reads_of(source / "part_3.csv")
    n_reads = reads()
    train(str(source), model, TRAINING)
    assert any(line.startswith("continued: statistics of 4 and windows of 4 of 4 parts") for line in logged())
    assert reads() - n_reads == 3  # for its header, its number of lines, and its checksum
    assert open_model(model).model_id == open_model(tmp_path / "whole.tsae").model_id
    assert not model.with_name("m.tsae.progress").exists()


@pytest.mark.parametrize("change", ["seed", "part", "damage"])
def test_what_was_kept_of_other_data_or_settings_is_not_used(table, tmp_path, change):
    source, progress = write_parts(table, tmp_path / "in", 3), tmp_path / "progress"
    training_windows(str(source), TRAINING, progress)
    training = TRAINING
    if change == "seed":
        training = replace(TRAINING, autoencoder={**TRAINING.autoencoder, "random_state": 1})
    elif change == "part":
        text = (source / "part_2.csv").read_text()
        (source / "part_2.csv").write_text(text.replace(".1", ".2"))
    else:
        for file in progress.glob("*.npz"):
            file.write_bytes(file.read_bytes()[:-100])
    windows, spec = training_windows(str(source), training, progress)
    wanted, wanted_spec = training_windows(str(source), training)
    assert spec == wanted_spec
    assert windows.index.equals(wanted.index)
    np.testing.assert_array_equal(windows.values, wanted.values)


def test_two_trainings_of_one_model_are_refused(table, tmp_path, no_training):
    source = write_parts(table, tmp_path / "in", 3)
    with locked(tmp_path / "m.tsae.progress"), pytest.raises(JobError, match=r"another job.*m\.tsae\.progress"):
        train(str(source), tmp_path / "m.tsae", TRAINING)
