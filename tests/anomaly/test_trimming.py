"""Training on data that hold unknown anomalies."""

import numpy as np
import pytest
from sklearn.base import clone

from tests import naive
from tests.anomaly.linear import LinearAutoencoder
from tests.anomaly.series import waves
from tsae import AnomalyDetector, make_windows
from tsae.anomaly.trimming import N_BLOCKS, unusual_windows


@pytest.fixture(scope="module")
def dirty(series):
    """The series with six faults of 15 rows in one channel, each unlike the others, and which rows these are."""
    rng, dirty, rows = np.random.default_rng(3), series.copy(), np.zeros(len(series), dtype=bool)
    for begin in (200, 500, 1200, 1700, 2300, 2800):
        dirty[begin : begin + 15, 1] += 30 * rng.normal(size=15)
        rows[begin : begin + 15] = True
    return dirty, rows


def test_the_windows_of_the_most_unusual_rows_are_found():
    rng = np.random.default_rng(0)
    series = {"a": waves(rng, 50, 2), "b": waves(rng, 40, 2)}
    series["a"][20:23] += 4
    windows = make_windows(series, 6)
    by_row = np.concatenate(list(naive.unusual_rows(series, 6, N_BLOCKS).values()))
    for share in (0.0, 0.03, 0.1, 0.4):
        found = unusual_windows(windows, share)
        assert found.sum() <= share * len(windows)
        if found.any():
            rest = max(by_row[windows.starts[~found][:, np.newaxis] + np.arange(6)].max(axis=1))
            assert (by_row[windows.starts[found][:, np.newaxis] + np.arange(6)].max(axis=1) > rest - 1e-9).all()
    assert unusual_windows(windows, 0.4).any()


def test_what_is_left_out_is_neither_trained_on_nor_calibrated_on(dirty):
    series, rows = dirty
    windows = make_windows(series, 20)
    share = windows.touching(rows).mean() + 0.005
    detector = AnomalyDetector(LinearAutoencoder(8), trim_fraction=share, random_state=0).fit(windows)
    knowing = AnomalyDetector(LinearAutoencoder(8), random_state=0).fit(windows, anomalies=rows)
    assert detector.calibration_scores_.max() < 1.5 * knowing.calibration_scores_.max()
    flagged = detector.score_timeline(windows)["p_value"].to_numpy() <= 0.01
    assert flagged[rows].mean() > 0.95
    ignorant = clone(detector).set_params(trim_fraction=0.0).fit(windows)
    assert (ignorant.score_timeline(windows)["p_value"].to_numpy() <= 0.01)[rows].mean() < 0.5


def test_known_anomalies_are_not_counted_among_those_to_find(dirty):
    series, rows = dirty
    windows = make_windows(series, 20)
    found = windows[~windows.touching(rows)]
    detector = AnomalyDetector(LinearAutoencoder(8), trim_fraction=0.1, random_state=0)
    assert detector.fit(windows, anomalies=rows).autoencoder_.n_trained_ >= 0.7 * 0.9 * len(found)


def test_series_of_other_levels_are_not_unusual_as_such():
    rng = np.random.default_rng(1)
    fleet = {name: level + rng.normal(size=(200, 1)) for name, level in zip("abcde", (0, 0, 0, 0, 50), strict=True)}
    found = unusual_windows(make_windows(fleet, 10), 0.1)
    assert found.sum() > 10
    assert found[-191:].sum() < 3 * found.sum() / 5


def test_windows_without_common_rows_and_with_missing_values():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(100, 12, 2))
    X[rng.random(X.shape) < 0.05] = np.nan
    X[7] += 6
    assert np.flatnonzero(unusual_windows(make_windows(list(X), 12), 0.01)).tolist() == [7]
    detector = AnomalyDetector(LinearAutoencoder(4), trim_fraction=0.01, alpha=0.2, random_state=0).fit(
        np.nan_to_num(X)
    )
    assert detector.autoencoder_.n_trained_ == 79


@pytest.mark.parametrize("share", [-0.1, 0.5, float("nan"), "auto", True])
def test_shares_that_are_not_allowed_are_refused(series, share):
    detector = AnomalyDetector(LinearAutoencoder(8), trim_fraction=share)
    with pytest.raises(ValueError, match="trim_fraction=.*it must be a number of at least 0 and below 0.5"):
        detector.fit(make_windows(series, 20))


def test_what_cannot_be_compared_is_refused(series):
    with pytest.raises(ValueError, match="trim_fraction needs windows of other times.*fit on longer series"):
        unusual_windows(make_windows(series[:30], 20), 0.1)
    ragged = [series[:20], series[100:130], series[200:240]] * 20
    with pytest.raises(ValueError, match="trim_fraction=0.1 needs windows of one length"):
        AnomalyDetector(trim_fraction=0.1).fit(ragged)
