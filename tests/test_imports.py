"""What importing loads. Which module may import which is checked by import-linter: see pyproject.toml, `make lint`."""

from __future__ import annotations

import subprocess
import sys

import tsae


def loaded_by(code):
    """Top-level names of the modules that a new process has loaded after some code."""
    code = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in ended.stdout.split()}


def test_importing_tsae_loads_the_standard_library_alone():
    assert loaded_by("import tsae") - set(sys.stdlib_module_names) == {"tsae"}


def test_public_names_load_neither_tensorflow_nor_optional_libraries():
    loaded = loaded_by("import tsae; [getattr(tsae, name) for name in tsae.__all__]")
    assert "sklearn" in loaded
    assert not loaded & {"dask", "distributed", "keras", "matplotlib", "onnx", "onnxruntime", "polars", "tensorflow"}


def test_dir_shows_the_public_names():
    assert [name for name in dir(tsae) if not name.startswith("_")] == sorted(tsae.__all__)
