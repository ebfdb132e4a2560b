"""The recipes for other libraries run as they are printed, each where its package is installed."""

from __future__ import annotations

import doctest
import re

import pytest

from tests.docs.blocks import blocks

PAGE = "docs/guides/neighbours.md"
SHARED, *RECIPES = [block.text for block in blocks("pycon") if block.page == PAGE]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def package(recipe):
    """The package that a recipe imports first; of a submodule, its name."""
    return re.search(r">>> (?:from|import) ([\w.]+)", recipe)[1].split(".")[0]


@pytest.mark.parametrize("recipe", RECIPES, ids=package)
def test_recipes_run(recipe, tmp_path, monkeypatch):
    missing = f'A RECIPE OF {PAGE} IS NOT TESTED: {package(recipe)} is missing; pip install "tsae[neighbours]"'
    for name in sorted(set(re.findall(r">>> (?:from|import) (\w+)", recipe))):
        pytest.importorskip(name, reason=missing)
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(SHARED + recipe, {}, package(recipe), PAGE, 0)
    printed: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=printed.append)
    assert not printed, "".join(printed)


def test_recipes_there_are():
    assert [package(recipe) for recipe in RECIPES] == [
        "aeon",
        "sktime",
        "pyod",
        "optuna",
        "mlflow",
        "skops",
        "joblib",
        "ray",
        "fastapi",
    ]
