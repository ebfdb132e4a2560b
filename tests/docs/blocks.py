"""The fenced blocks of all pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *map(ROOT.joinpath, ("README.md", "CONTRIBUTING.md")),
         ROOT / "pipelines" / "README.md", *sorted((ROOT / "sample_data").rglob("README.md"))]  # fmt: skip
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its language, its text."""

    page: str
    language: str
    text: str


def blocks(language: str | None = None) -> list[Block]:
    """Fenced blocks of all pages, or those in one language."""
    found = [
        Block(page.relative_to(ROOT).as_posix(), match[2], match[3])
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]
    return [block for block in found if language in (None, block.language)]


def lines(block: Block) -> list[list[str]]:
    """Lines of a shell block as lists of words; variables that the block sets are replaced."""
    variables: dict[str, str] = {}
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
            variables[assigned[1]] = assigned[2]
            continue
        line = re.sub(r"\$(\w+)", lambda name: variables[name[1]], line)
        found += [shlex.split(part, comments=True) for part in line.split("&&")]
    return [words for words in found if words]


def commands(block: Block) -> list[list[str]]:
    """Arguments of each call of ``tsae`` in a shell block."""
    return [words[1:] for words in lines(block) if words[0] == "tsae"]
