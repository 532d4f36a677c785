"""Files from anybody: crafted ones execute nothing, are rejected in a line, quickly and in little memory."""

import functools
import io
import json
import os
import pickle
import re
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dmdnet.archs.loading import load_network
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.durable import digest
from dmdnet.errors import CheckpointError, WeightsError
from dmdnet.tensor_files import NotTensors, read_tensors
from dmdnet.weights import read_state


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


class State(Call):
    """Carries a payload where an object's state belongs."""

    def __reduce__(self):
        return object, (), self._call[0](*self._call[1])


def opcode(text):
    """Return a pickle of protocol 0 made by hand."""
    return text.encode() + b"."


def torch_zip(path, pickled, extra=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for name, data in (extra or {}).items():
            archive.writestr(f"archive/{name}", data)


def tensors_header(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def nested(path, canary):
    inner = io.BytesIO()
    torch_zip(inner, pickle.dumps(Call(os.system, f"touch {canary}")))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive.pth", inner.getvalue())


def overlapping(path, canary):
    """Two entries of the list of contents lead to one place in the file."""
    torch_zip(path, pickle.dumps({}), {"data/0": b"\0" * 64, "data/1": b"\0" * 64})
    data = bytearray(path.read_bytes())
    places = [match.start() for match in re.finditer(b"PK\x01\x02", data)]
    data[places[4] + 42 : places[4] + 46] = data[places[3] + 42 : places[3] + 46]
    path.write_bytes(bytes(data))


def tar(path, canary):
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            data = pickle.dumps(Call(os.system, f"touch {canary}"))
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def script(path, canary):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def crc(path, canary):
    torch.save({"params": torch.zeros(1000)}, path)
    data = bytearray(path.read_bytes())
    place = data.index(b"data.pkl") + 40
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))


@functools.cache
def zip_bomb():
    file = io.BytesIO()
    torch_zip(file, pickle.dumps({}), {"data/0": b"\0" * 300_000_000}, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def huge_sizes(path, canary):
    """A tensor of 2^62 numbers over a storage of four."""
    torch.save({"w": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        contents = {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}
    pickled = contents.pop("data.pkl").replace(b"K\x04\x85", b"\x8a\x08" + (1 << 62).to_bytes(8, "little") + b"\x85", 1)
    torch_zip(path, pickled, {name: data for name, data in contents.items() if name.startswith("data/")})


def raw(make):
    return lambda path, canary: path.write_bytes(pickle.dumps(make(canary)))


def saved(make):
    return lambda path, canary: torch.save({"params": make(canary)}, path)


def written(make):
    return lambda path, canary: path.write_bytes(make(canary))


def zipped(make):
    return lambda path, canary: torch_zip(path, make(canary))


CORPUS = {
    "os.system, zip": saved(lambda c: Call(os.system, f"touch {c}")),
    "os.system, bare pickle": raw(lambda c: Call(os.system, f"touch {c}")),
    "os.system, legacy file": lambda p, c: torch.save(
        {"a": Call(os.system, f"touch {c}")}, p, _use_new_zipfile_serialization=False
    ),
    "eval": saved(lambda c: Call(eval, f"open({str(c)!r}, 'w')")),
    "exec": saved(lambda c: Call(exec, f"open({str(c)!r}, 'w')")),
    "__import__": saved(lambda c: Call(__import__, "antigravity")),
    "open for writing": saved(lambda c: Call(open, str(c), "w")),
    "os.mkdir in an object's state": saved(lambda c: State(lambda: {"x": Call(os.mkdir, str(c))})),
    "getattr chain": saved(lambda c: Call(getattr, Call(__import__, "os"), "system")),
    "getattr on torch": zipped(lambda c: opcode("cbuiltins\ngetattr\n(ctorch\nhub\nVload_state_dict_from_url\ntR")),
    "pip.main": zipped(lambda c: opcode("cpip\nmain\n((lVinstall\naVnothing\natR")),
    "runpy": zipped(lambda c: opcode("crunpy\nrun_path\n(V/tmp/nothing.py\ntR")),
    "nt.system by another name": zipped(lambda c: opcode(f"cposix\nsystem\n(Vtouch {c}\ntR")),
    "torch's own unrestricted load": zipped(lambda c: opcode("ctorch\nload\n(V/tmp/nothing.pth\ntR")),
    "numpy's load of objects": zipped(lambda c: opcode("cnumpy\nload\n(V/tmp/nothing.npy\ntR")),
    "INST opcode": zipped(lambda c: f"(Vtouch {c}\niposix\nsystem\n.".encode()),
    "BUILD with __setstate__": zipped(lambda c: b"ctorch._utils\n_rebuild_tensor_v2\n(N}b."),
    "persistent id of a wrong kind": zipped(lambda c: b"(Vstorage\ncposix\nsystem\nV0\nVcpu\nK\x04tQ."),
    "recursion": zipped(lambda c: b"(" * 200_000 + b"."),
    "memo out of range": zipped(lambda c: b"h\xff."),
    "nested zip": nested,
    "wrong extension: a png": written(lambda c: b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
    "wrong extension: html": written(lambda c: b"<!DOCTYPE html><html>404</html>"),
    "empty": written(lambda c: b""),
    "legacy tar": tar,
    "TorchScript": script,
    "changed data.pkl": crc,
    "a tensor larger than its storage": huge_sizes,
    "overlapping zip entries": overlapping,
    "zip bomb of 300 megabytes": written(lambda c: zip_bomb()),
    "safetensors header of 2^63": written(lambda c: tensors_header({}, length=1 << 63)),
    "safetensors header longer than the file": written(lambda c: tensors_header({}, length=5000)),
    "safetensors with overlapping offsets": written(
        lambda c: tensors_header(
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            },
            b"\0" * 12,
        )
    ),
    "safetensors with offsets outside": written(
        lambda c: tensors_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [1 << 40, (1 << 40) + 8]}})
    ),
    "safetensors with an overflowing shape": written(
        lambda c: tensors_header({"a": {"dtype": "F32", "shape": [1 << 62, 8], "data_offsets": [0, 8]}}, b"\0" * 8)
    ),
    "safetensors with metadata that is no JSON": lambda p, c: save_file({"w": torch.zeros(1)}, p, {"network": "{"}),
}


def peak_kilobytes():
    """Return this process's largest resident size since `reset_peak`."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def reset_peak():
    Path("/proc/self/clear_refs").write_text("5")


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 20


@pytest.mark.parametrize("case", CORPUS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_crafted_file_is_rejected_and_executes_nothing(tmp_path, case, suffix):
    canary, path = tmp_path / "canary", tmp_path / f"net_g_5{suffix}"
    CORPUS[case](path, canary)
    reset_peak()
    before, began = peak_kilobytes(), time.process_time()
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert time.process_time() - began < 5.0  # a bomb that is unpacked takes minutes
    assert peak_kilobytes() - before < 200_000
    assert not canary.exists()
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "weights_only" not in text
    assert len(text) < 600


@pytest.mark.parametrize("case", CORPUS)
def test_a_crafted_training_state_is_rejected_however_well_it_is_sealed(tmp_path, case):
    canary, folder = tmp_path / "canary", CheckpointFolder(tmp_path / "run")
    folder.save(5, {"net_g": {"params": {"w": torch.zeros(2)}, "network": {}}}, {"draws": 1})
    state = folder.states / "5.state"
    CORPUS[case](state, canary)
    manifest = folder.states / "5.json"
    sealed = json.loads(manifest.read_text())
    sealed["parts"]["training_states/5.state"] = {"bytes": state.stat().st_size, "sha256": digest(state)}
    manifest.write_text(json.dumps(sealed, indent=2))
    with pytest.raises(CheckpointError, match=r"5\.state: ") as caught:
        folder.load(5)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("case", CORPUS)
def test_crafted_weights_of_a_loss_or_a_face_library_are_rejected(tmp_path, case):
    canary, path = tmp_path / "canary", tmp_path / "vgg19-dcbb9e9d.pth"
    CORPUS[case](path, canary)
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d\.pth: ") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def test_a_bomb_of_ten_gigabytes_is_seen_by_its_list_of_contents(tmp_path):
    path = tmp_path / "bomb.pth"
    torch_zip(path, pickle.dumps({}), {"data/0": b"\0" * 1000})
    data = bytearray(path.read_bytes())
    entry = [match.start() for match in re.finditer(b"PK\x01\x02", data)][3]
    for place in (entry + 20, entry + 24):  # packed and unpacked size
        data[place : place + 4] = (0xFFFF_0000).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(NotTensors, match=r"larger than the file|overlap|damaged"):
        read_tensors(path)


def test_the_corpus_is_not_rejected_for_its_wrapping(tmp_path):
    torch_zip(tmp_path / "x.pth", pickle.dumps({"draws": 1}, protocol=2))
    assert read_tensors(tmp_path / "x.pth") == {"draws": 1}


def test_good_files_of_every_kind_are_read(tmp_path):
    content = {"params": {"w": torch.arange(6.0).view(2, 3)}, "iteration": 5, "network": {"type": "X", "sizes": [1, 2]}}
    torch.save(content, tmp_path / "new.pth")
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    about = {"network": json.dumps(content["network"]), "iteration": "5"}
    save_file(content["params"], tmp_path / "x.safetensors", about)
    (tmp_path / "renamed.pth").write_bytes((tmp_path / "x.safetensors").read_bytes())
    for path in tmp_path.iterdir():
        found = read_tensors(path)
        assert torch.equal(found["params"]["w"], content["params"]["w"])
        assert found["network"] == content["network"]
        assert found["iteration"] == 5
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "none.pth")


def test_nothing_in_the_tree_loads_without_the_guard():
    root = Path(__file__).parents[1]
    for path in [*(root / "dmdnet").rglob("*.py"), *(root / "scripts").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pickle\.loads?\(|joblib|allow_pickle\s*=\s*True|torch\.jit\.load", text), path
        for call in re.findall(r"torch\.load\(.*", text):
            assert "weights_only=True" in call, (path, call)
