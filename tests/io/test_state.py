"""Settings and arrays as plain JSON and bytes, and files that are written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator

from tsae import LSTMAutoencoder
from tsae.anomaly.thresholds import ConformalThreshold, PeaksOverThreshold
from tsae.data.scaling import ChannelScaler
from tsae.io.archive import read_archive, replacing, write_archive
from tsae.io.state import Arrays, from_tree, to_tree

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
