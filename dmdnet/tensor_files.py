"""Reading files of tensors that may come from anybody: nothing in them is executed, and they take no more memory than
their own size.

`.pth` and `.state` are read by torch's restricted unpickler, and there is no way back to the unrestricted one. Before
it sees a zip archive, the list of its entries is held against what torch writes: nothing compressed (a few kilobytes
could become gigabytes), nothing overlapping, no archive of programs. `.safetensors` is known by its content; its
metadata may hold `network` (JSON) and `iteration`.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

_ZIP = b"PK\x03\x04"
_HEADER_LIMIT = 100_000_000  # the limit of the format's own library
_ENTRY_LIMIT = 1_000_000
_PROGRAM = ("constants.pkl", "code/", "model.json")  # TorchScript and older archives of programs

# What torch's readers and unpickler raise on files that are not theirs. The list is long because the file chooses:
# a pickle of the allowed names can still call them with anything.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


class NotTensors(ValueError):
    """The file is not what it should be; the text says why, without its name."""


def read_tensors(path: str | os.PathLike[str]) -> Any:
    """Return the content of a file of tensors on the CPU.

    A safetensors file comes back as {"params": tensors} with its metadata "network" and "iteration" decoded.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        NotTensors: it is damaged, or holds anything but tensors and plain values.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(9)
    size = path.stat().st_size
    try:
        if head.startswith(_ZIP):
            _check_archive(path, size)
        elif (len(head) == 9 and head[8:] == b"{") or path.suffix == ".safetensors":
            return _read_safetensors(path, head, size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign formats; the error says what the user needs to know
            return torch.load(path, map_location="cpu", weights_only=True)
    except NotTensors:
        raise
    except UNREADABLE as error:
        # torch's own text is left out: it advises the unrestricted load, which runs what is in the file
        raise NotTensors("it is damaged, or holds more than tensors and plain values") from error


def _check_archive(path: Path, size: int) -> None:
    """Hold a zip archive against what torch writes."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > _ENTRY_LIMIT:
        raise NotTensors(f"it is an archive of {len(entries):,} entries")
    compressed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if compressed:
        raise NotTensors(f"it is a compressed archive ({_short(compressed[0])}), which torch does not write")
    program = [e.filename for e in entries if e.filename.partition("/")[2].startswith(_PROGRAM)]
    if program:
        raise NotTensors(f"it is a program (TorchScript: {_short(program[0])}); save the model's state_dict() instead")
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.header_offset < end or entry.file_size != entry.compress_size:
            raise NotTensors(f"its entries overlap or lie about their size ({_short(entry.filename)})")
        end = entry.header_offset + entry.file_size
    if end > size:
        raise NotTensors("its entries are larger than the file")


def _read_safetensors(path: Path, head: bytes, size: int) -> dict[str, Any]:
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or length > min(_HEADER_LIMIT, size - 8):
        raise NotTensors(f"its safetensors header would be {length:,} bytes in a file of {size:,}")
    with safe_open(path, framework="pt", device="cpu") as file:
        metadata = file.metadata() or {}
        content: dict[str, Any] = {"params": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118
    if "network" in metadata:
        content["network"] = json.loads(metadata["network"])
    if "iteration" in metadata:
        content["iteration"] = int(metadata["iteration"])
    return content


def _short(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")
