"""Windows over time series: the series are held once, windows are cut from them when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.layout import Layout, check_positive_int, merge_intervals
from tsae.data.series import GroupedSeries
from tsae.data.times import find_gaps
from tsae.data.window_views import WindowViews


class Windows(WindowViews):
    """Windows of equal stride over one or many series, cut on demand.

    Made by `make_windows`; estimators and scikit-learn's splitters take it as X. The series are held once: a
    selection (``windows[:100]``, ``windows[mask]``) shares them and holds row numbers at most.

    Parameters
    ----------
    grouped : GroupedSeries
        The series that the windows are cut from.
    layout : Layout
        Where windows begin, before any of them are selected.
    width : int
        Steps in the longest window.
    is_ragged : bool, default=False
        Whether windows may be shorter than `width`.
    max_gap : number, pandas.Timedelta or None, default=None
        Longest step of time that a window may span; None where there are no times.
    max_gap_origin : str, default=""
        Where `max_gap` comes from; shown by ``repr``.

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import make_windows
    >>> windows = make_windows(np.arange(10.0), width=4, stride=3)
    >>> windows.shape
    (3, 4, 1)
    >>> windows[1:].gather()[..., 0]
    array([[3., 4., 5., 6.],
           [6., 7., 8., 9.]])
    >>> windows.index
       series  start  end
    0       0      0    3
    1       0      3    6
    2       0      6    9
    """

    ndim = 3

    def __init__(
        self,
        grouped: GroupedSeries,
        layout: Layout,
        width: int,
        *,
        is_ragged: bool = False,
        max_gap: Any = None,
        max_gap_origin: str = "",
    ):
        self.grouped = grouped
        self.layout = layout
        self.width = width
        self.is_ragged = is_ragged
        self.max_gap = max_gap
        self.max_gap_origin = max_gap_origin
        self._positions: range | np.ndarray = range(len(layout))

    @classmethod
    def cut(
        cls, grouped: GroupedSeries, width: int, stride: int = 1, *, max_gap: Any = None, align: str = "start"
    ) -> Windows:
        """Cut series into windows, of which there may be none.

        Windows begin every `stride` rows from the first row of each series, and of each stretch after a gap.
        `make_windows` also reads tables and arrays, and reports what is too short for a window.

        Parameters
        ----------
        grouped : GroupedSeries
            The series.
        width : int
            Steps in a window, at least 1.
        stride : int, default=1
            Steps from the start of a window to the start of the next, at least 1.
        max_gap : number, timedelta, str such as "10min" or dict of these, default=None
            A longer step of time ends a window; as in `make_windows`.
        align : {"start", "end"}, default="start"
            Whether the first window begins with the first row, or the last window ends with the last.

        Returns
        -------
        Windows
            Its `layout` holds the first row of each stretch between gaps (``layout.begins``) and the number of its
            windows (``layout.counts``), also of those that are too short for one.

        Examples
        --------
        >>> import pandas as pd
        >>> from tsae.data.series import GroupedSeries
        >>> times = pd.Index([0, 1, 2, 7, 8])
        >>> grouped = GroupedSeries(np.zeros((5, 1)), np.array([0, 5]), pd.RangeIndex(1), ["x"], times)
        >>> windows = Windows.cut(grouped, width=3, max_gap=1)
        >>> len(windows), windows.layout.begins.tolist(), windows.layout.counts.tolist()
        (1, [0, 3], [1, 0])
        """
        width, stride = check_positive_int(width, "width"), check_positive_int(stride, "stride")
        if align not in ("start", "end"):
            raise ValueError(f"align={align!r}; allowed are 'start' and 'end'")
        max_gap, origin, after_gaps = find_gaps(grouped, max_gap)
        bounds = np.union1d(grouped.offsets, after_gaps)
        n_rows = np.diff(bounds)
        counts = np.maximum((n_rows - width) // stride + 1, 0)
        skipped = None if align == "start" else np.maximum(n_rows - width, 0) % stride
        layout = Layout.of_counts(bounds[:-1], counts, stride, skipped)
        return cls(grouped, layout, width, max_gap=max_gap, max_gap_origin=origin)

    @classmethod
    def one_per_series(cls, grouped: GroupedSeries) -> Windows:
        """Take each series as one window.

        Parameters
        ----------
        grouped : GroupedSeries
            The series; where their lengths differ, the windows are ragged.

        Returns
        -------
        Windows
            As many as there are series.
        """
        lengths = np.diff(grouped.offsets)
        width = int(lengths.max(initial=0))
        layout = Layout.of_counts(grouped.offsets[:-1], np.ones(len(lengths), dtype=np.int64), stride=width)
        return cls(grouped, layout, width, is_ragged=bool(np.any(lengths != width)))

    # ------------------------------------------------------------ contents

    @property
    def values(self) -> np.ndarray:
        """All series concatenated, float32 or float64 of shape (n_rows, n_channels); NaN is a missing value."""
        return self.grouped.values

    @property
    def channel_names(self) -> list[str]:
        """Names of the channels."""
        return self.grouped.channel_names

    @property
    def has_names(self) -> bool:
        """Whether the channels were named by the user, not only numbered."""
        return self.grouped.has_names

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[1])

    @property
    def stride(self) -> int:
        """Rows from one window's start to the next one's, as the windows were made."""
        return self.layout.stride

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array that `gather` returns: (n_windows, width, n_channels)."""
        return len(self), self.width, self.n_channels

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def starts(self) -> np.ndarray:
        """Row of each window's first step, int64 of shape (n_windows,); computed at every call."""
        positions = self._positions
        if isinstance(positions, range):
            positions = np.arange(positions.start, positions.stop, positions.step, dtype=np.int64)
        return self.layout.starts_at(positions)

    @property
    def lengths(self) -> np.ndarray:
        """Steps in each window, int64 of shape (n_windows,); computed at every call."""
        if not self.is_ragged:
            return np.full(len(self), self.width, dtype=np.int64)
        starts = self.starts
        ends = self.grouped.offsets[self.grouped.codes_at(starts) + 1]
        return np.asarray(np.minimum(ends - starts, self.width))

    @property
    def series(self) -> np.ndarray:
        """Number of the series that each window belongs to, int64 of shape (n_windows,)."""
        return self.grouped.codes_at(self.starts)

    @property
    def index(self) -> pd.DataFrame:
        """Series, first and last timestamp of each window: columns `series` (its id), `start` and `end`.

        Timestamps are step numbers within the series where there are no times. Computed at every call: for a
        few of many windows ask for ``windows[:10].index``.
        """
        starts = self.starts
        return pd.DataFrame(
            {
                "series": self.grouped.names_at(starts),
                "start": self.grouped.times_at(starts),
                "end": self.grouped.times_at(starts + self.lengths - 1),
            }
        )

    # ------------------------------------------------------------ selecting windows

    def __getitem__(self, key: Any) -> Windows:
        """Select windows by an integer, a slice, or an array of integers or booleans."""
        chosen = copy(self)
        chosen._positions = self._select(key)  # noqa: SLF001
        return chosen

    def _select(self, key: Any) -> range | np.ndarray:
        if isinstance(key, tuple):  # scikit-learn asks for windows[key, ...]
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError("windows are selected along their first axis only: windows[key]")
            key = key[0]
        if isinstance(key, slice):
            return self._positions[key]
        key = np.asarray(key)
        if key.size == 0 and key.dtype.kind == "f":
            key = key.astype(np.int64)
        if key.dtype == bool:
            if key.shape != (len(self),):
                raise IndexError(f"a mask of shape {key.shape} cannot select from {len(self)} windows")
            key = np.flatnonzero(key)
        if key.dtype.kind not in "iu" or key.ndim > 1:
            raise IndexError(
                f"windows are selected by integers, slices and 1-D masks, got {key.dtype} of shape {key.shape}"
            )
        key = np.atleast_1d(key).astype(np.int64, copy=False)
        outside = key[(key < -len(self)) | (key >= len(self))]
        if len(outside):
            raise IndexError(f"window {outside[0]} of {len(self)} does not exist")
        key = np.where(key < 0, key + len(self), key)
        positions = self._positions
        return np.asarray(positions.start + key * positions.step if isinstance(positions, range) else positions[key])

    def __iter__(self) -> Iterator[Windows]:
        return (self[position] for position in range(len(self)))

    # ------------------------------------------------------------ copies

    def gather(self, positions: Any = None) -> np.ndarray:
        """Copy windows out as one array.

        Parameters
        ----------
        positions : int array, bool array or slice, default=None
            Which windows; None selects all.

        Returns
        -------
        ndarray of shape (k, width, n_channels), dtype of `values`
            NaN to the right of the end of a shorter window.
        """
        chosen = self if positions is None else self[positions]
        values, starts = self.values, chosen.starts
        if not self.is_ragged:
            return np.asarray(self._every_window()[starts])
        steps = np.arange(self.width)
        batch: np.ndarray = values[np.minimum(starts[:, np.newaxis] + steps, len(values) - 1)]
        batch[steps >= chosen.lengths[:, np.newaxis]] = np.nan
        return batch

    def view(self) -> np.ndarray:
        """Return what `gather` returns, without a copy where windows of one length begin at equal distances.

        Returns
        -------
        ndarray of shape (n_windows, width, n_channels), dtype of `values`
            Read-only where it is not a copy.
        """
        starts = self.starts
        if self.is_ragged or len(starts) < 2:
            return self.gather()
        distance = starts[1] - starts[0]
        if distance <= 0 or np.any(np.diff(starts) != distance):
            return self.gather()
        return np.asarray(self._every_window()[starts[0] : starts[-1] + 1 : distance])

    def _every_window(self) -> np.ndarray:
        """A view of the window that begins at each row, whichever series it runs into."""
        values = self.values
        shape = (max(0, len(values) - self.width + 1), self.width, self.n_channels)
        strides = (values.strides[0], *values.strides)
        return np.lib.stride_tricks.as_strided(values, shape, strides, writeable=False)

    def to_numpy(self) -> np.ndarray:
        """Copy all windows out as one array.

        Returns
        -------
        ndarray of shape (n_windows, width, n_channels), dtype of `values`
            As `gather`.
        """
        return self.gather()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("windows cannot become an array without a copy")
        return self.gather().astype(dtype or self.dtype, copy=False)

    def compact(self) -> Windows:
        """Copy the rows that the windows cover, without all others.

        For a few windows of long series, before they are trained on, pickled or sent to another process.

        Returns
        -------
        Windows
            The same windows over fewer rows; itself where the windows cover all rows.

        Examples
        --------
        >>> from tsae import make_windows
        >>> windows = make_windows(np.arange(1000.0), width=3)[[10, 500, 501]]
        >>> few = windows.compact()
        >>> len(windows.values), len(few.values)
        (1000, 7)
        >>> few.index.equals(windows.index)
        True
        """
        starts = self.starts
        begins, ends = merge_intervals(starts, starts + self.lengths)
        sizes = ends - begins
        if sizes.sum() == len(self.values):
            return self
        moved = begins - (np.cumsum(sizes) - sizes)  # how far forward each stretch of rows moves
        rows = np.arange(sizes.sum()) + np.repeat(moved, sizes)
        grouped = replace(
            self.grouped,
            values=self.values[rows],
            offsets=np.searchsorted(rows, self.grouped.offsets),
            times=self.grouped.times_at(rows),
        )
        starts = starts - moved[np.searchsorted(begins, starts, side="right") - 1]
        return Windows(
            grouped,
            Layout.of_counts(starts, np.ones(len(starts), dtype=np.int64), self.stride),
            self.width,
            is_ragged=self.is_ragged,
            max_gap=self.max_gap,
            max_gap_origin=self.max_gap_origin,
        )

    # ------------------------------------------------------------ rows and windows

    def overlapping(self) -> bool:
        """Tell whether any two of the windows share a row.

        Returns
        -------
        bool
            False also where there are no windows.
        """
        starts, lengths = self.starts, self.lengths
        if len(starts) > 1 and not np.all(starts[1:] >= starts[:-1]):
            order = np.argsort(starts, kind="stable")
            starts, lengths = starts[order], lengths[order]
        return bool(np.any(starts[1:] < starts[:-1] + lengths[:-1]))

    def touching(self, rows: np.ndarray) -> np.ndarray:
        """Tell which windows contain any of the marked rows.

        Parameters
        ----------
        rows : bool ndarray of shape (n_rows,)
            Mask of the rows of `values`.

        Returns
        -------
        bool ndarray of shape (n_windows,)
            Mask of the windows.

        Examples
        --------
        >>> from tsae import make_windows
        >>> windows = make_windows(np.arange(6.0), width=2)
        >>> windows.touching(windows.values[:, 0] == 3).tolist()
        [False, False, True, True, False]
        """
        rows = np.asarray(rows)
        if rows.dtype != bool or rows.shape != (len(self.values),):
            raise ValueError(
                f"rows is {rows.dtype} of shape {rows.shape}; it must be bool, one entry per row of the series "
                f"({len(self.values)},)"
            )
        n_before = np.concatenate([[0], np.cumsum(rows)])
        starts = self.starts
        return np.asarray(n_before[starts + self.lengths] > n_before[starts])

    @property
    def observed(self) -> np.ndarray:
        """Mask of the windows that hold any value that is not missing, bool of shape (n_windows,).

        ``windows[windows.observed]`` drops the windows that no network can encode.
        """
        begins, ends = self.grouped.missing_stretches
        if len(begins) == 0:
            return np.ones(len(self), dtype=bool)
        starts = self.starts
        stretch = np.searchsorted(begins, starts, side="right") - 1
        return np.asarray((stretch < 0) | (starts + self.lengths > ends[stretch]))

    def describe_start(self, position: int) -> str:
        """Describe the series and time at which a window starts, for messages.

        Parameters
        ----------
        position : int
            Which window.

        Returns
        -------
        str
            Such as ``series 'b', time 4``.
        """
        return self.grouped.describe(self[position].starts[0])

    def __repr__(self) -> str:
        parts = [
            f"n_windows={len(self)}",
            f"width={'up to ' if self.is_ragged else ''}{self.width}",
            f"stride={self.stride}",
            f"n_series={len(self.grouped.names)}",
            f"channels={self.channel_names}" if self.n_channels <= 8 else f"n_channels={self.n_channels}",
            f"dtype={self.dtype}",
        ]
        if self.max_gap_origin:
            parts.append(f"max_gap={self.max_gap} ({self.max_gap_origin})")
        return f"Windows({', '.join(parts)})"
