"""Parameters as numpydoc writes them, in a form of which the parser of the reference reads the right defaults.

Of ``kind : {"a", "b"}, default="b"`` it takes the first choice for the default, and where several names share an entry
it gives all of them the default of the first.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

SECTION = re.compile(r"^Parameters\n-+\n.*?(?=^\w[\w ]*\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
SHARED = re.compile(r"^(\w+(?:, \w+)+)( : .*)?\n((?: +\S.*\n?|\n(?= ))+)", re.MULTILINE)
CHOICES = re.compile(r"^(\w+ : )\{([^{}\n]+)\}", re.MULTILINE)


class Choices(Extension):
    """Give each name an entry of its own, and leave out the braces around choices."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = SECTION.sub(lambda section: readable(section[0]), obj.docstring.value)


def readable(section: str) -> str:
    """Rewrite the section of the parameters."""
    single = SHARED.sub(
        lambda entry: "".join(f"{name}{entry[2] or ''}\n{entry[3].rstrip()}\n" for name in entry[1].split(", ")),
        section,
    )
    return CHOICES.sub(r"\1\2", single)
