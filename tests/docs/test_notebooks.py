"""The notebooks run from top to bottom; they are stored without output."""

from __future__ import annotations

import os

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The code cells of each notebook, run one notebook after the other in one kernel that loads TensorFlow once."""
    cells = {path.stem: nbformat.read(path, as_version=4).cells for path in NOTEBOOKS}
    assert all(not cell.get("outputs") and not cell.get("execution_count") for part in cells.values() for cell in part)
    everything = nbformat.v4.new_notebook()
    for part in cells.values():
        everything.cells += [nbformat.v4.new_code_cell("%reset -f"), *part]
    folder = str(tmp_path_factory.mktemp("notebooks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        NotebookClient(everything, timeout=300, resources={"metadata": {"path": folder}}).execute()
    return {name: [cell for cell in part if cell.cell_type == "code"] for name, part in cells.items()}


@pytest.mark.parametrize("name", ["anomalies", "features"])
def test_notebooks_run_and_draw(executed, name):
    outputs = [output for cell in executed[name] for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []


def test_all_notebooks_are_checked(executed):
    assert sorted(executed) == ["anomalies", "features"]
