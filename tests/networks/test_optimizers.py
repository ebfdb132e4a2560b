"""Optimizers as plain values: there and back, and nothing but the classes of Keras."""

import json

import keras
import pytest

from tsae.networks.optimizers import plain_optimizer, rebuild_optimizer, schedule_of


class Own(keras.optimizers.SGD):
    """A subclass, whose code a model file cannot hold."""


@pytest.mark.parametrize(
    "rate",
    [0.01, keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=3, decay_rate=0.5)],
    ids=["number", "schedule"],
)
def test_an_optimizer_comes_back_from_json(rate):
    optimizer = keras.optimizers.Adam(rate, beta_1=0.8)
    made = rebuild_optimizer(json.loads(json.dumps(plain_optimizer(optimizer))))
    assert type(made) is keras.optimizers.Adam
    assert plain_optimizer(made) == plain_optimizer(optimizer)
    assert (schedule_of(made) is None) == isinstance(rate, float)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="Own is not one of the Keras optimizers.*Adam"):
        plain_optimizer(Own(0.1))
    with pytest.raises(ValueError, match="'Own' is not one of.*Adam"):
        rebuild_optimizer({"name": "Own", "settings": {}})
    with pytest.raises(TypeError, match="not a plain value"):
        rebuild_optimizer({"name": "SGD", "settings": {"momentum": {"class_name": "Own"}}})
