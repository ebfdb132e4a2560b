"""A small builder of ONNX graphs of opset 17."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

OPSET, IR_VERSION = 17, 8

Tensor = tuple[str, list[Any]]  # element type, such as "FLOAT", and shape
# Of the input, by the name of its type in NumPy.
ELEMENT_TYPES = {"float32": "FLOAT", "float64": "DOUBLE"}


class GraphBuilder:
    """An ONNX graph under construction: calling it adds a node and returns the name of its (first) output."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise ImportError("ONNX models need the onnx package: pip install 'tsae[onnx]'") from error
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: dict[tuple[Any, ...], Any] = {}

    def __call__(self, operator: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> str:
        """Add a node of an operator; `outputs` names its outputs."""
        names = outputs or [f"{operator}_{len(self._nodes)}"]
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def several(self, operator: str, n_outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node and return the names of its outputs."""
        names = [f"{operator}_{len(self._nodes)}_{i}" for i in range(n_outputs)]
        self(operator, *inputs, outputs=names, **attributes)
        return names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Name of a constant; equal ones are stored once."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._onnx.numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return str(self._constants[key].name)

    def axis(self, of: str, axis: int) -> str:
        """Length of an axis, (1,) int64."""
        return self("Shape", of, start=axis, end=axis + 1)

    def cut(self, x: str, axis: int, start: int | str, end: int | str) -> str:
        """x[start:end] along an axis."""
        bounds = [part if isinstance(part, str) else self.constant([part]) for part in (start, end)]
        return self("Slice", x, *bounds, self.constant([axis]))

    def total(self, x: str, axis: int) -> str:
        """Sum along an axis, which stays, of length 1."""
        return self("ReduceSum", x, self.constant([axis]), keepdims=1)

    def any_of(self, x: str, *axes: int) -> str:
        """Whether any is true along some axes, which stay, of length 1."""
        most = self("ReduceMax", self.as_int32(x), axes=list(axes), keepdims=1)
        return self("Greater", most, self.constant(0, np.int32))

    def count(self, x: str, axis: int) -> str:
        """How many are true along an axis, which stays, of length 1; float64."""
        return self.total(self.as_double(x), axis)

    def as_float(self, x: str) -> str:
        """Cast to float32."""
        return self("Cast", x, to=self._onnx.TensorProto.FLOAT)

    def as_double(self, x: str) -> str:
        """Cast to float64."""
        return self("Cast", x, to=self._onnx.TensorProto.DOUBLE)

    def as_int(self, x: str) -> str:
        """Cast to int64."""
        return self("Cast", x, to=self._onnx.TensorProto.INT64)

    def as_int32(self, x: str) -> str:
        """Cast to int32."""
        return self("Cast", x, to=self._onnx.TensorProto.INT32)

    def steps_of(self, x: str, axis: int, rank: int) -> str:
        """0, 1, 2, ... along an axis, int64, of length 1 along the others."""
        n_steps = self("Squeeze", self.axis(x, axis))
        steps = self("Range", self.constant(0), n_steps, self.constant(1))
        return self("Reshape", steps, self.constant([-1 if i == axis else 1 for i in range(rank)]))

    def serialized(
        self, name: str, windows: Tensor, outputs: Mapping[str, Tensor], metadata: Mapping[str, str]
    ) -> bytes:
        """The model, checked: from the input "windows" to the outputs, (element type, shape) each.

        Raises
        ------
        ValueError
            If shapes do not fit.
        """
        onnx = self._onnx

        def described(key: str, tensor: Tensor) -> Any:
            return onnx.helper.make_tensor_value_info(key, getattr(onnx.TensorProto, tensor[0]), tensor[1])

        graph = onnx.helper.make_graph(
            self._nodes, name, [described("windows", windows)],
            [described(key, tensor) for key, tensor in outputs.items()], list(self._constants.values()),
        )  # fmt: skip
        model = onnx.helper.make_model(
            graph, producer_name="tsae", producer_version=version("tsae"), ir_version=IR_VERSION,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        )  # fmt: skip
        onnx.helper.set_model_props(model, dict(metadata))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"the model has parts that do not belong together: {error}") from error
        return bytes(model.SerializeToString())
