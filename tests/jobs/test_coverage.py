"""Input of which little or nothing is scored: counts, reasons, and an exit code."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import SMALL, write_parts
from tests.jobs.light_job import SPEC, run_light
from tsae.jobs.models import open_model
from tsae.jobs.spec import Columns, WindowSpec
from tsae.jobs.train import Training, train


def sampled(n_rows=60, step="10min", names=("m0",)):
    time = pd.date_range("2024-04-01", periods=n_rows, freq=step)
    values = {"load": np.sin(np.arange(n_rows) / 4), "heat": 20.0}
    return pd.concat([pd.DataFrame({"machine": name, "time": time, **values}) for name in names])


CASES = {
    "hourly": (sampled(step="1h"), "100% of the time steps are longer than max_gap=0 days 00:15:00 .*"
               "the median step is 0 days 01:00:00"),
    "short": (sampled(5, names=("a", "b")), "The longest stretch without a gap has 5 rows, a window needs 12"),
    "all NaN": (sampled().assign(load=np.nan, heat=np.nan), "Every value is missing in 100% of the rows"),
    "no rows": (sampled()[:0], "The input has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["features", "anomalies"])
def test_where_nothing_is_scored_the_reason_is_given(tsae, autoencoder_file, detector_file, tmp_path, case, command):
    table, reason = CASES[case]
    source = write_parts(table, tmp_path / "in", 2 if len(table) else 1)
    file = autoencoder_file if command == "features" else detector_file
    arguments = [command, file.path, source, tmp_path / "out", "--quiet"]
    code, _, err = tsae(*arguments)
    assert code == 4
    assert f"{len(table)} rows read" in err
    assert re.search(reason, err)
    stored = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert stored["scored"] == 0
    assert stored["warnings"][0] in err
    again, _, err_again = tsae(*arguments)  # the parts are up to date, the answer is the same
    assert (again, stored["warnings"][0] in err_again) == (4, True)


def test_times_in_another_unit_are_noticed(tsae, table, tmp_path):
    numbered = table.assign(time=table["time"].astype("datetime64[s]").astype("int64"))
    source = write_parts(numbered, tmp_path / "in", 1)
    columns = Columns("machine", "time", ("load", "heat"))
    train(str(source), tmp_path / "m.tsae", Training(columns, 12, autoencoder={**SMALL, "verbose": 0}))
    assert open_model(tmp_path / "m.tsae").spec.step == 600.0
    in_ms = write_parts(numbered.assign(time=numbered["time"] * 1000), tmp_path / "ms", 1)
    code, _, err = tsae("features", tmp_path / "m.tsae", in_ms, tmp_path / "out", "--quiet")
    assert code == 4
    assert "the median step is 600000.0, in training it was 600.0" in err


def test_data_of_another_time_step_are_warned_about(tsae, autoencoder_file, tmp_path):
    assert autoencoder_file.spec.step == "0 days 00:10:00"
    source = write_parts(sampled(200, "1min"), tmp_path / "in", 2)
    code, _, err = tsae("features", autoencoder_file.path, source, tmp_path / "out", "--quiet")
    assert code == 0
    assert err.count("is 0 days 00:01:00, but the model was trained on steps of 0 days 00:10:00") == 1
    [warning] = json.loads((tmp_path / "out" / "manifest.json").read_text())["warnings"]
    assert "part_1.csv and 1 more parts is 0 days 00:01:00" in warning


def test_the_time_step_of_training_is_not_warned_about(tsae, autoencoder_file, table_file, tmp_path):
    code, _, err = tsae("features", autoencoder_file.path, table_file, tmp_path / "out", "--quiet")
    assert (code, err) == (0, "")


def test_series_without_any_result_are_named(tmp_path):
    table = pd.concat([sampled(), sampled(5).assign(machine="short")], ignore_index=True)
    for kind in ("features", "timeline"):
        manifest = run_light(write_parts(table, tmp_path / f"{kind}_in", 3), tmp_path / kind, kind)
        [warning] = manifest.warnings
        assert warning.startswith("1 of 2 series got no result ('short')")


def test_a_small_share_with_a_result_is_warned_about(tmp_path):
    table = pd.concat([sampled(20), sampled(60, "1h").assign(machine="slow")], ignore_index=True)
    manifest = run_light(write_parts(table, tmp_path / "in", 1), tmp_path / "out", "timeline")
    assert "only 17 of 80 rows got a result" in manifest.warnings[0]
    assert "76% of the time steps are longer than max_gap=15min" in manifest.warnings[0]


def test_old_manifests_and_specs_are_continued(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    run_light(source, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    stored = json.loads(path.read_text())
    spec = stored["job"]["window_spec"]
    for name in ("missing", "separator", "decimal"):
        del spec["columns"][name]
    del spec["step"], stored["warnings"], stored["scored"]
    for part in stored["parts"]:
        del part["scored"], part["coverage"]
    path.write_text(json.dumps(stored))
    assert WindowSpec.from_dict(spec) == SPEC
    manifest = run_light(source, tmp_path / "out")
    assert manifest.warnings == []
    assert all(record.scored is None for record in manifest.records.values())  # not computed again
