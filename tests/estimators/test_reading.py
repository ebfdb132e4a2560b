"""Channels: estimators remember their names, where the data have some, and refuse others."""

import pickle

import numpy as np
import pandas as pd
import pytest

from tsae import AnomalyDetector, LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq, load, make_windows

QUICK = {"units": 3, "bidirectional": False, "epochs": 1, "random_state": 0}
ORDER = r"\['heat', 'load'\].*\['load', 'heat'\].*another order.*value_columns=\['load', 'heat'\]"
OTHERS = r"\['co2', 'rpm'\].*\['load', 'heat'\]"


@pytest.fixture(scope="module")
def table():
    steps = np.arange(400)
    return pd.DataFrame({"load": np.sin(steps / 4), "heat": 100 * np.cos(steps / 7)})


def windows(table, stride=10):
    return make_windows(table, 12, stride=stride)


def labels(table):
    return np.arange(len(windows(table))) % 2


@pytest.fixture(scope="module")
def fitted(table):
    X = windows(table)
    return {
        "autoencoder": LSTMAutoencoder(**QUICK, decoder="prediction", horizon=2).fit(X),
        "classifier": LSTMClassifier(**QUICK).fit(X, labels(table)),
        "seq2seq": LSTMSeq2Seq(**QUICK).fit(X, X),
        "detector": AnomalyDetector(LSTMAutoencoder(**QUICK), alpha=0.3).fit(windows(table, 3)),
    }


CALLS = {
    "autoencoder": {
        "transform": lambda model, X: model.transform(X),
        "encode_sequence": lambda model, X: model.encode_sequence(X),
        "reconstruct": lambda model, X: model.reconstruct(X),
        "forecast": lambda model, X: model.forecast(X),
        "score": lambda model, X: model.score(X),
        "partial_fit": lambda model, X: model.partial_fit(X),
        "warm fit": lambda model, X: model.set_params(warm_start=True).fit(X),
        "classifier": lambda model, X: LSTMClassifier(model, epochs=1).fit(X, np.arange(len(X)) % 2),
    },
    "classifier": {
        "predict_proba": lambda model, X: model.predict_proba(X),
        "score": lambda model, X: model.score(X, np.arange(len(X)) % 2),
        "partial_fit": lambda model, X: model.partial_fit(X, np.arange(len(X)) % 2),
        "warm fit": lambda model, X: model.set_params(warm_start=True).fit(X, np.arange(len(X)) % 2),
    },
    "seq2seq": {
        "predict": lambda model, X: model.predict(X),
        "score": lambda model, X: model.score(X, X.gather()),
        "score of Y": lambda model, X: model.score(X.gather(), X),
        "warm fit": lambda model, X: model.set_params(warm_start=True).fit(X.gather(), X),
    },
    "detector": {
        "score_samples": lambda model, X: model.score_samples(X),
        "score_timeline": lambda model, X: model.score_timeline(X),
        "events": lambda model, X: model.events(X),
        "predict": lambda model, X: model.predict(X),
    },
}
EVERY = [(kind, call) for kind, calls in CALLS.items() for call in calls]


@pytest.mark.parametrize(("kind", "call"), EVERY)
@pytest.mark.parametrize("way", ["itself", "pickle", "file"])
def test_other_channels_are_refused(fitted, table, kind, call, way, tmp_path):
    model = fitted[kind]
    if way == "pickle":
        model = pickle.loads(pickle.dumps(model))
    elif way == "file":
        model.save(tmp_path / "model.tsae")
        model = load(tmp_path / "model.tsae")
    use = CALLS[kind][call]
    with pytest.raises(ValueError, match=ORDER):
        use(model, windows(table[["heat", "load"]]))
    with pytest.raises(ValueError, match=OTHERS):
        use(model, windows(table.set_axis(["co2", "rpm"], axis=1)))


@pytest.mark.parametrize("kind", list(CALLS))
def test_the_same_channels_and_arrays_are_taken(fitted, table, kind):
    model, X = fitted[kind], windows(table)
    call = next(iter(CALLS[kind].values()))
    expected = call(model, X)
    for same in (X.gather(), make_windows(table.to_numpy(), 12, stride=10), X[:40]):
        np.testing.assert_array_equal(call(model, same)[:39], expected[:39])
    numbered = table.set_axis([7, 3], axis=1)  # numbers are no names
    np.testing.assert_array_equal(call(model, windows(numbered)), expected)
    with pytest.raises(ValueError, match="1 channels"):
        call(model, windows(table[["load"]]))


def test_what_was_fitted_without_names_compares_none(table):
    model = LSTMAutoencoder(**QUICK).fit(windows(table).gather())
    assert not hasattr(model, "channel_names_in_")
    expected = model.transform(windows(table))
    renamed = windows(table.set_axis(["co2", "rpm"], axis=1))
    np.testing.assert_array_equal(model.transform(renamed), expected)


def test_a_new_fit_forgets_the_names(table):
    model = LSTMAutoencoder(**QUICK).fit(windows(table))
    assert model.channel_names_in_ == ["load", "heat"]
    assert model.fit(windows(table[["heat", "load"]])).channel_names_in_ == ["heat", "load"]
    assert not hasattr(model.fit(windows(table).gather()), "channel_names_in_")


def test_a_few_windows_keep_the_names(table):
    assert LSTMAutoencoder(**QUICK).fit(windows(table)[3:6]).channel_names_in_ == ["load", "heat"]


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq])
def test_columns_of_steps_are_compared(kind):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 6)), columns=[f"t{i}" for i in range(6)])
    y = {LSTMAutoencoder: None, LSTMClassifier: np.arange(20) % 2, LSTMSeq2Seq: X.to_numpy()}[kind]
    model = kind(**QUICK).fit(X, y)
    use = model.transform if kind is LSTMAutoencoder else model.predict
    use(X)
    with pytest.raises(ValueError, match="same order"):
        use(X[X.columns[::-1]])
