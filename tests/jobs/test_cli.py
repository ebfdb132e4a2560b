import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import names_of, write_parts
from tsae.jobs.models import open_model
from tsae.jobs.report import read_parts

TRAIN = ["--id-column", "machine", "--time-column", "time", "--width", 12, "--stride", 5, "--units", 4, "--epochs", 1]
SMALL = ["--set", "bidirectional=false"]


# -- help ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["train"],
        ["features"],
        ["anomalies"],
        ["inspect"],
        ["export-onnx"],
        ["demo"],
        ["sample-data"],
        ["describe"],
        ["forecast"],
        ["reconstruct"],
        ["evaluate"],
        ["watch"],
        ["init"],
    ],
)
def test_help(tsae, command):
    code, out, _ = tsae(*command, "--help")
    assert code == 0
    assert "Usage: tsae" in out
    if command in (["train"], ["features"], ["anomalies"], ["inspect"], ["forecast"], ["reconstruct"]):
        assert f"\n    tsae {command[0]} " in out.split("Example")[1]  # line by line, as it is to be typed
    if not command:
        assert "3    success, but parts were skipped" in out
        assert "4    finished, but nothing at all was scored" in out


def test_help_loads_nothing_heavy():
    program = """if True:
        import sys
        from tsae.jobs.cli import main
        try:
            main(["features", "--help"])
        finally:
            print(sorted({"tensorflow", "keras", "sklearn", "pandas", "numpy"} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("typed", "completed"), [("tsae fore", "plain,forecast"), ("tsae watch m.tsae --st", "plain,--state")]
)
def test_bash_completes_commands_and_options(tsae, monkeypatch, typed, completed):
    monkeypatch.setenv("_TSAE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    code, out, _ = tsae()
    assert (code, completed in out.split()) == (0, True)
    monkeypatch.setenv("COMP_WORDS", "tsae describe pum")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert tsae()[1] == "file,pum\n"


def test_version(tsae):
    code, out, _ = tsae("--version")
    assert code == 0
    assert out.startswith("tsae, version ")


# -- a whole round -------------------------------------------------------------------------------------------------


def test_train_features_and_inspect(tsae, table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    code, out, err = tsae("train", source, tmp_path / "m.tsae", *TRAIN, *SMALL, "--value-columns", "load, heat")
    assert (code, out) == (0, "")
    assert "training on" in err
    assert "inferred: 2.5 x the usual step" in err

    code, out, err = tsae("features", tmp_path / "m.tsae", source, tmp_path / "out")
    assert code == 0
    assert "features: 3 of 3 parts done" in err
    features = read_parts(tmp_path / "out")
    assert set(features["series"]) == {"m0", "m1", "m2"}
    assert len(pd.read_parquet(tmp_path / "out" / "features")) == len(features)

    code, out, _ = tsae("inspect", tmp_path / "m.tsae", "--json")
    assert json.loads(out)["window_spec"]["stride"] == 5
    code, out, _ = tsae("inspect", tmp_path / "m.tsae")
    assert "kind: LSTMAutoencoder" in out
    assert "max_gaps" not in out  # there are none


def test_anomalies_with_labels(tsae, table, detector_file, tmp_path):
    labelled = table.assign(fault=[1 if 100 <= row < 110 else 0 for row in range(len(table))])
    source = write_parts(labelled, tmp_path / "in", 2)
    code, out, err = tsae(
        "anomalies", detector_file.path, source, tmp_path / "out", "--label-column", "fault", "--gap", 2
    )
    assert code == 0
    assert "auc_pr: " in out
    assert names_of(tmp_path / "out" / "timeline") == ["part_1.parquet", "part_2.parquet"]
    assert list(pd.read_csv(tmp_path / "out" / "events.csv").columns)[:3] == ["series", "start", "end"]


def test_a_job_reads_the_model_file_once(tsae, table, autoencoder_file, detector_file, tmp_path, reads_of):
    labelled = table.assign(fault=[1 if 100 <= row < 110 else 0 for row in range(len(table))])
    source = write_parts(labelled, tmp_path / "in", 3)
    count = reads_of(autoencoder_file.path)
    assert tsae("features", autoencoder_file.path, source, tmp_path / "features")[0] == 0
    assert count() == 1
    count = reads_of(detector_file.path)
    options = ["--label-column", "fault", "--report", tmp_path / "page.html"]
    code, out, _ = tsae("anomalies", detector_file.path, source, tmp_path / "anomalies", *options)
    assert (code, count()) == (0, 1)
    assert "auc_pr: " in out


def test_parts_that_are_skipped_have_an_exit_code_of_their_own(tsae, table, autoencoder_file, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    (source / "part_2.csv").write_text("")
    arguments = ["features", autoencoder_file.path, source, tmp_path / "out"]
    code, _, err = tsae(*arguments)
    assert code == 1
    assert "tsae: error: part_2.csv is empty: its first line must hold the names of the columns (1 of 3" in err
    code, _, err = tsae(*arguments, "--on-error", "skip", "--quiet")
    assert code == 3
    assert err == "skipped: part_2.csv is empty: its first line must hold the names of the columns\n"


def test_quiet_logs_nothing(tsae, table_file, autoencoder_file, tmp_path):
    assert tsae("features", autoencoder_file.path, table_file, tmp_path / "out", "--quiet") == (0, "", "")


def test_json_lines(tsae, table_file, autoencoder_file, tmp_path):
    code, out, err = tsae("features", autoencoder_file.path, table_file, tmp_path / "out", "--log-json")
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["event"] == "end"
    assert lines[-1]["done"] == 1
    assert lines[-1]["level"] == "info"
    code, out, err = tsae("features", autoencoder_file.path, "nowhere", tmp_path / "out", "--log-json")
    assert json.loads(err)["message"] == "there is no file or directory nowhere"
    assert json.loads(err)["exit_code"] == code == 1


def test_a_configuration_file_gives_options_and_arguments(tsae, table_file, autoencoder_file, tmp_path):
    config = tmp_path / "job.toml"
    config.write_text(
        f'[features]\nmodel = "{autoencoder_file.path}"\ninput = "{table_file}"\noutput = "{tmp_path}/out"\n'
        'stride = 20\nformat = "csv"\nquiet = true\n'
    )
    assert tsae("features", "--config", config) == (0, "", "")
    job = json.loads((tmp_path / "out" / "manifest.json").read_text())["job"]
    assert (job["window_spec"]["stride"], job["format"]) == (20, "csv")
    code, _, _ = tsae("features", "--config", config, "--stride", 30, "--on-change", "redo")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["job"]["window_spec"]["stride"] == 30


def test_parameters_may_be_a_table_of_the_configuration(tsae, table_file, tmp_path):
    config = tmp_path / "job.toml"
    config.write_text(
        '[train]\nwidth = 12\nid-column = "machine"\ntime-column = "time"\nunits = [3, 2]\nvalue-columns = ["load"]\n'
        "epochs = 1\nquiet = true\n[train.set]\nbidirectional = false\ncell = 'gru'\n"
    )
    assert tsae("train", table_file, tmp_path / "m.tsae", "--config", config) == (0, "", "")
    autoencoder = open_model(tmp_path / "m.tsae").estimator
    assert (autoencoder.units, autoencoder.cell, autoencoder.bidirectional) == ((3, 2), "gru", False)


def test_export_onnx(tsae, autoencoder_file, detector_file, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    windows = np.random.default_rng(0).normal(size=(3, 12, 2))
    target = tmp_path / "new" / "encoder.onnx"
    assert tsae("export-onnx", autoencoder_file.path, target)[0] == 0
    [features] = runtime.InferenceSession(target).run(["features"], {"windows": windows.astype(np.float32)})
    np.testing.assert_allclose(features, autoencoder_file.estimator.transform(windows.astype(np.float32)), atol=1e-5)
    target = tmp_path / "new" / "detector.onnx"
    assert tsae("export-onnx", detector_file.path, target)[0] == 0
    [scores] = runtime.InferenceSession(target).run(["score"], {"windows": windows})
    np.testing.assert_allclose(scores, -detector_file.estimator.score_samples(windows), rtol=1e-5)


def test_export_onnx_refuses_what_has_no_graph(tsae, tmp_path):
    from tsae import LSTMSeq2Seq

    model = LSTMSeq2Seq(units=2, epochs=1, random_state=0).fit(["ab", "b"] * 4, ["xy", "x"] * 4)
    model.save(tmp_path / "words.tsae")
    code, _, err = tsae("export-onnx", tmp_path / "words.tsae", tmp_path / "words.onnx")
    assert (code, "only LSTMAutoencoder and AnomalyDetector can be turned into ONNX" in err) == (1, True), err
    assert not (tmp_path / "words.onnx").exists()


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train"], 2, "Missing argument"),
        (["train", "in", "out"], 2, "Missing option '--width'"),
        (["train", "nowhere", "m.tsae", "--width", "4"], 1, "there is no file or directory nowhere"),
        (["train", "in", "out", "--width", "0"], 2, "neither a positive integer nor 'auto'"),
        (["train", "in", "out", "--width", "4", "--units", "a"], 2, "'a' is neither an integer"),
        (["train", "in", "out", "--width", "4", "--set", "a"], 2, "not of the form name=value"),
        (["train", "in", "out", "--width", "4", "--id-column", "a", "--id-from-file"], 2, "exclude each other"),
        (["train", "in", "out", "--config", "none.toml"], 2, "cannot be read"),
        (["features", "none.tsae", "in", "out"], 1, "there is no model file none.tsae"),
        (["features", "none.tsae", "in", "out", "--n-jobs", "0"], 2, "--n-jobs 0 is not allowed"),
        (["export-onnx", "none.tsae", "e.onnx"], 1, "there is no model file none.tsae"),
        (["inspect", "none.tsae"], 1, "there is no model file none.tsae"),
        (["inspect", "."], 1, ". is a directory; name a model file"),
        (["features", ".", "in", "out"], 1, ". is a directory; name a model file"),
        (["train", "", "m.tsae", "--width", "4"], 1, "the input is empty"),
        (["train", "in", "out", "--width", "4", "--separator", "ab"], 2, "'ab' is not one character"),
        (["train", "in", "out", "--width", "4", "--decimal", ","], 2, "--separator and --decimal are both ','"),
        (["train", "in", ".", "--width", "4"], 1, "the model . is a directory"),
        (["demo", "--data", "nowhere"], 1, "no machines/machines.csv in nowhere"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_shown_without_a_traceback(tsae, arguments, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, out, err = tsae(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command continues"),
        (OSError(28, "No space left on device"), 1, "No space left on device; finished parts are kept"),
        (MemoryError("9 GiB"), 1, "split the input into smaller parts"),
    ],
)
def test_what_ends_a_job(tsae, monkeypatch, error, code, message):
    def fails(path):
        raise error

    monkeypatch.setattr("tsae.jobs.models.describe_model", fails)
    found, out, err = tsae("inspect", "m.tsae")
    assert (found, out) == (code, "")
    assert message in err


def test_a_terminated_job_ends_with_its_exit_code():
    program = """if True:
        import os, signal, time
        from tsae.jobs import cli, models
        def work(path):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        models.describe_model = work
        cli.main(["inspect", "m.tsae"])"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 143
    assert done.stderr == "tsae: error: terminated; the same command continues\n"


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left"), 1)])
def test_training_does_not_claim_to_continue(tsae, monkeypatch, table_file, tmp_path, error, code):
    def fails(*_):
        raise error

    monkeypatch.setattr("tsae.estimators.autoencoder.LSTMAutoencoder.fit", fails)
    found, out, err = tsae("train", table_file, tmp_path / "m.tsae", *TRAIN)
    assert found == code
    message = "no model was written; the same command starts training again (with --memory, on what was read already)"
    assert err.endswith(f"; {message}\n")
    assert not (tmp_path / "m.tsae").exists()


def test_an_existing_model_is_replaced_on_request_only(tsae, table_file, tmp_path):
    target = tmp_path / "m.tsae"
    arguments = ["train", table_file, target, *TRAIN, *SMALL, "--quiet"]
    assert tsae(*arguments)[0] == 0
    content = target.read_bytes()
    code, _, err = tsae(*arguments)
    assert (code, "exists; use --overwrite" in err, target.read_bytes() == content) == (1, True, True)
    assert tsae(*arguments, "--random-state", 1, "--overwrite")[0] == 0
    assert target.read_bytes() != content


def test_an_onnx_file_does_not_replace_its_model(tsae, autoencoder_file):
    content = autoencoder_file.path.read_bytes()
    code, _, err = tsae("export-onnx", autoencoder_file.path, autoencoder_file.path)
    assert (code, "would replace the model" in err) == (1, True)
    assert autoencoder_file.path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-column", "none"], "has no column 'none'"),
        (["--label-column", "note"], "holds 'ok'; labels must be numbers"),
        (["--report", "file/page.html"], "file is not a directory"),
    ],
)
def test_what_a_report_needs_is_checked_before_the_work(
    tsae, table, detector_file, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    source = write_parts(table.assign(note="ok"), tmp_path / "in", 2)
    code, out, err = tsae("anomalies", detector_file.path, source, tmp_path / "out", *options)
    assert (code, out) == (1, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_label_column_without_marks_ends_well(tsae, table, detector_file, tmp_path):
    source = write_parts(table.assign(fault=0), tmp_path / "in", 2)
    options = ["--label-column", "fault", "--report", tmp_path / "page.html"]
    code, out, err = tsae("anomalies", detector_file.path, source, tmp_path / "out", *options)
    assert code == 0
    assert "n_labelled_events: 0" in out
    assert f"{len(pd.read_csv(tmp_path / 'out' / 'events.csv'))} events in " in err
    assert (tmp_path / "page.html").exists()


def test_a_report_on_nothing_that_was_scored(tsae, table, detector_file, tmp_path):
    source = write_parts(table.groupby("machine").head(5).assign(fault=1), tmp_path / "in", 1)
    options = ["--label-column", "fault", "--report", tmp_path / "page.html"]
    code, out, err = tsae("anomalies", detector_file.path, source, tmp_path / "out", *options)
    assert code == 4
    assert "nothing was scored" in err
    assert "n_found: 0" in out


def test_a_report_where_a_part_was_skipped(tsae, table, detector_file, tmp_path):
    source = write_parts(table.assign(fault=1), tmp_path / "in", 3)
    (source / "part_2.csv").write_text("")
    options = ["--label-column", "fault", "--report", tmp_path / "page.html", "--on-error", "skip"]
    code, out, _ = tsae("anomalies", detector_file.path, source, tmp_path / "out", *options)
    assert code == 3
    assert "labelled_share: 1" in out
    assert (tmp_path / "page.html").exists()


def test_a_change_of_stride_is_named_alone(tsae, table_file, autoencoder_file, tmp_path):
    arguments = ["features", autoencoder_file.path, table_file, tmp_path / "out", "--quiet"]
    assert tsae(*arguments)[0] == 0
    code, _, err = tsae(*arguments, "--stride", 7)
    assert code == 1
    assert "another window_spec (stride 5, now 7)" in err
    assert "{" not in err


def test_marks_of_csv_files_on_the_command_line(tsae, table, tmp_path):
    marked = table.astype({"load": object})
    marked.loc[5:9, "load"] = -999
    marked.loc[10:12, "load"] = "#N/A"
    (tmp_path / "m=1").mkdir()
    marked.to_csv(tmp_path / "m=1" / "t.csv", index=False, sep=";", decimal=",")
    marked[["load", "heat"]] = marked[["load", "heat"]].apply(pd.to_numeric, errors="coerce").replace(-999, np.nan)
    marked.to_csv(tmp_path / "m=1" / "plain.csv", index=False)
    train = [*TRAIN, *SMALL, "--id-column", "m,machine", "--quiet"]
    options = ["--separator", ";", "--decimal", ",", "--missing-values", "-999,#N/A"]
    code, _, err = tsae("train", tmp_path / "m=1/t.csv", tmp_path / "a.tsae", *train, *options)
    assert (code, err) == (0, "")
    assert tsae("train", tmp_path / "m=1/plain.csv", tmp_path / "b.tsae", *train)[0] == 0
    assert open_model(tmp_path / "a.tsae").spec.columns.missing == ("-999", "#N/A")
    for name in "ab":
        source = tmp_path / "m=1" / ("t.csv" if name == "a" else "plain.csv")
        assert tsae("features", tmp_path / f"{name}.tsae", source, tmp_path / name, "--quiet")[0] == 0
    pd.testing.assert_frame_equal(read_parts(tmp_path / "a"), read_parts(tmp_path / "b"))
    assert set(read_parts(tmp_path / "a")["series"]) == {"1/m0", "1/m1", "1/m2"}
    arguments = ["features", tmp_path / "a.tsae", tmp_path / "m=1/plain.csv", tmp_path / "c", "--quiet"]
    assert tsae(*arguments, "--separator", ",", "--decimal", ".")[0] == 0  # the input need not be written alike
    pd.testing.assert_frame_equal(read_parts(tmp_path / "c"), read_parts(tmp_path / "b"))


def test_signal_handlers_are_put_back(tsae):
    before = signal.getsignal(signal.SIGTERM)
    tsae("--version")
    assert signal.getsignal(signal.SIGTERM) is before
