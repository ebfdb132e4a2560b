"""The state of a stream, and how it is stored: as plain values and arrays, without code."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from tsae.anomaly.scoring import TimestampScorer
from tsae.errors import ModelFileError
from tsae.io.archive import read_archive, write_archive
from tsae.io.state import Arrays, from_tree, to_tree

KIND = "TimelineStream"


def _no_times() -> pd.Index:
    return pd.Index([], dtype=np.int64)


@dataclass
class StreamState:
    """What a stream knows of the rows so far.

    Parameters
    ----------
    rows : float64 ndarray of shape (n_held, n_channels)
        Of the timestamps that are not complete.
    sums, counts : ndarrays of shape (n_held, n_values, n_channels)
        Of the values of the windows that cover them.
    times : Index of length n_held
    last_time : Index of length 0 or 1
        Of the last row.
    next_window : int
        First row of the next window, counted from the first row that is held.
    n_seen : int
        Number of rows so far.
    with_times : bool or None
        Whether rows come with times; None before the first.
    finished : bool
    """

    rows: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    times: pd.Index = field(default_factory=_no_times)
    last_time: pd.Index = field(default_factory=_no_times)
    next_window: int = 0
    n_seen: int = 0
    with_times: bool | None = None
    finished: bool = False

    @classmethod
    def empty(cls, n_values: int, n_channels: int) -> StreamState:
        """Make the state before the first row."""
        shape = (0, n_values, n_channels)
        return cls(np.empty((0, n_channels)), np.zeros(shape), np.zeros(shape, dtype=np.int32))

    def check(self, n_values: int, n_channels: int, width: int) -> None:
        """Refuse a state that does not belong together.

        Raises
        ------
        ValueError
        """
        held, shape = len(self.times), (len(self.times), n_values, n_channels)
        expected = ((self.rows, shape[::2], "f8"), (self.sums, shape, "f8"), (self.counts, shape, "i4"))
        if any(array.shape != size or array.dtype != np.dtype(kind) for array, size, kind in expected):
            raise ValueError("its arrays have other shapes or types")
        if not (0 <= held <= self.n_seen and len(self.last_time) == min(1, self.n_seen) and held < 2 * width):
            raise ValueError("its rows and times have other numbers")
        if (
            type(self.finished) is not bool
            or (self.next_window < 0 and not self.finished)
            or self.with_times not in (True, False, None)
        ):
            raise ValueError("its counters have other values")


# -- files -----------------------------------------------------------------------------------------------------------


def save_state(
    path: str | os.PathLike[str] | BinaryIO, state: StreamState, scorer: TimestampScorer, options: dict[str, Any]
) -> None:
    """Write a state to a file, all of it or nothing, or to an open binary file.

    Raises
    ------
    ValueError
        If the times are in a zone that has no name.
    TypeError
        If an option is of a kind that files do not hold.
    """
    held = {**vars(state), "times": _index_to_plain(state.times), "last_time": _index_to_plain(state.last_time)}
    arrays = Arrays()
    tree = to_tree({"detector": fingerprint(scorer), "options": options, "state": held}, "stream", arrays)
    write_archive(path, KIND, tree, arrays.stored, {"n_rows": state.n_seen})


def read_state(
    path: str | os.PathLike[str] | BinaryIO, scorer: TimestampScorer, width: int
) -> tuple[StreamState, dict[str, Any]]:
    """Read what `save_state` wrote for a detector with this scorer and width: the state and the options.

    Raises
    ------
    ModelFileError
        If the file holds something else, or parts that do not belong together.
    ValueError
        If it was written for another detector.
    """
    archive = read_archive(path)
    if archive.manifest["kind"] != KIND:
        raise ModelFileError(f"the file holds a {archive.manifest['kind']}, not the state of a stream")
    tree = from_tree(archive.state, archive.arrays)
    if tree.get("detector") != fingerprint(scorer):
        raise ValueError("the state is that of a stream of another detector, or of this one before it was fitted anew")
    try:
        held, options = dict(tree["state"]), dict(tree["options"])
        state = StreamState(
            **{**held, "times": _index_from_plain(held["times"]), "last_time": _index_from_plain(held["last_time"])}
        )
        state.check(scorer.combination.n_values, len(scorer.channel_names), width)
        if options["width"] != width or type(options["stride"]) is not int or options["stride"] < 1:
            raise ValueError(f"its windows have {options['width']!r} steps, {options['stride']!r} apart")
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"the stored state of a stream cannot be rebuilt: {error}") from error
    return state, options


def fingerprint(scorer: TimestampScorer) -> str:
    """Return a checksum of all that makes up scores but the network: equal for a detector that was saved and loaded."""
    made_of = (scorer.combination.names, scorer.channel_names, scorer.smoothing)
    digest = hashlib.sha256(repr(made_of).encode())
    for array in (*scorer.combination.arrays(), scorer.calibrator.scores_):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _index_to_plain(times: pd.Index) -> dict[str, Any]:
    if isinstance(times, pd.PeriodIndex):
        return {"kind": "period", "freq": times.freqstr, "values": np.asarray(times.asi8)}
    if isinstance(times, pd.DatetimeIndex):
        zone = None if times.tz is None else str(times.tz)
        plain = {"kind": "datetime", "unit": times.unit, "zone": zone, "values": np.asarray(times.asi8)}
        try:
            known = zone is None or str(_index_from_plain(plain).tz) == zone
        except (ValueError, LookupError, OSError):
            known = False
        if not known:
            raise ValueError(f"times are in the zone {times.tz!r}, which has no name to store; convert them to another")
        return plain
    if isinstance(times, pd.TimedeltaIndex):
        return {"kind": "timedelta", "unit": times.unit, "values": np.asarray(times.asi8)}
    return {"kind": "number", "values": np.asarray(times)}


def _index_from_plain(plain: dict[str, Any]) -> pd.Index:
    kind, values = plain["kind"], plain["values"]
    if kind == "period":
        return pd.PeriodIndex.from_ordinals(values, freq=plain["freq"])
    if kind == "datetime":
        times = pd.DatetimeIndex(values.view(f"M8[{plain['unit']}]"))
        return times if plain["zone"] is None else times.tz_localize("UTC").tz_convert(plain["zone"])
    if kind == "timedelta":
        return pd.TimedeltaIndex(values.view(f"m8[{plain['unit']}]"))
    if kind != "number" or values.dtype.kind not in "iuf" or values.ndim != 1:
        raise ValueError(f"times of kind {kind!r}")
    return pd.Index(values)
