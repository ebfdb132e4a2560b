"""What `tsae watch` keeps between two runs, in one file: JSON and plain arrays, without code."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsae.anomaly.stream import TimelineStream
from tsae.errors import ModelFileError
from tsae.io.archive import read_archive, write_archive
from tsae.io.state import Arrays, from_tree, to_tree
from tsae.jobs.errors import JobError
from tsae.jobs.table_writer import read_result
from tsae.jobs.watch_input import Line

KIND = "WatchState"


@dataclass
class WatchState:
    """Where `tsae watch` stands.

    Attributes
    ----------
    model_id : str
        Of the detector.
    streams : dict of str
        The state of each series' stream, as `TimelineStream.save` writes it.
    held : DataFrame or None
        Rows of events that may still continue.
    source : str or None
        The file that is read; None for a pipe.
    last : Line or None
        The last line of the file that was taken; its text is left out.
    """

    model_id: str
    streams: dict[str, bytes] = field(default_factory=dict)
    held: pd.DataFrame | None = None
    source: str | None = None
    last: Line | None = None

    def save(self, path: Path) -> None:
        """Write the state to a file, all of it or nothing."""
        held = None if self.held is None else self.held.to_csv(index=False)
        plain = {
            "model_id": self.model_id,
            "series": list(self.streams),
            "streams": [np.frombuffer(stored, np.uint8) for stored in self.streams.values()],
            "held": held,
            "source": self.source,
            "last": None if self.last is None else [self.last.number, self.last.end],
        }
        arrays = Arrays()
        write_archive(path, KIND, to_tree(plain, "state", arrays), arrays.stored, {"n_series": len(self.streams)})

    @classmethod
    def read(cls, path: Path, model_id: str) -> WatchState:
        """Read a state that `save` wrote; a new one if there is no such file.

        Raises
        ------
        JobError
            For a file that holds something else, or the state of another model.
        """
        if not path.exists():
            return cls(model_id)
        try:
            archive = read_archive(path)
            if archive.manifest["kind"] != KIND:
                raise ModelFileError(f"it holds a {archive.manifest['kind']}")
            plain = from_tree(archive.state, archive.arrays)
            held = None if plain["held"] is None else read_result(io.StringIO(plain["held"]))
            state = cls(
                plain["model_id"],
                {name: stored.tobytes() for name, stored in zip(plain["series"], plain["streams"], strict=True)},
                held, plain["source"], None if plain["last"] is None else Line("", *plain["last"]),
            )  # fmt: skip
        except (ModelFileError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise JobError(f"{path} is not the state of tsae watch: {error}") from error
        if state.model_id != model_id:
            raise JobError(f"{path} is the state of another model than this one; remove it, or name another --state")
        return state


def pack(stream: TimelineStream) -> bytes:
    """Return the state of a stream as `TimelineStream.save` writes it."""
    buffer = io.BytesIO()
    stream.save(buffer)
    return buffer.getvalue()


def unpack(detector: Any, stored: bytes, max_gap: Any) -> TimelineStream:
    """Continue a stream whose state `pack` returned."""
    return detector.restore_stream(io.BytesIO(stored), max_gap=max_gap)
