from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from tests.anomaly.linear import LinearAutoencoder
from tests.io import mutations
from tests.onnx.blocked import without_packages
from tsae import (
    AnomalyDetector,
    DecoderOptions,
    LSTMAutoencoder,
    LSTMSeq2Seq,
    ModelFileError,
    OnnxDetector,
    export_onnx,
    load,
    make_windows,
)
from tsae.anomaly.scores import SCORES, LogErrors
from tsae.anomaly.thresholds import THRESHOLDS
from tsae.networks.objectives import OBJECTIVES

TOLERANCE = 1e-5
WIDTH = 10
SMALL = {"units": (4, 3), "dilations": 1, "pooling": ("mean", "last"), "epochs": 0, "random_state": 0}
# Every score, decoder and threshold, and what decoders can read.
DETECTORS = {
    "three scores": (
        {"epochs": 1},
        {"scores": ("errors", "linear", "subspace")},
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


def waves(n):
    rng = np.random.default_rng(0)
    steps = np.arange(n)
    slow = np.stack([np.sin(steps / 4), 100 + 5 * np.cos(steps / 7)], axis=1)
    return slow + 0.1 * rng.normal(size=slow.shape)


@pytest.fixture(scope="module")
def training():
    return make_windows(waves(2400), WIDTH, 2)


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


@pytest.fixture(scope="module")
def plant(plant_windows, fitted_detector, tmp_path_factory):
    """Windows with a fault, a detector and its ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "faults.onnx"
    export_onnx(fitted_detector, path)
    return plant_windows[900:], fitted_detector, path


def run(model, X, *names):
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"windows": X}), strict=True))
    return found[names[0]] if len(names) == 1 else [found[name] for name in names] if names else found


def exported(model, folder, **options):
    export_onnx(model, folder / "model.onnx", **options)
    return (folder / "model.onnx").read_bytes()


def assert_close(found, expected):
    """Up to 1e-5 of their size, or of the size of normal scores, which is 1."""
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def assert_timelines_agree(found, expected):
    numbers = [name for name in expected if name.startswith(("score", "contribution_"))]
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found[["series", "time"]], expected[["series", "time"]])
    assert_close(found[numbers], expected[numbers])


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
    pd.testing.assert_frame_equal(found, expected, rtol=TOLERANCE)
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


# -- files ------------------------------------------------------------------------------------------------------------


def test_shapes_and_metadata(plant):
    _, detector, path = plant
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [(given.shape, given.type) for given in session.get_inputs()] == [(["batch", 12, 2], "tensor(double)")]
    assert {output.name: output.shape for output in session.get_outputs()} == {
        "score": ["batch"], "p_value": ["batch"], "contributions": ["batch", 2], "values": ["batch", 12, 2, 2],
    }  # fmt: skip
    facts = session.get_modelmeta().custom_metadata_map
    plain = {name: json.loads(text) for name, text in facts.items() if name != "tsae_state"}
    assert plain == {
        "channel_names": ["load", "heat"],
        "scores": ["errors", "subspace"],
        "smoothing": None,
        "stride": 1,
        "window_alpha": 0.05,
        "window_threshold": None,  # too few windows for this alpha
        "timeline_alpha": 0.05,
        "timeline_threshold": detector.timeline_threshold_.threshold(0.05),
    }


def test_options_of_export(plant, tmp_path):
    windows, detector, _ = plant
    X = windows.gather()[:20]
    expected = -detector.score_samples(X)
    open_steps = exported(detector, tmp_path, fixed_steps=False)
    assert onnx.load_from_string(open_steps).graph.input[0].type.tensor_type.shape.dim[1].dim_param == "steps"
    assert_close(run(open_steps, X, "score"), expected)
    narrow = run(exported(detector, tmp_path, dtype="float32"), X.astype(np.float32), "score")
    assert_close(narrow, -detector.score_samples(X.astype(np.float32)))
    complete = exported(detector, tmp_path, missing=False)
    assert "CumSum" not in {node.op_type for node in onnx.load_from_string(complete).graph.node}
    X[3, 4, 0] = np.nan
    outputs = run(complete, X)
    for found in outputs.values():
        lost = np.isnan(found).reshape(20, -1)
        np.testing.assert_array_equal(lost.all(axis=1), np.arange(20) == 3)
        np.testing.assert_array_equal(lost.any(axis=1), np.arange(20) == 3)
    assert_close(np.delete(outputs["score"], 3), np.delete(expected, 3))


def test_infinity_counts_as_the_largest_error(plant):
    windows, _, path = plant
    X = windows.gather()[:4]
    X[1, 5, 0] = np.inf
    outputs = run(path, X)
    assert np.isfinite(outputs["score"]).all()
    assert outputs["score"].argmax() == 1


EMPTY_BATCH = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print([part.shape for part in session.run(None, {"windows": np.zeros((0, 12, 2))})])
"""


def test_a_batch_of_no_windows(plant):
    done = subprocess.run([sys.executable, "-c", EMPTY_BATCH, str(plant[2])], capture_output=True, text=True)
    assert done.stdout.strip() == "[(0,), (0,), (0, 2), (0, 12, 2, 2)]", done.stderr[-2000:]


def test_without_tensorflow(plant, detector_path, tmp_path):
    windows, detector, path = plant
    np.save(tmp_path / "X.npy", windows.gather())
    code = (
        "import numpy as np, tsae\n"
        "X = np.load(sys.argv[2] + '/X.npy')\n"
        "for i, path in enumerate(sys.argv[3:]):\n"
        "    made = tsae.OnnxDetector.from_onnx(path) if path.endswith('.onnx') else tsae.load(path, engine='onnx')\n"
        "    np.save(f'{sys.argv[2]}/{i}.npy', made.score_samples(X))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    for blocked, files in (("", (path, detector_path)), (",onnx", (path,))):
        done = without_packages("tensorflow,keras,torch,jax" + blocked, code, tmp_path, *files)
        assert done.returncode == 0, done.stderr
        for i in range(len(files)):
            assert_close(np.load(tmp_path / f"{i}.npy"), detector.score_samples(windows))
    code = "import tsae; tsae.export_onnx(sys.argv[2], sys.argv[3])"
    done = without_packages("tensorflow,keras,torch,jax", code, detector_path, tmp_path / "again.onnx")
    assert done.returncode == 0, done.stderr
    found = run(tmp_path / "again.onnx", windows.gather(), "score")
    np.testing.assert_array_equal(found, run(path, windows.gather(), "score"))


def test_it_travels_by_pickle_and_stays_as_it_is(plant):
    windows, _, path = plant
    quick = OnnxDetector.from_onnx(path)
    expected = quick.score_samples(windows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(quick)).score_samples(windows), expected)
    with pytest.raises(TypeError, match="cannot be fitted"):
        quick.fit(windows)
    with pytest.raises(ValueError, match=r"\['heat', 'load'\], but OnnxDetector was fitted with \['load', 'heat'\]"):
        quick.score_samples(make_windows(pd.DataFrame({"heat": np.zeros(30), "load": 0.0}), 12))


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"decoder_options": DecoderOptions(attention="general")}, "attention='general'"),
        ({"decoder_options": DecoderOptions(feedback="teacher_forcing")}, "feedback='teacher_forcing'"),
        ({"tbptt_steps": 4, "bidirectional": False, "scale": "channel"}, "tbptt_steps=4"),
    ],
)
def test_decoders_without_a_graph_are_refused(training, tmp_path, network, message):
    autoencoder = LSTMAutoencoder(**{**SMALL, "decoder": "reconstruction", **network})
    detector = AnomalyDetector(autoencoder, scores="errors", alpha=0.5, random_state=0).fit(training[:200])
    with pytest.raises(ValueError, match=f"{message}.*cannot be turned into ONNX"):
        export_onnx(detector, tmp_path / "model.onnx")
    detector.save(tmp_path / "model.tsae")
    with pytest.raises(ModelFileError, match=f"{message}.*cannot be turned into ONNX"):
        load(tmp_path / "model.tsae", engine="onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tsae"]


def test_other_models_are_refused(training, tmp_path):
    words = LSTMSeq2Seq(units=2, epochs=1, random_state=0).fit(["ab", "b"] * 4, ["xy", "x"] * 4)
    words.save(tmp_path / "words.tsae")
    with pytest.raises(TypeError, match="LSTMSeq2Seq; only LSTMAutoencoder and AnomalyDetector"):
        export_onnx(words, tmp_path / "words.onnx")
    with pytest.raises(ModelFileError, match="LSTMSeq2Seq; only LSTMAutoencoder and AnomalyDetector"):
        export_onnx(tmp_path / "words.tsae", tmp_path / "words.onnx")
    with pytest.raises(ModelFileError, match="reads files of LSTMAutoencoder and AnomalyDetector"):
        load(tmp_path / "words.tsae", engine="onnx")
    detector = AnomalyDetector(LinearAutoencoder(2), alpha=0.5, random_state=0).fit(training[:200])
    with pytest.raises(TypeError, match="LinearAutoencoder; only LSTMAutoencoder"):
        OnnxDetector.from_estimator(detector)
    with pytest.raises(TypeError, match="only AnomalyDetector"):
        OnnxDetector.from_estimator(words)
    with pytest.raises(ValueError, match="not fitted"):
        OnnxDetector.from_estimator(AnomalyDetector())


def test_scores_of_ones_own_have_no_graph(training):
    class Doubled(LogErrors):
        name = "doubled"

    detector = AnomalyDetector(LSTMAutoencoder(**SMALL), scores="errors", alpha=0.5, random_state=0).fit(training[:200])
    detector.combination_.scores[0].__class__ = Doubled
    with pytest.raises(ValueError, match="'doubled' cannot be turned into ONNX; 'relative_errors', 'errors'"):
        OnnxDetector.from_estimator(detector)


def test_the_linear_score_needs_windows_of_its_length(training, tmp_path):
    detector = AnomalyDetector(LSTMAutoencoder(**SMALL), scores="linear", alpha=0.5, random_state=0).fit(training[:200])
    with pytest.raises(ValueError, match="'linear' needs windows of the length of training"):
        export_onnx(detector, tmp_path / "model.onnx", fixed_steps=False)


def test_files_that_hold_no_detector(plant, autoencoder_path, tmp_path):
    export_onnx(autoencoder_path, tmp_path / "encoder.onnx")
    with pytest.raises(ModelFileError, match="encoder.onnx: .*not a detector"):
        OnnxDetector.from_onnx(tmp_path / "encoder.onnx")
    data = plant[2].read_bytes()
    for name, content in {"half": data[: len(data) // 2], "none": b"", "text": b"model"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{name}: "):
            OnnxDetector.from_onnx(tmp_path / name)
    model = onnx.load_from_string(data)
    [state] = [part for part in model.metadata_props if part.key == "tsae_state"]
    state.value = state.value[:-8]
    (tmp_path / "cut.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="cut.onnx"):
        OnnxDetector.from_onnx(tmp_path / "cut.onnx")
    with pytest.raises(FileNotFoundError):
        OnnxDetector.from_onnx(tmp_path / "nowhere.onnx")


def test_forged_files_are_refused_or_load(detector_path):
    outcomes = {True: 0, False: 0}
    for _, data in mutations.forged(detector_path.read_bytes(), 200, np.random.default_rng(0)):
        try:
            loaded = load(io.BytesIO(data), engine="onnx")
        except ModelFileError:
            outcomes[False] += 1
            continue
        outcomes[True] += 1
        assert type(loaded).__name__ in ("OnnxDetector", "OnnxEncoder")
    assert min(outcomes.values()) > 20
