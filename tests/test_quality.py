"""What the default features are worth on real data; the full table is made by benchmarks/quality.py."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tsae import LSTMAutoencoder, from_channels_first

pytestmark = pytest.mark.quality
load_classification = pytest.importorskip("aeon.datasets").load_classification

LEAST = {"GunPoint": 0.95, "ArrowHead": 0.72, "ItalyPowerDemand": 0.93, "BasicMotions": 0.97, "JapaneseVowels": 0.96}


def load(name):
    X, y = load_classification(name, split="train")
    X_test, y_test = load_classification(name, split="test")
    return from_channels_first(X), y, from_channels_first(X_test), y_test


def accuracy(features, y, features_test, y_test):
    """Of an RBF support vector classifier, its C chosen on the training set alone."""
    search = GridSearchCV(SVC(), {"C": np.logspace(-2, 3, 6)}, cv=min(5, np.unique(y, return_counts=True)[1].min()))
    return make_pipeline(StandardScaler(), search).fit(features, y).score(features_test, y_test)


@pytest.mark.parametrize("name", LEAST)
def test_default_features_serve_a_simple_classifier(name):
    X, y, X_test, y_test = load(name)
    model = LSTMAutoencoder(random_state=0).fit(X)
    assert accuracy(model.transform(X), y, model.transform(X_test), y_test) >= LEAST[name]
    if name == "JapaneseVowels":  # 7 to 29 steps: padding changes nothing
        together = model.transform(X_test)
        alone = np.concatenate([model.transform([series]) for series in X_test[:20]])
        np.testing.assert_allclose(alone, together[:20], atol=1e-5)


def test_a_fifth_of_the_values_may_be_missing():
    X, y, X_test, y_test = load("BasicMotions")
    draw = np.random.default_rng(0)

    def holes(values):
        return np.where(draw.random(values.shape) < 0.2, np.nan, values)

    X, X_test = holes(X), holes(X_test)
    model = LSTMAutoencoder(random_state=0).fit(X)
    features, features_test = model.transform(X), model.transform(X_test)
    assert np.isfinite(features).all()
    assert np.isfinite(features_test).all()
    assert accuracy(features, y, features_test, y_test) >= 0.97  # complete: 1.00
