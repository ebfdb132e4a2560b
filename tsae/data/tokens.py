"""Sequences of symbols (characters, words, whole numbers) as codes 0, 1, 2, ... and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsae.data.containers import as_windows
from tsae.data.windows import Windows

CHARACTERS, WORDS, INTEGERS = "characters", "words", "integers"


def are_symbols(sequences: Any) -> bool:
    """Whether sequences hold strings or whole numbers, not measurements."""
    if isinstance(sequences, Windows):
        return False
    if hasattr(sequences, "dtypes") and hasattr(sequences, "to_numpy"):
        sequences = sequences.to_numpy()
    if isinstance(sequences, np.ndarray) and sequences.dtype != object:
        return sequences.dtype.kind in "iuU"
    if not isinstance(sequences, (Sequence, np.ndarray)) or len(sequences) == 0:
        return False
    first = sequences[0]
    return isinstance(first, str) or np.asarray(first).dtype.kind in "iuU"


def lay_out(sequences: Any, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """All symbols laid end to end, the length of each sequence, and what form the sequences have.

    Raises
    ------
    ValueError
        For sequences that are empty, of no symbols or of mixed kinds, by name and position.
    """
    if hasattr(sequences, "to_numpy"):
        sequences = sequences.to_numpy()
    if len(sequences) == 0:
        raise ValueError(f"Found {name} with 0 sample(s): there are no sequences")
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2 and sequences.dtype.kind in "iuU":
        lengths = np.full(len(sequences), sequences.shape[1])
        flat, form = sequences.reshape(-1), INTEGERS if sequences.dtype.kind in "iu" else WORDS
    elif all(isinstance(sequence, str) for sequence in sequences):
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        flat, form = np.array(list("".join(sequences)), dtype="U1"), CHARACTERS
    else:
        parts = [np.asarray(sequence) for sequence in sequences]
        kinds = {part.dtype.kind.replace("u", "i") for part in parts if part.ndim == 1 and part.size}
        odd = [i for i, part in enumerate(parts) if part.ndim != 1 or (part.size and part.dtype.kind not in "iuU")]
        if odd or len(kinds) > 1:
            at = odd[0] if odd else 0
            raise ValueError(
                f"{name}[{at}] = {sequences[at]!r} is not allowed; symbols come as strings, as lists of strings, or as "
                "lists or rows of integers, all of one kind"
            )
        lengths = np.array([len(part) for part in parts])
        flat = np.concatenate(parts)
        form = INTEGERS if flat.dtype.kind in "iu" else WORDS
    if not lengths.all():
        raise ValueError(f"{name}[{np.flatnonzero(lengths == 0)[0]}] is empty")
    return flat, lengths, form


def encode(flat: np.ndarray, lengths: np.ndarray, symbols: list, name: str) -> Windows:
    """Windows of codes, one channel; `symbols` is sorted, and a symbol's place is its code.

    Raises
    ------
    ValueError
        For a symbol that is not among them, with the sequence and place where it stands.
    """
    known = np.array(symbols)
    codes = np.searchsorted(known, flat)
    wrong = (codes >= len(known)) | (known[np.minimum(codes, len(known) - 1)] != flat)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, at, side="right"))
        raise ValueError(
            f"{name}[{row}] holds {flat[at].item()!r} at place {at - (ends[row] - lengths[row])}, a symbol that was "
            f"not there in fit; known are {_shown(symbols)}"
        )
    values = codes.astype(np.float32)
    if np.all(lengths == lengths[0]):
        return as_windows(values.reshape(len(lengths), lengths[0], 1), name=name)
    return as_windows(np.split(values, np.cumsum(lengths)[:-1]), name=name)


def decode(codes: np.ndarray, symbols: list, form: str, as_array: bool) -> Any:
    """Codes (n, n_steps), -1 past the end, as sequences of the given form.

    Returns
    -------
    list of str, list of list of str, or (integers) list of ndarray, ndarray where `as_array`
    """
    table = np.array(symbols)
    if as_array:
        return table[codes]
    said = [table[row[row >= 0]] for row in codes]
    if form == CHARACTERS:
        return ["".join(row.tolist()) for row in said]
    return [row.tolist() for row in said] if form == WORDS else said


def _shown(symbols: list, most: int = 30) -> str:
    shown = ", ".join(repr(symbol) for symbol in symbols[:most])
    return shown + (f" and {len(symbols) - most} more" if len(symbols) > most else "")
