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
from tests.onnx.graphs import SMALL, assert_close, exported, run
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
from tsae.anomaly.scores import LogErrors

# -- files ------------------------------------------------------------------------------------------------------------


def test_shapes_and_metadata(plant):
    _, detector, path = plant
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [(given.shape, given.type) for given in session.get_inputs()] == [(["batch", 12, 2], "tensor(double)")]
    assert {output.name: output.shape for output in session.get_outputs()} == {
        "score": ["batch"], "p_value": ["batch"], "contributions": ["batch", 2], "values": ["batch", 12, 3, 2],
    }  # fmt: skip
    facts = session.get_modelmeta().custom_metadata_map
    plain = {name: json.loads(text) for name, text in facts.items() if name != "tsae_state"}
    assert plain == {
        "channel_names": ["load", "heat"],
        "scores": ["errors", "neighbors", "subspace"],
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
    with pytest.raises(ValueError, match="'neighbors' needs windows of the length of training; use fixed_steps=True"):
        exported(detector, tmp_path, fixed_steps=False)
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


def test_any_number_of_steps(plant, tmp_path):
    windows, fitted, _ = plant
    detector = AnomalyDetector(FrozenEstimator(fitted.autoencoder_), scores=("errors", "subspace"), alpha=0.5)
    detector.fit(windows)
    open_steps = exported(detector, tmp_path, fixed_steps=False)
    assert onnx.load_from_string(open_steps).graph.input[0].type.tensor_type.shape.dim[1].dim_param == "steps"
    X = windows.gather()[:20]
    assert_close(run(open_steps, X, "score"), -detector.score_samples(X))


def test_scales_of_series_have_no_form_in_a_graph(plant):
    windows, fitted, _ = plant
    detector = AnomalyDetector(FrozenEstimator(fitted.autoencoder_), calibration="series", alpha=0.5).fit(windows)
    with pytest.raises(ValueError, match="calibration='series' cannot be turned into ONNX"):
        OnnxDetector.from_estimator(detector)


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
    assert done.stdout.strip() == "[(0,), (0,), (0, 2), (0, 12, 3, 2)]", done.stderr[-2000:]


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
