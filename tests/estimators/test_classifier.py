"""LSTMClassifier: scikit-learn's contract, and what starting from an autoencoder means."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.estimators.test_sklearn_contract import EXPECTED_TO_FAIL
from tsae import LSTMAutoencoder, LSTMClassifier, load, make_windows

QUICK = {"units": 4, "dilations": 1, "bidirectional": False, "pooling": ("last", "mean"), "random_state": 0}
LEARNS = {**QUICK, "epochs": 30, "batch_size": 16, "learning_rate": 0.03}


@pytest.mark.sklearn_contract
@parametrize_with_checks([LSTMClassifier(**LEARNS)], expected_failed_checks=lambda _: EXPECTED_TO_FAIL)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def waves(n=60, n_timesteps=20, n_channels=1, seed=0):
    """Slow waves are "slow", fast ones "fast"."""
    rng = np.random.default_rng(seed)
    fast = rng.random(n) < 0.5
    steps = np.arange(n_timesteps)[None, :, None] * np.where(fast, 1.2, 0.5)[:, None, None]
    X = np.sin(steps + rng.uniform(0, 6, (n, 1, n_channels))) + 0.1 * rng.normal(size=(n, n_timesteps, n_channels))
    return X, np.where(fast, "fast", "slow")


@pytest.fixture(scope="module")
def data():
    return waves()


@pytest.fixture(scope="module")
def fitted(data):
    return LSTMClassifier(**LEARNS).fit(*data)


@pytest.fixture(scope="module")
def autoencoder(data):
    return LSTMAutoencoder(units=5, bidirectional=False, epochs=1, scale="window", random_state=1).fit(data[0])


def test_it_classifies_slow_and_fast(fitted):
    X, y = waves(seed=1)
    assert fitted.score(X, y) > 0.9
    assert list(fitted.classes_) == ["fast", "slow"]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert list(fitted.predict(X)) == [fitted.classes_[i] for i in probabilities.argmax(axis=1)]


def test_predictions_do_not_depend_on_other_windows(fitted, data):
    X, _ = data
    np.testing.assert_array_equal(fitted.predict_proba(X[:3]), fitted.predict_proba(X)[:3])


def test_ragged_windows_and_missing_values(data):
    X, y = data
    ragged = [row[: 12 + i % 8] for i, row in enumerate(X)]
    ragged[0] = np.where(np.arange(12)[:, None] == 5, np.nan, ragged[0])
    classifier = LSTMClassifier(**LEARNS).fit(ragged, y)
    assert classifier.score(ragged, y) > 0.8
    longer = [np.concatenate([row, np.full((9, 1), np.nan)]) for row in ragged]
    np.testing.assert_allclose(classifier.predict_proba(longer), classifier.predict_proba(ragged), atol=1e-6)


def test_windows_of_series_are_classified():
    series = np.sin(np.arange(400) / 3)
    windows = make_windows(series, width=20, stride=10)
    y = np.arange(len(windows)) % 2
    assert LSTMClassifier(**QUICK, epochs=1).fit(windows, y).predict(windows).shape == y.shape


def test_it_starts_from_the_autoencoders_encoder(autoencoder, data):
    X, y = data
    before = autoencoder.transform(X)
    classifier = LSTMClassifier(autoencoder, epochs=1, learning_rate=1e-9, random_state=0).fit(X, y)
    scaled = classifier.scaler_.transform(X)
    np.testing.assert_allclose(classifier.encoder_(scaled), before, atol=1e-5)
    tuned = LSTMClassifier(autoencoder, epochs=2, learning_rate=0.01, random_state=0).fit(X, y)
    assert np.abs(np.asarray(tuned.encoder_(scaled)) - before).max() > 1e-3
    np.testing.assert_array_equal(autoencoder.transform(X), before)  # it was copied


def test_a_frozen_encoder_stays(autoencoder, data):
    X, y = data
    classifier = LSTMClassifier(autoencoder, freeze=True, epochs=3, learning_rate=0.05, random_state=0).fit(X, y)
    for kept, given in zip(classifier.encoder_.get_weights(), autoencoder.encoder_.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, given)
    assert classifier.history_.loss.iloc[-1] < classifier.history_.loss.iloc[0]


def test_clones_forget_the_fit_unless_it_is_frozen(autoencoder, data):
    X, y = data
    unfitted = clone(LSTMClassifier(autoencoder, epochs=1, learning_rate=1e-9, random_state=0))
    unfitted.autoencoder.set_params(units=3)
    assert unfitted.fit(X, y).encoder_.config.units == (3,)
    assert not unfitted.autoencoder.__sklearn_is_fitted__()  # a copy was fitted
    kept = clone(LSTMClassifier(FrozenEstimator(autoencoder), epochs=1, learning_rate=1e-9, random_state=0))
    features = kept.fit(X, y).encoder_(kept.scaler_.transform(X))
    np.testing.assert_allclose(features, autoencoder.transform(X), atol=1e-5)
    assert cross_val_score(kept, X, y, cv=2).shape == (2,)


def test_class_weight_moves_the_decision(data):
    X, y = data
    noise = np.random.default_rng(0).normal(size=X.shape)
    classifier = LSTMClassifier(**QUICK, epochs=3, class_weight={"fast": 100.0, "slow": 0.01}).fit(noise, y)
    assert np.mean(classifier.predict(noise) == "fast") > 0.9


@pytest.mark.parametrize("way", ["pickle", "file"])
def test_copies_give_the_same_results(fitted, autoencoder, data, way, tmp_path):
    X, y = data
    seeded = LSTMClassifier(autoencoder, epochs=1, random_state=0).fit(X, y)
    for classifier in (fitted, seeded):
        if way == "pickle":
            copy = pickle.loads(pickle.dumps(classifier))
        else:
            classifier.save(tmp_path / "model.tsae")
            copy = load(tmp_path / "model.tsae")
        np.testing.assert_array_equal(copy.predict_proba(X), classifier.predict_proba(X))
        assert list(copy.predict(X)) == list(classifier.predict(X))


def test_warm_start_continues_and_keeps_its_classes(data):
    X, y = data
    classifier = LSTMClassifier(**QUICK, epochs=2, warm_start=True).fit(X, y).fit(X[y == "slow"], y[y == "slow"])
    assert list(classifier.history_.epoch) == [0, 1, 2, 3]
    assert list(classifier.classes_) == ["fast", "slow"]
    with pytest.raises(ValueError, match="label 'middle'"):
        classifier.fit(X, np.where(y == "slow", "middle", y))


def test_validation_keeps_the_best(data):
    classifier = LSTMClassifier(**QUICK, epochs=3, validation_fraction=0.3, patience=1).fit(*data)
    assert "val_loss" in classifier.history_


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"freeze": True}, "freeze=True is not allowed with autoencoder=None"),
        ({"autoencoder": "mine"}, "autoencoder='mine'"),
        ({"units": 0}, "units=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"pooling": "cell", "cell": "gru"}, "pooling='cell'"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(data, arguments, named):
    with pytest.raises(ValueError, match=named):
        LSTMClassifier(**arguments).fit(*data)


def test_the_autoencoder_must_know_the_channels(autoencoder):
    X, y = waves(n_channels=2)
    with pytest.raises(ValueError, match="X has 2 channels, but the autoencoder was fitted with 1"):
        LSTMClassifier(autoencoder).fit(X, y)
