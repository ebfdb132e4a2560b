"""The process that networks run in: forks, the settings of Keras, and what is written to standard error."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tsae import DecoderOptions, LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq

START = """
import os, sys
import numpy as np
from tsae import AnomalyDetector, LSTMAutoencoder, LSTMClassifier, load, make_windows
from tsae.errors import ForkedProcessError
X = np.random.default_rng(0).normal(size=(33, 9, 1))
small = {"units": 3, "bidirectional": False, "epochs": 1, "random_state": 0}
"""


def run(code, *arguments, **environment):
    given = {**os.environ, **environment}
    command = [sys.executable, "-c", START + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=given, timeout=300)


IN_FORKS = """
model = LSTMAutoencoder(**small).fit(X)
model.save(sys.argv[1])
uses = [
    lambda: model.transform(X), lambda: model.fit(X), lambda: model.partial_fit(X), lambda: model.model_,
    lambda: LSTMClassifier(**small).fit(X, np.arange(33) % 2), lambda: load(sys.argv[1]),
]
for use in uses:
    child = os.fork()
    if child == 0:
        try:
            use()
        except ForkedProcessError as error:
            named = all(way in str(error) for way in ("spawn", "loky", "--preload", "OnnxEncoder"))
            os._exit(3 if named else 4)
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
model.transform(X)  # the parent is as it was
"""

FORK_BEFORE = """
child = os.fork()
if child == 0:
    LSTMAutoencoder(**small).fit(X).transform(X)
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
"""

AFTER_KERAS = """
import tensorflow as tf
tf.zeros([1])
child = os.fork()
if child == 0:
    try:
        LSTMAutoencoder(**small).fit(X)
    except ForkedProcessError:
        os._exit(3)
    os._exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("code", [IN_FORKS, FORK_BEFORE, AFTER_KERAS])
def test_a_fork_after_tensorflow_ran_is_an_error_and_does_not_hang(code, tmp_path):
    done = run(code, str(tmp_path / "model.tsae"))
    assert done.returncode == 0, done.stderr[-2000:]


def test_nothing_is_written_to_standard_error():
    """Neither as TensorFlow starts, nor of kernels for odd batches, nor of functions that are traced in each fit."""
    code = """
for _ in range(7):
    LSTMAutoencoder(**small).fit(X).transform(X[:3])
LSTMAutoencoder(**small, batch_size=5, decoder="composite").fit(X)
series = np.random.default_rng(0).normal(size=(400, 1))
windows = make_windows(series, 9)
AnomalyDetector(LSTMAutoencoder(**small), alpha=0.3, random_state=0).fit(windows).score_timeline(windows)
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_others_write_meanwhile_is_passed_on():
    code = """
from tsae.networks.process import _without_start_messages
with _without_start_messages():
    os.write(2, b"oneDNN custom operations are on\\nimportant\\n")
print("after", file=sys.stderr)
"""
    assert run(code).stderr == "important\nafter\n"


def test_another_backend_is_one_clear_error():
    done = run("LSTMAutoencoder(**small).fit(X)", KERAS_BACKEND="torch")
    assert "ImportError: tsae runs on TensorFlow, but" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr.splitlines()[-1]


@pytest.fixture(params=["float64", "mixed_float16", "float64 policy"])
def other_settings(request):
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if request.param == "float64":
        keras.config.set_floatx("float64")
    else:
        keras.config.set_dtype_policy(request.param.split()[0])
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def results(X):
    quick = {"units": 3, "bidirectional": False, "epochs": 1, "random_state": 0}
    options = DecoderOptions(units=4, attention="additive", feedback="scheduled_sampling", bridge="both")
    for cell, decoder in (("lstm", ("prediction", "imputation")), ("gru", "reconstruction")):
        model = LSTMAutoencoder(
            **quick, cell=cell, decoder=decoder, decoder_options=options, kernel_regularizer="l2"
        ).fit(X)
        assert {variable.dtype for variable in model.model_.weights} == {"float32"}
        yield model.transform(X)
        yield model.reconstruct(X)
    yield LSTMClassifier(**quick).fit(X, np.arange(len(X)) % 2).predict_proba(X)
    feeding = DecoderOptions(attention="general", input_feeding=True)
    words = ["ab", "c"] * 8
    yield LSTMSeq2Seq(**quick, embedding=3, decoder_options=feeding).fit(words, words).attention_weights(["ab"])


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(33, 9, 1))


@pytest.fixture(scope="module")
def expected(X):
    return list(results(X))


def test_layers_are_float32_whatever_the_policy(X, expected, other_settings):
    for ours, usual in zip(results(X), expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, usual, atol=1e-5)
