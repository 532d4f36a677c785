"""Damage inside the tree of an LMDB: an error that names the file, and never the end of the process."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import lmdb
import numpy as np
import pytest

from dmdnet.data.storage import LMDBStorage
from dmdnet.data.storage.lmdb_pages import Meta, check_pages
from dmdnet.data.storage.lmdb_tree import check_tree
from dmdnet.errors import DataError

PICTURES = 400  # two levels, values in the leaves and in pages of their own


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lmdb") / "set.lmdb"
    values = {f"{n:05d}/a picture": bytes([n % 251]) * (60 if n % 3 else 3000) for n in range(PICTURES)}
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for name, value in values.items():
            transaction.put(name.encode(), value)
    (folder / "meta_info.txt").write_text("".join(f"{name}.png (8,8,3) 1\n" for name in values))
    return folder


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "set.lmdb"
    folder.mkdir()
    for name in ("data.mdb", "meta_info.txt"):
        (folder / name).write_bytes((whole / name).read_bytes())
    return folder


def read_all(folder: Path) -> int:
    """Read everything in a forked process; return 0 for read, 3 for refused, minus a signal for a process ended."""
    child = os.fork()
    if child == 0:
        code = 9
        try:
            storage = LMDBStorage(folder)
            for key in storage.list_keys():
                storage.read(key)
            code = 0
        except DataError:
            code = 3
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tree_pages(data: bytes, size: int) -> list[int]:
    return [n for n in range(2, len(data) // size) if struct.unpack_from("<Q2xH", data, n * size)[1] in (1, 2)]


def test_a_whole_one_is_sound(whole: Path) -> None:
    meta = check_pages(whole / "data.mdb")
    assert meta.depth >= 2
    assert check_tree(whole / "data.mdb", meta)
    assert not check_tree(whole / "data.mdb", meta, most_pages=2)
    LMDBStorage(whole).check()
    assert read_all(whole) == 0


def test_an_empty_one_and_one_of_one(tmp_path: Path) -> None:
    for count in (0, 1):
        folder = tmp_path / f"{count}.lmdb"
        with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
            for n in range(count):
                transaction.put(str(n).encode(), b"x")
        assert check_tree(folder / "data.mdb", check_pages(folder / "data.mdb"))


@pytest.mark.parametrize("trials", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage_to_the_tree_never_ends_the_process(whole: Path, damaged: Path, trials: int) -> None:
    data = (whole / "data.mdb").read_bytes()
    size = check_pages(whole / "data.mdb").page_size
    pages = tree_pages(data, size)
    rng = np.random.default_rng(0)
    codes = []
    for trial in range(trials):
        changed = bytearray(data)
        page = pages[int(rng.integers(len(pages)))] * size
        # headers and lists of entries, then entries: all the numbers that lead somewhere
        start = page + int(rng.integers(0, 64) if trial % 2 else rng.integers(64, size - 8))
        changed[start : start + 4] = rng.bytes(4)
        (damaged / "data.mdb").write_bytes(changed)
        codes.append(read_all(damaged))
    assert set(codes) <= {0, 3}
    assert codes.count(3) > trials / 3


def damage(folder: Path, page: int, offset: int, form: str, value: int) -> None:
    with open(folder / "data.mdb", "r+b") as file:
        file.seek(page * 4096 + offset)
        file.write(struct.pack(form, value))


@pytest.mark.parametrize(
    ("offset", "form", "value", "words"),
    [
        (0, "<Q", 7777, "should be"),
        (10, "<H", 4, "should be"),
        (12, "<H", 5000, "outside of it"),
        (12, "<H", 18, "outside of it"),
        (16, "<H", 9, "entry outside"),
        (16, "<H", 4094, "entry outside"),
    ],
)
def test_a_root_that_is_wrong(damaged: Path, offset: int, form: str, value: int, words: str) -> None:
    root = check_pages(damaged / "data.mdb").root
    damage(damaged, root, offset, form, value)
    with pytest.raises(DataError, match=rf"data\.mdb: is damaged: .*{words}.*get it again"):
        LMDBStorage(damaged)


def test_a_circle_and_a_page_that_is_not_there(damaged: Path) -> None:
    root = check_pages(damaged / "data.mdb").root
    (place,) = struct.unpack_from("<H", (damaged / "data.mdb").read_bytes(), root * 4096 + 16)
    for page, words in ((root, "is not the leaf"), (60_000, "none of it"), (0, "none of it")):
        damage(damaged, root, place, "<H", page)
        with pytest.raises(DataError, match=words):
            LMDBStorage(damaged)


def test_a_picture_beyond_the_end(damaged: Path) -> None:
    data = (damaged / "data.mdb").read_bytes()
    for page in tree_pages(data, 4096):
        (flags,) = struct.unpack_from("<H", data, page * 4096 + 10)
        (place,) = struct.unpack_from("<H", data, page * 4096 + 16)
        kind, key = struct.unpack_from("<HH", data, page * 4096 + place + 4)
        if flags == 2 and kind == 1:
            damage(damaged, page, place + 8 + key, "<Q", 1 << 40)
    with pytest.raises(DataError, match="a picture outside of the file"):
        LMDBStorage(damaged)


def test_pages_that_all_lead_to_each_other_are_refused_at_once(tmp_path: Path) -> None:
    """Five pages of two thousand ways each to one of them: five levels of it would be more than fits in a memory."""
    page = struct.pack("<QHHHH", 2, 0, 1, 16 + 2 * 2000, 4088) + struct.pack("<H", 4088) * 2000
    page = page.ljust(4088, b"\0") + struct.pack("<HHHH", 2, 0, 0, 0)
    (tmp_path / "data.mdb").write_bytes(bytes(2 * 4096) + page * 2500)
    meta = Meta(page_size=4096, flags=0, depth=5, entries=1, root=2, last_page=2501, transaction=1)
    began = time.monotonic()
    with pytest.raises(DataError, match="more pages than the file"):
        check_tree(tmp_path / "data.mdb", meta)
    assert time.monotonic() - began < 2
