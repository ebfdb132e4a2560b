"""The recurrent cells: one entry each, with all that the networks, model files and ONNX graphs need to know of it.

A new cell is an entry here and a layer class in `tsae.networks.recurrent`. Nothing here loads TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent layer.

    Attributes
    ----------
    layer : str
        Name of the layer's class in `tsae.networks.recurrent`.
    n_gates : int
        The kernels have ``n_gates * units`` columns.
    bias_rows : int
        Rows of the bias: 1 for an array of shape (n_gates * units,), 2 for (2, n_gates * units).
    bridge_activations : tuple of (str or None)
        One entry per state, hidden state first: the activation with which a decoder's initial state of another width
        is computed from it.
    onnx_operator : str
    onnx_gates : tuple of int
        Position of each gate of ONNX's order in the order of Keras's weights.
    onnx_attributes : mapping
        Attributes of the operator besides size and direction.
    """

    layer: str
    n_gates: int
    bias_rows: int
    bridge_activations: tuple[str | None, ...]
    onnx_operator: str
    onnx_gates: tuple[int, ...]
    onnx_attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_states(self) -> int:
        """States that are carried from step to step: the hidden state and, where there is one, the cell state."""
        return len(self.bridge_activations)

    @property
    def has_cell_state(self) -> bool:
        return self.n_states > 1

    def bias_shape(self, units: int) -> tuple[int, ...]:
        n_columns = self.n_gates * units
        return (n_columns,) if self.bias_rows == 1 else (self.bias_rows, n_columns)

    def onnx_kernel(self, kernel: np.ndarray) -> np.ndarray:
        """(n_inputs, n_gates * units) in Keras's order of gates -> (n_gates * units, n_inputs) in ONNX's."""
        by_gate = kernel.reshape(len(kernel), self.n_gates, -1)
        return by_gate[:, list(self.onnx_gates)].reshape(kernel.shape).T

    def onnx_bias(self, bias: np.ndarray) -> np.ndarray:
        """The biases of input and recurrent kernel, (2 * n_gates * units,); where Keras has one, ONNX adds up two."""
        both = bias if self.bias_rows == 2 else np.stack([bias, np.zeros_like(bias)])
        return both.reshape(2, self.n_gates, -1)[:, list(self.onnx_gates)].reshape(-1)


CELLS: dict[str, Cell] = {
    # ONNX orders the gates input, output, forget, cell; Keras input, forget, cell, output.
    "lstm": Cell("LSTM", 4, 1, bridge_activations=("tanh", None), onnx_operator="LSTM", onnx_gates=(0, 3, 1, 2)),
    # Keras applies the reset gate after the matrix product.
    "gru": Cell(
        "GRU", 3, 2, bridge_activations=("tanh",), onnx_operator="GRU", onnx_gates=(0, 1, 2),
        onnx_attributes={"linear_before_reset": 1},
    ),
}  # fmt: skip
