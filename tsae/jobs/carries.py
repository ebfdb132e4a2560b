"""The parts of a job read one after the other, each with the rows that the parts before it leave to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tsae.data.series import GroupedSeries
from tsae.jobs.continuation import DAMAGED, Carry, PartWindows, continue_series
from tsae.jobs.errors import InputError
from tsae.jobs.manifest import DONE, Manifest
from tsae.jobs.parts import Part
from tsae.jobs.places import Place
from tsae.jobs.spec import WindowSpec
from tsae.jobs.table_reader import read_rows

CARRY_FOLDER = "carry"


@dataclass
class PartRead:
    """A part as read: its rows, the rows carried into it, and both cut into windows."""

    carry: Carry
    rows: GroupedSeries
    windows: PartWindows
    after: Carry

    def ended(self, spec: WindowSpec) -> PartWindows:
        """Return the windows where all series end with this part."""
        return continue_series(self.carry, self.rows, spec, last=True)[0]


@dataclass
class Carries:
    """Reads parts in their order; keeps the rows carried from part to part in files.

    Attributes
    ----------
    folder : Path or StoredPath
        The output directory of the job.
    parts : list of Part
    manifest : Manifest
    spec : WindowSpec
    failed : dict
        Reasons, by name, of parts that can be read, but not used.
    """

    folder: Place
    parts: list[Part]
    manifest: Manifest
    spec: WindowSpec
    failed: dict[str, str] = field(default_factory=dict)

    def read(self, position: int, carry: Carry | None = None) -> PartRead:
        """Read a part with a carry; without one, with that of the parts before it.

        Raises
        ------
        InputError
            If the part cannot be used.
        """
        part = self.parts[position]
        if part.name in self.failed:
            raise InputError(self.failed[part.name])
        carry = self._into(position) if carry is None else carry
        rows = read_rows(part.path, self.spec.columns, name=part.name).series
        try:
            windows, after = continue_series(carry, rows, self.spec, last=False)
        except ValueError as error:
            raise InputError(
                f"{part.name}, read after the parts before it in natural order of their names: {error}"
            ) from error
        return PartRead(carry, rows, windows, after)

    def keep(self, carry: Carry) -> None:
        """Write the rows that a part leaves to the next one to a file."""
        if carry.rows is not None:
            carry.save(self.file(carry.digest))

    def drop(self) -> None:
        """Remove the files that no part needs any more; those next to the end are for parts that are added later."""
        records = list(self.manifest.records.values())
        needed: set[str | None] = set()
        used: set[str | None] = set()
        for record, following in zip(records, [*records[1:], None], strict=True):
            # A part that ends all series is computed again once others follow it.
            waiting = following is None or following.status != DONE or following.last
            (needed if waiting else used).add(record.carry_out)
        unneeded = {f"{digest}.npz" for digest in used - needed}
        for file in (self.folder / CARRY_FOLDER).glob("*.npz"):  # one request to a store
            if file.name in unneeded:
                file.unlink(missing_ok=True)

    def _into(self, position: int) -> Carry:
        """Rows carried into a part, from their file or else by reading the parts before it again."""
        first = position
        while first > 0 and self.stored(first) is None:
            first -= 1
        carry = self.stored(first) or Carry.empty()
        for earlier in range(first, position):
            try:
                carry = self.read(earlier, carry).after
            except InputError:  # skipped, as it was the first time
                carry = Carry.empty()
        return carry

    def stored(self, position: int) -> Carry | None:
        """Read what is carried into a part from its file; None if there is none, or a damaged one."""
        digest = self.manifest.records[self.parts[position - 1].name].carry_out if position > 0 else None
        if digest == Carry.empty().digest:
            return Carry.empty()
        if digest is None:
            return None
        try:
            carry = Carry.load(self.file(digest))
        except DAMAGED:
            return None  # not there, or damaged: computed again from the parts
        return carry if carry.digest == digest else None

    def file(self, digest: str) -> Place:
        """Return the file for carried rows."""
        return self.folder / CARRY_FOLDER / f"{digest}.npz"
