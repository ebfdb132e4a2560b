"""`LSTMAutoencoder`: what it refuses, naming it, before it trains."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from tests.options import nested
from tsae import LSTMAutoencoder


def random_windows(n, n_timesteps):
    return np.random.default_rng(0).normal(size=(n, n_timesteps, 2))


def small(**options):
    return LSTMAutoencoder(**nested({"units": 4, "bidirectional": False, "epochs": 1, "random_state": 0, **options}))


@pytest.fixture(scope="module")
def X():
    return random_windows(10, 16)


BAD_ARGUMENTS = [
    ({"units": 0}, "units=0"),
    ({"units": []}, "units"),
    ({"units": (4, -1)}, "units"),
    ({"decoder": "other"}, "decoder='other'"),
    ({"decoder": ()}, "decoder"),
    ({"horizon": 0}, "horizon=0"),
    ({"cell": "rnn"}, "cell='rnn'"),
    ({"pooling": "sum"}, "pooling='sum'"),
    ({"pooling": "cell", "cell": "gru"}, "GRU has no cell"),
    ({"pooled_layers": "first"}, "pooled_layers"),
    ({"scale": "minmax"}, "scale='minmax'"),
    ({"loss": "mape"}, "loss='mape'"),
    ({"optimizer": "nonsense"}, "optimizer='nonsense'"),
    ({"learning_rate": 0}, "learning_rate=0"),
    ({"clipnorm": -1}, "clipnorm=-1"),
    ({"clipvalue": 0}, "clipvalue=0"),
    ({"kernel_regularizer": "l3"}, "kernel_regularizer='l3'"),
    ({"decoder_options": {"attention": "dot"}}, "decoder_options={"),
    ({"augmentation": 0.1}, "augmentation=0.1"),
    ({"dropout": 1.0}, "dropout=1.0"),
    ({"noise": -0.1}, "noise"),
    ({"mask_rate": 1.0}, "mask_rate"),
    ({"mask_rate": 0}, "mask_rate=0"),
    ({"mask_span": 0}, "mask_span"),
    ({"target_offsets": 0}, "target_offsets=0"),
    ({"target_offsets": (1, -1)}, "target_offsets=-1"),
    ({"target_offsets": "far"}, "target_offsets='far'"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"epochs": -1}, "epochs=-1"),
    ({"epochs": 1.5}, "epochs=1.5"),
    ({"epochs": True}, "epochs"),
    ({"validation_fraction": 1.0}, "validation_fraction"),
    ({"patience": 0}, "patience=0"),
    ({"bidirectional": "yes"}, "bidirectional='yes'"),
    ({"dilations": (1, 2)}, "dilations=(1, 2)"),
    ({"crop": 1}, "crop=1"),
    ({"crop": 5, "decoder": "prediction", "horizon": 2}, "crop=5 is not allowed with horizon=2, scale='both'"),
    ({"crop": 5, "decoder": "prediction", "horizon": 2, "scale": None, "differences": True}, "and differences=True"),
    ({"differences": "yes"}, "differences='yes'"),
    ({"schedule": "step"}, "schedule"),
    ({"random_state": "x"}, "random_state='x'"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD_ARGUMENTS, ids=[str(a) for a, _ in BAD_ARGUMENTS])
def test_arguments_that_are_not_allowed_are_named(X, arguments, named):
    with pytest.raises(ValueError, match="not allowed") as error:
        small(**arguments).fit(X)
    assert named in str(error.value)


BAD_X = [
    (np.zeros((0, 5)), "0 sample"),
    (np.zeros((0, 5, 2)), "0 sample"),
    (np.zeros(5), "1D array"),
    (np.zeros((2, 3, 4, 5)), "4"),
    (np.where(np.eye(4), np.inf, 0.0), "infinity"),
    (np.full((3, 4, 1), np.inf), "window 0, step 0, channel 0"),
    (np.stack([np.ones((4, 1)), np.full((4, 1), np.nan)]), "window 1"),
    (np.array([["a", "b"]], object), "a"),
]


@pytest.mark.parametrize(("bad", "named"), BAD_X)
def test_windows_that_cannot_be_read_are_refused_before_training(bad, named):
    with pytest.raises((ValueError, TypeError), match=named):
        small().fit(bad)


@pytest.mark.parametrize(("horizon", "n_timesteps"), [(None, 1), (3, 4), (1, 2)])
def test_windows_must_be_long_enough_for_the_horizon(horizon, n_timesteps):
    with pytest.raises(ValueError, match=f"horizon={horizon}.*at least"):
        small(decoder="prediction", horizon=horizon).fit(random_windows(5, n_timesteps))


def test_another_shape_than_fitted_is_refused(X):
    model = small(epochs=0).fit(X)
    with pytest.raises(ValueError, match="1 channels.*fitted with 2"):
        model.transform(X[:, :, :1])
    with pytest.raises(ValueError, match="15 steps.*fitted with 16"):
        model.transform(X[:, 1:])


def test_methods_that_need_another_decoder_are_refused(X):
    fitted = {name: small(decoder=name, epochs=0).fit(X) for name in ("prediction", "imputation", "reconstruction")}
    with pytest.raises(ValueError, match="forecast needs.*horizon"):
        fitted["prediction"].forecast(X)
    with pytest.raises(ValueError, match="decode needs"):
        fitted["imputation"].decode(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="decoder='prediction'"):
        fitted["reconstruction"].reconstruct(X, "prediction")
    with pytest.raises(ValueError, match=r"Z has shape \(1, 3\)"):
        fitted["reconstruction"].decode(np.zeros((1, 3)))
    with pytest.raises(NotFittedError):
        small().transform(X)


def test_one_window_cannot_be_held_out():
    with pytest.raises(ValueError, match="n_samples = 1.*validation_fraction"):
        small(validation_fraction=0.2).fit(random_windows(1, 16))
