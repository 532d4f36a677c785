"""ONNX files made by hand: the few lines of the format's wire encoding that tests need."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: np.ndarray | Tensor, *, raw: bool = True) -> bytes:
    """Return a TensorProto; its numbers as raw bytes, or as a packed list."""
    values = np.asarray(values)
    kind, packed = {"float32": (1, 4), "int64": (7, 7), "float16": (10, 9), "float64": (11, 10)}[values.dtype.name]
    little = values.astype(values.dtype.newbyteorder("<"))
    if raw or values.dtype.name == "float16":
        content = field(9, little.tobytes())
    elif values.dtype.name == "int64":
        content = field(packed, b"".join(varint(int(value)) for value in values.flat))
    else:
        content = field(packed, little.tobytes())
    shape = field(1, b"".join(varint(side) for side in values.shape)) if raw else b"".join(
        field(1, side) for side in values.shape
    )  # fmt: skip
    return shape + field(2, kind) + content + field(8, name)


def node(op: str, inputs: Sequence[str], output: str, **attributes: int | float | str | Sequence[int] | bytes) -> bytes:
    """Return a NodeProto; an attribute of bytes is a TensorProto."""
    parts = [field(1, name) for name in inputs] + [field(2, output), field(4, op)]
    for name, value in attributes.items():
        if isinstance(value, bytes):
            content = field(5, value)
        elif isinstance(value, float):
            content = field(2, value)
        elif isinstance(value, int):
            content = field(3, value)
        elif isinstance(value, str):
            content = field(4, value)
        else:
            content = field(8, b"".join(varint(one) for one in value))
        parts.append(field(5, field(1, name) + content))
    return b"".join(parts)


def model(nodes: Sequence[bytes], tensors: Mapping[str, np.ndarray | Tensor], inputs=("x",), outputs=("y",)) -> bytes:
    """Return a ModelProto."""
    graph = b"".join(
        [field(1, one) for one in nodes]
        + [field(5, tensor(name, values)) for name, values in tensors.items()]
        + [field(11, field(1, name)) for name in inputs]
        + [field(12, field(1, name)) for name in outputs]
    )
    return field(1, 7) + field(2, "by hand") + field(7, graph)


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
        node("Conv", ("x", "w"), "a", strides=(8, 8), kernel_shape=(8, 8)),
        node("PRelu", ("a", "slope"), "b"),
        node("Flatten", ("b",), "c", axis=1),
        node("Gemm", ("c", "fc", "bias"), "y", alpha=1.0, beta=1.0, transB=1),
    ]
    return model(nodes, weights), weights
