"""Warnings of more than one sentence."""

from __future__ import annotations

import warnings


def warn_in_lines(*sentences: str, category: type[Warning] = UserWarning, stacklevel: int = 2) -> None:
    """Warn with one sentence per line.

    Parameters
    ----------
    *sentences : str
        The first says what is the matter, the others why and what to do.
    category : type, default=UserWarning
        As for `warnings.warn`.
    stacklevel : int, default=2
        As for `warnings.warn`, counted from the function that calls this one.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     warn_in_lines("Two channels are constant.", "Leave them out.")
    >>> print(found[0].message)
    Two channels are constant.
      Leave them out.
    """
    warnings.warn("\n  ".join(sentences), category, stacklevel=stacklevel + 1)
