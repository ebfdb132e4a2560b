"""Temporary."""

import keras


def plain_regularizer(value):
    if value is None:
        return None
    made = keras.regularizers.get(value)
    return {"class_name": type(made).__name__, "config": {k: float(v) for k, v in made.get_config().items()}}


def make_regularizer(plain):
    return None if plain is None else getattr(keras.regularizers, plain["class_name"])(**plain["config"])
