"""A process in which some packages are not installed."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Blocker())
"""


def without_packages(names: str, code: str, *arguments) -> subprocess.CompletedProcess:
    """Run code that finds none of the packages; its arguments are in ``sys.argv[2:]``."""
    command = [sys.executable, "-c", BLOCKED + code, names, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
