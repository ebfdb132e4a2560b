"""Small tables that the tests of windows, tables and times share."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from tsae import make_windows

COLUMNS = {"id_column": "id", "time_column": "time"}


EPOCH = pd.Timestamp("2024-03-30 23:00")


def as_frame(rows, times="numbers"):
    frame = pd.DataFrame({"id": [row[0] for row in rows], "time": [row[1] for row in rows]})
    if times != "numbers":
        frame["time"] = EPOCH + pd.to_timedelta(frame["time"], unit="min")
    if times == "zoned":
        frame["time"] = frame["time"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    channels = np.array([row[2] for row in rows])
    return frame.assign(**{f"x{channel}": values for channel, values in enumerate(channels.T)})


def bad(**columns):
    frame = pd.DataFrame(
        {
            "id": list("aaabbb"),
            "time": pd.date_range("2024-01-01", periods=6, freq="h"),
            "x": np.arange(6.0),
        }
    )
    return frame.assign(**columns)


def quiet_windows(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "left out")
        return make_windows(*args, **kwargs)
