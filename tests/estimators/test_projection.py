"""Compact features: `n_components` principal components of what is pooled."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tsae import AnomalyDetector, LSTMAutoencoder, LSTMClassifier, OnnxEncoder, load

X = np.random.default_rng(0).normal(size=(40, 12, 2)).cumsum(axis=1)
SMALL = {"units": (3, 2), "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def compact():
    return LSTMAutoencoder(**SMALL, n_components=4).fit(X)


@pytest.fixture(scope="module")
def full():
    return LSTMAutoencoder(**SMALL).fit(X)


def test_they_are_those_of_the_standardised_features(compact, full):
    standardised = StandardScaler().fit_transform(full.transform(X).astype(np.float64))
    expected = PCA(4).fit_transform(standardised)
    np.testing.assert_allclose(compact.transform(X), expected, atol=1e-4)
    assert compact.transform(X).dtype == np.float32
    assert list(compact.get_feature_names_out()) == [f"component_{i}" for i in range(4)]


def test_a_large_call_gives_the_same(compact):
    many = np.tile(X, (30, 1, 1))
    np.testing.assert_allclose(compact.transform(many)[-40:], compact.transform(X), atol=1e-4)


def test_missing_values_and_windows_of_different_lengths():
    ragged = [x[: 5 + i % 8].copy() for i, x in enumerate(X)]
    ragged[3][1:3, 0] = np.nan
    small = LSTMAutoencoder(**SMALL, n_components=3).fit(ragged)
    np.testing.assert_allclose(small.transform(ragged[3:4])[0], small.transform(ragged)[3], atol=1e-4)
    np.testing.assert_allclose(OnnxEncoder.from_estimator(small).transform(ragged), small.transform(ragged), atol=1e-4)


def test_model_files_and_onnx_hold_them(compact, tmp_path):
    compact.save(tmp_path / "model.tsae")
    np.testing.assert_array_equal(load(tmp_path / "model.tsae").transform(X), compact.transform(X))
    without_tensorflow = load(tmp_path / "model.tsae", engine="onnx")
    np.testing.assert_allclose(without_tensorflow.transform(X), compact.transform(X), atol=1e-4)
    assert list(without_tensorflow.get_feature_names_out()) == list(compact.get_feature_names_out())


def test_a_constant_feature_adds_nothing():
    constant = LSTMAutoencoder(units=3, n_components=2, scale="window", differences=False, epochs=0)
    same = np.ones((30, 12, 1))
    same[0] += np.arange(12)[:, None]
    assert np.isfinite(constant.fit(same).transform(same)).all()


@pytest.mark.parametrize(
    ("n_components", "message"),
    [
        (0, "n_components=0 is not allowed; it must be an integer of at least 1"),
        (41, "n_components=41 is not allowed.*40 windows of 50 pooled values.*at most 40"),
    ],
)
def test_what_is_not_allowed(n_components, message):
    with pytest.raises(ValueError, match=message):
        LSTMAutoencoder(**SMALL, n_components=n_components).fit(X)


def test_they_cannot_be_decoded():
    model = LSTMAutoencoder(**SMALL, n_components=3, decoder="reconstruction").fit(X)
    assert model.reconstruct(X[:2]).shape == (2, 12, 2)
    with pytest.raises(ValueError, match="decode needs n_components=None.*fitted with n_components=3"):
        model.decode(model.transform(X))


def test_a_warm_fit_keeps_their_number_and_learns_them_anew(compact):
    model = LSTMAutoencoder(**SMALL, n_components=4, warm_start=True).fit(X)
    before = model.transform(X)
    after = model.fit(X[:30]).transform(X)
    assert after.shape == before.shape
    assert not np.allclose(after, before)
    with pytest.raises(ValueError, match="n_components=5"):
        model.set_params(n_components=5).fit(X)


def test_what_is_built_on_an_autoencoder_takes_them(compact):
    y = np.arange(len(X)) % 2
    classifier = LSTMClassifier(compact, freeze=True, epochs=1, random_state=0).fit(X, y)
    assert classifier.predict_proba(X).shape == (40, 2)
    detector = AnomalyDetector(LSTMAutoencoder(**SMALL, n_components=4), alpha=0.5, random_state=0).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
