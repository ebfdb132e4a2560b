"""Parameters of the estimators: few, shared where they mean the same, and reached by scikit-learn's nested names."""

import inspect

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from tsae import Augmentation, DecoderOptions, LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq, load
from tsae.estimators.parameters import RecurrentParameters, TrainingParameters

X = np.sin(np.arange(24 * 12).reshape(24, 12) / np.linspace(2, 4, 24)[:, None])


def parameters_of(cls):
    return list(inspect.signature(cls).parameters)


def test_an_autoencoder_has_few_parameters_in_the_order_of_its_documentation():
    names = parameters_of(LSTMAutoencoder)
    assert len(names) <= 33
    assert names[0] == "units"
    assert sorted(names) == sorted(LSTMAutoencoder().get_params(deep=False))


@pytest.mark.parametrize("cls", [LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq])
def test_shared_parameters_are_declared_once(cls):
    shared = {*parameters_of(RecurrentParameters), *parameters_of(TrainingParameters)}
    assert shared <= set(parameters_of(cls))
    assert issubclass(cls, (RecurrentParameters, TrainingParameters))


def test_nested_names_set_options_and_clones_share_nothing():
    model = LSTMAutoencoder(decoder="composite", decoder_options=DecoderOptions(), augmentation=Augmentation())
    model.set_params(decoder_options__attention="general", augmentation__noise=0.1)
    copy = clone(model)
    assert copy.decoder_options == DecoderOptions(attention="general")
    assert copy.decoder_options is not model.decoder_options
    copy.set_params(augmentation__noise=0.2)
    assert model.augmentation == Augmentation(noise=0.1)


def test_a_grid_search_over_nested_names_in_a_pipeline():
    autoencoder = LSTMAutoencoder(
        units=3, bidirectional=False, decoder="reconstruction", decoder_options=DecoderOptions(), epochs=1,
        random_state=0,
    )  # fmt: skip
    search = GridSearchCV(
        make_pipeline(autoencoder, RidgeClassifier()),
        {"lstmautoencoder__decoder_options__bridge": ["repeat_vector", "initial_state"]},
        cv=2, error_score="raise",
    )  # fmt: skip
    search.fit(X, np.arange(24) % 2)
    assert len(search.cv_results_["mean_test_score"]) == 2


SMALL = {"units": 3, "bidirectional": False, "epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def loss_without_penalty():
    return LSTMAutoencoder(**SMALL).fit(X).history_["loss"].iloc[0]


@pytest.mark.parametrize(
    "regularizer", ["l2", {"class_name": "L1", "config": {"l1": 0.1}}, keras.regularizers.L1L2(0.1, 0.2)], ids=type
)
def test_regularizers_are_those_of_keras_and_come_back_from_model_files(loss_without_penalty, regularizer, tmp_path):
    model = LSTMAutoencoder(**SMALL, kernel_regularizer=regularizer).fit(X)
    assert model.history_["loss"].iloc[0] > loss_without_penalty
    model.save(tmp_path / "model.tsae")
    again = load(tmp_path / "model.tsae")
    assert again.model_.config == model.model_.config
    assert type(again.kernel_regularizer) is type(regularizer)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
