"""The blocks of each page run in an empty folder of their own. Programs of this folder are tested in tests/docs."""

import pytest

collect_ignore_glob = ["*.py", "guides/neighbours.md"]


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
