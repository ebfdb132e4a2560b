"""What windows look like: tables, a plot, a description, HTML for notebooks."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from tsae.data.layout import covered_rows
from tsae.data.series_description import Description, describe_series
from tsae.data.times import as_clock_times, find_gaps
from tsae.drawing import CLASS_COLORS, label_dates, legend_above, panels

SHOWN_ROWS = 5  # in notebooks
STRIP = 0.03  # height of the mark of the windows, of a panel


class WindowViews:
    """The part of `Windows` that shows them; it uses their public attributes."""

    def head(self: Any, n: int = 5) -> pd.DataFrame:
        """Return the first windows as a table.

        Parameters
        ----------
        n : int, default=5
            How many windows.

        Returns
        -------
        DataFrame
            One row per window: `series`, `start`, `end`, and for each channel its first and last value and its mean
            in the window, NaN left out (columns ``<channel>_first``, ``_last``, ``_mean``).

        Examples
        --------
        >>> from tsae import make_windows
        >>> make_windows(np.arange(6.0), width=4).head(2)
           series  start  end  channel_0_first  channel_0_last  channel_0_mean
        0       0      0    3              0.0             3.0             1.5
        1       0      1    4              1.0             4.0             2.5
        """
        first = self[: max(0, n)]
        values, lengths = first.gather(), first.lengths
        counts = (~np.isnan(values)).sum(axis=1)
        with np.errstate(invalid="ignore"):
            means = np.nansum(values, axis=1, dtype=np.float64) / counts
        at = np.arange(len(first))
        columns: dict[str, np.ndarray] = {}
        for channel, name in enumerate(self.channel_names):
            columns[f"{name}_first"] = values[:, 0, channel]
            columns[f"{name}_last"] = values[at, lengths - 1, channel]
            columns[f"{name}_mean"] = means[:, channel]
        return pd.concat([first.index, pd.DataFrame(columns)], axis=1)

    def describe(self: Any) -> Description:
        """Describe the windows and the series that they are cut from.

        Returns
        -------
        Description
            That of `tsae.describe`, with the number of windows, their width and stride, and a rough time that
            ``LSTMAutoencoder().fit`` would take on them here (`tsae.data.fit_time` says how it is estimated), and
            quicker settings; printed as text.

        Examples
        --------
        >>> from tsae import make_windows
        >>> from tsae.datasets import load_sea_surface_temperature
        >>> windows = make_windows(load_sea_surface_temperature(), width=24, time_column="time")
        >>> print(windows.describe())
        1 series of 732 rows, 732 in all, 1 channel
        ...
        suggested: width=24, stride=1
        cut: 709 windows of 24 rows, stride 1
        LSTMAutoencoder().fit on them: ...
        """
        cut = f"cut: {len(self):,} windows of {self.width} rows, stride {self.stride}"
        described = replace(describe_series(self.grouped), windows=cut)
        return described.timed(len(self), self.width) if len(self) else described

    def plot(self: Any, window: int | None = None, *, ax: Any = None, **line_kw: Any) -> Any:
        """Draw one window, or a whole series with a strip where windows lie; one panel per channel.

        Parameters
        ----------
        window : int or None, default=None
            Position of the window to draw. None: the series of the first window, whole.
        ax : sequence of matplotlib Axes, default=None
            One per channel, or a single Axes for one channel. None: a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        ndarray of matplotlib Axes, of shape (n_channels,)

        Raises
        ------
        ImportError
            Without matplotlib (``pip install "tsae[plot]"``).
        IndexError
            For a window that does not exist.

        Examples
        --------
        >>> from tsae import make_windows
        >>> make_windows(np.arange(20.0), width=4).plot(window=2)[0].get_title()
        'series 0, window 2'
        """
        if not len(self):
            raise IndexError("there are no windows to draw")
        one = self[0 if window is None else window]
        code, (start,), (length,) = int(one.series[0]), one.starts, one.lengths
        begin, end = (start, start + length) if window is not None else self.grouped.offsets[code : code + 2]
        rows = np.arange(begin, end)
        # A missing value before each gap in time breaks the lines there.
        gaps = np.empty(0, dtype=np.int64)
        if self.grouped.times is not None:
            gaps = find_gaps(self.grouped, self.max_gap)[2]
        breaks = gaps[(gaps > begin) & (gaps < end)] - begin
        times = as_clock_times(self.grouped.times_at(np.insert(rows, breaks, rows[breaks])))
        figure, axes = panels(ax, len(self.channel_names))
        for panel, channel, name in zip(axes, self.grouped.values[rows].T, self.channel_names, strict=True):
            values = np.insert(channel.astype(np.float64), breaks, np.nan)
            panel.plot(times, values, **{"color": CLASS_COLORS[0], "linewidth": 0.8} | line_kw)
            panel.set_ylabel(name)
            if window is None:
                looks = {"transform": panel.get_xaxis_transform(), "color": CLASS_COLORS[1], "label": "windows"}
                panel.fill_between(times, 0, STRIP, where=np.insert(self._covered(code), breaks, False), **looks)
        legend_above(axes[0])
        title = f"series {self.grouped.names[code]}"
        axes[0].set_title(title if window is None else f"{title}, window {window}")
        label_dates(axes[-1], times)
        axes[-1].set_xlabel("step" if self.grouped.times is None else "time")
        return axes

    def _covered(self: Any, code: int) -> np.ndarray:
        """Mask of the rows of a series that lie within any of the windows."""
        begin, end = self.grouped.offsets[code : code + 2]
        own = self[self.series == code]
        covered = covered_rows(own.starts - begin, own.lengths, end - begin)
        return np.ones(end - begin, dtype=bool) if covered is None else covered

    def _repr_html_(self: Any) -> str:
        """Show the first windows in a notebook."""
        table = self.head(SHOWN_ROWS)
        most = 3 + 4 * 3  # index, and four channels
        shown = table.iloc[:, :most].to_html(index=True, border=0, float_format="{:.4g}".format)
        more = [f"{len(self) - len(table):,} more windows"] if len(self) > len(table) else []
        more += [f"{(table.shape[1] - most) // 3} more channels"] if table.shape[1] > most else []
        return f"<div><p><code>{escape(repr(self))}</code></p>{shown}<p>{', '.join(more)}</p></div>"
