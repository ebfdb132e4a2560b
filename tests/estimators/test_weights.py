"""Weights of windows, `LSTMClassifier.partial_fit`, and other people's formats of fitted estimators."""

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tsae import LSTMAutoencoder, LSTMClassifier, make_windows

QUICK = {"units": 3, "bidirectional": False, "epochs": 2, "batch_size": 8, "random_state": 0, "schedule": "constant"}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(40, 8, 1))


@pytest.fixture(scope="module")
def y():
    return np.arange(40) % 2


def fitted(kind, X, y, **options):
    return kind(**QUICK).fit(X, y, **options)


def assert_same_weights(one, other, atol=1e-6):
    for a, b in zip(one.model_.get_weights(), other.model_.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier])
@pytest.mark.parametrize("windows", [False, True])
def test_weight_zero_leaves_a_window_out(X, y, kind, windows):
    kept = np.arange(40) % 5 != 0
    X = X * np.where(kept, 1, 100)[:, None, None]  # also of the scale
    given = make_windows(X.reshape(-1), 8, stride=8) if windows else X
    assert_same_weights(fitted(kind, given, y, sample_weight=kept), fitted(kind, X[kept], y[kept]))


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier])
def test_equal_weights_of_one_are_none(X, y, kind):
    assert_same_weights(fitted(kind, X, y, sample_weight=np.ones(40)), fitted(kind, X, y), atol=0)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_weight_is_a_factor_of_the_gradient(X, batch_size):
    """Also between batches, not only within one."""
    options = {**QUICK, "batch_size": batch_size, "epochs": 1, "optimizer": "sgd", "clipnorm": None}
    plain = LSTMAutoencoder(**options, learning_rate=0.02).fit(X)
    double = LSTMAutoencoder(**options, learning_rate=0.01).fit(X, sample_weight=np.full(40, 2.0))
    assert_same_weights(plain, double, atol=1e-5)
    np.testing.assert_allclose(plain.history_["loss"], double.history_["loss"], rtol=1e-4)  # a weighted mean


def test_weights_decide_what_is_learned(X):
    noise, steps = np.random.default_rng(1).normal(size=(60, 8, 1)), np.arange(8)[None, :, None]
    waves = np.sin(steps + np.random.default_rng(2).uniform(0, 6, (60, 1, 1)))
    data, is_wave = np.concatenate([noise, waves]), np.arange(120) >= 60
    options = {**QUICK, "epochs": 20, "scale": None, "decoder": "reconstruction", "learning_rate": 0.02}
    scores = [
        LSTMAutoencoder(**options).fit(data, sample_weight=np.where(is_wave, weight, 2 - weight)).score(waves)
        for weight in (0.05, 1.95)
    ]
    assert scores[1] > scores[0]


def test_class_weights_and_sample_weights_multiply(X, y):
    by_class = LSTMClassifier(**QUICK, class_weight={0: 3.0, 1: 0.5}).fit(X, y)
    by_sample = LSTMClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 0, 3.0, 0.5))
    assert_same_weights(by_class, by_sample)


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        (np.ones(39), "inconsistent numbers"),
        (np.ones((40, 1)), "1D"),
        (np.where(np.arange(40) == 3, -1.0, 1.0), "-1.0 at 3"),
        (np.zeros(40), "zero for all windows"),
        (np.full(40, np.nan), "NaN"),
    ],
)
@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier])
def test_weights_that_are_not_allowed_are_refused(X, y, kind, weights, named):
    with pytest.raises(ValueError, match=named):
        kind(**QUICK).fit(X, y, sample_weight=weights)


def test_weights_are_routed(X, y):
    seen = []

    class Watching(LSTMClassifier):
        def fit(self, X, y, sample_weight=None):
            seen.append(None if sample_weight is None else len(sample_weight))
            return super().fit(X, y, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        model = Watching(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_validate(model, X, y, cv=2, params={"sample_weight": np.ones(40)}, error_score="raise")
        GridSearchCV(make_pipeline(model), {"watching__units": [2]}, cv=2, error_score="raise").fit(
            X, y, sample_weight=np.ones(40)
        )
        encoder = LSTMAutoencoder(**QUICK).set_fit_request(sample_weight=True)
        make_pipeline(encoder, StandardScaler().set_fit_request(sample_weight=False)).fit(
            X[:, :, 0], sample_weight=np.ones(40)
        )
    assert seen == [20, 20, 20, 20, 40]


# -- partial_fit of the classifier ---------------------------------------------------------------------------------


def test_parts_may_lack_classes(X):
    y = np.array(["a", "b", "c"])[np.arange(40) % 3]
    model = LSTMClassifier(**QUICK)
    for label in "ab":
        part = y == label
        model.partial_fit(X[part], y[part], classes=["c", "a", "b"] if label == "a" else None)
    assert list(model.classes_) == ["a", "b", "c"]
    assert model.predict_proba(X).shape == (40, 3)
    assert len(model.history_) == 2
    with pytest.raises(ValueError, match="label 'd'.*began with"):
        model.partial_fit(X, np.where(y == "a", "d", y))
    with pytest.raises(ValueError, match="classes=.*is not allowed"):
        model.partial_fit(X, y, classes=["a", "b"])


def test_partial_fit_learns():
    draw = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = np.sin(np.arange(16) * (0.4 + y[:, None]) + draw.uniform(0, 6, (200, 1)))
    model = LSTMClassifier(units=6, random_state=0, learning_rate=0.02)
    for _ in range(6):
        for part in np.array_split(np.arange(200), 4):
            model.partial_fit(X[part], y[part], classes=[0, 1])
    assert model.score(X, y) > 0.9


def test_the_first_part_needs_the_classes(X, y):
    with pytest.raises(ValueError, match="classes=None is not allowed in the first call"):
        LSTMClassifier(**QUICK).partial_fit(X, y)
    with pytest.raises(ValueError, match="class_weight='balanced' is not allowed with partial_fit"):
        LSTMClassifier(**QUICK, class_weight="balanced").partial_fit(X, y, classes=[0, 1])


# -- skops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier])
def test_skops_keeps_fitted_estimators(X, y, kind):
    import skops.io as skops

    model = fitted(kind, X, y)
    data = skops.dumps(model)
    names = skops.get_untrusted_types(data=data)
    assert all(name.startswith("tsae.") for name in names)
    again = skops.loads(data, trusted=names)
    use = (lambda m: m.transform(X)) if kind is LSTMAutoencoder else (lambda m: m.predict_proba(X))
    np.testing.assert_array_equal(use(again), use(model))
    assert again.history_.equals(model.history_)


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier])
def test_the_state_holds_plain_values(X, y, kind):
    """What skops and model files can hold: no tables, no networks."""
    state = fitted(kind, X, y).__getstate__()
    assert "history_" not in state
    assert [row["epoch"] for row in state["_history"]] == [0, 1]
    assert all(type(value) in (int, float) for row in state["_history"] for value in row.values())
