"""Warnings of labels among the inputs, and of markers among the numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tsae import AnomalyDetector, LSTMAutoencoder, make_windows
from tsae.data.inspection import dominating_values

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(20, 1, 800)


def with_entries(values, **entries):
    column = NORMAL.copy() if values is None else np.array(values, float)
    for value, rows in entries.items():
        column[rows] = float(value.replace("m", "-").removeprefix("_"))
    return column


# ------------------------------------------------------------------------------------------ markers


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (with_entries(None, m999=range(8)), [(-999, 8)]),
        (with_entries(None, m999=range(8), _9999=range(20, 23)), [(-999, 8), (9999, 3)]),
        (with_entries(None, m999=range(40)), [(-999, 40)]),
        (with_entries(None, m1e30=[5]), [(-1e30, 1)]),
        (with_entries(np.full(100, 5.0), m999=range(3)), [(-999, 3)]),
        (NORMAL, []),
        (with_entries(None, _30=range(8)), []),  # a fault of ten standard deviations
        (with_entries(None, m999=range(100)), []),  # one row of eight: no few
        (RNG.standard_t(3, 5000), []),  # heavy tails
        (RNG.integers(0, 2, 500), []),
        (with_entries(np.zeros(500), _1=range(8)), []),  # a rare event
        (with_entries(np.zeros(500), _1=range(20), _3=range(30, 35)), []),
        (np.full(100, 7.0), []),
        (np.full(100, np.nan), []),
        ([1.0, 2.0, -999.0], []),
    ],
)
def test_few_equal_values_that_dominate_are_found(column, expected):
    for dtype in (np.float64, np.float32):
        column = np.asarray(column, dtype)
        assert dominating_values(column) == [(dtype(value), count) for value, count in expected]
        with_missing = np.concatenate([column, np.full(50, np.nan, dtype)])
        assert dominating_values(with_missing) == [(dtype(value), count) for value, count in expected]


def test_make_windows_warns_of_markers_and_names_the_option():
    frame = pd.DataFrame({"load": NORMAL, "heat": with_entries(None, m999=range(8))})
    with pytest.warns(
        UserWarning, match=r"^8 of 800 rows of channel 'heat' are -999, .*\n.*missing_values=\[-999.0\]"
    ) as caught:
        make_windows(frame, 10)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = make_windows(frame, 10, missing_values=[-999])
    autoencoder = LSTMAutoencoder(units=4, bidirectional=False, epochs=1)
    detector = AnomalyDetector(autoencoder, alpha=0.1, random_state=0).fit(windows[windows.observed])
    faulty = frame.iloc[100:200].copy()
    faulty.iloc[50, 1] += 30
    assert detector.score_timeline(make_windows(faulty, 10))["score"].idxmax() == 50
    for X in (frame.to_numpy().reshape(80, 10, 2), windows):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            LSTMAutoencoder(units=2, bidirectional=False, epochs=1).fit(X)
        warned = [str(warning.message) for warning in caught if "-999" in str(warning.message)]
        assert [message[:35] for message in warned] == (
            ["8 of 800 rows of channel 'channel_1"] if X is not windows else []
        )


def test_of_many_rows_a_sample_is_checked():
    values = np.tile(with_entries(None, m999=range(8)), 1000)
    with pytest.warns(UserWarning, match=r"1000 of 100000 sampled rows of channel 'channel_0' are -999"):
        make_windows(values, 10)


# ------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    "name",
    [
        "fault",
        "Anomaly",
        "label",
        "changepoint",
        "change point",
        "target",
        "class",
        "y",
        "is_anomaly",
        "fault_id",
        "Attack",
    ],
)
def test_columns_named_like_a_label_are_warned_of(name):
    frame = pd.DataFrame({"load": NORMAL, name: NORMAL})
    with pytest.warns(
        UserWarning, match=rf"column '{name}' is named like a label\.\n.*value_columns=\['load'\]"
    ) as caught:
        windows = make_windows(frame, 10)
    assert caught[0].filename == __file__
    assert windows.n_channels == 2


@pytest.mark.parametrize(
    "values", [RNG.integers(0, 2, 800), RNG.integers(0, 2, 800).astype(bool), [0.0, 1.0, np.nan] * 266 + [0, 1]]
)
def test_columns_of_0_and_1_are_warned_of(values):
    frame = pd.DataFrame({"load": NORMAL, "valve": values})
    with pytest.warns(UserWarning, match=r"column 'valve' is 0 or 1 in every row\.\n.*value_columns=\['load'\]"):
        make_windows(frame, 10)


def test_chosen_columns_and_others_give_no_warning():
    flag = np.arange(800) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_windows(pd.DataFrame({"load": NORMAL, "fault": flag}), 10, value_columns=["load", "fault"])
        make_windows(pd.DataFrame({"fault": flag}), 10)  # the only channel is no label
        make_windows(pd.Series(flag, name="fault"), 10)
        make_windows(pd.DataFrame({"load": [1.0, 2.0, 3.0], "state": [0, 1, 0]}), 2)  # too few rows to tell
        make_windows(pd.DataFrame({"x": NORMAL, "y": NORMAL, "z": NORMAL}), 10)  # coordinates
        make_windows(pd.DataFrame({"load": NORMAL, "defaults": NORMAL, "ones": 1, "zeros": 0, "state": flag * 2}), 10)
        make_windows(np.column_stack([NORMAL, flag]), 10)  # no table


def test_several_labels_are_warned_of_once():
    frame = pd.DataFrame({"load": NORMAL, "fault": NORMAL, "label": NORMAL, "flag": np.arange(800) % 2})
    with pytest.warns(
        UserWarning, match="columns 'fault', 'label' are named like a label and column 'flag' is 0 or 1"
    ) as caught:
        make_windows(frame, 10)
    assert len(caught) == 1
