"""A feed-forward network that runs as its ONNX file says, in torch.

Some published networks exist as ONNX files only. Rebuilding one in torch by the names of its tensors would be a guess:
an exporter folds normalisations into convolutions and numbers what is left. The file's own graph is not a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.features.onnx_file import Attribute, NotOnnx, OnnxGraph

Attributes = dict[str, Attribute]
Operation = Callable[[Sequence[Tensor], Attributes], Tensor]


class OnnxNetwork(nn.Module):
    """Runs a graph with one input and one output, in float32.

    Raises:
        NotOnnx: the graph uses operations that are not here, or has another number of inputs or outputs.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        unknown = sorted({node.op for node in graph.nodes} - _OPERATIONS.keys())
        if unknown:
            raise NotOnnx(f"its operations {', '.join(unknown)} are not known here")
        if any(node.attributes.get("auto_pad", "NOTSET") != "NOTSET" for node in graph.nodes):
            raise NotOnnx("it leaves the padding of a convolution to be worked out (auto_pad)")
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise NotOnnx(f"it has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; one of each is needed")
        self.nodes = graph.nodes
        self.input_name, self.output_name = graph.inputs[0], graph.outputs[0]
        self._check_names(graph)
        self.places = {name: index for index, name in enumerate(graph.tensors)}
        for name, values in graph.tensors.items():
            tensor = torch.from_numpy(values.copy())
            self.register_buffer(f"tensor{self.places[name]}", tensor.float() if tensor.is_floating_point() else tensor)
        # what no later operation needs is dropped
        self.last_use = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for the input."""
        values = {self.input_name: x}
        for index, node in enumerate(self.nodes):
            inputs = [self._value(name, values) for name in node.inputs if name]
            values[node.outputs[0]] = _OPERATIONS[node.op](inputs, node.attributes)
            for name in node.inputs:
                if self.last_use[name] == index and name != self.output_name:
                    values.pop(name, None)
        return values[self.output_name]

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor:
        return values[name] if name in values else self.get_buffer(f"tensor{self.places[name]}")

    def _check_names(self, graph: OnnxGraph) -> None:
        known = {self.input_name, *graph.tensors, ""}
        for node in graph.nodes:
            if not node.outputs or not known.issuperset(node.inputs):
                raise NotOnnx(f"its operation {node.op} takes what nothing gives ({', '.join(node.inputs)})")
            known.update(node.outputs[:1])
        if self.output_name not in known:
            raise NotOnnx(f"nothing gives its output {self.output_name!r}")


def _ints(attributes: Attributes, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = attributes.get(name, default)
    return value if isinstance(value, tuple) else default


def _number(attributes: Attributes, name: str, default: float) -> float:
    value = attributes.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def _convolution(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, weight, *bias = inputs
    top, left, bottom, right = _ints(attributes, "pads", (0, 0, 0, 0))
    padding: tuple[int, int] = (top, left)
    if (top, left) != (bottom, right):
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    return F.conv2d(
        x,
        weight,
        bias[0] if bias else None,
        _ints(attributes, "strides", (1, 1)),
        padding,
        _ints(attributes, "dilations", (1, 1)),
        int(_number(attributes, "group", 1)),
    )


def _batch_norm(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, scale, shift, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=_number(attributes, "epsilon", 1e-5))


def _prelu(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, slope = inputs
    return torch.where(x < 0, x * slope, x)


def _flatten(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    (x,) = inputs
    axis = int(_number(attributes, "axis", 1))
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _product(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    a, b, *c = inputs
    a = a.t() if _number(attributes, "transA", 0) else a
    b = b.t() if _number(attributes, "transB", 0) else b
    result = _number(attributes, "alpha", 1.0) * (a @ b)
    return result + _number(attributes, "beta", 1.0) * c[0] if c else result


def _first(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return inputs[0]


_OPERATIONS: dict[str, Operation] = {
    "Add": lambda inputs, attributes: inputs[0] + inputs[1],
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "Dropout": _first,
    "Flatten": _flatten,
    "Gemm": _product,
    "Identity": _first,
    "Mul": lambda inputs, attributes: inputs[0] * inputs[1],
    "PRelu": _prelu,
    "Relu": lambda inputs, attributes: inputs[0].relu(),
    "Sub": lambda inputs, attributes: inputs[0] - inputs[1],
}
