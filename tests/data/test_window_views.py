"""How windows show themselves."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates

from tsae import make_windows
from tsae.data.containers import as_windows

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_head_shows_series_times_and_values(plant_windows):
    head = plant_windows.head(3)
    index = plant_windows[:3].index
    pd.testing.assert_frame_equal(head[list(index)], index)
    values = plant_windows[:3].gather()
    np.testing.assert_allclose(head["load_first"], values[:, 0, 0])
    np.testing.assert_allclose(head["heat_last"], values[:, -1, 1])
    np.testing.assert_allclose(head["heat_mean"], values[:, :, 1].mean(axis=1))
    assert len(plant_windows.head()) == 5
    assert len(plant_windows[:2].head(10)) == 2


def test_head_of_windows_with_gaps_of_different_lengths_and_of_none():
    ragged = as_windows([np.array([[1.0], [np.nan]]), np.array([[4.0], [5.0], [9.0]])])
    head = ragged.head()
    assert head.iloc[:, -2].fillna(-1).tolist() == [-1, 9]
    assert head.iloc[:, -1].tolist() == [1, 6]
    empty = make_windows(np.array([1.0, np.nan, np.nan]), 2)
    assert empty.head().iloc[:, -1].fillna(-1).tolist() == [1, -1]
    nothing = make_windows(np.arange(9.0), 3)[:0]
    assert len(nothing.head()) == 0
    assert "n_windows=0" in nothing._repr_html_()


def test_notebooks_show_a_table_without_code_from_the_data():
    frame = pd.DataFrame({f"<b>{number}</b>": np.arange(20.0) for number in range(6)})
    html = make_windows(frame, 4)._repr_html_()
    assert "12 more windows, 2 more channels" in html
    assert "<b>" not in html
    assert html.count("<tr") == 6


def test_a_series_and_a_window_are_drawn(plant_windows):
    axes = plant_windows.plot()
    assert [panel.get_ylabel() for panel in axes] == ["load", "heat"]
    assert len(axes[0].lines[0].get_ydata()) == 1000
    [strip] = plant_windows[[3, 4, 100]].plot()[0].collections  # rows 3 to 15 and 100 to 111
    hours = [[dates.num2date(x).strftime("%d %H") for x in path.get_extents().intervalx] for path in strip.get_paths()]
    assert hours == [["01 03", "01 15"], ["05 04", "05 15"]]
    axes = plant_windows.plot(7, linewidth=3)
    assert not axes[0].collections
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), plant_windows[7].gather()[0, :, 1])
    assert axes[0].get_title() == "series 0, window 7"
    figure, given = plt.subplots(2)
    assert plant_windows.plot(ax=given)[0].figure is figure
    with pytest.raises(IndexError, match="window 2000 of 989 does not exist"):
        plant_windows.plot(2000)
    with pytest.raises(IndexError, match="no windows to draw"):
        plant_windows[:0].plot()


def test_lines_break_at_gaps():
    times = pd.Index([0, 1, 2, 3, 50, 51, 52, 53])
    frame = pd.DataFrame({"t": times, "x": np.arange(8.0)})
    windows = make_windows(frame, 3, time_column="t", max_gap=2)
    axes = windows[[0, 2, 3]].compact().plot()
    assert np.flatnonzero(np.isnan(axes[0].lines[0].get_ydata())).tolist() == [3]  # of the rows 0-2 and 50-53
    axes = windows.plot()
    assert np.flatnonzero(np.isnan(axes[0].lines[0].get_ydata())).tolist() == [4]
    assert [path.get_extents().intervalx.tolist() for path in axes[0].collections[0].get_paths()] == [[0, 3], [50, 53]]


def test_the_package_shows_its_public_names_alone():
    code = "import tsae; print([n for n in dir(tsae) if not n.startswith('__') and n not in tsae.__all__])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
