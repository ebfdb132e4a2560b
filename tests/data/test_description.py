"""`describe`: what series hold, and which windows suit them."""

import numpy as np
import pandas as pd
import pytest

from tsae import LSTMAutoencoder, describe, make_windows
from tsae.data import fit_time
from tsae.data.series_description import find_period, suggest_width
from tsae.datasets import PUMP_SENSORS, load_pumps
from tsae.estimators import parameters
from tsae.networks.objectives import OBJECTIVES

PUMPS = {"id_column": "machine", "time_column": "time", "value_columns": PUMP_SENSORS}


@pytest.fixture(scope="module")
def pumps():
    return load_pumps()


def test_regular_series_with_a_daily_cycle(pumps):
    described = describe(pumps, **PUMPS)
    assert (described.n_series, described.n_rows, described.row_range) == (6, 30240, (5040, 5040))
    assert (described.step, described.jitter, described.n_gaps) == (pd.Timedelta("10min"), 0, 0)
    assert described.channels["period"].between(140, 148).all()  # 144 steps of ten minutes
    assert 140 <= described.width <= 148
    assert len(make_windows(pumps, described.width, described.stride, **PUMPS)) == pytest.approx(4000, rel=0.2)


def test_windows_are_described_as_the_table_they_are_cut_from(pumps):
    assert str(describe(make_windows(pumps, 48, **PUMPS))) == str(describe(pumps, **PUMPS))


def test_gaps_and_jitter_are_told_apart():
    steps = np.full(999, 60.0)
    steps[100:200:2] = 61.0  # 50 of 997 steps, once the gaps are left out
    steps[[300, 700]] = 3600.0
    table = pd.DataFrame({"time": np.concatenate([[0], steps.cumsum()]), "load": np.arange(1000.0)})
    described = describe(table, time_column="time")
    assert (described.step, described.n_gaps, described.longest_stretch) == (60.0, 2, 400)
    assert described.jitter == 50 / 997


def test_channels_that_need_a_look(pumps):
    table = pumps.drop(columns="regime").assign(constant=3.0)
    table.loc[::10, "speed"] = np.nan
    table.loc[5:24, "pressure"] = -999.0
    described = describe(table, id_column="machine", time_column="time")
    channels = described.channels
    assert channels["missing"]["speed"] == pytest.approx(0.1)
    assert channels.index[channels["constant"]].tolist() == ["constant"]
    assert channels["note"]["fault"] == "named like a label, holds only 0 and 1"
    assert channels["note"]["pressure"] == "20 rows of -999: missing?"
    assert not channels["note"]["current"]
    assert "20 rows of -999: missing?" in str(described)
    cleared = describe(table, id_column="machine", missing_values=-999, value_columns=["pressure"])
    assert cleared.channels["min"]["pressure"] > 0


def test_periods_are_found_in_noise_and_beside_missing_values():
    rng = np.random.default_rng(0)
    steps = np.arange(3000)
    wave = np.sin(2 * np.pi * steps / 50) + rng.normal(0, 0.5, 3000)
    wave[rng.random(3000) < 0.2] = np.nan
    assert find_period([wave + steps / 100]) == pytest.approx(50, abs=2)  # beside a trend, too


@pytest.mark.parametrize("n", [0, 1, 5, 3000])
def test_noise_constants_and_short_series_have_no_period(n):
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=n), np.full(n, 7.0), np.full(n, np.nan)):
        assert np.isnan(find_period([values]))


@pytest.mark.parametrize(
    ("periods", "longest", "width"),
    [([], 10_000, 64), ([5], 10_000, 20), ([1000], 10_000, 256), ([24], 40, 10), ([], 2, 1), ([12, 13, 500], 9000, 26)],
)
def test_suggested_widths(periods, longest, width):
    assert suggest_width(periods, longest) == width


def test_arrays_and_lists_have_no_times():
    described = describe([np.zeros((30, 2)), np.zeros((20, 2))])
    assert (described.n_series, described.row_range, described.step) == (2, (20, 30), None)
    assert "step of time" not in str(described)


def test_data_that_windows_refuse_are_refused(pumps):
    with pytest.raises(ValueError, match="times must increase"):
        describe(pumps, time_column="time", value_columns=PUMP_SENSORS)
    with pytest.raises(ValueError, match="wrong"):
        describe(pumps, id_column="wrong")


def test_windows_describe_themselves(pumps):
    windows = make_windows(pumps, 48, 24, **PUMPS)
    lines = str(windows.describe()).splitlines()
    *described, cut, fit, faster = lines
    assert "\n".join(described) == str(describe(windows))
    assert cut == f"cut: {len(windows):,} windows of 48 rows, stride 24"
    assert fit.startswith("LSTMAutoencoder().fit on them: ")
    assert faster.startswith("faster: units=16, epochs=3 for a first look (")
    assert windows[:0].describe().fit_seconds is None


def test_the_time_of_a_fit_is_estimated_for_the_default_autoencoder():
    default = LSTMAutoencoder()
    assert default.units == (fit_time.UNITS,) * fit_time.N_LAYERS
    assert default.bidirectional
    assert parameters.AUTO_STEPS == fit_time.N_UPDATES
    assert parameters.AUTO_BATCHES == fit_time.BATCHES
    assert OBJECTIVES[default.decoder].crop == fit_time.LONGEST
    few, more, longer = (fit_time.fit_seconds(*shape) for shape in ((5000, 20), (500_000, 20), (5000, 20_000)))
    assert few < more
    assert few < longer
    assert fit_time.fit_seconds(5000, 256, **fit_time.FIRST_LOOK) < fit_time.fit_seconds(5000, 256) / 5
