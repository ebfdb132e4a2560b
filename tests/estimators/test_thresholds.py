"""Features that count steps above thresholds, which are learned from the training windows."""

import pickle

import numpy as np
import pytest

from tsae import LSTMAutoencoder, LSTMClassifier, load

X = np.random.default_rng(0).normal(size=(24, 12, 2)).cumsum(axis=1)
SMALL = {"units": 3, "epochs": 1, "random_state": 0, "bidirectional": False}


@pytest.fixture(scope="module")
def fitted():
    return LSTMAutoencoder(**SMALL).fit(X)


def shares(model, windows):
    columns = [name.startswith("ppv") for name in model.get_feature_names_out()]
    return model.transform(windows)[:, columns]


def test_a_quarter_of_the_training_steps_lies_between_quartiles(fitted):
    means = shares(fitted, X).mean(axis=0).reshape(3, 3)
    np.testing.assert_allclose(means, np.repeat([[0.75], [0.5], [0.25]], 3, axis=1), atol=0.02)
    assert list(fitted.get_feature_names_out()[[6, 9, 12]]) == ["ppv25_0", "ppv50_0", "ppv75_0"]


def test_thresholds_are_stored_with_the_model(fitted, tmp_path):
    fitted.save(tmp_path / "model.tsae")
    for copy in (load(tmp_path / "model.tsae"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))


def test_each_call_of_partial_fit_learns_them_anew():
    model = LSTMAutoencoder(**SMALL, learning_rate=1e-12).partial_fit(X)
    high = X[X.mean(axis=(1, 2)) > np.median(X.mean(axis=(1, 2)))]
    before = shares(model, high).mean()
    model.partial_fit(high)
    assert abs(shares(model, high).mean() - 0.5) < 0.02 < abs(before - 0.5)


def test_windows_of_different_lengths():
    ragged = [x[: 5 + i % 8] for i, x in enumerate(X)]
    model = LSTMAutoencoder(**SMALL).fit(ragged)
    together = model.transform(ragged)
    for i in (0, 3, 7):
        np.testing.assert_allclose(model.transform([ragged[i]])[0], together[i], atol=1e-4)


def test_without_training_the_same_seed_gives_the_same_features():
    one, other = (LSTMAutoencoder(**SMALL | {"epochs": 0}).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    assert len(one.history_) == 0


def test_a_decoder_reads_the_other_features():
    model = LSTMAutoencoder(**SMALL, decoder="reconstruction").fit(X)
    features = model.transform(X)
    changed = features.copy()
    changed[:, 6:] = 0
    np.testing.assert_array_equal(model.decode(changed), model.decode(features))
    np.testing.assert_allclose(model.decode(features), model.reconstruct(X), atol=1e-4)


def test_a_decoder_needs_something_to_read():
    with pytest.raises(ValueError, match="pooling='ppv' is not allowed with decoder='composite'.*add 'mean'"):
        LSTMAutoencoder(**SMALL, decoder="composite", pooling="ppv").fit(X)


def test_a_classifier_has_no_thresholds_of_its_own():
    y = np.arange(len(X)) % 2
    with pytest.raises(ValueError, match="pooling='ppv' is not allowed"):
        LSTMClassifier(units=3, pooling="ppv").fit(X, y)


def test_a_classifier_takes_over_those_of_an_autoencoder(fitted):
    y = np.arange(len(X)) % 2
    model = LSTMClassifier(fitted, freeze=True, epochs=1, random_state=0).fit(X, y)
    for mine, its in zip(model.encoder_.get_weights(), fitted.encoder_.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
