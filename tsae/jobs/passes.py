"""What the passes over a large training set have found so far, in files beside the model: a killed training continues.

The files are named by what they depend on: checksums of parts, and settings. So what is found there is what the same
command would compute, and files of other data or settings are passed over.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

import tsae
from tsae.io.archive import replacing
from tsae.jobs.continuation import DAMAGED, Carry
from tsae.jobs.parts import Part, checksum

KINDS = ("survey-*.npz", "draw-*.npz", "carry-*.npz", ".*.tmp", ".lock")


class Passes:
    """Files of the passes of one training.

    Parameters
    ----------
    folder : Path
        Made if needed.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.n_surveyed = 0  # parts whose statistics were there
        self._sums: dict[str, str] = {}

    def sum_of(self, part: Part) -> str:
        """Return the checksum of a part, computed once."""
        if part.name not in self._sums:
            self._sums[part.name] = checksum(part.path)["sha256"]
        return self._sums[part.name]

    def key(self, *facts: Any) -> str:
        """Return a name for facts in plain values; another version of tsae may read or draw otherwise."""
        return hashlib.sha256(json.dumps([tsae.__version__, *facts]).encode()).hexdigest()[:32]

    def keep(self, kind: str, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays to a file, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._file(kind, key)) as file:
            np.savez(file, allow_pickle=False, **arrays)

    def has(self, kind: str, key: str) -> bool:
        """Tell whether there is a file."""
        return self._file(kind, key).exists()

    def read(self, kind: str, key: str) -> dict[str, np.ndarray] | None:
        """Read the arrays of a file; None if there is none, or a damaged one."""
        try:
            with np.load(self._file(kind, key), allow_pickle=False) as stored:
                return dict(stored)
        except DAMAGED:
            return None

    def keep_carry(self, carry: Carry) -> None:
        """Write the rows that a part leaves to the next one."""
        carry.save(self._file("carry", carry.digest))

    def drop_carries(self, last: Carry) -> None:
        """Remove the files of earlier carries."""
        for file in self.folder.glob("carry-*.npz"):
            if file != self._file("carry", last.digest):
                file.unlink(missing_ok=True)

    def read_carry(self, digest: str) -> Carry | None:
        """Read the rows that a part leaves to the next one; None if they are not there, or damaged."""
        try:
            return Carry.load(self._file("carry", digest))
        except DAMAGED:
            return None

    def _file(self, kind: str, key: str) -> Path:
        return self.folder / f"{kind}-{key}.npz"


def remove_passes(folder: Path) -> None:
    """Remove the files of a training that has ended, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for kind in KINDS:
        for file in folder.glob(kind):
            file.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def as_bytes(facts: dict[str, Any]) -> np.ndarray:
    """Return plain values as an array, to be kept with others."""
    return np.frombuffer(json.dumps(facts).encode(), np.uint8)


def from_bytes(array: np.ndarray) -> dict[str, Any]:
    """Return the plain values of `as_bytes`."""
    facts: dict[str, Any] = json.loads(array.tobytes())
    return facts
