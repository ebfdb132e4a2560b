"""The job `watch`: rows come in line by line, scores and events go out as soon as they are final."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from tsae.anomaly.stream import TimelineStream
from tsae.jobs.anomalies import EventFinder, EventRule, check_alpha, check_detector, join_channels
from tsae.jobs.errors import InputError, JobError
from tsae.jobs.logs import log_event
from tsae.jobs.models import ModelFile
from tsae.jobs.outputs import check_target
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_files import CsvLines
from tsae.jobs.table_reader import rows_of_frame
from tsae.jobs.table_writer import with_zone
from tsae.jobs.watch_input import Line, Stop, lines_of_file, lines_of_pipe
from tsae.jobs.watch_state import WatchState, pack, unpack

BATCH_LINES = 5000  # that are scored together
SECONDS_BETWEEN_SAVES = 60.0
STANDARD_INPUT = "standard input"


@dataclass(frozen=True)
class Watching:
    """Settings of the job `watch`.

    Attributes
    ----------
    model : ModelFile
        With a detector.
    spec : WindowSpec
        How rows are read and cut.
    rule : EventRule
    path : Path or None
        The file to read; None: standard input.
    follow : bool
        Wait for what is appended to the file.
    state : Path or None
        Where the state is kept.
    show : {"all", "scores", "events"}
        What is written.
    format : {"json", "csv"}
        Of what is written.
    skips : bool
        Pass over rows that cannot be used, with a warning; otherwise they end the job.
    """

    model: ModelFile
    spec: WindowSpec
    rule: EventRule
    path: Path | None = None
    follow: bool = False
    state: Path | None = None
    show: str = "all"
    format: str = "json"
    skips: bool = False


@dataclass
class Counts:
    """What came in and went out: rows, rows passed over, timestamps with a score, events."""

    rows: int = 0
    skipped: int = 0
    scored: int = 0
    events: int = 0


def watch(settings: Watching, output: IO[str] | None = None) -> tuple[Counts, int | None]:
    """Score rows as they arrive, until they end or a signal (SIGINT, SIGTERM) comes.

    Without a state, the rows that wait for later ones are scored at the end, by the windows that are complete. With
    one they are kept, once a minute and at the end, and the next call goes on.

    Parameters
    ----------
    settings : Watching
    output : text file or None
        None: standard output.

    Returns
    -------
    Counts
    int or None
        The signal that ended the job.

    Raises
    ------
    JobError
        For settings or a state that cannot be used, and for rows that cannot be, named by their lines.
    """
    detector = settings.model.estimator
    check_detector(detector, settings.model.path)
    check_alpha(detector, settings.rule)
    state = WatchState(settings.model.model_id)
    if settings.state is not None:
        check_target(settings.state, "the state")
        state = WatchState.read(settings.state, settings.model.model_id)
    run = _Run(settings, state, output or sys.stdout)
    stop = Stop()
    with stop.listening():
        try:
            for lines in run.source(stop):
                run.take(lines)
            run.check_begun(stop)
        except JobError:
            run.save()  # after any other error, such as a broken pipe, the state before it holds
            raise
        run.save()
        if settings.state is None:
            run.finish()
    return run.counts, stop.number


class _Run:
    """One run of the job."""

    def __init__(self, settings: Watching, state: WatchState, output: IO[str]):
        self.settings, self.state, self.spec = settings, state, settings.spec
        self.detector = settings.model.estimator
        self.writer = _Writer(settings, output)
        self.counts = Counts()
        self.streams = {name: unpack(self.detector, stored, self._max_gap(name))
                        for name, stored in state.streams.items()}  # fmt: skip
        self.finder = EventFinder(self.detector, settings.rule, state.held)
        self.table: CsvLines | None = None
        self._saved_at = time.monotonic()

    def _max_gap(self, name: str) -> Any:
        return replace(self.spec, max_gap=self.spec.max_gaps.get(name, self.spec.max_gap)).longest_step

    def source(self, stop: Stop) -> Iterator[list[Line]]:
        """Open the input, from where the state stands."""
        path, before = self.settings.path, self.state.source
        self.state.source = None if path is None else str(path.resolve())
        if path is None:
            return lines_of_pipe(sys.stdin.buffer, STANDARD_INPUT, stop)
        start = self.state.last if before == self.state.source else None
        if start is None and self.state.streams:
            log_event(f"{path} is read from its beginning; the state is that of {before or STANDARD_INPUT}")
        return lines_of_file(path, stop, follow=self.settings.follow, start=start)

    def check_begun(self, stop: Stop) -> None:
        """Refuse input without a header."""
        if self.table is None and not stop.is_asked:
            raise InputError(f"{self._name} is empty: its first line must hold the names of the columns")

    @property
    def _name(self) -> str:
        return STANDARD_INPUT if self.settings.path is None else str(self.settings.path)

    # -- rows ------------------------------------------------------------------------------------------------------

    def take(self, lines: list[Line]) -> None:
        """Score lines, in order; the first of all is the header."""
        if lines and self.table is None:
            header, *lines = lines
            self.table = CsvLines(header.text, self._name, self.spec.columns)
            self.table.require(self._names())
        for first in range(0, len(lines), BATCH_LINES):
            self._take_batch(lines[first : first + BATCH_LINES])
            if time.monotonic() - self._saved_at > SECONDS_BETWEEN_SAVES:
                self.save()

    def _names(self) -> list[str]:
        columns = self.spec.columns
        return [*columns.ids, *([] if columns.time is None else [columns.time]), *columns.values]

    def _take_batch(self, lines: list[Line]) -> None:
        """Score lines; if any is bad, half of them after the other, until it stands alone."""
        filled = [line for line in lines if line.text.strip()]
        try:
            self._score(filled)
        except (InputError, ValueError) as error:
            if len(filled) > 1:
                middle = lines.index(filled[len(filled) // 2])
                self._take_batch(lines[:middle])
                self._take_batch(lines[middle:])
                return
            self._refuse(filled[0], error)
        self.state.last = lines[-1]

    def _refuse(self, line: Line, error: Exception) -> None:
        assert self.table is not None
        message = str(error)
        if not message.startswith(self.table.name):
            message = f"{self.table.name}, line {line.number}: {message}"
        if not self.settings.skips:
            raise InputError(message) from error
        self.counts.skipped += 1
        log_event(f"skipped: {message}", level=logging.WARNING, event="skipped", line=line.number)

    def _score(self, lines: list[Line]) -> None:
        """Score lines, all of them or, if there is an error, none."""
        if not lines:
            return
        assert self.table is not None
        columns = self.spec.columns
        unparsed = [name for name in self._names() if name not in columns.values]
        frame = self.table.table(
            [line.text for line in lines], [line.number for line in lines], list(dict.fromkeys(self._names())), unparsed
        )
        rows = rows_of_frame(frame, columns, self.table).series
        grown, done = {}, []
        for code, name in enumerate(map(str, rows.names)):
            own = slice(rows.offsets[code], rows.offsets[code + 1])
            stream = copy(self.streams[name]) if name in self.streams else self._new_stream(name)
            done.append(stream.push(rows.values[own], None if rows.times is None else rows.times[own]))
            grown[name] = stream
        self.streams |= grown
        self.counts.rows += len(lines)
        self._give(done)

    def _new_stream(self, name: str) -> TimelineStream:
        return self.detector.stream(stride=self.spec.stride, series=name, max_gap=self._max_gap(name))

    def _give(self, tables: list[pd.DataFrame]) -> None:
        filled = [table for table in tables if len(table)]
        if filled:
            timeline = pd.concat(filled, ignore_index=True)
            self.counts.scored += int(timeline["score"].notna().sum())
            self.writer.write(timeline, "scores")
            self._give_events(self.finder.add(timeline))

    def _give_events(self, events: pd.DataFrame) -> None:
        self.counts.events += len(events)
        self.writer.write(events, "events")

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Score the rows that wait for later ones, and end the events."""
        self._give([stream.finish() for stream in self.streams.values()])
        self._give_events(self.finder.finish())

    def save(self) -> None:
        """Keep the state, if it is to be kept."""
        if self.settings.state is not None:
            self.state.streams = {name: pack(stream) for name, stream in self.streams.items()}
            self.state.held = self.finder.held_rows()
            self.settings.state.parent.mkdir(parents=True, exist_ok=True)
            self.state.save(self.settings.state)
        self._saved_at = time.monotonic()


class _Writer:
    """Write tables as lines, each call at once."""

    def __init__(self, settings: Watching, output: IO[str]):
        self.settings, self.output, self.has_header = settings, output, False

    def write(self, table: pd.DataFrame, kind: str) -> None:
        """Write a timeline ("scores") or events ("events"), if they are wanted."""
        if not len(table) or self.settings.show not in (kind, "all"):
            return
        table = with_zone(table, self.settings.spec.columns, "time", "start", "end", "peak")
        if self.settings.format == "csv":
            if kind == "events":
                table = table.assign(channels=[join_channels(names) for names in table["channels"]])
            self.output.write(table.to_csv(index=False, header=not self.has_header, lineterminator="\n"))
            self.has_header = True
        else:
            what = kind.removesuffix("s")
            for row in table.to_dict("records"):
                plain = {name: _plain(value) for name, value in row.items()}
                self.output.write(json.dumps({"type": what, **plain}, ensure_ascii=False) + "\n")
        self.output.flush()


def _plain(value: Any) -> Any:
    """Convert a value to what JSON holds; NaN becomes None."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
