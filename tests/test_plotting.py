"""Displays: what is drawn, on which axes, and that nothing is imported before."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402

from tests import plots  # noqa: E402
from tsae import make_windows  # noqa: E402
from tsae.estimators.autoencoder import LSTMAutoencoder  # noqa: E402
from tsae.plotting import (  # noqa: E402
    EmbeddingDisplay,
    HistoryDisplay,
    ReconstructionDisplay,
    TimelineDisplay,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def windows(plant_windows):
    return plant_windows


@pytest.fixture
def detector(fitted_detector):
    return fitted_detector


def drawn(figure):
    figure.canvas.draw()


def test_reconstruction_of_a_window(detector, windows):
    display = ReconstructionDisplay.from_estimator(detector, windows, window=3, linewidth=3)
    drawn(display.figure_)
    assert [axes.get_ylabel() for axes in display.axes_] == ["load", "heat"]
    data, reconstruction = display.axes_[1].lines
    np.testing.assert_allclose(data.get_ydata(), windows[3].gather()[0, :, 1])
    np.testing.assert_allclose(
        reconstruction.get_ydata(), detector.autoencoder_.reconstruct(windows[3])[0, :, 1], rtol=1e-5
    )
    assert data.get_linewidth() == 3


def test_reconstruction_takes_what_the_estimator_takes(detector):
    X = np.random.default_rng(0).normal(size=(20, 8))
    autoencoder = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0).fit(X)
    for data in (X, X[:, :, np.newaxis], pd.DataFrame(X)):
        display = ReconstructionDisplay.from_estimator(autoencoder, data, window=-1)
        np.testing.assert_allclose(display.values[:, 0], X[-1])


def test_reconstruction_on_given_axes(detector, windows):
    figure, axes = plt.subplots(2)
    display = ReconstructionDisplay.from_estimator(detector, windows, ax=axes)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="ax holds 1 Axes; 2 are needed"):
        ReconstructionDisplay.from_estimator(detector, windows, ax=axes[0])


def test_history(detector):
    display = HistoryDisplay.from_estimator(detector)
    drawn(display.figure_)
    training, validation = display.ax_.lines
    np.testing.assert_array_equal(training.get_ydata(), detector.autoencoder_.history_["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), detector.autoencoder_.history_["val_loss"])


def test_timeline_with_events(detector, windows):
    display = TimelineDisplay.from_estimator(detector, windows)
    drawn(display.figure_)
    timeline = detector.score_timeline(windows)
    np.testing.assert_allclose(display.ax_.lines[0].get_ydata(), timeline["score"])
    events = detector.events(timeline)
    assert len(display.ax_.patches) == len(events) > 0
    assert display.threshold == detector.timeline_threshold_.threshold(0.05)
    again = TimelineDisplay.from_estimator(detector, timeline, ax=plt.subplots()[1], color="k")
    assert again.ax_.lines[0].get_color() == "k"


def test_periods_are_drawn_as_times():
    months = pd.period_range("2024-01", periods=4, freq="M")
    timeline = pd.DataFrame({"series": 0, "time": months, "score": [1.0, 9.0, 1.0, 1.0]})
    events = pd.DataFrame({"start": months[1:2], "end": months[1:2]})
    display = TimelineDisplay(timeline, events).plot()
    drawn = display.ax_.lines[0].get_xdata()
    assert pd.DatetimeIndex(drawn).tolist() == months.to_timestamp().tolist()
    values = np.zeros((4, 1))
    assert ReconstructionDisplay(values, values, times=months).plot().axes_[0].lines[0].get_xdata()[1] == drawn[1]


def test_a_timeline_shows_the_series_asked_for(detector):
    series = {name: np.random.default_rng(0).normal(size=(50, 2)) for name in "ab"}
    windows = make_windows(series, 12)
    display = TimelineDisplay.from_estimator(detector, windows, series="b")
    assert set(display.timeline["series"]) == {"b"}
    with pytest.raises(ValueError, match="series='c' does not exist; choose from"):
        TimelineDisplay.from_estimator(detector, windows, series="c")
    assert set(TimelineDisplay.from_estimator(detector, windows).timeline["series"]) == {"a"}


def test_several_series_with_channels_and_labels(detector):
    series = {name: np.random.default_rng(len(name)).normal(size=(50, 2)) for name in ("a", "bb", "ccc")}
    windows = make_windows(series, 12)
    labels = np.zeros(150)
    labels[[60, 61, 62]] = 1
    labels[120] = np.nan
    display = TimelineDisplay.from_estimator(detector, windows, series=["bb", "ccc"], labels=labels, channels=True)
    drawn(display.figure_)
    assert [axes.get_ylabel() for axes in display.axes_] == 2 * ["channel_0", "channel_1", "anomaly score"]
    assert display.axes_[0].get_title() == "series bb"
    assert display.axes_[3].get_title() == "series ccc"
    np.testing.assert_array_equal(display.axes_[1].lines[0].get_ydata(), series["bb"][:, 1])
    timeline = detector.score_timeline(windows)
    for panel, name in ((2, "bb"), (5, "ccc")):
        own = timeline["series"] == name
        np.testing.assert_allclose(display.axes_[panel].lines[0].get_ydata(), timeline["score"][own])
    spans = [[path.get_extents().intervalx.tolist() for path in axes.collections[0].get_paths()]
             for axes in display.axes_ if axes.collections]  # fmt: skip
    assert spans == 3 * [[[10, 12]]]  # of "bb" alone, in each of its panels
    many = TimelineDisplay.from_estimator(detector, timeline, series=("a", "bb", "ccc"))
    assert [axes.get_ylabel() for axes in many.axes_] == ["a", "bb", "ccc"]
    one = TimelineDisplay.from_estimator(detector, windows, series="a", channels=["channel_1"])
    assert len(one.axes_) == 2


def test_lines_of_scores_break_at_gaps():
    timeline = pd.DataFrame({"time": [0, 1, 2, 3, 50, 51, 52], "score": np.arange(7.0)})
    axes = TimelineDisplay(timeline, values=np.ones((7, 1))).plot().axes_
    for panel in axes:
        assert np.flatnonzero(np.isnan(panel.lines[0].get_ydata())).tolist() == [4]
        assert panel.lines[0].get_xdata().tolist() == [0, 1, 2, 3, 50, 50, 51, 52]


def test_the_contributions_make_up_the_score(detector, windows):
    display = ReconstructionDisplay.from_estimator(detector, windows, window=945)
    alone = detector.score_timeline(make_windows(windows[945].gather()[0], 12))
    np.testing.assert_allclose(display.contributions.sum(axis=1), alone["score"], rtol=1e-4)
    assert display.score_ax_.get_ylabel() == "score"
    assert display.axes_[0].get_title("left") == "series 0, window 945"
    shares = [axes.texts[0].get_text() for axes in display.axes_]
    assert sum(int(text.split("%")[0]) for text in shares) in (99, 100, 101)
    assert "of\nthe score" in shares[0]
    given = plt.subplots(3)[1]
    assert ReconstructionDisplay.from_estimator(detector, windows, ax=given).score_ax_ is given[2]
    autoencoder = detector.autoencoder_
    own = ReconstructionDisplay.from_estimator(autoencoder, windows, window=-1)
    assert own.axes_[0].get_title("left") == "series 0, window 988"
    if autoencoder.decoders_ == ("reconstruction",):
        np.testing.assert_allclose(-own.contributions.mean(), autoencoder.score_samples(windows[-1]), rtol=1e-4)


def test_many_classes_have_a_legend_of_the_commonest():
    labels = np.repeat([f"c{number:02}" for number in range(40)], np.arange(1, 41))
    display = EmbeddingDisplay(np.zeros((len(labels), 2)), labels=labels).plot()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [*(f"c{number}" for number in range(21, 40)), "21 others"]
    assert sum(len(dots.get_offsets()) for dots in display.ax_.collections) == len(labels)


def test_a_history_of_one_epoch_and_one_with_gaps_is_seen():
    axes = HistoryDisplay(pd.DataFrame({"epoch": [0], "loss": [0.5]})).plot().ax_
    assert axes.lines[0].get_marker() == "o"
    assert axes.get_yscale() == "linear"
    axes = HistoryDisplay(pd.DataFrame({"epoch": [0, 1], "loss": [0.5, 0.4], "val_loss": [np.nan, -0.1]})).plot().ax_
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize("name", plots.PLOTS)
def test_plots_look_as_they_did(name, tmp_path):
    """Compared with small pictures, generously: other versions of matplotlib draw a little otherwise."""
    plots.write(name, tmp_path / f"{name}.png")
    expected = plots.FOLDER / f"{name}.png"
    assert expected.stat().st_size < 12_000
    assert compare_images(str(expected), str(tmp_path / f"{name}.png"), tol=plots.TOLERANCE) is None


def test_other_plots_do_not_pass_for_the_same(tmp_path):
    plots.write("history", tmp_path / "other.png", history=pd.DataFrame({"epoch": [0, 1, 2], "loss": [1.0, 3.0, 2.0]}))
    different = compare_images(str(plots.FOLDER / "history.png"), str(tmp_path / "other.png"), tol=plots.TOLERANCE)
    assert different is not None


@pytest.mark.parametrize("labels", [None, np.arange(989) % 3, np.linspace(0, 1, 989), [f"{i}" for i in range(989)]])
def test_embedding(detector, windows, labels):
    display = EmbeddingDisplay.from_estimator(detector, windows, labels)
    drawn(display.figure_)
    assert display.embedding.shape == (989, 2)
    assert "%" in display.ax_.get_xlabel()
    n_points = sum(len(collection.get_offsets()) for collection in display.ax_.collections)
    assert n_points == 989


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"values has shape \(3, 1\), reconstruction \(4, 1\)"):
        ReconstructionDisplay(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="history has no column 'loss'"):
        HistoryDisplay(pd.DataFrame({"epoch": [1]}))
    with pytest.raises(ValueError, match="timeline has no column 'score'"):
        TimelineDisplay(pd.DataFrame({"time": [1]}))
    timeline = pd.DataFrame({"time": [1, 2], "score": [1.0, 2.0], "series": ["a", "b"]})
    with pytest.raises(ValueError, match="labels has 3 rows, timeline 2"):
        TimelineDisplay(timeline, labels=[0, 1, 0])
    with pytest.raises(ValueError, match="ax holds 1 Axes; 2 are needed, 1 for each of 2 series"):
        TimelineDisplay(timeline).plot(ax=plt.subplots()[1])
    with pytest.raises(ValueError, match="31 series x 1 panels are more than 30"):
        TimelineDisplay(pd.DataFrame({"time": range(31), "score": 1.0, "series": range(31)})).plot()
    with pytest.raises(ValueError, match=r"contributions has shape \(2, 1\), values \(3, 1\)"):
        ReconstructionDisplay(np.zeros(3), np.zeros(3), contributions=np.zeros(2))
    with pytest.raises(ValueError, match=r"embedding has shape \(3,\)"):
        EmbeddingDisplay(np.zeros(3))
    with pytest.raises(ValueError, match="one label per window"):
        EmbeddingDisplay(np.zeros((3, 2)), labels=[1])
    with pytest.raises(ValueError, match="at least 2 windows and 2 features"):
        EmbeddingDisplay.from_features(np.zeros((5, 1)))


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, tsae.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_dates_are_labelled_briefly_and_the_series_is_named():
    times = pd.date_range("2024-01-30", periods=400, freq="h", tz="Europe/Berlin")
    timeline = pd.DataFrame({"series": "pump_1", "time": times, "score": 1.0})
    events = pd.DataFrame({"start": times[[50]], "end": times[[60]]})
    axes = TimelineDisplay(timeline, events).plot().ax_
    axes.figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert "Feb" in labels
    assert max(map(len, labels)) <= 5  # the year is named once, beside the axis
    assert axes.get_title() == "series pump_1"
    axes = ReconstructionDisplay(np.zeros(400), np.ones(400), times=times).plot().axes_[0]
    axes.figure.canvas.draw()
    assert "Feb" in [label.get_text() for label in axes.get_xticklabels()]


def test_epochs_are_whole_numbers():
    axes = HistoryDisplay(pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2, 1]})).plot().ax_
    assert (axes.get_xticks() % 1 == 0).all()


def test_twenty_classes_look_different_each():
    axes = EmbeddingDisplay(np.zeros((20, 2)), labels=np.arange(20)).plot().ax_
    looks = {(tuple(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes()) for dots in axes.collections}
    assert len(looks) == 20
    assert len(axes.get_legend().get_texts()) == 20
