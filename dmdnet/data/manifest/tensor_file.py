"""Named arrays in one file, in the format safetensors: 8 bytes of length, a JSON header, then the arrays.

https://github.com/huggingface/safetensors describes the format; its own tools can read what is written here. The
reader is our own because a table must be opened without copying its gigabyte, and every damage must be named.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.data.manifest.mapped import MappedFile
from dmdnet.errors import DataError
from dmdnet.files import write_chunks

DTYPES = {"BOOL": "|b1", "U8": "|u1", "I32": "<i4", "I64": "<i8", "U64": "<u8", "F16": "<f2", "F32": "<f4"}
_CODES = {np.dtype(name): code for code, name in DTYPES.items()}
_MAX_HEADER = 1 << 24
_CHUNK = 1 << 24  # bytes handled at a time
_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_DIGEST = "sha256"
_NO_DIGEST = "0" * 64  # in its place while the digest is made


def write_tensors(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Path:
    """Write arrays and strings about them atomically; the metadata get a digest of header and arrays.

    Raises:
        DataError: the file cannot be written.
    """
    # the widest numbers first, so that every array begins at a multiple of its width
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    arrays = {name: np.ascontiguousarray(tensors[name], tensors[name].dtype.newbyteorder("<")) for name in names}
    header = _header(arrays, {**metadata, _DIGEST: _NO_DIGEST})
    digest = hashlib.sha256(header)
    for chunk in _chunks(arrays.values()):
        digest.update(chunk)
    return write_chunks(path, _file(_with_digest(header, _NO_DIGEST, digest.hexdigest()), arrays))


def read_tensors(mapped: MappedFile) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a file, which stay in it, and its metadata.

    Raises:
        DataError: the file is cut short or longer than it says, no safetensors, or arrays overlap or leave gaps.
    """
    header, start = _parsed(mapped)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(mapped, "its metadata are not strings by name")
    places = {name: _place(mapped, name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, first, last) in sorted(places.items(), key=lambda item: item[1][2:]):
        if first != end:
            raise _damaged(mapped, f"{name!r} begins at byte {first} of the data, the array before it ends at {end}")
        end = last
    if start + end != len(mapped):
        raise _damaged(mapped, f"its header describes {start + end:,} bytes, the file has {len(mapped):,}")
    arrays = {name: mapped.array(start + first, dtype, shape) for name, (dtype, shape, first, _) in places.items()}
    return arrays, metadata


def check_digest(mapped: MappedFile) -> None:
    """Compare all bytes with the digest in the metadata.

    Raises:
        DataError: they differ, or there is no digest.
    """
    parsed, start = _parsed(mapped)
    expected = parsed.get(_METADATA, {}).get(_DIGEST)
    if expected is None:
        raise DataError(f"{mapped.path}: has no digest to check against; write it again")
    digest = hashlib.sha256(_with_digest(mapped.buffer[_LENGTH_BYTES:start], expected, _NO_DIGEST))
    view = memoryview(mapped.buffer)
    for place in range(start, len(mapped), _CHUNK):
        digest.update(view[place : place + _CHUNK])
    if digest.hexdigest() != expected:
        raise _damaged(mapped, "its contents do not have the digest that was written with them")


def _with_digest(header: bytes, old: str, new: str) -> bytes:
    """Return the header with another digest; inside other strings its quotation marks are escaped."""
    name = f'"{_DIGEST}": '
    return header.replace(f'{name}"{old}"'.encode(), f'{name}"{new}"'.encode(), 1)


def _header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name, array in arrays.items():
        entries[name] = {
            "dtype": _CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end := end + array.nbytes],
        }
    text = json.dumps(entries, ensure_ascii=False).encode()
    return text + b" " * (-len(text) % _LENGTH_BYTES)


def _file(header: bytes, arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    yield len(header).to_bytes(_LENGTH_BYTES, "little")
    yield header
    yield from _chunks(arrays.values())


def _chunks(arrays: Iterable[np.ndarray]) -> Iterator[memoryview]:
    for array in arrays:
        if array.size:  # memoryview does not cast what is empty
            view = array.reshape(-1).view(np.uint8).data
            for place in range(0, len(view), _CHUNK):
                yield view[place : place + _CHUNK]


def _parsed(mapped: MappedFile) -> tuple[dict[str, Any], int]:
    """Return the header and where the data begin."""
    length = int.from_bytes(mapped.buffer[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if not 2 <= length <= _MAX_HEADER or start > len(mapped):
        raise _damaged(mapped, f"a header of {length:,} bytes does not fit in its {len(mapped):,} bytes")
    try:
        header = json.loads(mapped.buffer[_LENGTH_BYTES:start].decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(mapped, f"its header is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(mapped, "its header is no mapping")
    return header, start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _place(mapped: MappedFile, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Return dtype, shape, first and last byte of an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(mapped, f"{name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _damaged(mapped, f"{name!r} has numbers of the type {dtype!r}; known are {', '.join(DTYPES)}")
    if not _natural(shape) or not _natural(offsets) or len(offsets) != 2 or len(shape) > 4:
        raise _damaged(mapped, f"{name!r} has the shape {shape!r} at {offsets!r}")
    size = np.dtype(DTYPES[dtype]).itemsize * math.prod(shape)
    too_large = math.prod(max(side, 1) for side in shape) > len(mapped)  # numpy refuses them even where one side is 0
    if offsets[1] - offsets[0] != size or offsets[1] > len(mapped) or too_large:
        raise _damaged(mapped, f"{name!r} of shape {shape} needs {size:,} bytes, it has {offsets}")
    return DTYPES[dtype], tuple(shape), offsets[0], offsets[1]


def _natural(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _damaged(mapped: MappedFile, why: str) -> DataError:
    return DataError(f"{mapped.path}: is no manifest, or damaged: {why}. Copy it again, or make it again")
