"""Errors between a decoder's output and its target, value by value."""

from __future__ import annotations

import tensorflow as tf

LOSSES = {
    "mse": tf.square,
    "mae": tf.abs,
    "huber": lambda error: tf.where(tf.abs(error) <= 1.0, 0.5 * tf.square(error), tf.abs(error) - 0.5),
}
