"""Files that are no model files, damaged or forged: refused by name, and nothing in them is run."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from tests.io import mutations
from tests.io.files import Watch, network_of, read, refused
from tsae import LSTMAutoencoder, ModelFileError, load
from tsae.io.archive import FORMAT_VERSION, read_archive


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
