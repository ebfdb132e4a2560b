import numpy as np
import pandas as pd
import pytest

from tsae import make_windows
from tsae.datasets import PUMP_SENSORS, load_pumps
from tsae.jobs.demo import (
    HEALTHY_UNTIL,
    WIDTH,
    classify_regimes,
    compare_with_faults,
    describe_windows,
    find_data,
    plot_timeline,
)
from tsae.jobs.errors import JobError


@pytest.fixture(scope="module")
def readings():
    return load_pumps()


@pytest.fixture(scope="module")
def index(readings):
    """Windows as the demo's features have them, every tenth."""
    windows = make_windows(readings, WIDTH, 60, id_column="machine", time_column="time", value_columns=PUMP_SENSORS)
    return windows.index


def test_windows_are_described_by_their_own_rows(readings, index):
    regimes, statistics = describe_windows(readings, index)
    assert regimes.isna().any()
    for position in (0, 7, len(index) - 1):
        window = index.iloc[position]
        rows = readings[
            (readings["machine"] == window["series"]) & readings["time"].between(window["start"], window["end"])
        ]
        assert len(rows) == WIDTH
        pure = rows["regime"].nunique() == 1 and not rows["fault"].any()
        assert regimes[position] == rows["regime"].iloc[0] if pure else pd.isna(regimes[position])
        np.testing.assert_allclose(statistics[position, : len(PUMP_SENSORS)], rows[PUMP_SENSORS].mean())


def test_features_that_encode_the_regime_classify_it(readings, index):
    regimes, _ = describe_windows(readings, index)
    encoded = pd.get_dummies(regimes).astype(float)
    accuracy = classify_regimes(readings, pd.concat([index, encoded], axis=1))
    assert accuracy["LSTM autoencoder features"] == 1
    assert accuracy["summary statistics"] < 0.9


def test_faults_are_compared_after_training_only(readings):
    timeline = readings.rename(columns={"machine": "series"})[["series", "time"]].assign(
        score=readings["fault"].astype(float)
    )
    events = pd.DataFrame(
        {"series": ["pump_1"] * 2, "start": pd.to_datetime(["2024-01-05 00:00", "2024-01-24 13:00"]),
         "end": pd.to_datetime(["2024-01-06 00:00", "2024-01-24 14:00"])}
    )  # fmt: skip
    found = compare_with_faults(readings, timeline, events)
    assert (found["n_labelled_events"], found["n_found"], found["n_events"], found["n_false_events"]) == (24, 1, 1, 0)
    assert found["auc_pr"] == 1
    assert found["labelled_share"] == readings.loc[readings["time"] >= HEALTHY_UNTIL, "fault"].mean()


def test_a_plot_is_drawn(readings, tmp_path):
    pytest.importorskip("matplotlib")
    timeline = readings.rename(columns={"machine": "series"})[["series", "time"]].assign(score=1.0)
    events = timeline[:1].rename(columns={"time": "start"}).assign(end=timeline["time"][5])
    assert plot_timeline(timeline, events, readings, tmp_path / "plot.png").stat().st_size > 10_000


def test_missing_sample_data(tmp_path):
    with pytest.raises(JobError, match="without --data the pumps are simulated"):
        find_data(tmp_path)
