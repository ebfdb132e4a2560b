"""Plots whose pictures are kept in `tests/data/plots`; ``python -m tests.plots`` draws them anew.

Look at each picture after drawing it. The data are made up, so that no network has a part in them.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from PIL import Image

from tsae import EmbeddingDisplay, HistoryDisplay, ReconstructionDisplay, TimelineDisplay, make_windows

FOLDER = Path(__file__).parent / "data" / "plots"
TOLERANCE = 20  # root mean square of the differences, of 255
STYLE = {"font.family": "DejaVu Sans", "savefig.dpi": 45}

HOURS = pd.date_range("2024-01-30", periods=120, freq="h")
WAVES = np.stack([np.sin(np.arange(120) / 4), np.cos(np.arange(120) / 9)], axis=1)


def reconstruction(**_):
    values = WAVES[:48] + np.where(np.arange(48)[:, np.newaxis] >= 40, [2, 0], 0)
    contributions = (values - WAVES[:48]) ** 2 + 0.1
    return ReconstructionDisplay(
        values, WAVES[:48], channel_names=["load", "heat"], times=HOURS[:48], contributions=contributions,
        title="series a, window 3",
    ).plot().figure_  # fmt: skip


def timeline(**_):
    score = np.concatenate([np.exp(WAVES[:, 0]), np.exp(WAVES[:, 1])])
    score[60:70] *= 30
    table = pd.DataFrame({"series": np.repeat(["a", "b"], 120), "time": [*HOURS, *HOURS], "score": score})
    events = pd.DataFrame({"series": ["a"], "start": HOURS[[58]], "end": HOURS[[72]]})
    labels = np.arange(240) // 10 == 6
    return TimelineDisplay(table, events, threshold=8, labels=labels).plot().figure_


def timeline_with_channels(**_):
    table = pd.DataFrame({"series": "a", "time": HOURS, "score": np.exp(WAVES[:, 0])})
    events = pd.DataFrame({"series": ["a"], "start": HOURS[[58]], "end": HOURS[[72]]})
    values = pd.DataFrame(WAVES, columns=["load", "heat"])
    return TimelineDisplay(table, events, threshold=2, values=values).plot().figure_


def history(history=None):
    if history is None:
        epochs = np.arange(6)
        history = pd.DataFrame({"epoch": epochs, "loss": 1 / (1 + epochs), "val_loss": 0.5 + 1 / (1 + epochs)})
    return HistoryDisplay(history).plot().figure_


def _spiral(n):
    turn = np.arange(n) / n * 12
    return np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1)


def embedding_of_twenty_classes(**_):
    return EmbeddingDisplay(_spiral(200), labels=np.arange(200) // 10).plot().figure_


def embedding_of_many_classes(**_):
    labels = np.repeat(np.arange(30), np.arange(30) // 3 + 1)
    return EmbeddingDisplay(_spiral(len(labels)), labels=labels).plot().figure_


def windows(**_):
    frame = pd.DataFrame(WAVES, columns=["load", "heat"], index=HOURS)
    return make_windows(frame, 24).plot(30)[0].figure


PLOTS = {
    function.__name__: function
    for function in (
        reconstruction, timeline, timeline_with_channels, history, embedding_of_twenty_classes,
        embedding_of_many_classes, windows,
    )
}  # fmt: skip


def write(name: str, path: Path, **options) -> None:
    """Draw a plot to a file."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = PLOTS[name](**options)
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    mpl.use("Agg")
    FOLDER.mkdir(exist_ok=True)
    for name in PLOTS:
        path = FOLDER / f"{name}.png"
        write(name, path)
        with Image.open(path) as picture:  # few colours make small files
            small = picture.convert("RGB").quantize(16)
        small.save(path, optimize=True)
