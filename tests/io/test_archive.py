from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import tsae
from tests.data import make_model_files
from tests.io import mutations
from tests.options import nested
from tsae import AnomalyDetector, DecoderOptions, LSTMAutoencoder, ModelFileError, load, make_windows
from tsae.anomaly.thresholds import ConformalThreshold, PeaksOverThreshold
from tsae.data.scaling import ChannelScaler
from tsae.estimators.classifier import LSTMClassifier
from tsae.estimators.seq2seq import LSTMSeq2Seq
from tsae.io.archive import FORMAT_VERSION, read_archive, read_manifest, replacing, write_archive
from tsae.io.state import Arrays, Saveable, from_tree, to_tree
from tsae.storable import storable_classes

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.sin(np.linspace(0, 60, 30 * 16)).reshape(30, 16, 1) * [1, 30] + [0, 500] + rng.normal(size=(30, 16, 2))
    X[3, 4:7, 1] = np.nan
    return X


@pytest.fixture(scope="module")
def model(X):
    return LSTMAutoencoder(units=(3, 2), epochs=2, validation_fraction=0.2, random_state=0).fit(X)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tsae"
    model.save(path)
    return path.read_bytes()


def read(data: bytes):
    return load(io.BytesIO(data))


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


# -- plain trees -----------------------------------------------------------------------------------------------------

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=8,
)


def through_json(value):
    arrays = Arrays()
    tree = json.loads(json.dumps(to_tree(value, "value", arrays), allow_nan=False))
    return from_tree(tree, arrays.stored)


@given(plain)
def test_plain_values_come_back_with_their_types(value):
    assert repr(through_json(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3), np.array(3), np.zeros((0, 4), np.float32), np.array(["a", "bcd"]),
        np.array([True]),
        np.array(["2024-01-01"], "M8[ns]"), np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(8)[::2],
    ],
)  # fmt: skip
def test_arrays_come_back(array, tmp_path):
    arrays = Arrays()
    write_archive(tmp_path / "a", "ChannelScaler", {"x": to_tree(array, "x", arrays)}, arrays.stored, {})
    archive = read_archive(tmp_path / "a")
    again = from_tree(archive.state, archive.arrays)["x"]
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable


def test_equal_arrays_are_stored_once():
    arrays = Arrays()
    to_tree([np.arange(3), np.arange(3), np.arange(3.0)], "x", arrays)
    assert len(arrays.stored) == 2


def test_other_values_come_back():
    np.testing.assert_array_equal(through_json(np.array(["a", None, 1], object)), np.array(["a", None, 1], object))
    assert through_json(np.int32(7)) == 7
    assert type(through_json(np.int32(7))) is np.int32
    assert through_json(pd.Timedelta("1h 3ns")) == pd.Timedelta("1h 3ns")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": ["x", "y"]})
    pd.testing.assert_frame_equal(through_json(frame), frame)
    generator = np.random.default_rng(5)
    again = through_json(generator)
    assert again.integers(10**9) == generator.integers(10**9)
    state = np.random.RandomState(5)
    assert through_json(state).randint(10**9) == state.randint(10**9)


def test_parts_of_estimators_come_back():
    scaler = through_json(ChannelScaler().fit(np.arange(6.0).reshape(3, 2)))
    np.testing.assert_array_equal(scaler.mean_, [2, 3])
    scores = np.random.default_rng(0).exponential(size=500)
    for calibrator in (ConformalThreshold(block_length=3), PeaksOverThreshold()):
        calibrator.fit(scores)
        np.testing.assert_array_equal(through_json(calibrator).pvalues(scores), calibrator.pvalues(scores))
    assert through_json(LSTMAutoencoder(units=3)).get_params() == LSTMAutoencoder(units=3).get_params()
    assert through_json(FrozenEstimator(LSTMAutoencoder(units=3))).estimator.units == 3


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, b"x", np.array([object()]), np.zeros(2, "i4,f8"), len])
def test_other_objects_are_refused(value):
    with pytest.raises(TypeError, match="model.thing"):
        to_tree({"a": value}["a"], "model.thing", Arrays())


# -- all or nothing --------------------------------------------------------------------------------------------------


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    (tmp_path / "model.tsae").write_bytes(b"old")

    def write_half():
        with replacing(tmp_path / "model.tsae") as file:
            file.write(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["model.tsae"]
    assert (tmp_path / "model.tsae").read_bytes() == b"old"


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    (tmp_path / "model.tsae").write_bytes(b"old")
    code = (
        "import os, signal, sys; from tsae.io.archive import replacing\n"
        "with replacing(sys.argv[1]) as file: file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "model.tsae")], timeout=300, check=False)
    assert done.returncode != 0
    assert (tmp_path / "model.tsae").read_bytes() == b"old"


def test_permissions_are_those_of_any_new_file(model, tmp_path):
    model.save(tmp_path / "model.tsae")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "model.tsae").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "nowhere" / "model.tsae")


# -- bad files -------------------------------------------------------------------------------------------------------


def refused(data: bytes, match: str = ".") -> None:
    with pytest.raises(ModelFileError, match=match):
        read(data)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "no.tsae")
    with pytest.raises(OSError, match=str(tmp_path)):
        load(tmp_path)


def test_errors_name_the_file(tmp_path):
    (tmp_path / "bad.tsae").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"bad\.tsae: the file is empty"):
        load(tmp_path / "bad.tsae")
    with pytest.raises(ValueError, match="engine='torch'"):
        load(tmp_path / "bad.tsae", engine="torch")


def test_other_formats(tmp_path, saved):
    refused(b"hello", "not a zip")
    refused(mutations.npy(np.zeros(3)), "pickle or NumPy")
    refused(b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5")
    refused(mutations.zipped({"readme": b"x"}), "no manifest")
    refused(b"#!/bin/sh\n" + saved, "not a zip")
    refused(mutations.pickled(str(tmp_path / "mark")), "Reading a pickle can run any code")
    assert not list(tmp_path.iterdir())


def test_truncated_anywhere(saved):
    for length in range(0, len(saved), 97):
        refused(saved[:length])


def test_every_flipped_byte_is_noticed_or_harmless(saved, model, X):
    expected = read_archive(io.BytesIO(saved))
    rng = np.random.default_rng(0)
    for position, bit in enumerate(rng.integers(8, size=len(saved))):
        made = bytearray(saved)
        made[position] ^= 1 << int(bit)
        try:
            archive = read_archive(io.BytesIO(made))
        except ModelFileError:
            continue
        assert archive.state == expected.state
        assert archive.manifest == expected.manifest
        assert all(map(np.array_equal, archive.arrays, expected.arrays))


def test_zip_bombs(saved):
    manifest, members = mutations.parts_of(saved)
    members = {"manifest.json": json.dumps(manifest).encode(), **members, "arrays/0.npy": bytes(50_000_000)}
    bomb = mutations.zipped(members, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    refused(bomb, "compressed")

    # members that share their bytes: each entry of the directory points at one member
    info = zipfile.ZipInfo("state.json")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr(info, bytes(100_000))
        for position in range(50):
            twin = zipfile.ZipInfo(f"arrays/{position}.npy")
            twin.header_offset, twin.file_size, twin.compress_size = info.header_offset, 100_000, 100_000
            twin.CRC = info.CRC
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    refused(file.getvalue(), "larger than the whole file")


def test_more_members_than_allowed():
    many = {"manifest.json": b"{}", "state.json": b"{}", **{f"arrays/{i}.npy": b"" for i in range(10_001)}}
    refused(mutations.zipped(many), "at most 10000")


@pytest.mark.parametrize(
    "name",
    ["../outside", "/tmp/outside", "arrays/../../outside", "arrays/00.npy", "arrays\\0.npy", "a/", "x.py", "C:x"],
)
def test_path_traversal(saved, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    refused(mutations.with_member(saved, name, b"x"), "has no place in a model file")
    assert not list(tmp_path.iterdir())


def test_members_that_the_manifest_does_not_know(saved):
    manifest, members = mutations.parts_of(saved)
    whole = {"manifest.json": json.dumps(manifest).encode(), **members}
    refused(mutations.zipped({**whole, "arrays/9999.npy": b"x"}), "not those that its manifest lists")
    refused(mutations.zipped({k: v for k, v in whole.items() if k != "arrays/1.npy"}), "not those that its manifest")
    refused(mutations.zipped({**whole, "arrays/1.npy": whole["arrays/2.npy"]}), "checksum")
    refused(mutations.with_member(saved, "arrays/9999.npy", b"x"), "not numbered")


@pytest.mark.parametrize(
    ("version", "match"),
    [(FORMAT_VERSION + 1, "Update tsae"), (0, "not a version"), ("1", "not a version"), (True, "not a version")],
)
def test_versions(saved, version, match):
    manifest, members = mutations.parts_of(saved)
    refused(mutations.signed({**manifest, "format_version": version}, members), match)
    refused(mutations.signed({**manifest, "format": "other"}, members), "format='tsae-model'")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[" * 100_000, "JSON"),
        (b"\xff", "JSON"),
        (b"[]", "not hold an object"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "JSON"),
    ],
)
def test_bad_json(saved, text, match):
    refused(mutations.with_member(saved, "state.json", text), match)


def test_deep_trees(saved):
    deep = b'{"$object": "LSTMAutoencoder", "state": ' + b'{"a": ' * 500 + b"1" + b"}" * 501
    refused(mutations.with_member(saved, "state.json", deep), "nested")


@pytest.mark.parametrize("name", ["Popen", "os.system", "Pipeline", "LSTMAutoencoder ", "", None, ["LSTMAutoencoder"]])
def test_unknown_classes(saved, name):
    refused(mutations.with_state(saved, lambda state: {**state, "$object": name}), "class|manifest")


def test_unknown_classes_inside(saved):
    def edit(state):
        state["state"]["scaler_"]["$object"] = "Tokenizer"

    refused(mutations.with_state(saved, edit), "'Tokenizer'; allowed are AnomalyDetector")


@pytest.mark.parametrize(
    "key",
    ["transform", "__class__", "__dict__", "fit", "a b", "encoder_", "unknown", "__reduce__", "_check_parameters"],
)
def test_attributes_that_are_none(saved, key):
    def edit(state):
        state["state"][key] = 1

    refused(mutations.with_state(saved, edit), "is not an attribute")


def test_pickle_inside(saved, tmp_path):
    mark = tmp_path / "mark"
    refused(
        mutations.with_member(saved, "arrays/0.npy", mutations.pickled_array(str(mark))), "would have to be unpickled"
    )
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        mutations.npy_claiming((10**12,)), mutations.npy_claiming((10**12, 10**12), data=b"1234"),
        mutations.npy_claiming((-1,), data=b"1234"), mutations.npy_claiming((0, 10**30)),
        mutations.npy_claiming((1,), "|V4", b"1234"), mutations.npy_claiming((1.0,), data=b"1234"),
        mutations.npy_claiming((1,) * 40, data=b"1234"), mutations.npy(np.zeros(2, "i4,f8")), b"", b"\x93NUMPY",
        b"\x93NUMPY\x03\x00" + bytes(100), b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
    ],
)  # fmt: skip
def test_bad_arrays(saved, content):
    refused(mutations.with_member(saved, "arrays/0.npy", content), r"arrays/0\.npy")


def network_of(state: dict) -> dict:
    return state["state"]["_network_state"]


def test_wrong_shapes(saved):
    manifest, members = mutations.parts_of(saved)
    for name, data in members.items():
        if name.startswith("arrays/"):
            array = np.load(io.BytesIO(data))
            if array.dtype.kind == "f":
                longer = np.concatenate([array, array[:1]]) if array.ndim else np.zeros(1)
                refused(
                    mutations.with_member(saved, name, mutations.npy(longer)), "expected|scaler|rebuilt|columns|arrays"
                )


@pytest.mark.parametrize("size", [10**5, 10**7, 10**9, -1, 0, "3", 2.5, True])
def test_a_network_larger_than_its_weights_is_never_built(saved, monkeypatch, size):
    from tsae.networks import weights

    monkeypatch.setattr(weights, "build_network", lambda config: pytest.fail(f"built a network of {size} units"))
    for edit in (
        lambda state: network_of(state)["config"]["encoder"].update(units=[size]),
        lambda state: network_of(state)["config"]["encoder"].update(units=[3] * 10_000),
        lambda state: network_of(state)["config"]["encoder"].update(n_channels=size),
        lambda state: network_of(state)["config"].update(objectives=["reconstruction"], decoder={"units": [size]}),
        lambda state: network_of(state)["config"].update(objectives=["reconstruction"] * 100_000),
        lambda state: network_of(state).update(kind="os"),
        lambda state: network_of(state).update(weights={}),
        lambda state: network_of(state).update(config=[]),
    ):
        refused(mutations.with_state(saved, edit))


def test_weights_that_are_missing_or_too_many(saved):
    def without(state):
        del network_of(state)["weights"]["imputation_output/bias"]

    def further(state):
        network_of(state)["weights"]["more/bias"] = {"$array": 0}

    refused(mutations.with_state(saved, without), "imputation_output/bias")
    refused(mutations.with_state(saved, further), "more/bias")


def test_parameters_are_checked_as_in_fit(saved):
    refused(mutations.with_state(saved, lambda state: state["state"].update(batch_size=-5)), "batch_size=-5")


def test_parameters_of_later_versions_have_their_defaults(saved):
    def edit(state):
        del state["state"]["patience"]

    assert read(mutations.with_state(saved, edit)).patience == LSTMAutoencoder().patience


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "Optimizer", "settings": {}},
        {"name": "__builtins__", "settings": {}},
        {"name": "Adam", "settings": {"learning_rate": {"module": "os", "class_name": "system", "config": {}}}},
        {"name": "Adam", "settings": {"learning_rate": {"schedule": "deserialize", "settings": {}}}},
        {"name": "Adam", "settings": {"loss_scale_factor": {"class_name": "Lambda"}}},
        {"name": "Adam", "settings": {"no_such": 1}},
        "Adam",
    ],
)
def test_bad_optimizers(saved, optimizer):
    edit = {"optimizer": {"$optimizer": optimizer}}
    refused(mutations.with_state(saved, lambda state: state["state"].update(edit)), "optimizer")


class Watch:
    """Notes every sign of foreign code or of a file being written, by Python's own audit events."""

    signs = ("os.system", "os.exec", "subprocess.Popen", "pickle.find_class", "os.remove", "os.rename",
             "os.mkdir", "shutil.rmtree", "socket.connect", "ctypes.dlopen")  # fmt: skip

    def __init__(self):
        self.seen: list[tuple] = []
        self.on = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in self.signs:
            self.seen.append((event, arguments))


@pytest.fixture(scope="module")
def watch():
    return Watch()


def test_ten_thousand_damaged_files(saved, watch, tmp_path, monkeypatch):
    """A damaged file is refused, or gives the same answers: some bytes of a zip file have no meaning."""
    monkeypatch.chdir(tmp_path)
    expected = read_archive(io.BytesIO(saved))
    survivors = 0
    watch.on = True
    try:
        for kind, data in mutations.damaged(saved, 10_000, np.random.default_rng(1)):
            try:
                archive = read_archive(io.BytesIO(data))
            except ModelFileError:
                continue
            survivors += 1
            assert archive.state == expected.state, kind
            assert all(map(np.array_equal, archive.arrays, expected.arrays)), kind
            assert archive.manifest["model_id"] == expected.manifest["model_id"]
    finally:
        watch.on = False
    assert survivors < 2_000
    assert not watch.seen
    assert not list(tmp_path.iterdir())


def test_forged_files(saved, watch, tmp_path, monkeypatch):
    """With its checksums right, odd content is still refused by name, or loads as an estimator."""
    monkeypatch.chdir(tmp_path)
    outcomes = {"refused": 0, "loaded": 0}
    watch.on = True
    try:
        for _, data in mutations.forged(saved, 400, np.random.default_rng(2)):
            try:
                made = read(data)
            except ModelFileError:
                outcomes["refused"] += 1
                continue
            assert isinstance(made, LSTMAutoencoder)
            outcomes["loaded"] += 1
    finally:
        watch.on = False
    assert min(outcomes.values()) > 20
    assert not watch.seen
    assert not list(tmp_path.iterdir())
