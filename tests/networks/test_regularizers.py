"""Regularizers as plain values: there and back, and nothing but the four classes of Keras."""

import json

import keras
import numpy as np
import pytest

from tsae.networks.regularizers import REGULARIZERS, make_regularizer, plain_regularizer

OBJECTS = [
    keras.regularizers.L1(0.1),
    keras.regularizers.L2(0.2),
    keras.regularizers.L1L2(0.1, 0.2),
    keras.regularizers.OrthogonalRegularizer(0.3, mode="columns"),
]


class Own(keras.regularizers.L2):
    """A subclass, whose code a model file cannot hold."""


@pytest.mark.parametrize("regularizer", OBJECTS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("form", ["object", "serialized"])
def test_a_regularizer_comes_back_from_json(regularizer, form):
    given = regularizer if form == "object" else keras.regularizers.serialize(regularizer)
    plain = json.loads(json.dumps(plain_regularizer(given)))
    made = make_regularizer(plain)
    assert type(made) is type(regularizer)
    assert plain == plain_regularizer(made)  # repeated conversion does not change it
    weights = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32))
    assert float(made(weights)) == pytest.approx(float(regularizer(weights)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1", keras.regularizers.L1()), ("l2", keras.regularizers.L2()), ("l1_l2", keras.regularizers.L1L2(0.01, 0.01))],
)
def test_names_stand_for_factors_of_a_hundredth(name, expected):
    plain = plain_regularizer(name)
    assert plain["class_name"] == type(expected).__name__
    assert plain["config"] == pytest.approx(expected.get_config())


def test_none_is_no_regularizer():
    assert plain_regularizer(None) is None
    assert make_regularizer(None) is None


@pytest.mark.parametrize(
    "value", [0.1, Own(0.1), keras.ops.abs, keras.regularizers.L2], ids=["number", "own class", "function", "class"]
)
def test_other_types_are_refused(value):
    with pytest.raises(TypeError, match="kernel_regularizer.*not allowed.*'l1_l2'.*L1L2.*OrthogonalRegularizer"):
        plain_regularizer(value, "kernel_regularizer")


@pytest.mark.parametrize(
    "value",
    [
        "l3",
        {"class_name": "Own", "config": {}},
        {"class_name": "L2"},
        {"class_name": "L2", "config": {"l1": 0.1}},
        {"class_name": "L2", "config": {"l2": -0.1}},
        {"class_name": "L2", "config": {"l2": {"class_name": "L1"}}},
        {"class_name": ["L2"], "config": {}},
    ],
    ids=str,
)
def test_unknown_names_and_settings_are_refused(value):
    with pytest.raises(ValueError, match="recurrent_regularizer.*not allowed.*'l1_l2'"):
        plain_regularizer(value, "recurrent_regularizer")
    if isinstance(value, dict):
        with pytest.raises(ValueError, match="not allowed"):
            make_regularizer(value)


def test_every_listed_class_is_tested():
    assert {type(regularizer).__name__ for regularizer in OBJECTS} == set(REGULARIZERS)
