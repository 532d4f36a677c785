"""Reading the graph and the tensors of an ONNX file: a protocol buffer, of which nothing is executed.

Only what a feed-forward network needs is read, so that the package `onnx` is not. The numbers of the fields are those
of the format's public schema, onnx.proto.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# numbers of onnx.proto's TensorProto.DataType
_TYPES = {1: "<f4", 7: "<i8", 10: "<f2", 11: "<f8"}
_OTHER_DATA = {5: "int32_data", 6: "string_data", 13: "data outside the file"}
_MOST_ELEMENTS = 1 << 31

Attribute = float | int | str | tuple[int, ...] | np.ndarray


class NotOnnx(ValueError):
    """The bytes are no ONNX network, or use what is not read here; the text says what."""


@dataclass(frozen=True)
class OnnxNode:
    """One operation: names of what goes in (empty: left out) and comes out."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]


@dataclass(frozen=True)
class OnnxGraph:
    """A network: its operations in order, its constants, and the names of what goes in and comes out."""

    nodes: tuple[OnnxNode, ...]
    tensors: dict[str, np.ndarray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_onnx(path: str | os.PathLike[str]) -> OnnxGraph:
    """Return the graph of an ONNX file.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        NotOnnx: it is something else, damaged, or uses what is not read here.
    """
    data = memoryview(Path(path).read_bytes())
    try:
        graphs = [value for number, value in _fields(data) if number == 7 and isinstance(value, memoryview)]
        if not graphs:
            raise NotOnnx("it has no graph")
        return _graph(graphs[0])
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise NotOnnx("it is damaged or no ONNX file") from error


def _graph(data: memoryview) -> OnnxGraph:
    nodes: list[OnnxNode] = []
    tensors: dict[str, np.ndarray] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, value in _messages(data):
        if number == 1:
            node = _node(value)
            constant = node.attributes.get("value")
            if node.op == "Constant" and isinstance(constant, np.ndarray):
                tensors[node.outputs[0]] = constant
            else:
                nodes.append(node)
        elif number == 5:
            name, tensor = _tensor(value)
            tensors[name] = tensor
        elif number == 11:
            inputs.append(_text(value, 1))
        elif number == 12:
            outputs.append(_text(value, 1))
    # older files list the constants among the inputs, too
    return OnnxGraph(tuple(nodes), tensors, tuple(name for name in inputs if name not in tensors), tuple(outputs))


def _node(data: memoryview) -> OnnxNode:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Attribute] = {}
    op = ""
    for number, value in _messages(data):
        if number == 1:
            inputs.append(str(value, "utf-8"))
        elif number == 2:
            outputs.append(str(value, "utf-8"))
        elif number == 4:
            op = str(value, "utf-8")
        elif number == 5:
            attributes |= _attribute(value)
    return OnnxNode(op, tuple(inputs), tuple(outputs), attributes)


def _attribute(data: memoryview) -> dict[str, Attribute]:
    """Return {name: value}, or nothing for kinds that feed-forward networks do not need (graphs, lists of texts)."""
    name = ""
    found: list[Attribute] = []
    ints: list[int] = []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number == 2 and isinstance(value, float):
            found.append(value)
        elif number == 3 and isinstance(value, int):
            found.append(_signed(value))
        elif number == 4 and isinstance(value, memoryview):
            found.append(str(value, "utf-8"))
        elif number == 5 and isinstance(value, memoryview):
            found.append(_tensor(value)[1])
        elif number == 8:
            ints += _integers(value)
    return {name: found[0]} if found else {name: tuple(ints)} if ints else {}


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    shape: list[int] = []
    kind, name = 0, ""
    raw: memoryview | None = None
    numbers: list[memoryview] = []
    integers: list[int] = []
    for number, value in _fields(data):
        if number == 1:
            shape += _integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 7:
            integers += _integers(value)
        elif number == 8 and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number == 9 and isinstance(value, memoryview):
            raw = value
        elif number in (4, 10) and isinstance(value, memoryview):
            numbers.append(value)
        elif number in _OTHER_DATA:
            raise NotOnnx(f"the tensor {name!r} has its values as {_OTHER_DATA[number]}, which is not read here")
    if kind not in _TYPES:
        raise NotOnnx(f"the tensor {name!r} is of type {kind}, which is not read here")
    count = 1
    for side in shape:
        count *= side
    if any(side < 0 for side in shape) or count > _MOST_ELEMENTS:
        raise NotOnnx(f"the tensor {name!r} would have the shape {shape}")
    if integers:
        values = np.array(integers, np.int64)
    else:
        content = raw if raw is not None else b"".join(numbers)
        if len(content) != count * np.dtype(_TYPES[kind]).itemsize:
            raise NotOnnx(f"the tensor {name!r} has {len(content)} bytes for the shape {shape}")
        values = np.frombuffer(content, _TYPES[kind])
    if values.size != count:
        raise NotOnnx(f"the tensor {name!r} has {values.size} values for the shape {shape}")
    return name, values.reshape(shape)


def _text(data: memoryview, wanted: int) -> str:
    return next((str(value, "utf-8") for number, value in _messages(data) if number == wanted), "")


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the fields that have a length: texts, messages, packed lists."""
    for number, value in _fields(data):
        if isinstance(value, memoryview):
            yield number, value


def _fields(data: memoryview) -> Iterator[tuple[int, int | float | memoryview]]:
    """Yield the number and the value of each field of a message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield number, value
        elif wire == _BYTES:
            length, place = _varint(data, place)
            if length > len(data) - place:
                raise NotOnnx("it is cut off")
            yield number, data[place : place + length]
            place += length
        elif wire == _FIXED32:
            yield number, struct.unpack_from("<f", data, place)[0]
            place += 4
        elif wire == _FIXED64:
            yield number, struct.unpack_from("<d", data, place)[0]
            place += 8
        else:
            raise NotOnnx("it is damaged or no ONNX file")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
    raise NotOnnx("it is damaged or no ONNX file")


def _integers(value: int | float | memoryview) -> list[int]:
    """Return the integers of a repeated field, which is packed or not."""
    if isinstance(value, int):
        return [_signed(value)]
    if not isinstance(value, memoryview):
        raise NotOnnx("it is damaged or no ONNX file")
    found = []
    place = 0
    while place < len(value):
        one, place = _varint(value, place)
        found.append(_signed(one))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
