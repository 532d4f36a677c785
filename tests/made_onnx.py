"""ONNX files that tests make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

node = helper.make_node


def model(
    nodes: Sequence[NodeProto],
    tensors: Mapping[str, np.ndarray] | Sequence[TensorProto],
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    *,
    opset: int = 11,
) -> bytes:
    """Return the bytes of a file."""
    if isinstance(tensors, Mapping):
        tensors = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ()) for name in names] for names in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "made", *ends, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    data: bytes = made.SerializeToString()
    return data


def small_recogniser(seed: int = 5, width: int = 4, dimensions: int = 16) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return the file of a recogniser of pictures of 112 pixels with drawn weights, and these."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    weights = {
        "w": drawn(width, 3, 8, 8),
        "slope": drawn(width, 1, 1),
        "fc": drawn(dimensions, width * 14 * 14),
        "bias": drawn(dimensions),
    }
    nodes = [
        node("Conv", ("x", "w"), ("a",), strides=(8, 8), kernel_shape=(8, 8)),
        node("PRelu", ("a", "slope"), ("b",)),
        node("Flatten", ("b",), ("c",), axis=1),
        node("Gemm", ("c", "fc", "bias"), ("y",), alpha=1.0, beta=1.0, transB=1),
    ]
    return model(nodes, weights), weights
