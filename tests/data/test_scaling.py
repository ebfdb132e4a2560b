"""`ChannelScaler`: the blocks that it works in change nothing, and what it returns is never infinite."""

import warnings

import numpy as np
import pytest

from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
from tsae.data.scaling import ChannelScaler


@pytest.mark.parametrize(
    "shape", [(40_003, 3), (300, 64, 8), (70, 257, 1), (5, 3), (1, 1), (0, 4), (50, 0, 3)], ids=str
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_scaled_as_written_down(shape, dtype):
    draw = np.random.default_rng(0)
    values = draw.normal(5, 3, shape).astype(dtype)
    values[draw.random(shape) < 0.1] = np.nan
    scaler = ChannelScaler()
    scaler.mean_, scaler.scale_ = draw.normal(size=shape[-1]), draw.uniform(0.5, 2, shape[-1])
    expected = ((values - scaler.mean_) / scaler.scale_).astype(np.float32)
    np.testing.assert_array_equal(scaler.transform(values), expected)
    backwards = values[::-1]  # no contiguous memory
    np.testing.assert_array_equal(scaler.transform(backwards), expected[::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_values_are_numbers_whose_squares_are_numbers(dtype):
    scaler = ChannelScaler().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    huge = np.array([[-9e35, 9e35], [np.nan, 1e20], [2.0, 6.0]], dtype)
    expected = np.array([[-1e8, 1e8], [np.nan, 1e8], [0.0, 1.0]])
    np.testing.assert_allclose(scaler.transform(huge), expected)
    assert scaler.transform(huge).dtype == np.float32
    kept = ChannelScaler.identity(2).transform(huge)
    np.testing.assert_allclose(kept, np.clip(huge, -1e15, 1e15))
    assert np.isfinite(np.nansum(np.square(kept)))


def test_an_identity_scaler_copies_nothing():
    values = np.array([[1e14, np.nan]], np.float32)
    assert ChannelScaler.identity(2).transform(values) is values


def test_huge_values_have_the_highest_score():
    series = np.sin(np.arange(300) / 5)
    for scale in ("channel", "both", None):
        autoencoder = LSTMAutoencoder(units=4, bidirectional=False, epochs=1, scale=scale)
        detector = AnomalyDetector(autoencoder, alpha=0.1, random_state=0).fit(make_windows(series, 10))
        for value in (1e10, -9e35, np.float32(1e36)):
            faulty = series.copy()
            faulty[200] = value
            with pytest.warns(UserWarning, match="1 of 300 rows of channel 'channel_0' is"):
                timeline = detector.score_timeline(make_windows(faulty, 10))
            assert timeline["score"].notna().all()
            assert timeline["p_value"].notna().all()
            assert abs(timeline["score"].idxmax() - 200) < 10
            events = detector.events(timeline)
            assert ((events["start"] <= 200) & (events["end"] >= 200)).any()


def test_fitting_warns_of_markers_that_dominate_the_rows_it_uses():
    values = np.column_stack([np.sin(np.arange(800.0)), np.cos(np.arange(800.0))])
    values[100:108, 1] = -999
    with pytest.warns(UserWarning, match=r"8 of 800 rows of channel 'heat' are -999, .*\n.*missing_values=\[-999.0\]"):
        ChannelScaler().fit(values, names=["load", "heat"])
    with pytest.warns(UserWarning, match="8 of 200 rows of channel 'channel_1' are -999"):
        ChannelScaler().fit(values, np.arange(800) < 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ChannelScaler().fit(values, np.arange(800) >= 108)
