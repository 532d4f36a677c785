"""An LMDB gives what the folder gave, in any process; one that is not whole is an error and no SIGBUS."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from made_faces import mean_landmarks, picture

from dmdnet.data.face_reader import FaceReader
from dmdnet.data.manifest import Row
from dmdnet.data.storage import DiskStorage, LMDBStorage, open_storage, verify, write_lmdb
from dmdnet.errors import DataError
from dmdnet.images import decode_image, write_image

NAMES = ("00001/1.png", "00001/2.jpg", "00001/10.png", "top.webp", "ö ä/a b.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DiskStorage:
    root = tmp_path_factory.mktemp("images")
    for number, name in enumerate(NAMES):
        (root / name).parent.mkdir(exist_ok=True)
        write_image(root / name, picture(number, 48))
    return DiskStorage(root)


@pytest.fixture(scope="module")
def made(folder: DiskStorage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lmdb(folder, tmp_path_factory.mktemp("made") / "set.lmdb").root


def basicsr_lmdb(path: Path, pictures: dict[str, bytes], lines: str | None = None) -> Path:
    """Write an LMDB as the documentation of BasicSR describes it."""
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for key, data in pictures.items():
            transaction.put(key.encode(), data)
    text = "".join(f"{key}.png (48,48,3) 1\n" for key in pictures) if lines is None else lines
    (path / "meta_info.txt").write_text(text, encoding="utf-8")
    return path


class TestWriting:
    def test_the_bytes_are_those_of_the_files(self, folder: DiskStorage, made: Path) -> None:
        storage = open_storage(made)
        assert isinstance(storage, LMDBStorage)
        assert storage.list_keys() == folder.list_keys() == list(NAMES)
        assert all(storage.read(name) == folder.read(name) for name in NAMES)

    def test_basicsr_can_read_it(self, made: Path, tmp_path: Path) -> None:
        # its reader takes what is before the first dot of each line, and decodes the value of that key
        keys = [line.split(".")[0] for line in (made / "meta_info.txt").read_text(encoding="utf-8").splitlines()]
        assert sorted(path.name for path in made.iterdir()) == [
            "checksums.txt",
            "data.mdb",
            "lock.mdb",
            "meta_info.txt",
        ]
        copy = str(shutil.copytree(made, tmp_path / "copy"))  # this process has the other one open
        with lmdb.open(copy, readonly=True, lock=False) as environment, environment.begin() as transaction:
            shapes = [decode_image(transaction.get(key.encode())).shape for key in keys]
        assert shapes == [(48, 48, 3)] * 5
        assert (made / "meta_info.txt").read_text(encoding="utf-8").splitlines()[0] == "00001/1.png (48,48,3) 1"

    def test_other_compression_keeps_the_picture(self, folder: DiskStorage, tmp_path: Path) -> None:
        stored = write_lmdb(folder, tmp_path / "flat.lmdb", compress_level=0)
        assert len(stored.read("00001/1")) > 48 * 48 * 3
        np.testing.assert_array_equal(decode_image(stored.read("00001/1")), picture(0, 48))
        np.testing.assert_array_equal(
            decode_image(stored.read("00001/2.jpg")), decode_image(folder.read("00001/2.jpg"))
        )
        assert "00001/2.jpg (48,48,3) 0" in (stored.root / "meta_info.txt").read_text()

    def test_an_lmdb_can_be_the_source(self, made: Path, tmp_path: Path) -> None:
        again = write_lmdb(open_storage(made), tmp_path / "again.lmdb")
        assert (again.root / "checksums.txt").read_text() == (made / "checksums.txt").read_text()

    def test_the_map_grows(self, folder: DiskStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dmdnet.data.storage.lmdb_writing._FIRST_MAP", 1 << 14)
        monkeypatch.setattr("dmdnet.data.storage.lmdb_writing._BATCH", 1 << 12)
        stored = write_lmdb(folder, tmp_path / "small.lmdb")
        assert all(stored.read(name) == folder.read(name) for name in NAMES)

    def test_progress(self, folder: DiskStorage, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        write_lmdb(folder, tmp_path / "set.lmdb", progress=lambda done, total: seen.append((done, total)))
        assert seen == [(number, 5) for number in range(1, 6)]

    @pytest.mark.slow
    def test_more_than_two_gigabytes(self, tmp_path: Path) -> None:
        storage = LargeFiles(count=18, padding=1 << 27)
        stored = write_lmdb(storage, tmp_path / "large.lmdb", workers=1)
        size = (stored.root / "data.mdb").stat().st_size
        assert size > 2**31
        assert all(stored.read(name) == storage.read(name) for name in storage.list_keys())
        os.truncate(stored.root / "data.mdb", size - 4096)
        with pytest.raises(DataError, match="cut short"):
            open_storage(stored.root)
        shutil.rmtree(stored.root)  # pytest would keep it


class LargeFiles:
    """Pictures that are large by what else is in their files."""

    def __init__(self, count: int, padding: int) -> None:
        self.names = [f"{number:02}.png" for number in range(count)]
        self.padding = padding

    def read(self, key: str) -> bytes:
        png = cv2.imencode(".png", picture(int(key[:2]), 16))[1].tobytes()
        body = b"paDd" + bytes(self.padding)
        chunk = struct.pack(">I", self.padding) + body + struct.pack(">I", zlib.crc32(body))
        return png[:-12] + chunk + png[-12:]  # before the IEND chunk

    def list_keys(self) -> list[str]:
        return self.names

    def where(self, key: str) -> str:
        return f"large/{key}"

    def checksum(self, key: str) -> int | None:
        return None


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "words"), [("set", r"ends in \.lmdb"), ("missing/set.lmdb", "does not exist"), ("old.lmdb", "exists")]
    )
    def test_targets(self, folder: DiskStorage, tmp_path: Path, name: str, words: str) -> None:
        (tmp_path / "old.lmdb").mkdir()
        with pytest.raises(DataError, match=words):
            write_lmdb(folder, tmp_path / name)

    def test_damaged_pictures_are_all_named_and_nothing_is_left(self, tmp_path: Path) -> None:
        root = tmp_path / "images"
        root.mkdir()
        for number in range(4):
            write_image(root / f"{number}.png", picture(number, 48))
        os.truncate(root / "1.png", 300)
        (root / "3.png").write_bytes(b"<html>")
        with pytest.raises(DataError, match=r"2 of 4 pictures.*1\.png.*cut short.*3\.png.*web page"):
            write_lmdb(DiskStorage(root), tmp_path / "set.lmdb")
        assert [path.name for path in tmp_path.iterdir()] == ["images"]

    @pytest.mark.parametrize("names", [("1.png", "1.jpg"), ("1.jpg.png", "1.jpg")])
    def test_names_that_would_be_one_key(self, tmp_path: Path, names: tuple[str, str]) -> None:
        for name in names:
            write_image(tmp_path / name, picture(0, 16))
        with pytest.raises(DataError, match="rename one"):
            write_lmdb(DiskStorage(tmp_path), tmp_path / "set.lmdb")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds no picture"):
            write_lmdb(DiskStorage(tmp_path), tmp_path / "set.lmdb")

    def test_a_full_disk(self, folder: DiskStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_space(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(DataError, match="No space left"):
            write_lmdb(folder, tmp_path / "set.lmdb")
        assert not list(tmp_path.iterdir())

    def test_killed_at_any_time_it_leaves_no_half_of_one(self, folder: DiskStorage, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys\n"
            "from dmdnet.data.storage import DiskStorage, write_lmdb\n"
            "kill = lambda done, total: done == int(sys.argv[3]) and os.kill(os.getpid(), signal.SIGKILL)\n"
            "write_lmdb(DiskStorage(sys.argv[1]), sys.argv[2], workers=1, progress=kill)\n"
        )
        target = tmp_path / "set.lmdb"
        ran = subprocess.run([sys.executable, "-c", code, str(folder.root), str(target), "5"], check=False)
        assert ran.returncode == -signal.SIGKILL
        assert not target.exists()
        assert len(list(tmp_path.glob(".set.lmdb.*.tmp"))) == 1
        assert len(write_lmdb(folder, target).list_keys()) == 5
        assert not list(tmp_path.glob(".*"))


class TestReading:
    def test_keys_with_and_without_suffix(self, folder: DiskStorage, made: Path) -> None:
        storage = LMDBStorage(made)
        assert storage.read("ö ä/a b") == storage.read("ö ä/a b.png") == folder.read("ö ä/a b.png")
        assert storage.where("00001/1.png") == f"{made}/00001/1.png"

    @pytest.mark.parametrize("key", ["00001/3.png", "", "/etc/passwd", "../x.png", "a\0.png", "x" * 300, "\udcff"])
    def test_keys_that_are_not_there(self, made: Path, key: str) -> None:
        with pytest.raises(DataError):
            LMDBStorage(made).read(key)

    def test_names_with_dots(self, tmp_path: Path) -> None:
        storage = open_storage(basicsr_lmdb(tmp_path / "a.lmdb", {"photo.v2": b"two", "photo.jpg": b"three"}))
        assert storage.list_keys() == ["photo.jpg.png", "photo.v2.png"]
        assert [storage.read(key) for key in storage.list_keys()] == [b"three", b"two"]

    def test_two_readers_and_many_threads(self, folder: DiskStorage, made: Path) -> None:
        readers = [LMDBStorage(made) for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: readers[n % 2].read(NAMES[n % 5]), range(200)))
        assert found == [folder.read(NAMES[n % 5]) for n in range(200)]

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.parametrize("used_before", [True, False])
    def test_other_processes(self, folder: DiskStorage, made: Path, method: str, used_before: bool) -> None:
        storage = LMDBStorage(made)
        if used_before:
            storage.read(NAMES[0])
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(storage.read, NAMES) == [folder.read(name) for name in NAMES]
        assert storage.read(NAMES[1]) == folder.read(NAMES[1])  # the parent's own is still open

    def test_a_fork_while_a_thread_reads(self, made: Path) -> None:
        storage, stop = LMDBStorage(made), threading.Event()

        def read() -> None:
            while not stop.is_set():
                LMDBStorage(made).read(NAMES[0])

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for _ in range(8):
                child = os.fork()
                if child == 0:
                    same = False
                    try:
                        same = LMDBStorage(made).read(NAMES[0]) == storage.read(NAMES[0])
                    finally:
                        os._exit(0 if same else 1)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()
            thread.join()

    def test_one_that_was_made_again_is_read_anew(self, folder: DiskStorage, tmp_path: Path) -> None:
        path = basicsr_lmdb(tmp_path / "set.lmdb", {"one": b"old"})
        assert open_storage(path).read("one") == b"old"
        shutil.rmtree(path)
        basicsr_lmdb(path, {"one": b"new"})
        assert open_storage(path).read("one") == b"new"

    def test_pickles_are_small(self, made: Path) -> None:
        storage = LMDBStorage(made)
        storage.read(NAMES[0])
        assert len(pickle.dumps(storage)) < 1000

    def test_read_only_files(self, made: Path, folder: DiskStorage, tmp_path: Path) -> None:
        stored = write_lmdb(folder, tmp_path / "set.lmdb").root
        before = sorted((path.name, path.stat().st_mtime_ns) for path in stored.iterdir())
        for path in (*stored.iterdir(), stored):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert LMDBStorage(stored).read(NAMES[0]) == folder.read(NAMES[0])
        stored.chmod(0o755)
        assert sorted((path.name, path.stat().st_mtime_ns) for path in stored.iterdir()) == before


class TestNotWhole:
    @pytest.fixture
    def copy(self, folder: DiskStorage, tmp_path: Path) -> Path:
        return write_lmdb(folder, tmp_path / "set.lmdb").root

    def test_cut_short_at_any_length(self, copy: Path) -> None:
        """In a process of its own: the library would end it by SIGBUS."""
        code = (
            "import os, sys\n"
            "from dmdnet.data.storage import open_storage\n"
            "from dmdnet.errors import DataError\n"
            "path = os.path.join(sys.argv[1], 'data.mdb')\n"
            "whole = open(path, 'rb').read()\n"
            "for length in [*range(0, len(whole), 1500), len(whole) - 1]:\n"
            "    open(path, 'wb').write(whole[:length])\n"
            "    try:\n"
            "        storage = open_storage(sys.argv[1])\n"
            "        [storage.read(key) for key in storage.list_keys()]\n"
            "    except DataError as error:\n"
            "        print(error)\n"
        )
        ran = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        size = (copy / "data.mdb").stat().st_size + 1
        said = ran.stdout.splitlines()
        assert len(said) == len(range(0, size, 1500)) + 1
        assert "is empty" in said[0]
        assert f"is cut short: it has {size - 1:,} of {size:,} bytes" in said[-1]

    def test_cut_short_after_it_was_opened_elsewhere(self, copy: Path) -> None:
        storage = LMDBStorage(copy)  # nothing is mapped yet
        os.truncate(copy / "data.mdb", 9000)
        with pytest.raises(DataError, match="cut short"):
            storage.read(NAMES[0])

    @pytest.mark.parametrize(
        ("content", "words"), [(b"", "is empty"), (b"hello" * 4000, "is no LMDB"), (None, r"data\.mdb: there is no")]
    )
    def test_no_lmdb(self, tmp_path: Path, content: bytes | None, words: str) -> None:
        path = tmp_path / "x.lmdb"
        path.mkdir()
        if content is not None:
            (path / "data.mdb").write_bytes(content)
        with pytest.raises(DataError, match=words):
            open_storage(path)

    def test_a_file_and_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "x.lmdb").write_bytes(b"")
        for name, words in (("x.lmdb", "is a file"), ("y.lmdb", "no such folder"), ("z", "no such folder")):
            with pytest.raises(DataError, match=words):
                open_storage(tmp_path / name)

    def test_a_name_without_the_suffix(self, copy: Path) -> None:
        with pytest.raises(DataError, match=r"is an LMDB; its name must end in \.lmdb"):
            open_storage(copy.rename(copy.with_name("set")))

    def test_other_software_s_has_no_meta_info(self, copy: Path) -> None:
        (copy / "meta_info.txt").unlink()
        with pytest.raises(DataError, match=r"meta_info\.txt: there is no such file.*scripts/make_lmdb\.py"):
            open_storage(copy)

    def test_meta_info_lists_something_else(self, copy: Path) -> None:
        with open(copy / "meta_info.txt", "a", encoding="utf-8") as file:
            file.write("more.png (48,48,3) 1\n")
        with pytest.raises(DataError, match=r"lists 6 pictures, data\.mdb holds 5"):
            open_storage(copy)

    @pytest.mark.parametrize("text", ["1.png 48 48 3 1\n", "1.png (48,48,3)\n"])
    def test_meta_info_of_another_form(self, copy: Path, text: str) -> None:
        (copy / "meta_info.txt").write_text(text)
        with pytest.raises(DataError, match=r"meta_info\.txt, line 1"):
            open_storage(copy)

    def test_a_listed_picture_that_is_not_there(self, tmp_path: Path) -> None:
        path = basicsr_lmdb(tmp_path / "a.lmdb", {"one": b"1"}, "two.png (48,48,3) 1\n")
        with pytest.raises(DataError, match=r"two\.png: there is no such picture"):
            open_storage(path).read("two.png")


class TestChecksums:
    def test_every_changed_byte_is_found(self, made: Path, folder: DiskStorage, tmp_path: Path) -> None:
        stored = write_lmdb(folder, tmp_path / "set.lmdb").root
        data = bytearray((stored / "data.mdb").read_bytes())
        value = folder.read("00001/2.jpg")
        half = len(value) // 2
        for place in [
            match.start() for match in re.finditer(re.escape(value), data)
        ]:  # what LMDB leaves between its pages is memory that may hold a copy
            data[place + half] ^= 0x40
        (stored / "data.mdb").write_bytes(bytes(data))
        LMDBStorage(stored).read("00001/2.jpg")  # nobody asked
        found = list(verify(LMDBStorage(stored)))
        assert len(found) == 1
        assert re.search(r"00001/2\.jpg: was changed: its CRC-32 is \w{8}, \w{8} was recorded", found[0])

    def test_a_reader_that_verifies_takes_the_lmdbs_own(self, folder: DiskStorage, tmp_path: Path) -> None:
        storage = write_lmdb(folder, tmp_path / "set.lmdb")
        row = Row("00001/1.png", "00001", picture="00001/1.png", landmarks=mean_landmarks(48).astype(np.float32))
        reader = FaceReader(storage=storage, image_size=48, verify_checksums=True)
        assert reader.read(row).name == row.name
        checksums = storage.root / "checksums.txt"
        checksums.write_text(re.sub(r"(00001/1\.png) \w{8}", r"\1 00000007", checksums.read_text()))
        fresh = FaceReader(storage=LMDBStorage(storage.root), image_size=48, verify_checksums=True)
        with pytest.raises(DataError, match=r"1\.png: is damaged or was changed: its CRC-32 is \w{8}, 00000007 was"):
            fresh.read(row)

    def test_none_to_verify_against(self, tmp_path: Path) -> None:
        path = basicsr_lmdb(tmp_path / "a.lmdb", {"one": b"1"})
        assert open_storage(path).read("one.png") == b"1"
        assert open_storage(path).checksum("one.png") is None

    def test_verify_names_what_cannot_be_decoded_was_changed_or_is_missing(self, tmp_path: Path) -> None:
        for number in range(3):
            write_image(tmp_path / f"{number}.png", picture(number, 32))
        (tmp_path / "1.png").write_bytes(b"")
        found = list(verify(DiskStorage(tmp_path), {"2.png": 7, "3.png": 8}))
        assert [text.split(": ")[0] for text in found] == [str(tmp_path / f"{n}.png") for n in (1, 2, 3)]
        assert "00000007 was recorded" in found[1]
