"""Blocks of pages: Python blocks are doctests, which `make test` runs with the pages; all others are checked here."""

from __future__ import annotations

import logging
import re
import runpy
import sys

import click
import pytest

import tsae
from tests.docs.blocks import PAGES, ROOT, blocks, commands
from tsae.jobs import cli
from tsae.jobs.config import read_config

SMALL = ["--units", "4", "--epochs", "1", "--set", "bidirectional=false"]
DOCS = ROOT / "docs"


def test_python_blocks_are_doctests_and_none_is_skipped():
    python = blocks("pycon")
    assert len(python) > 60
    assert {block.language for block in blocks()} <= {"pycon", "bash", "toml", "bibtex", ""}
    for block in python:
        assert block.text.lstrip().startswith(">>> "), block
        assert block.text.endswith("\n\n"), f"an empty line ends the expected output: {block}"
    sources = [*PAGES, *(ROOT / "tsae").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert [path for path in sources if "doctest: +SKIP" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_longer_than_two_screens_have_a_table_or_a_picture(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.split()) < 500 or re.search(r"^\||!\[", text, re.MULTILINE)


def parsed(arguments):
    """Parse a command line as the command would, without running it."""
    name, *rest = arguments
    command = cli.cli.commands[name]
    with click.Context(cli.cli, info_name="tsae") as parent:
        return command.make_context(name, rest, parent=parent)


COMMANDS = [pytest.param(words, id=" ".join(words)[:60]) for block in blocks("bash") for words in commands(block)]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands_have_arguments_that_there_are(arguments, tmp_path, monkeypatch):
    if "--config" in arguments:  # read when the command line is parsed
        arguments = [str(ROOT / word) if word.startswith("pipelines/") else word for word in arguments]
    if arguments != ["demo"] and any(word in ("{}", "...") for word in arguments):
        pytest.fail("a command with something left out cannot be typed")
    parsed(arguments)


def test_a_misprint_in_a_command_would_be_found():
    with pytest.raises(click.UsageError, match="--widht"):
        parsed(["train", "pumps.csv", "pumps.tsae", "--widht", "48"])


SCRIPTS = [block for block in blocks("bash") if commands(block)[:1] and commands(block)[0][0] == "sample-data"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda block: block.page)
def test_blocks_that_begin_with_sample_data_run_as_printed(script, tmp_path, monkeypatch, capsys, recwarn):
    """With a smaller network, where they train."""
    logger = logging.getLogger("tsae")
    kept = logger.handlers[:], logger.level, logger.propagate
    monkeypatch.chdir(tmp_path)
    try:
        for arguments in commands(script):
            with pytest.raises(SystemExit) as ended:
                cli.main([*arguments, *(SMALL if arguments[0] == "train" else [])])
            printed = capsys.readouterr().err
            assert ended.value.code in (0, None), (arguments, printed)
            assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == [], arguments
    finally:
        logger.handlers[:], logger.level, logger.propagate = kept


def test_some_blocks_run():
    assert {"README.md", "docs/guides/nightly.md"} <= {block.page for block in SCRIPTS}


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_configurations_have_options_that_there_are(block, tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(block.text)
    tables = re.findall(r"^\[(\w[\w-]*)\]", block.text, re.MULTILINE)
    assert tables
    for name in tables:
        known = {parameter.name for parameter in cli.cli.commands[name].params}
        known |= {option[2:].replace("-", "_") for p in cli.cli.commands[name].params for option in p.opts}
        assert read_config(path, name, known)


def test_public_names_are_on_the_pages_of_the_reference():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    modules = {"datasets", "splitting", "timeline"}
    public = {f"tsae.{name}" for name in set(tsae.__all__) - modules}
    public |= {f"tsae.{module}.{name}" for module in modules for name in getattr(tsae, module).__all__}
    assert public <= named
    for name in named:
        home, _, attribute = name.rpartition(".")
        __import__(home)
        assert hasattr(sys.modules[home], attribute)


@pytest.mark.parametrize("script", sorted((DOCS / "gallery").glob("*.py")), ids=lambda path: path.stem)
def test_programs_of_the_gallery_draw_a_figure(script, tmp_path, monkeypatch):
    """With one epoch, and on the drawing back end of the build."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    short = tmp_path / script.name
    short.write_text(re.sub(r"\bepochs=\d+", "epochs=1", script.read_text(encoding="utf-8")))
    figure = runpy.run_path(str(short))["figure"]
    assert figure.axes[0].has_data()


def test_links_between_pages_lead_somewhere():
    """Of the site; mkdocs checks anchors as well when it builds."""
    generated = {DOCS / "contributing.md", DOCS / "changelog.md"}
    generated |= {(DOCS / "gallery" / path.name).with_suffix(".png") for path in (DOCS / "gallery").glob("*.py")}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                path = (page.parent / target).resolve()
                assert path.exists() or path in generated, f"{page}: {target}"
