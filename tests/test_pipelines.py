"""The programs of `pipelines/` and the command run in a folder of their own.

One of them runs as a process, as a visitor starts it; the others in this one, in which TensorFlow is loaded already.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tsae.jobs import cli

ROOT = Path(__file__).parents[1]
PIPELINES = ROOT / "pipelines"
SMALL = ["--units", "4", "--epochs", "1"]
COMMAND = [sys.executable, "-m", "tsae.jobs.cli"]
SCRIPT = Path(sys.executable).parent / "tsae"


def run(command, folder):
    """Run a program; its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys, loggers_as_before):
    """Run a program of `pipelines/`, or the command, in this process and in `tmp_path`; its standard output."""
    monkeypatch.chdir(tmp_path)

    def run_here(*command):
        name, *arguments = map(str, command)
        if name == "tsae":
            with pytest.raises(SystemExit) as ended:
                cli.main(arguments)
            assert not ended.value.code
        else:
            monkeypatch.setattr(sys, "argv", [name, *arguments])
            runpy.run_path(str(PIPELINES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_here


@pytest.mark.parametrize("name", ["feature_export", "anomaly_detection", "classification"])
def test_programs_are_short_and_explain_themselves(name, run_here, capsys):
    text = (PIPELINES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < 80
    assert "from tsae import " in text
    assert "from tsae." not in text
    with pytest.raises(SystemExit, match="0"):
        run_here(name, "--help")
    assert "--epochs" in capsys.readouterr().out


def test_feature_export(tmp_path):
    output = run(
        [sys.executable, PIPELINES / "feature_export.py", *SMALL, "--stride", "48", "--model", "pumps.tsae"], tmp_path
    )
    assert "630 windows of 48 steps and 5 channels" in output
    features = pd.read_csv(tmp_path / "features.csv")
    assert list(features.columns[:3]) == ["series", "start", "end"]
    assert len(features) == 630
    assert features.notna().all(axis=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.csv", "pumps.tsae"]


def test_anomaly_detection(tmp_path, run_here):
    output = run_here("anomaly_detection", *SMALL, "--stride", "24", "--alpha", "0.05")
    assert "events since 2024-01-22" in output
    folder = tmp_path / "anomalies"
    assert sorted(path.name for path in folder.iterdir()) == ["detector.tsae", "events.csv", "timeline.csv"]
    timeline = pd.read_csv(folder / "timeline.csv")
    assert len(timeline) == 6 * 5040
    assert {"series", "time", "score", "p_value", "contribution_pressure"} <= set(timeline.columns)


def test_classification(tmp_path, run_here):
    output = run_here("classification", "--units", "2", "4", "--epochs", "1", "--stride", "96")
    assert "best: {'autoencoder__units': " in output
    assert float(output.split("accuracy ")[1].split()[0]) > 0.4  # four regimes
    assert list(tmp_path.iterdir()) == []


def test_nightly_configuration(tmp_path, run_here):
    (tmp_path / "sample_data" / "machines").mkdir(parents=True)
    shutil.copy(ROOT / "sample_data" / "machines" / "machines.csv", tmp_path / "sample_data" / "machines")
    config = ["--config", PIPELINES / "nightly.toml", "--quiet"]
    run_here("tsae", "train", *config, *SMALL, "--stride", "24")
    run_here("tsae", "features", *config)
    output = run_here("tsae", "anomalies", *config, "--alpha", "0.05")
    assert "n_labelled_events: 24" in output
    nightly = tmp_path / "nightly"
    assert sorted(path.name for path in nightly.iterdir()) == ["anomalies", "anomalies.html", "features"]
    assert len(pd.read_csv(nightly / "features" / "features" / "machines.csv")) == 6 * 209
    assert len(pd.read_csv(nightly / "anomalies" / "timeline" / "machines.csv")) == 6 * 5040


def test_the_command_works_beside_folders_of_any_name(tmp_path):
    for name in ("pipelines", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('not part of tsae')\n")
    (tmp_path / "tsae.txt").write_text("notes\n")
    for command in [COMMAND, *([[SCRIPT]] if SCRIPT.exists() else [])]:
        assert "Usage: tsae" in run([*command, "--help"], tmp_path)
