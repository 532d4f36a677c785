"""A feed-forward network that runs as its ONNX file says, in torch.

Some published networks exist as ONNX files only. Rebuilding one in torch by the names of its tensors would be a guess:
an exporter folds normalisations into convolutions and numbers what is left. The file's own graph is not a guess. The
package `onnx` reads and checks it; nothing in it is executed. It runs in torch so that it runs on any device.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmdnet.errors import ConfigError

MOST_BYTES = 1 << 30  # of a file; face recognisers have a few hundred megabytes
_OLDEST_OPSET = 9  # since then the operations below mean the same

Attributes = dict[str, Any]
Operation = Callable[[Sequence[Tensor], Attributes], Tensor]


class NotOnnx(ValueError):
    """The file is no ONNX network, or uses what is not known here; the text says what."""


class OnnxNetwork(nn.Module):
    """Runs the graph of a file with one input and one output, in float32.

    Raises:
        ConfigError: the package onnx is not installed.
        OSError: there is no such file, or it cannot be opened.
        NotOnnx: it is too large, something else, damaged, has numbers in other files, or uses what is not known here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        graph, tensors = _read(path)
        nodes = [_Node(node.op_type, tuple(node.input), tuple(node.output), _attributes(node)) for node in graph.node]
        # older files list the constants among the inputs, too
        inputs = [value.name for value in graph.input if value.name not in tensors]
        outputs = [value.name for value in graph.output]
        if len(inputs) != 1 or len(outputs) != 1:
            raise NotOnnx(f"it has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed")
        self.nodes = nodes
        self.input_name, self.output_name = inputs[0], outputs[0]
        self._check({self.input_name, *tensors})
        self.places = {name: index for index, name in enumerate(tensors)}
        for name, values in tensors.items():
            self.register_buffer(f"tensor{self.places[name]}", torch.from_numpy(values.astype(np.float32)))
        # what no later operation needs is dropped
        self.last_use = {name: index for index, node in enumerate(nodes) for name in node.inputs}

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

    def _check(self, known: set[str]) -> None:
        """Raise NotOnnx for what `forward` could not follow; `known` are the names at its beginning."""
        unknown = sorted({node.op for node in self.nodes} - _OPERATIONS.keys())
        if unknown:
            raise NotOnnx(f"its operations {', '.join(unknown)} are not known here")
        for node in self.nodes:
            if node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
                raise NotOnnx("it leaves the padding of a convolution to be worked out (auto_pad)")
            if len(node.outputs) != 1 or not known.issuperset(filter(None, node.inputs)):
                raise NotOnnx(f"its operation {node.op} takes or gives what is not known here")
            known.update(node.outputs)
        if self.output_name not in known:
            raise NotOnnx(f"nothing gives its output {self.output_name!r}")


@dataclass(frozen=True)
class _Node:
    """One operation: names of what goes in (empty: left out) and comes out."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes


def _read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a file's graph, as onnx has it, and its constants."""
    try:
        onnx = importlib.import_module("onnx")
        damaged = importlib.import_module("google.protobuf.message").DecodeError
    except ImportError as error:
        raise ConfigError(f"ONNX networks need onnx, which cannot be imported ({error}): pip install onnx") from error
    size = os.stat(path).st_size
    if size > MOST_BYTES:
        raise NotOnnx(f"it has {size} bytes; more than {MOST_BYTES} are not read")
    try:
        model = onnx.load_model_from_string(Path(path).read_bytes())
    except damaged as error:
        raise NotOnnx("it is damaged or no ONNX file") from error
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    for tensor in model.graph.initializer:
        if onnx.external_data_helper.uses_external_data(tensor):  # before onnx would look for it
            raise NotOnnx(f"the tensor {tensor.name!r} has its values outside the file")
        if tensor.data_type not in floats:
            raise NotOnnx(f"the tensor {tensor.name!r} is of type {tensor.data_type}, not of floating-point numbers")
    try:
        onnx.checker.check_model(model)
        tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        raise NotOnnx(" ".join(str(error).split())) from error
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < _OLDEST_OPSET:
        raise NotOnnx(f"it is of operation set {opset}; known are those from {_OLDEST_OPSET} on")
    return model.graph, tensors


def _attributes(node: Any) -> Attributes:
    helper = importlib.import_module("onnx.helper")
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _convolution(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, weight, *bias = inputs
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    padding = (top, left)
    if padding != (bottom, right):
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    strides, dilations = (tuple(attributes.get(name, (1, 1))) for name in ("strides", "dilations"))
    return F.conv2d(x, weight, bias[0] if bias else None, strides, padding, dilations, attributes.get("group", 1))


def _batch_norm(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, scale, shift, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=attributes.get("epsilon", 1e-5))


def _prelu(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, slope = inputs
    return torch.where(x < 0, x * slope, x)


def _flatten(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    (x,) = inputs
    return x.reshape(math.prod(x.shape[: attributes.get("axis", 1)]), -1)


def _product(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    a, b, *c = inputs
    a = a.t() if attributes.get("transA", 0) else a
    b = b.t() if attributes.get("transB", 0) else b
    result = attributes.get("alpha", 1.0) * (a @ b)
    return result + attributes.get("beta", 1.0) * c[0] if c else result


# Those of face recognisers. Sub and Mul would scale the picture inside the network: ours is scaled already.
_OPERATIONS: dict[str, Operation] = {
    "Add": lambda inputs, attributes: inputs[0] + inputs[1],
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "Flatten": _flatten,
    "Gemm": _product,
    "Identity": lambda inputs, attributes: inputs[0],
    "PRelu": _prelu,
}
