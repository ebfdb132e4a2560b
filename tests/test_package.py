"""What an installation holds: the wheel is built from a copy of the sources and read."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, opened; the sources are next to other folders, as in the repository."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tsae", folder / "tsae", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("benchmarks", "pipelines", "tests"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    (path,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_one_top_level_package(wheel):
    folders = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"tsae"}


def test_every_source_file_is_there(wheel):
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tsae").rglob("*") if path.is_file()}
    sources = {name for name in sources if "__pycache__" not in name}
    assert {name for name in wheel.namelist() if name.startswith("tsae/")} == sources
    assert "tsae/py.typed" in sources


def test_licences_are_declared_and_there(wheel, metadata):
    files = metadata.get_all("License-File")
    assert files == ["LICENSE", "tsae/report/assets/uplot.LICENSE"]
    for file in files:
        assert (ROOT / file).read_text() in [
            wheel.read(name).decode() for name in wheel.namelist() if name.endswith(f".dist-info/licenses/{file}")
        ]


def test_metadata_name_authors_and_address(metadata):
    assert metadata["Name"] == "tsae"
    assert metadata["Author"] == "tsae developers"
    assert metadata["Project-URL"].startswith("Homepage, https://")
