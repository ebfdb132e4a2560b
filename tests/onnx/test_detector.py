from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from tests.onnx.graphs import SMALL, WIDTH, assert_close, assert_timelines_agree, exported, run, waves
from tsae import (
    AnomalyDetector,
    DecoderOptions,
    LSTMAutoencoder,
    OnnxDetector,
    export_onnx,
    load,
    make_windows,
)
from tsae.anomaly.scores import SCORES
from tsae.anomaly.thresholds import THRESHOLDS
from tsae.networks.objectives import OBJECTIVES

# Every score, decoder and threshold, and what decoders can read.
DETECTORS = {
    "three scores": (
        {"epochs": 1},
        {"scores": ("errors", "neighbors", "subspace")},
    ),
    "predictions": (
        {"decoder": "prediction", "cell": "gru", "bidirectional": False, "scale": "channel"},
        {"scores": ("errors", "subspace"), "threshold": "pot", "smoothing": 3},
    ),
    "both decoders": (
        {"decoder": "composite", "horizon": 3, "decoder_options": DecoderOptions(units=(5, 3), bridge="both")},
        {"scores": ("relative_errors", "linear"), "threshold": "quantile", "smoothing": 2},
    ),
    "all decoders, scaled by window": (
        {"decoder": ("reconstruction", "imputation", "prediction"), "horizon": 2, "scale": "window",
         "differences": True, "decoder_options": DecoderOptions(bridge="initial_state")},
        {"scores": "relative_errors"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def series():
    """Rows with a fault, and the same with missing values of every kind."""
    rows = waves(2700)[-300:]
    rows[100:110, 0] += 4
    gaps = rows.copy()
    gaps[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    gaps[150:170, 1] = np.nan
    gaps[220:245] = np.nan
    return {"complete": rows, "gaps": gaps}


@pytest.fixture(scope="module", params=DETECTORS)
def pair(request, training):
    """A detector, and what is made of it."""
    network, options = DETECTORS[request.param]
    detector = AnomalyDetector(LSTMAutoencoder(**{**SMALL, **network}), alpha=0.1, random_state=0, **options)
    detector.fit(training)
    return detector, OnnxDetector.from_estimator(detector)


# -- the same as the detector -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", ["complete", "gaps"])
def test_scores_are_those_of_the_detector(pair, series, values):
    detector, quick = pair
    windows = make_windows(series[values], WIDTH)
    seen = windows[windows.observed]
    assert_close(quick.score_samples(seen), detector.score_samples(seen))
    assert_close(quick.contributions(seen), detector.contributions(seen))
    assert_timelines_agree(quick.score_timeline(windows), detector.score_timeline(windows))


def test_every_score_threshold_and_decoder_is_compared():
    networks, options = zip(*DETECTORS.values(), strict=True)
    scores, thresholds = [option["scores"] for option in options], {option.get("threshold") for option in options}
    assert {name for names in scores for name in ([names] if isinstance(names, str) else names)} == set(SCORES)
    assert thresholds - {None} | {"conformal"} == set(THRESHOLDS)  # the default
    assert {part for network in networks for part in network.get("decoder", ())} >= set(OBJECTIVES)


@pytest.mark.parametrize("values", ["complete", "gaps"])
def test_the_graph_gives_the_scores_and_p_values_of_windows(pair, series, values, tmp_path):
    detector, _ = pair
    windows = make_windows(series[values], WIDTH)
    graph = run(exported(detector, tmp_path), windows.gather())
    expected = np.full(len(windows), np.nan)
    expected[windows.observed] = -detector.score_samples(windows[windows.observed])
    assert_close(graph["score"], expected)
    summed = np.nansum(graph["contributions"], axis=1)
    assert_close(np.where(np.isnan(graph["contributions"]).all(axis=1), np.nan, summed), expected)
    np.testing.assert_allclose(graph["p_value"], detector.window_threshold_.pvalues(graph["score"]), rtol=1e-9)


def test_timelines_are_means_of_the_values_of_the_graph(pair, series, tmp_path):
    detector, _ = pair
    rows = series["gaps"]
    values = run(exported(detector, tmp_path), make_windows(rows, WIDTH).gather(), "values")
    found = [[] for _ in rows]
    for start, window in enumerate(values):
        for step, of_step in enumerate(window):
            found[start + step].append(of_step)
    with np.errstate(invalid="ignore"):
        means = np.array([
            np.nansum(of_row, axis=0) / np.count_nonzero(~np.isnan(of_row), axis=0) for of_row in found
        ])  # fmt: skip
    scores = detector.combination_.contributions(means)
    expected = detector.score_timeline(make_windows(rows, WIDTH))
    np.testing.assert_array_equal(np.isnan(scores).all(axis=1), expected["score"].isna())
    assert_close(np.nansum(scores, axis=1), expected["score"].fillna(0))


def test_a_window_does_not_depend_on_its_batch(pair, series):
    _, quick = pair
    windows = make_windows(series["gaps"], WIDTH)
    windows = windows[windows.observed]
    together = quick.contributions(windows)
    for i in (0, 50, 150):
        np.testing.assert_allclose(quick.contributions(windows[i : i + 1])[0], together[i], rtol=1e-5, atol=1e-7)


def test_the_default_detector(tmp_path):
    windows = make_windows(waves(300), 8)
    detector = AnomalyDetector(random_state=0).fit(windows)
    detector.save(tmp_path / "faults.tsae")
    quick = load(tmp_path / "faults.tsae", engine="onnx")
    assert_close(quick.score_samples(windows), detector.score_samples(windows))
    assert_timelines_agree(quick.score_timeline(windows), detector.score_timeline(windows))


def test_a_frozen_autoencoder_and_windows_of_different_lengths(tmp_path):
    rows = waves(600)
    ragged = [rows[first : first + 5 + first % 7] for first in range(0, 580, 6)]
    network = LSTMAutoencoder(**{**SMALL, "decoder": ("reconstruction", "prediction"), "horizon": 2}).fit(ragged)
    detector = AnomalyDetector(FrozenEstimator(network), scores=("errors", "subspace"), alpha=0.5, random_state=0)
    detector.fit(ragged)
    detector.save(tmp_path / "faults.tsae")
    for quick in (OnnxDetector.from_estimator(detector), load(tmp_path / "faults.tsae", engine="onnx")):
        assert_close(quick.score_samples(ragged), detector.score_samples(ragged))
        assert_timelines_agree(quick.score_timeline(ragged), detector.score_timeline(ragged))
    graph = exported(detector, tmp_path)
    for window, expected in zip(ragged[:8], detector.score_samples(ragged)[:8], strict=True):  # without padding
        assert_close(run(graph, window[None], "score"), [-expected])
    for n_steps in (1, 2, 3):
        short = ragged[-1][:n_steps]
        assert_close(run(graph, short[None], "score"), -detector.score_samples([short]))
    with pytest.raises(ValueError, match="fixed_steps=True"):
        export_onnx(detector, tmp_path / "fixed.onnx", fixed_steps=True)


@pytest.mark.parametrize("value", [-9.9e35, 1e33, 1e16])
def test_a_huge_value_has_the_highest_score(pair, series, value):
    detector, quick = pair
    rows = series["complete"].copy()
    rows[200, 1] = value
    windows = make_windows(rows, WIDTH)
    timeline = quick.score_timeline(windows)
    assert_timelines_agree(timeline, detector.score_timeline(windows))
    assert 195 <= timeline["score"].idxmax() <= 205
    assert_close(quick.score_samples(windows), detector.score_samples(windows))


def test_predictions_p_values_and_alpha(plant):
    windows, detector, path = plant
    quick = OnnxDetector.from_onnx(path)
    assert quick.get_params() == {"alpha": detector.alpha}
    with pytest.raises(ValueError, match="alpha=0.05 needs"):
        quick.predict(windows)
    assert (quick.alpha_, quick.smallest_window_alpha_) == (detector.alpha_, detector.smallest_window_alpha_)
    np.testing.assert_array_equal(
        quick.pvalues(windows), detector.window_threshold_.pvalues(-quick.score_samples(windows))
    )
    quick.set_params(alpha="auto")
    found = quick.predict(windows)
    np.testing.assert_array_equal(found, np.where(quick.decision_function(windows) >= 0, 1, -1))
    touched = windows.touching(np.isin(np.arange(len(windows.values)), range(950, 960)))
    assert (found[touched] == -1).any()
    assert (found == 1).mean() > 0.5


def test_events_and_streams(plant):
    windows, detector, path = plant
    quick = OnnxDetector.from_onnx(path)
    found, expected = quick.events(windows, top=1), detector.events(windows, top=1)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)
    rows = windows.values[-200:]
    streams = [made.stream() for made in (quick, detector)]
    found, expected = (
        pd.concat([stream.push(rows[:70]), stream.push(rows[70:]), stream.finish()], ignore_index=True)
        for stream in streams
    )
    assert_timelines_agree(found, expected)


def test_a_stream_goes_on_in_the_other(plant, tmp_path):
    windows, detector, path = plant
    rows, quick = windows.values[-100:], OnnxDetector.from_onnx(path)
    for first, second in ((detector, quick), (quick, detector)):
        stream = first.stream()
        stream.push(rows[:50])
        stream.save(tmp_path / "stream.tsae")
        again = second.restore_stream(tmp_path / "stream.tsae")
        assert_timelines_agree(again.push(rows[50:]), stream.push(rows[50:]))
