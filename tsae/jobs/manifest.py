"""The manifest of a job's output: the state of each part."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from tsae.jobs.errors import JobError
from tsae.jobs.places import Place, replaced

NAME = "manifest.json"
MANIFEST_VERSION = 1
SECONDS_BETWEEN_SAVES = 2.0  # parts finished since the last save are computed again after a kill

PENDING, DONE, SKIPPED = "pending", "done", "skipped"


@dataclass
class Record:
    """State of one part.

    Attributes
    ----------
    input, bytes, sha256
        Name of the part in the data set, size and checksum of its file.
    output, output_bytes, output_tag
        Path within the output directory, and size, of the file that was written; in a store the tag of its content.
    status : {"pending", "done", "skipped"}
    reason : str or None
        Why a part was skipped.
    rows, windows, scored : int or None
        Rows read; windows (or, of a timeline, rows) written; how many of those hold a result.
    coverage : dict or None
        As of `tsae.jobs.coverage.Coverage`.
    carry_in, carry_out : str or None
        Digests of the rows carried into and out of the part.
    last : bool
        Whether all series end with this part: the last one, or one before a part that was skipped.
    seconds : float or None
        Duration of the work.
    """

    input: str
    output: str
    status: str = PENDING
    reason: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    rows: int | None = None
    windows: int | None = None
    scored: int | None = None
    coverage: dict[str, Any] | None = None
    output_bytes: int | None = None
    output_tag: str | None = None
    carry_in: str | None = None
    carry_out: str | None = None
    last: bool = False
    seconds: float | None = None


class Manifest:
    """Records of all parts, in their order, in a JSON file that is replaced as a whole.

    Parameters
    ----------
    folder : Path or StoredPath
        Output directory of the job.
    job : dict
        Everything besides the input that the output depends on, in plain values: `Job.identity`.
    """

    def __init__(self, folder: Place, job: dict[str, Any]):
        self.path = folder / NAME
        self.job = job
        self.records: dict[str, Record] = {}
        self.warnings: list[str] = []
        self._saved_at = 0.0

    def read_stored(self) -> dict[str, Any] | None:
        """Load the records of an earlier run; return its `job`, or None without an earlier run."""
        try:
            stored = self._read()
            if stored["format"] > MANIFEST_VERSION:
                raise JobError(f"{self.path} was written by a newer tsae; update tsae, or choose another output")
            names = {field.name for field in fields(Record)}
            records = [Record(**{k: v for k, v in entry.items() if k in names}) for entry in stored["parts"]]
            job: dict[str, Any] = stored["job"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise JobError(f"{self.path} is damaged ({error}); remove it to start again") from error
        self.records = {record.input: record for record in records}
        return job

    def _read(self) -> Any:
        with self.path.open("rb") as file:
            return json.loads(file.read())

    def save(self, *, now: bool = True) -> bool:
        """Write the file; with ``now=False`` at most every two seconds. Return whether it was written."""
        if not now and time.monotonic() - self._saved_at < SECONDS_BETWEEN_SAVES:
            return False
        parts = list(self.records.values())
        counts = {status: sum(part.status == status for part in parts) for status in (DONE, SKIPPED, PENDING)}
        content: dict[str, Any] = {
            "format": MANIFEST_VERSION,
            "job": self.job,
            "parts_by_status": counts,
            "rows": sum(part.rows or 0 for part in parts),
            "windows": sum(part.windows or 0 for part in parts),
            "scored": sum(part.scored or 0 for part in parts),
            "warnings": self.warnings,
            "parts": [asdict(part) for part in parts],
        }
        with replaced(self.path) as file:
            file.write(json.dumps(content, indent=1, ensure_ascii=False).encode())
        self._saved_at = time.monotonic()
        return True
