"""Graphs that are traced once and run by all networks of the same settings, each on its own variables.

Tracing takes longer than a small fit, and cross-validation fits many networks that differ in their weights alone. A
graph is therefore traced with a template, a network of the same settings that is used for nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tsae.networks.config import from_json, to_json
from tsae.networks.configured import ConfiguredModel

# The class of a network and, as JSON, all of its settings but seeds.
NetworkSettings = tuple[type[ConfiguredModel], str]


def settings_of(network: Any) -> NetworkSettings:
    """What networks have in common that can share graphs."""
    return type(network), json.dumps(_without_seeds(to_json(network.config)), sort_keys=True)


def make_template(settings: NetworkSettings) -> ConfiguredModel:
    """A network of these settings."""
    kind, plain = settings
    return kind(from_json(kind.config_class, json.loads(plain)), name="template")


def _without_seeds(plain: dict[str, Any]) -> dict[str, Any]:
    zeroed = {key: 0 if key == "seed" else value for key, value in plain.items()}
    return {key: _without_seeds(value) if isinstance(value, dict) else value for key, value in zeroed.items()}


class SharedGraph:
    """A traced function that runs on given variables in place of those that it was traced with.

    Parameters
    ----------
    function : callable(*arguments) -> structure of tensors
        Reads, and may assign, some of the variables.
    signature : sequence
        Of each argument, a `tf.TensorSpec` or a structure of them.
    variables : sequence of keras.Variable
        Of the template.
    """

    def __init__(self, function: Callable, signature: Sequence[Any], variables: Sequence[Any]):
        # Traced here, once: TensorFlow warns of functions that are traced anew when they are called.
        traced = tf.function(function, autograph=False).get_concrete_function(*signature)
        handles = handles_of(variables)
        place = {id(handle): number for number, handle in enumerate(handles)}
        places = [place.get(id(captured)) for captured in traced.captured_inputs]
        captured = list(zip(places, traced.captured_inputs, strict=True))
        if any(number is None and tensor.dtype == tf.resource for number, tensor in captured):
            raise RuntimeError("a shared graph reads a variable that is not among those of its network")

        def run(handles, *arguments):
            outputs = tf.raw_ops.StatefulPartitionedCall(
                args=[
                    *tf.nest.flatten(arguments),
                    *[tensor if number is None else handles[number] for number, tensor in captured],
                ],
                Tout=[output.dtype for output in traced.outputs],
                f=traced,
            )
            return tf.nest.pack_sequence_as(traced.structured_outputs, outputs)

        # Around the call a function of its own: TensorFlow never frees graphs that are called by the bare operation.
        specs = [tf.TensorSpec([], tf.resource)] * len(handles)
        self._run = tf.function(run, autograph=False).get_concrete_function(specs, *signature)

    def __call__(self, handles: Sequence[Any], *arguments: Any) -> Any:
        """Call the function on variables of the same shapes, in the same order, given by their handles."""
        return self._run(handles, *arguments)


def handles_of(variables: Sequence[Any]) -> list[Any]:
    """What a graph refers to variables by; a variable keeps its handle whatever it is set to."""
    return [variable.value.handle for variable in variables]
