"""A throw-away cell, pooling and objective: an entry and a class each, and everything else works."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tsae import LSTMAutoencoder, OnnxEncoder, load
from tsae.networks import heads, recurrent
from tsae.networks.cells import CELLS, Cell
from tsae.networks.decoders import Decoded, dense_layer
from tsae.networks.objectives import OBJECTIVES, Objective
from tsae.networks.pooling import POOLINGS, Pooling

X = np.sin(np.arange(20 * 10 * 2).reshape(20, 10, 2) / 3)
SMALL = {"units": (3, 2), "bidirectional": False, "epochs": 1, "random_state": 0}


def fit_save_and_load(tmp_path, **parameters):
    """A fitted model, checked to be the same after `load`, and its ONNX encoder to have its features."""
    model = LSTMAutoencoder(**{**SMALL, **parameters}).fit(X)
    model.save(tmp_path / "model.tsae")
    again = load(tmp_path / "model.tsae")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_allclose(OnnxEncoder.from_estimator(model).transform(X), model.transform(X), atol=1e-5)
    return model


@pytest.mark.parametrize("decoder", ["imputation", "reconstruction"])
def test_a_cell(monkeypatch, tmp_path, decoder):
    class Elman(recurrent._RightPadded, keras.layers.SimpleRNN):
        pass

    monkeypatch.setattr(recurrent, "Elman", Elman, raising=False)
    monkeypatch.setitem(CELLS, "elman", Cell("Elman", 1, 1, ("tanh",), onnx_operator="RNN", onnx_gates=(0,)))
    model = fit_save_and_load(tmp_path, cell="elman", decoder=decoder, bidirectional=decoder == "imputation")
    layers = {weight.path.split("/")[0] for weight in model.encoder_.weights}
    assert layers >= {"elman_0", "elman_1_backward" if decoder == "imputation" else "elman_1"}
    with pytest.raises(ValueError, match="an ELMAN has no cell state|a ELMAN has no cell state"):
        LSTMAutoencoder(cell="elman", pooling="cell").fit(X)


def test_a_pooling(monkeypatch, tmp_path):
    class Range(Pooling):
        def pool(self, states, lengths):
            return POOLINGS["max"].pool(states, lengths) - POOLINGS["min"].pool(states, lengths)

        def add_to_graph(self, graph, states):
            parts = [POOLINGS[name].add_to_graph(graph, states) for name in ("max", "min")]
            return graph("Sub", *parts)

    monkeypatch.setitem(POOLINGS, "range", Range())
    model = fit_save_and_load(tmp_path, pooling=("range", "last"), pooled_layers="last")
    assert list(model.get_feature_names_out()) == ["range_0", "range_1", "last_0", "last_1"]
    assert (model.transform(X)[:, :2] >= 0).all()


def test_an_objective(monkeypatch, tmp_path):
    class WindowMean(heads.Head):
        """The mean of the window, at every step, from the state of that step."""

        def _build(self, encoder, seeds):
            self.output_layer = dense_layer(encoder.config.widths[-1], encoder.config.n_inputs, "mean_output", seeds)

        def target(self, full, lengths, ahead):
            return tf.zeros_like(full) + tf.reduce_mean(full, axis=1, keepdims=True)

        def decode(self, encoded, n_timesteps, forcing=None):
            return Decoded(self.output_layer(encoded.memory))

        def align(self, output, lengths, n_timesteps, ahead):
            return heads.pad_steps(output, 0, n_timesteps)

    monkeypatch.setattr(heads, "WindowMean", WindowMean, raising=False)
    monkeypatch.setitem(OBJECTIVES, "window_mean", Objective("WindowMean"))
    model = fit_save_and_load(tmp_path, decoder=("window_mean", "reconstruction"), scale="channel", epochs=200)
    assert set(model.decoders_) == {"window_mean", "reconstruction"}
    error = model.reconstruct(X, "window_mean") - X.mean(axis=1, keepdims=True)
    assert np.abs(error).mean() < 0.5 * np.abs(X - X.mean(axis=(0, 1))).mean()
