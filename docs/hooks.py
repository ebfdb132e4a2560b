"""What `make docs` does besides turning pages into HTML.

It runs the gallery, prints the help of the command, and takes in pages from the root folder.
"""

from __future__ import annotations

import ast
import os
import re
import runpy
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from tsae.jobs.cli import cli

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DOCS = Path(__file__).parent
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
SCRIPTS = sorted((DOCS / "gallery").glob("*.py"))


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages and pictures that are not files of this folder."""
    for name, address in ROOT_PAGES.items():
        text = (DOCS.parent / name).read_text(encoding="utf-8")
        files.append(File.generated(config, address, content=re.sub(r"\]\(docs/", "](", text)))
    for script in SCRIPTS:
        files.append(File.generated(config, f"gallery/{script.stem}.png", content=picture(script)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Add the programs to the page of the gallery, and the help of each command to theirs."""
    added = {"gallery/index.md": lambda: map(entry, SCRIPTS), "reference/command.md": help_texts}
    return "\n".join([markdown, *added.get(page.file.src_uri, list)()])


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Turn the citations of numpydoc, ``[1]_`` and ``.. [1]``, which Markdown does not know, into plain ones."""
    if not page.file.src_uri.startswith("reference/"):
        return html
    html = re.sub(r"\n\s*\.\. \[(\d+)\]", r"<br>\n[\1]", html)
    return re.sub(r"\.\. (\[\d+\])|(\[\d+\])_", r"\1\2", html)


def picture(script: Path) -> bytes:
    """The figure that a script of the gallery leaves under the name `figure`, as PNG."""
    figure = runpy.run_path(str(script))["figure"]
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130, bbox_inches="tight")
    return buffer.getvalue()


def entry(script: Path) -> str:
    """A script's part of the page: title, text, picture, code."""
    source = script.read_text(encoding="utf-8")
    title, _, text = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
    code = source.split('"""', 2)[2].strip()
    return f"## {title.rstrip('.')}\n{text}\n\n![{title}]({script.stem}.png)\n\n```python\n{code}\n```\n"


def help_texts() -> Iterator[str]:
    """The help of the command and of each of its commands, as a terminal shows it."""
    settings: dict[str, Any] = {"resilient_parsing": True, "terminal_width": 92}
    with cli.make_context("tsae", [], **settings) as context:
        yield f"## tsae\n\n```text\n{cli.get_help(context)}\n```\n"
        for name, command in sorted(cli.commands.items()):
            with command.make_context(name, [], parent=context, **settings) as inner:
                yield f"## tsae {name}\n\n```text\n{command.get_help(inner)}\n```\n"
