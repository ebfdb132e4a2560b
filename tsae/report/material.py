"""What a report page is made of: tables that belong together, checked before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsae.anomaly.events import COLUMNS, check_order
from tsae.anomaly.scoring import CONTRIBUTION
from tsae.data.windows import Windows
from tsae.estimators.validation import check_number
from tsae.report.numbers import TimeAxis


@dataclass(frozen=True, eq=False)
class Material:
    """Scores, events and what else is known of the same rows.

    Attributes
    ----------
    timeline : DataFrame
        One row per row of the series.
    events : DataFrame
    values : float ndarray of shape (n_rows, n_channels)
        Without channels where no values are known.
    channel_names : list of str
    labels : float ndarray of shape (n_rows,) or None
        NaN where it is unclear.
    detector : fitted AnomalyDetector or None
    windows : Windows or None
        That the scores belong to.
    alpha : float or None
        The level of the events.
    """

    timeline: pd.DataFrame
    events: pd.DataFrame
    values: np.ndarray
    channel_names: list[str]
    labels: np.ndarray | None
    detector: Any
    windows: Windows | None
    alpha: float | None

    @classmethod
    def of(
        cls, timeline: pd.DataFrame, events: pd.DataFrame, values: Any, labels: Any, detector: Any, alpha: float | None
    ) -> Material:
        """Check everything; see `tsae.write_report` for the arguments and the errors."""
        _check_columns("timeline", timeline, ["series", "time", "score", "p_value"])
        _check_columns("events", events, COLUMNS)
        if not len(timeline):
            raise ValueError("timeline has no rows; there is nothing to show")
        check_order(timeline, "in timeline,")
        unknown = events.loc[~events["series"].isin(timeline["series"].unique()), "series"]
        if len(unknown):
            raise ValueError(f"events is of series {unknown.iloc[0]!r}, which the timeline does not have")
        texts = [channels for channels in events["channels"] if isinstance(channels, str)]
        if texts:
            raise ValueError(f"events['channels'] holds the text {texts[0]!r}; it must hold tuples of names")
        windows = values if isinstance(values, Windows) else None
        table, names = _read_values(values, timeline)
        check_number("alpha", alpha, 0, 1, none=True, open_low=True, open_high=True)
        if detector is not None:
            check_is_fitted(detector)
        labels = None if labels is None else _read_labels(labels, timeline)
        timeline, events = timeline.reset_index(drop=True), events.reset_index(drop=True)
        return cls(timeline, events, table, names, labels, detector, windows, find_alpha(alpha, events, detector))

    @cached_property
    def axis(self) -> TimeAxis:
        """The times of the rows."""
        return TimeAxis(self.timeline["time"])

    @cached_property
    def spans(self) -> dict[Any, tuple[int, int]]:
        """First row of each series and the row after its last; the rows of a series are contiguous."""
        codes, names = pd.factorize(self.timeline["series"])
        edges = np.flatnonzero(np.diff(codes, prepend=-1))
        return dict(zip(names, zip(edges.tolist(), [*edges[1:].tolist(), len(codes)], strict=True), strict=True))

    @cached_property
    def threshold(self) -> float:
        """The score that flags a row, NaN if there is none or it is unknown."""
        if self.alpha is None:
            return float("nan")
        if self.detector is not None:
            calibrator = self.detector.timeline_threshold_
            enough = calibrator.n_scores_ >= calibrator.required(self.alpha)
            return float(calibrator.threshold(self.alpha)) if enough else float("nan")
        flagged = self.timeline.loc[self.timeline["p_value"] <= self.alpha, "score"]
        return float(flagged.min())


def find_alpha(alpha: float | None, events: pd.DataFrame, detector: Any) -> float | None:
    """Return the level at which events were made: as given, as they say, or the detector's.

    Raises
    ------
    ValueError
        If an event has a larger p-value.
    """
    if alpha is None and "alpha" in events.attrs:
        return events.attrs["alpha"]
    if alpha is None and detector is None:
        return None
    level = float(detector.alpha_ if alpha is None else alpha)
    largest = events["p_value"].max()
    if largest > level:
        raise ValueError(
            f"events has a p-value of {largest:.4g}, which alpha={level:.4g} does not allow; pass the alpha that the "
            "events were made with"
        )
    return level


def _read_values(values: Any, timeline: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """The values as a table (n_rows, n_channels), and the names of its columns."""
    if values is None:
        return np.empty((len(timeline), 0)), []
    if isinstance(values, Windows):
        table, names = values.values, list(values.channel_names)
    elif isinstance(values, pd.DataFrame):
        for name, column in values.items():
            if not pd.api.types.is_numeric_dtype(column):
                raise ValueError(f"values has the column {name!r} of dtype {column.dtype}, not numbers")
        table, names = values.to_numpy(dtype=np.float64, na_value=np.nan), [str(name) for name in values.columns]
    else:
        table = np.asarray(values, dtype=np.float64)
        table = table[:, np.newaxis] if table.ndim == 1 else table
        if table.ndim != 2:
            raise ValueError(f"values has the shape {table.shape}; it must be (n_rows, n_channels)")
        names = [str(column).removeprefix(CONTRIBUTION) for column in timeline if str(column).startswith(CONTRIBUTION)]
        names = names if len(names) == table.shape[1] else [f"channel_{number}" for number in range(table.shape[1])]
    _check_rows("values", len(table), timeline)
    return table, names


def _read_labels(labels: Any, timeline: pd.DataFrame) -> np.ndarray:
    """One number per row, NaN where it is unclear."""
    column = pd.Series(labels)
    _check_rows("labels", len(column), timeline)
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.infer_dtype(column, skipna=True) == "boolean"):
        raise ValueError(f"labels holds {column.iloc[0]!r}; it must hold True and False, or numbers")
    return column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)


def _check_columns(name: str, table: Any, columns: list[str]) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} must be a DataFrame; got {type(table).__name__}")
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{name} has no column {missing[0]!r}; it has {list(table.columns)}")


def _check_rows(name: str, n_rows: int, timeline: pd.DataFrame) -> None:
    if n_rows != len(timeline):
        raise ValueError(f"{name} has {n_rows} rows, the timeline has {len(timeline)}")
