"""Sequences of tokens (characters, words, integers) as codes 0, 1, 2, ... and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsae.data.containers import as_windows
from tsae.data.windows import Windows

CHARACTERS, WORDS, INTEGERS = "characters", "words", "integers"


def are_tokens(sequences: Any) -> bool:
    """Whether sequences hold strings or integers, not measurements."""
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


def split_tokens(sequences: Any, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """All tokens concatenated, the length of each sequence, and the form of the sequences.

    Raises
    ------
    ValueError
        For sequences that are empty, of no tokens or of mixed kinds, by name and position.
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
                f"{name}[{at}] = {sequences[at]!r} is not allowed; tokens come as strings, as lists of strings, or as "
                "lists or rows of integers, all of one kind"
            )
        lengths = np.array([len(part) for part in parts])
        flat = np.concatenate(parts)
        form = INTEGERS if flat.dtype.kind in "iu" else WORDS
    if not lengths.all():
        raise ValueError(f"{name}[{np.flatnonzero(lengths == 0)[0]}] is empty")
    return flat, lengths, form


def encode(flat: np.ndarray, lengths: np.ndarray, vocabulary: list[Any], name: str) -> Windows:
    """Windows of codes, one channel; the vocabulary is sorted, and a token's place in it is its code.

    Raises
    ------
    ValueError
        For a token that is not in the vocabulary, with its sequence and position.
    """
    known = np.array(vocabulary)
    codes = np.searchsorted(known, flat)
    wrong = (codes >= len(known)) | (known[np.minimum(codes, len(known) - 1)] != flat)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, at, side="right"))
        raise ValueError(
            f"{name}[{row}] holds {flat[at].item()!r} at position {at - (ends[row] - lengths[row])}, a token that "
            f"is not in the vocabulary of fit: {_shown(vocabulary)}"
        )
    values = codes.astype(np.float32)
    if np.all(lengths == lengths[0]):
        return as_windows(values.reshape(len(lengths), lengths[0], 1), name=name)
    return as_windows(np.split(values, np.cumsum(lengths)[:-1]), name=name)


def decode(codes: np.ndarray, vocabulary: list[Any], form: str, as_array: bool) -> Any:
    """Codes (n, n_steps), -1 past the end, as sequences of the given form.

    Returns
    -------
    list of str, list of list of str, or (integers) list of ndarray, ndarray where `as_array`
    """
    table = np.array(vocabulary)
    if as_array:
        return table[codes]
    sequences = [table[row[row >= 0]] for row in codes]
    if form == CHARACTERS:
        return ["".join(row.tolist()) for row in sequences]
    return [row.tolist() for row in sequences] if form == WORDS else sequences


def _shown(vocabulary: list[Any], most: int = 30) -> str:
    shown = ", ".join(repr(token) for token in vocabulary[:most])
    return shown + (f" and {len(vocabulary) - most} more" if len(vocabulary) > most else "")
