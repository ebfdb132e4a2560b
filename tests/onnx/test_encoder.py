from __future__ import annotations

import copy
import dataclasses
import io
import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from tests.io import mutations
from tests.onnx.blocked import without_packages
from tsae import LSTMAutoencoder, ModelFileError, OnnxEncoder, export_onnx, load, make_windows
from tsae.networks.config import EncoderConfig, from_json, to_json
from tsae.networks.pooling import POOLINGS as ALL_POOLINGS
from tsae.onnx.graph import encoder_model

TOLERANCE = 1e-5
SHARES = 2e-4  # of steps: the rounding of a state counts up to a thousandfold within the ramp of a threshold
POOLINGS = tuple(name for name, pooling in ALL_POOLINGS.items() if not pooling.needs_cell_state)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 13, 3)) * [1, 10, 100] + [0, 5, 1000]


@pytest.fixture(scope="module")
def gaps(X):
    """The same with missing values of every kind: gaps, shorter windows, an empty channel, a single value."""
    rng = np.random.default_rng(1)
    X = X.copy()
    X[rng.random(X.shape) < 0.3] = np.nan
    X[:10, 9:] = np.nan
    X[5, :, 1] = np.nan
    X[6] = np.nan
    X[6, 0, 2] = 1000
    X[7, :11] = np.nan
    X[7, 12] = [0, 5, 1000]
    return X


@pytest.fixture(scope="module")
def model(X):
    return LSTMAutoencoder(units=(4, 3), epochs=1, pooling=POOLINGS, random_state=0).fit(X)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tsae"
    model.save(path)
    return path


def run(data: bytes, X: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"windows": X})[0]


def assert_same(model, features, expected):
    names = model.get_feature_names_out()
    allowed = np.array([SHARES if "ppv" in name else TOLERANCE for name in names])
    np.testing.assert_array_less(np.abs(features - expected), np.broadcast_to(allowed, np.shape(expected)))


# -- parity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"bidirectional": True},
        {"pooling": ("cell", "mean"), "pooled_layers": "last", "scale": "window"},
        {"cell": "gru", "scale": None},
        {"cell": "gru", "bidirectional": True, "dilations": (3, 20), "scale": "window"},
        {"dilations": (2, 13), "scale": "both"},
        {"bidirectional": True, "dilations": (5, 2), "pooling": ("cell", "last")},
        {"units": 5, "scale": "both", "decoder": "reconstruction"},
        {"scale": "channel", "differences": True},
    ],
)
def test_features_are_those_of_transform(X, gaps, parameters):
    small = {"units": (4, 3), "bidirectional": False, "dilations": 1, "pooling": POOLINGS, "epochs": 1}
    model = LSTMAutoencoder(**{**small, "random_state": 0, **parameters})
    shrink = 0.01 if model.scale is None else 1.0
    model.fit(X * shrink)
    encoder = OnnxEncoder.from_estimator(model)
    assert list(encoder.get_feature_names_out()) == list(model.get_feature_names_out())
    for windows in (X * shrink, gaps * shrink):
        expected = model.transform(windows)
        assert_same(model, encoder.transform(windows), expected)
        assert_same(model, run(encoder.to_onnx(dtype="float64"), windows), expected)


def test_defaults_on_a_longer_series():
    series = np.cumsum(np.random.default_rng(0).normal(size=(3000, 2)), axis=0)
    windows = make_windows(series, width=500, stride=100)
    model = LSTMAutoencoder(units=16, epochs=1, random_state=0).fit(windows[:8])
    assert_same(model, OnnxEncoder.from_estimator(model).transform(windows), model.transform(windows))


def test_windows_of_different_lengths():
    rng = np.random.default_rng(0)
    ragged = [rng.normal(size=(n, 2)) for n in (1, 2, 5, 30, 17, 8)]
    model = LSTMAutoencoder(units=(3, 2), dilations=(1, 3), pooling=POOLINGS, epochs=1, random_state=0).fit(ragged)
    encoder = OnnxEncoder.from_estimator(model)
    assert_same(model, encoder.transform(ragged), model.transform(ragged))
    graph = encoder.to_onnx(dtype="float64")
    for window, expected in zip(ragged, model.transform(ragged), strict=True):  # any number of steps, without padding
        assert_same(model, run(graph, window[None])[0], expected)


def test_gaps_of_every_pattern():
    """All 2**6 - 1 patterns of missing values in a window of six steps."""
    patterns = np.array([[bool(n >> step & 1) for step in range(6)] for n in range(1, 64)])
    X = np.where(patterns, np.random.default_rng(0).normal(size=patterns.shape), np.nan)
    model = LSTMAutoencoder(units=3, pooling=POOLINGS, epochs=1, random_state=0).fit(X)
    encoder = OnnxEncoder.from_estimator(model)
    assert_same(model, encoder.transform(X), model.transform(X))


def test_values_with_a_small_spread_need_float64():
    X = 1e7 + np.random.default_rng(0).normal(size=(20, 8, 1))
    model = LSTMAutoencoder(units=3, epochs=1, random_state=0).fit(X)
    encoder = OnnxEncoder.from_estimator(model)
    wide, narrow = encoder.to_onnx(dtype="float64"), encoder.to_onnx()
    assert_same(model, run(wide, X), model.transform(X))
    rounded = X.astype(np.float32)
    assert_same(model, run(narrow, rounded), model.transform(rounded))
    assert np.abs(run(narrow, rounded) - model.transform(X)).max() > TOLERANCE


def test_a_window_does_not_depend_on_its_batch(model, gaps):
    encoder = OnnxEncoder.from_estimator(model)
    together = encoder.transform(gaps)
    for i in (0, 5, 6, 39):
        np.testing.assert_allclose(encoder.transform(gaps[i : i + 1])[0], together[i], rtol=0, atol=1e-6)


# -- without TensorFlow ----------------------------------------------------------------------------------------------


def without_tensorflow(code: str, *arguments) -> subprocess.CompletedProcess:
    return without_packages("tensorflow,keras,torch,jax", code, *arguments)


def test_load_and_transform_without_tensorflow(model, saved, gaps, tmp_path):
    np.save(tmp_path / "X.npy", gaps)
    done = without_tensorflow(
        "import json, numpy as np, tsae\n"
        "encoder = tsae.load(sys.argv[2], engine='onnx')\n"
        "np.save(sys.argv[3] + '/Z.npy', encoder.transform(np.load(sys.argv[3] + '/X.npy')))\n"
        "tsae.export_onnx(sys.argv[2], sys.argv[3] + '/encoder.onnx')\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
        "print(json.dumps(encoder.get_feature_names_out().tolist()))",
        saved, tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), model.transform(gaps), rtol=0, atol=TOLERANCE)
    assert json.loads(done.stdout) == model.get_feature_names_out().tolist()
    onnx.checker.check_model(str(tmp_path / "encoder.onnx"))


def test_the_keras_engine_names_what_is_missing(saved):
    done = without_tensorflow("import tsae; tsae.load(sys.argv[2])", saved)
    assert done.returncode != 0
    assert "is not installed" in done.stderr.strip().splitlines()[-1]
    assert "engine='onnx'" in done.stderr


# -- OnnxEncoder -----------------------------------------------------------------------------------------------------


def test_it_reads_what_the_autoencoder_reads(X, tmp_path):
    frame = pd.DataFrame(X[:, :, 0], columns=[f"t{i}" for i in range(X.shape[1])])
    model = LSTMAutoencoder(units=2, epochs=1, random_state=0).fit(frame)
    model.save(tmp_path / "frame.tsae")
    encoder = load(tmp_path / "frame.tsae", engine="onnx")
    assert_same(model, encoder.transform(frame), model.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        encoder.transform(frame.rename(columns={"t0": "u0"}))
    named = encoder.set_output(transform="pandas").transform(frame)
    assert list(named.columns) == list(model.get_feature_names_out())


def test_other_windows_are_refused_as_by_the_autoencoder(model, X):
    encoder = OnnxEncoder.from_estimator(model)
    for bad in (X[:, :, :2], X[:, :5], np.full_like(X, np.inf), X[:0]):
        with pytest.raises(ValueError, match="X|OnnxEncoder"):
            encoder.transform(bad)
    with pytest.raises(TypeError, match="cannot be fitted"):
        encoder.fit(X)


def test_it_travels_by_pickle(model, X):
    encoder = OnnxEncoder.from_estimator(model)
    expected = encoder.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), expected)


def test_only_fitted_autoencoders(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        OnnxEncoder.from_estimator(LSTMAutoencoder())
    with pytest.raises(TypeError, match="only LSTMAutoencoder"):
        OnnxEncoder.from_estimator(object())


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["estimator", "path", "encoder"])
def test_export(model, saved, X, tmp_path, source):
    given = {"estimator": model, "path": saved, "encoder": load(saved, engine="onnx")}[source]
    export_onnx(given, tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 13, 3]
    assert session.get_outputs()[0].shape == ["batch", len(model.get_feature_names_out())]
    names = json.loads(session.get_modelmeta().custom_metadata_map["feature_names"])
    assert names == model.get_feature_names_out().tolist()
    for n in (1, 2, 7, 40):
        windows = X[:n].astype(np.float32)
        features = session.run(["features"], {"windows": windows})[0]
        np.testing.assert_allclose(features, model.transform(windows), rtol=0, atol=TOLERANCE)


def test_options_of_export(model, X, gaps, tmp_path):
    def shape_of(**options):
        export_onnx(model, tmp_path / "encoder.onnx", **options)
        return onnx.load(tmp_path / "encoder.onnx").graph.input[0].type.tensor_type

    assert shape_of(fixed_steps=False).shape.dim[1].dim_param == "steps"
    assert shape_of(fixed_steps=True).shape.dim[1].dim_value == 13
    assert shape_of(dtype="float64").elem_type == onnx.TensorProto.DOUBLE
    shape_of(missing=False)
    small = (tmp_path / "encoder.onnx").read_bytes()
    assert "CumSum" not in {node.op_type for node in onnx.load_from_string(small).graph.node}
    windows = X.astype(np.float32)
    assert_same(model, run(small, windows), model.transform(windows))
    features = run(small, np.concatenate([windows[:1], gaps[5:7], windows[1:2]]).astype(np.float32))
    np.testing.assert_array_equal(np.isnan(features).all(axis=1), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(features).any(axis=1), [False, True, True, False])
    for option in ({"dtype": "float16"}, {"missing": None}, {"fixed_steps": 13}):
        with pytest.raises(ValueError, match=f"{next(iter(option))}="):
            export_onnx(model, tmp_path / "encoder.onnx", **option)


def test_a_model_of_ragged_windows_has_no_fixed_steps(tmp_path):
    ragged = [np.arange(float(n)) for n in (3, 5)]
    model = LSTMAutoencoder(units=2, epochs=1, random_state=0).fit(ragged)
    with pytest.raises(ValueError, match="fixed_steps=True"):
        export_onnx(model, tmp_path / "encoder.onnx", fixed_steps=True)
    assert not list(tmp_path.iterdir())


def test_channels_of_other_names_are_refused(tmp_path):
    frame = pd.DataFrame({"load": np.sin(np.arange(80) / 3), "heat": np.cos(np.arange(80) / 5)})
    model = LSTMAutoencoder(units=2, epochs=1, random_state=0).fit(make_windows(frame, 8))
    model.save(tmp_path / "model.tsae")
    other = make_windows(frame[["heat", "load"]], 8)
    for encoder in (OnnxEncoder.from_estimator(model), load(tmp_path / "model.tsae", engine="onnx")):
        with pytest.raises(ValueError, match=r"\['heat', 'load'\], but OnnxEncoder was fitted with \['load', 'heat'\]"):
            encoder.transform(other)
        np.testing.assert_allclose(
            encoder.transform(other.gather()[..., ::-1]), model.transform(make_windows(frame, 8)), atol=1e-5
        )


def test_settings_that_no_encoder_has_are_refused(model):
    network = model.__getstate__()["_network_state"]
    scaler = model.scaler_.mean_, model.scaler_.scale_
    config = model.encoder_.config
    with pytest.raises(ValueError, match="'attention'"):
        from_json(EncoderConfig, {**to_json(config), "attention": "dot"})
    with pytest.raises(ValueError, match="'median'"):
        encoder_model(dataclasses.replace(config, pooling=("median",)), network["weights"], *scaler)


# -- bad files -------------------------------------------------------------------------------------------------------


def test_forged_files_are_refused_or_load(saved):
    outcomes = {True: 0, False: 0}
    for _, data in mutations.forged(saved.read_bytes(), 1000, np.random.default_rng(0)):
        try:
            loaded = load(io.BytesIO(data), engine="onnx")
        except ModelFileError:
            outcomes[False] += 1
            continue
        assert isinstance(loaded, OnnxEncoder)
        outcomes[True] += 1
    assert min(outcomes.values()) > 100


def test_other_classes_are_refused(saved):
    def edit(state):
        return state["state"]["scaler_"]

    with pytest.raises(ModelFileError, match="engine='onnx' reads files of LSTMAutoencoder"):
        load(io.BytesIO(mutations.with_state(saved.read_bytes(), edit)), engine="onnx")


# -- batches of no windows, and values that float32 does not hold ----------------------------------------------------

EMPTY_BATCHES = """
import sys
import numpy as np
import onnxruntime
for path in sys.argv[1:]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [given], [features] = session.get_inputs(), session.get_outputs()
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[given.type]
    _, n_timesteps, n_channels = given.shape
    is_open = isinstance(n_timesteps, str)
    for n_windows, steps in ((0, 7 if is_open else n_timesteps), *(((0, 0), (2, 0)) if is_open else ())):
        [found] = session.run(None, {"windows": np.zeros((n_windows, steps, n_channels), dtype)})
        assert found.shape == (n_windows, features.shape[1]), found.shape
        assert found.dtype == np.float32
print("alive")
"""


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_batch_of_no_windows_has_no_features(X, tmp_path, cell):
    """In a process of its own: ONNX Runtime crashes on empty batches of recurrent layers."""
    model = LSTMAutoencoder(units=(3, 2), dilations=(1, 2), cell=cell, scale="both", epochs=1, random_state=0).fit(X)
    paths = []
    for missing, (fixed, dtype) in itertools.product([True, False], [(True, "float32"), (False, "float64")]):
        paths.append(str(tmp_path / f"{len(paths)}.onnx"))
        export_onnx(model, paths[-1], fixed_steps=fixed, dtype=dtype, missing=missing)
    done = subprocess.run([sys.executable, "-c", EMPTY_BATCHES, *paths], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-2000:]


def test_an_encoder_refuses_no_windows_as_the_estimator_does(model, X):
    encoder = OnnxEncoder.from_estimator(model)
    for estimator in (model, encoder):
        with pytest.raises(ValueError, match="there are no windows"):
            estimator.transform(X[:0])


@pytest.mark.parametrize("value", [-3.4e38, 1e200, -1.7e308, np.inf])
@pytest.mark.parametrize("missing", [True, False])
def test_a_value_too_large_for_float32_gives_no_number(model, X, value, missing):
    """Not even where others are missing."""
    huge = X[:4] * [1e-3, 1, 1] if value == -3.4e38 else X[:4].copy()
    huge[1, 4, 0] = value
    encoder = OnnxEncoder.from_estimator(model)
    encoder.scaler_ = copy.deepcopy(encoder.scaler_)
    encoder.scaler_.scale_[0] = 1e-3
    graph = encoder.to_onnx(dtype="float64", missing=missing)
    calm = run(graph, np.delete(huge, 1, axis=0))
    if missing:
        huge[1, 9] = np.nan
    features = run(graph, huge)
    assert np.isnan(features[1]).all()
    np.testing.assert_allclose(features[[0, 2, 3]], calm, rtol=1e-5, atol=1e-6)
