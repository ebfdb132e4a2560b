import json
import subprocess
import sys

import pytest

from tsae.jobs.errors import JobError
from tsae.jobs.locks import locked
from tsae.jobs.manifest import DONE, SKIPPED, Manifest, Record


def test_records_come_back(tmp_path):
    manifest = Manifest(tmp_path / "new", {"model_id": "m"})
    assert manifest.read_stored() is None
    manifest.records = {
        "a.csv": Record("a.csv", "features/a.parquet", DONE, bytes=3, sha256="ab", rows=2, windows=1, carry_in="x"),
        "ä.csv": Record("ä.csv", "features/ä.parquet", SKIPPED, reason="line 2: 'oops'"),
    }
    manifest.save()
    again = Manifest(tmp_path / "new", {})
    assert again.read_stored() == {"model_id": "m"}
    assert again.records == manifest.records
    summary = json.loads(manifest.path.read_text(encoding="utf-8"))
    assert summary["parts_by_status"] == {"done": 1, "skipped": 1, "pending": 0}
    assert summary["rows"] == 2


def test_saves_are_spaced_out(tmp_path):
    manifest = Manifest(tmp_path, {})
    assert manifest.save(now=False)
    assert not manifest.save(now=False)
    assert manifest.save()


def test_fields_of_later_versions_are_passed_over(tmp_path):
    manifest = Manifest(tmp_path, {})
    manifest.records = {"a": Record("a", "b")}
    manifest.save()
    content = json.loads(manifest.path.read_text())
    content["parts"][0]["colour"] = "red"
    manifest.path.write_text(json.dumps(content))
    manifest.read_stored()
    assert manifest.records == {"a": Record("a", "b")}


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is damaged"), ("[]", "is damaged"), ('{"format": 1}', "is damaged"), ('{"format": 99}', "newer tsae")],
)
def test_damaged_manifests_are_refused(tmp_path, content, message):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(JobError, match=message):
        Manifest(tmp_path, {}).read_stored()


def test_two_jobs_do_not_write_to_one_output(tmp_path):
    pytest.importorskip("fcntl")
    program = f"from tsae.jobs.locks import locked\nwith locked(__import__('pathlib').Path({str(tmp_path)!r})): pass"
    with locked(tmp_path):
        second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "another job is writing" in second.stderr
    with locked(tmp_path):
        pass
