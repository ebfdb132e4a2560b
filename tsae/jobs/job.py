"""Settings of a job on a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tsae.jobs.coverage import OF_TIMESTAMPS
from tsae.jobs.errors import JobError
from tsae.jobs.execution import Execution
from tsae.jobs.models import ModelFile
from tsae.jobs.outputs import check_output
from tsae.jobs.parts import Part
from tsae.jobs.places import Place
from tsae.jobs.spec import WindowSpec


@dataclass(frozen=True)
class Job:
    """A job on a data set.

    Attributes
    ----------
    kind : {"features", "timeline", "reconstruction"}
        Also the folder, within `output`, of the parts that are written.
    model : ModelFile
    source : str
        As of `tsae.jobs.parts.list_parts`.
    output : Path or StoredPath
        A directory, created if needed, or a folder in a store: see `tsae.jobs.places.place_of`.
    spec : WindowSpec
    format : {"parquet", "csv"}
        Of the parts that are written.
    whole_series : bool
        Every series lies within one part: nothing is carried from part to part.
    on_error : {"fail", "skip"}
        What to do with a part that cannot be used.
    on_change : {"refuse", "redo"}
        What to do if input, model or settings differ from those of the existing output.
    execution : Execution
    """

    kind: str
    model: ModelFile
    source: str
    output: Place
    spec: WindowSpec
    format: str = "parquet"
    whole_series: bool = False
    on_error: str = "fail"
    on_change: str = "refuse"
    execution: Execution = field(default_factory=Execution)

    @property
    def is_timeline(self) -> bool:
        """Whether the output has one row per timestamp, not one per window."""
        return self.kind in OF_TIMESTAMPS

    def identity(self) -> dict[str, Any]:
        """Return everything besides the input that the output depends on."""
        return {
            "kind": self.kind,
            "model_id": self.model.model_id,
            "window_spec": self.spec.as_dict(),
            "format": self.format,
            "whole_series": self.whole_series,
        }

    def check(self, parts: list[Part]) -> None:
        """Refuse settings that cannot work with these parts, before anything is written.

        Raises
        ------
        JobError
        """
        check_output(self.output, self.source, parts)
        if self.on_error == "skip" and self.spec.columns.time is None and not self.whole_series:
            raise JobError("--on-error skip needs a time column: without one, rows after a skipped part have no number")
