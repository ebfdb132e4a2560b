"""The programs of `pipelines/` and the command run as a visitor runs them: as processes, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

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


def program(name):
    return [sys.executable, PIPELINES / f"{name}.py"]


@pytest.mark.parametrize("name", ["feature_export", "anomaly_detection", "classification"])
def test_programs_are_short_and_explain_themselves(name, tmp_path):
    text = (PIPELINES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < 80
    assert "from tsae import " in text
    assert "from tsae." not in text
    assert "--epochs" in run([*program(name), "--help"], tmp_path)


def test_feature_export(tmp_path):
    output = run([*program("feature_export"), *SMALL, "--stride", "48", "--model", "pumps.tsae"], tmp_path)
    assert "630 windows of 48 steps and 5 channels" in output
    features = pd.read_csv(tmp_path / "features.csv")
    assert list(features.columns[:3]) == ["series", "start", "end"]
    assert len(features) == 630
    assert features.notna().all(axis=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.csv", "pumps.tsae"]


def test_anomaly_detection(tmp_path):
    output = run([*program("anomaly_detection"), *SMALL, "--stride", "24", "--alpha", "0.05"], tmp_path)
    assert "events since 2024-01-22" in output
    folder = tmp_path / "anomalies"
    assert sorted(path.name for path in folder.iterdir()) == ["detector.tsae", "events.csv", "timeline.csv"]
    timeline = pd.read_csv(folder / "timeline.csv")
    assert len(timeline) == 6 * 5040
    assert {"series", "time", "score", "p_value", "contribution_pressure"} <= set(timeline.columns)


def test_classification(tmp_path):
    output = run([*program("classification"), "--units", "2", "4", "--epochs", "1", "--stride", "96"], tmp_path)
    assert "best: {'autoencoder__units': " in output
    assert float(output.split("accuracy ")[1].split()[0]) > 0.4  # four regimes
    assert list(tmp_path.iterdir()) == []


def test_nightly_configuration(tmp_path):
    (tmp_path / "sample_data" / "machines").mkdir(parents=True)
    shutil.copy(ROOT / "sample_data" / "machines" / "machines.csv", tmp_path / "sample_data" / "machines")
    config = ["--config", PIPELINES / "nightly.toml", "--quiet"]
    run([*COMMAND, "train", *config, *SMALL, "--stride", "24"], tmp_path)
    run([*COMMAND, "features", *config], tmp_path)
    output = run([*COMMAND, "anomalies", *config, "--alpha", "0.05"], tmp_path)
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
