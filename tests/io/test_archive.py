"""Model files: what is stored comes back, also from files of earlier versions."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import tsae
from tests.data import make_model_files
from tests.io import mutations
from tests.io.files import network_of, read, refused
from tests.options import nested
from tsae import AnomalyDetector, DecoderOptions, LSTMAutoencoder, load, make_windows
from tsae.estimators.classifier import LSTMClassifier
from tsae.estimators.seq2seq import LSTMSeq2Seq
from tsae.io.archive import FORMAT_VERSION, read_manifest
from tsae.io.state import Saveable
from tsae.storable import storable_classes

DATA = Path(__file__).parents[1] / "data"


# -- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"units": (3, 2), "bidirectional": True, "decoder_units": 9},  # without a decoder that has units
        {"cell": "gru", "pooling": "last", "random_state": np.random.RandomState(3)},
        {"decoder": "composite", "horizon": 3, "scale": "window", "random_state": np.random.default_rng(3)},
        {"decoder": ("reconstruction", "imputation"), "decoder_units": 5, "scale": None, "kernel_regularizer": "l2"},
        {"attention": "general", "decoder": "reconstruction", "feedback": "teacher_forcing"},
    ],
)
def test_a_loaded_estimator_gives_the_same_results(X, tmp_path, parameters):
    small = {"units": 3, "bidirectional": False, "epochs": 1, "random_state": 0}
    model = LSTMAutoencoder(**nested({**small, **parameters})).fit(X)
    model.save(tmp_path / "model.tsae")
    again = load(tmp_path / "model.tsae")
    for method in ("transform", "score_samples"):
        np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    assert list(again.get_feature_names_out()) == list(model.get_feature_names_out())
    pd.testing.assert_frame_equal(again.history_, model.history_)
    assert again.n_timesteps_ == model.n_timesteps_ == 16
    for name, value in model.get_params(deep=True).items():
        if name != "random_state":
            assert again.get_params()[name] == value
            assert type(again.get_params()[name]) is type(value)


def test_the_same_answers_in_a_new_process(X, model, tmp_path):
    model.save(tmp_path / "model.tsae")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np, tsae; folder = sys.argv[1]\n"
        "np.save(folder + '/Z.npy', tsae.load(folder + '/model.tsae').transform(np.load(folder + '/X.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, timeout=300)
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), model.transform(X))


def test_ragged_windows_and_column_names_travel(tmp_path):
    rng = np.random.default_rng(1)
    ragged = [rng.normal(size=(n, 2)) for n in (5, 9, 7)]
    model = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0).fit(ragged)
    model.save(tmp_path / "ragged.tsae")
    again = load(tmp_path / "ragged.tsae")
    assert again.n_timesteps_ is None
    np.testing.assert_array_equal(again.transform(ragged), model.transform(ragged))

    frame = pd.DataFrame(rng.normal(size=(6, 8)), columns=[f"step {i}" for i in range(8)])
    model = LSTMAutoencoder(units=2, bidirectional=False, epochs=1, random_state=0).fit(frame)
    model.save(tmp_path / "frame.tsae")
    assert list(load(tmp_path / "frame.tsae").feature_names_in_) == list(frame)


def test_set_output_travels(X, tmp_path):
    model = LSTMAutoencoder(units=2, epochs=1, random_state=0).set_output(transform="pandas").fit(X)
    model.save(tmp_path / "model.tsae")
    assert isinstance(load(tmp_path / "model.tsae").transform(X), pd.DataFrame)


def test_training_goes_on_after_load(X, saved):
    again = read(saved)
    before = again.transform(X)
    again.partial_fit(X)
    assert not np.array_equal(again.transform(X), before)
    again.set_params(warm_start=True, epochs=1).fit(X)
    assert len(again.history_) == 4


def test_a_held_out_draw_goes_on_as_without_saving(X, saved, model):
    assert read(saved)._holdout_rng.integers(10**9) == model._holdout_rng.integers(10**9)


def test_a_clone_of_a_loaded_estimator_is_unfitted(saved):
    with pytest.raises(NotFittedError):
        clone(read(saved)).transform(np.zeros((1, 16, 2)))


def test_equal_models_have_one_id_and_equal_members(X, tmp_path):
    for name in "ab":
        LSTMAutoencoder(units=2, epochs=1, random_state=0).fit(X).save(tmp_path / name)
    LSTMAutoencoder(units=2, epochs=1, random_state=1).fit(X).save(tmp_path / "c")
    a, b, c = (read_manifest(tmp_path / name) for name in "abc")
    assert a["model_id"] == b["model_id"] != c["model_id"]
    assert a["members"] == b["members"]


def test_the_manifest_tells_what_is_inside(saved, model):
    manifest = read_manifest(io.BytesIO(saved))
    assert manifest["kind"] == "LSTMAutoencoder"
    assert manifest["format_version"] == FORMAT_VERSION
    assert manifest["versions"]["tsae"] == tsae.__version__
    assert manifest["versions"]["keras"]
    summary = manifest["summary"]
    assert summary["n_channels"] == 2
    assert summary["n_timesteps"] == 16
    assert summary["n_features"] == len(model.get_feature_names_out())
    assert summary["n_epochs"] == 2
    assert summary["best_val_loss"] == model.history_["val_loss"].min()


def test_the_file_is_json_and_arrays_that_numpy_reads_without_pickle(saved):
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            data = archive.read(info)
            if info.filename.endswith(".json"):
                json.loads(data)
            else:
                np.load(io.BytesIO(data), allow_pickle=False)


# -- files of earlier versions --------------------------------------------------------------------------------------


# Stored answers that were wrong: errors at steps that the encoder had not read were counted, because of gaps elsewhere.
CORRECTED = {"gru.score_samples"}


def errors_of_reconstructions(model):
    """Minus the mean squared error of each window, over what each decoder gives, in units of the scaled channels."""
    X = make_model_files.windows()
    found = [((model.reconstruct(X, decoder) - X) / model.scaler_.scale_) ** 2 for decoder in model.decoders_]
    return -np.mean([np.nanmean(squared, axis=(1, 2)) for squared in found], axis=0)


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
@pytest.mark.parametrize("name", ["autoencoder", "gru", "detector", "classifier", "seq2seq"])
def test_stored_files_give_their_results(version, name):
    folder = DATA / f"model_files_{version}"
    model = load(folder / f"{name}.tsae")
    assert read_manifest(folder / f"{name}.tsae")["format_version"] == version
    with np.load(folder / "answers.npz") as stored:
        results = make_model_files.answers(model, make_model_files.windows())
        assert {f"{name}.{what}" for what in results} == {key for key in stored if key.startswith(f"{name}.")}
        for what, values in results.items():
            if f"{name}.{what}" in CORRECTED:
                np.testing.assert_allclose(values, errors_of_reconstructions(model), rtol=1e-4, atol=1e-5)
            elif values.dtype.kind == "f":
                np.testing.assert_allclose(values, stored[f"{name}.{what}"], rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(values, stored[f"{name}.{what}"])


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_stored_files_are_read_by_onnx(version):
    folder = DATA / f"model_files_{version}"
    with np.load(folder / "answers.npz") as stored:
        for name in ("autoencoder", "gru"):
            features = load(folder / f"{name}.tsae", engine="onnx").transform(make_model_files.windows())
            np.testing.assert_allclose(features, stored[f"{name}.transform"], rtol=1e-4, atol=1e-5)


# -- estimators that hold others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [False, True])
def test_a_detector(tmp_path, frozen):
    times = pd.date_range("2024-01-01", periods=900, freq="1min")
    frame = pd.DataFrame({"t": times, "a": np.sin(np.arange(900) / 5), "b": np.cos(np.arange(900) / 7)})
    windows = make_windows(frame, width=20, time_column="t", max_gap=pd.Timedelta("5min"))
    autoencoder = LSTMAutoencoder(units=2, decoder="reconstruction", epochs=1, random_state=0)
    if frozen:
        autoencoder = FrozenEstimator(autoencoder.fit(windows))
    detector = AnomalyDetector(autoencoder, alpha=0.2, random_state=0).fit(windows)
    again = read_saved(detector, tmp_path)
    pd.testing.assert_frame_equal(again.score_timeline(windows), detector.score_timeline(windows))
    assert again._max_gap == pd.Timedelta("5min")
    assert again.autoencoder.get_params(deep=False) == detector.autoencoder.get_params(deep=False) or frozen
    assert isinstance(again.autoencoder_, FrozenEstimator) == frozen
    assert clone(again).fit(windows).offset_ == detector.offset_
    summary = read_manifest(tmp_path / "model.tsae")["summary"]
    assert summary["autoencoder_"]["n_features"] == len(autoencoder_of(detector).get_feature_names_out())


def autoencoder_of(detector):
    return getattr(detector.autoencoder_, "estimator", detector.autoencoder_)


def test_a_detector_is_checked_as_a_whole(fitted_detector, tmp_path):
    fitted_detector.save(tmp_path / "model.tsae")
    data = (tmp_path / "model.tsae").read_bytes()
    edits = {
        "combination_": None, "decoders_": ["imputation"],
        "channel_names_": [], "window_threshold_": None, "threshold": "pot",
        "autoencoder_": {"$object": "ChannelScaler", "state": {}}, "offset_": {"$array": 999},
    }  # fmt: skip
    for key, value in edits.items():
        refused(mutations.with_state(data, lambda state, k=key, v=value: state["state"].update({k: v})))


@pytest.mark.parametrize("start", [None, "unfitted", "fitted"])
def test_a_classifier(X, tmp_path, start):
    y = np.array(["even", "odd"] * 15)
    small = {"units": 2, "bidirectional": False, "epochs": 1, "random_state": 0}
    autoencoder = None if start is None else LSTMAutoencoder(**small)
    if start == "fitted":
        autoencoder.fit(X)
    classifier = LSTMClassifier(autoencoder, **small).fit(X, y)
    again = read_saved(classifier, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(again.classes_, classifier.classes_)


@pytest.mark.parametrize(("attention", "embedding"), [(None, None), ("location", 3), ("additive", None)])
def test_a_sequence_model_of_tokens(tmp_path, attention, embedding):
    words, answers = ["abc", "ba", "c", "ab"] * 3, ["xyz", "x", "zz", "yx"] * 3
    options = DecoderOptions(attention=attention)
    model = LSTMSeq2Seq(units=3, epochs=1, decoder_options=options, embedding=embedding, random_state=0)
    model.fit(words, answers)
    assert read_saved(model, tmp_path).predict(words) == model.predict(words)


def test_a_sequence_model_of_numbers(X, tmp_path):
    X = np.nan_to_num(X)
    model = LSTMSeq2Seq(units=3, epochs=1, random_state=0).fit(X, X[:, :4, :1])
    np.testing.assert_array_equal(read_saved(model, tmp_path).predict(X), model.predict(X))


def test_sequence_models_larger_than_their_weights_are_never_built(tmp_path, monkeypatch):
    from tsae.networks import weights

    options = DecoderOptions(attention="location")
    model = LSTMSeq2Seq(units=3, epochs=1, decoder_options=options, embedding=3, random_state=0)
    model.fit(["abc", "ba"], ["xyz", "x"]).save(tmp_path / "model.tsae")
    data = (tmp_path / "model.tsae").read_bytes()
    classifier = LSTMClassifier(units=2, epochs=1, random_state=0).fit(np.eye(4), [0, 1, 0, 1])
    classifier.save(tmp_path / "classifier.tsae")
    monkeypatch.setattr(weights, "build_network", lambda config: pytest.fail("built a huge network"))
    for key in ("n_inputs", "n_outputs", "embedding"):
        refused(mutations.with_state(data, lambda s, k=key: network_of(s)["config"].update({k: 10**9})))
    refused(mutations.with_state(data, lambda s: network_of(s)["config"]["decoder"].update(units=[10**9])))
    refused(mutations.with_state(data, lambda s: network_of(s)["config"]["decoder"].update(n_memory_steps=10**9)))
    data = (tmp_path / "classifier.tsae").read_bytes()
    refused(mutations.with_state(data, lambda s: network_of(s)["config"].update(n_classes=10**9)))


def test_every_network_can_be_stored():
    """A new network needs its sizes checked in `tsae.networks.weights` before it is built from a file."""
    from tsae.networks.building import NETWORKS

    assert set(NETWORKS) == {"autoencoder", "classifier", "seq2seq"}


def test_every_estimator_can_be_stored():
    for name in tsae.__all__:
        found = getattr(tsae, name)
        if isinstance(found, type) and issubclass(found, BaseEstimator) and not name.startswith("Onnx"):
            assert storable_classes()[name] is found
            assert issubclass(found, Saveable) == hasattr(found, "fit")


# -- what is not stored ----------------------------------------------------------------------------------------------


def test_saving_needs_a_fit(tmp_path):
    with pytest.raises(NotFittedError):
        LSTMAutoencoder().save(tmp_path / "model.tsae")
    assert not list(tmp_path.iterdir())


def test_callbacks_are_left_out_with_a_warning(X, tmp_path):
    import keras

    model = LSTMAutoencoder(units=2, epochs=1, random_state=0, callbacks=[keras.callbacks.Callback()]).fit(X)
    with pytest.warns(UserWarning, match="callbacks are not stored"):
        model.save(tmp_path / "model.tsae")
    assert model.callbacks
    assert load(tmp_path / "model.tsae").callbacks is None


def test_an_optimizer_is_stored_by_name_and_settings(X, model, tmp_path):
    import keras

    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 50, 0.9)
    for optimizer in (keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.AdamW(schedule)):
        clone_of = read_saved(model, tmp_path).set_params(optimizer=optimizer)
        again = read_saved(clone_of, tmp_path)
        assert type(again.optimizer) is type(optimizer)
        assert again.optimizer.get_config() == optimizer.get_config()


def read_saved(model, folder):
    model.save(folder / "model.tsae")
    return load(folder / "model.tsae")


def test_what_has_no_place_in_a_model_file_is_refused_by_name(model, tmp_path):
    import keras

    class MyOptimizer(keras.optimizers.SGD):
        pass

    class MyAutoencoder(LSTMAutoencoder):
        pass

    for attribute, value in {"optimizer": MyOptimizer(), "note_": object(), "table_": {"f": len}}.items():
        again = read_saved(model, tmp_path)
        setattr(again, attribute, value)
        with pytest.raises(TypeError, match=f"LSTMAutoencoder.{attribute}"):
            again.save(tmp_path / "other.tsae")
    mine = MyAutoencoder()
    vars(mine).update(vars(model))
    with pytest.raises(TypeError, match="MyAutoencoder"):
        mine.save(tmp_path / "other.tsae")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tsae"]
