"""Manifest files: what is written comes back from the file itself, and no damage passes unnamed."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from made_faces import mean_landmarks, write_celebref

from dmdnet.data.layouts.celebref_hq import CelebRefHQLayout
from dmdnet.data.manifest import Manifest, Row, read_manifest, read_metadata, select_rows, write_manifest
from dmdnet.data.manifest.tensor_file import write_tensors
from dmdnet.data.storage import DiskStorage, MountedStorage, open_storage
from dmdnet.errors import DataError


def made_rows(count: int = 12) -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        rows.append(
            Row(
                name=f"Zoë {number % 3}/{number} é.png",
                identity=f"Zoë {number % 3}",
                picture=f"images/{number}.png",
                split=("train", "val", "test")[number % 3],
                is_target=number % 5 > 0,
                checksum=int(rng.integers(2**32)),
                size=(512, 512),
                landmarks=mean_landmarks().astype(np.float32) if number % 4 else None,
                embedding=rng.normal(size=16).astype(np.float16).astype(np.float32),
                pose=(1.0, 2.0, float(number)),
                sharpness=0.5 * number,
                fingerprint=int(rng.integers(2**63)),
                duplicate_of=f"Zoë {number % 3}/{number - 3} é.png" if number == 7 else None,
                references=tuple(f"Zoë {n % 3}/{n} é.png" for n in range(number % 3, count, 3) if n != number),
            )
        )
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    manifest = Manifest.from_rows(made_rows(), storage=DiskStorage(tmp_path), origin="made")
    return write_manifest(manifest, tmp_path / "faces.manifest", options={"seed": 3})


def assert_same_rows(one: Manifest, other: Manifest) -> None:
    assert len(one) == len(other)
    assert all(mine == theirs for mine, theirs in zip(one, other, strict=True))


class TestRoundTrip:
    def test_rows_and_what_the_file_says_of_itself(self, file: Path) -> None:
        manifest = read_manifest(file, verify_digest=True)
        assert list(manifest) == made_rows()
        metadata = read_metadata(file)
        assert metadata["dataroot"] == {"": "."}
        assert metadata["options"] == {"seed": 3}
        assert metadata["made_by"].startswith("dmdnet ")

    def test_nothing_is_copied_and_nothing_can_be_written(self, file: Path) -> None:
        manifest = read_manifest(file)
        assert manifest.mapped is not None
        columns = [*manifest.arrays.values(), manifest.identity, manifest.is_target, manifest.text["name"].data]
        assert all(manifest.mapped.part(column) is not None for column in columns)
        assert all(column.flags.aligned for column in columns)
        with pytest.raises(ValueError, match="read-only"):
            manifest.arrays["landmarks"][0] = 0

    def test_the_library_of_the_format_reads_it(self, file: Path) -> None:
        tensors = safetensors.numpy.load_file(file)
        np.testing.assert_array_equal(tensors["landmarks"], read_manifest(file).arrays["landmarks"])
        assert bytes(tensors["name.data"]).decode().startswith("Zoë 0/0 é.png")

    def test_an_empty_table(self, tmp_path: Path) -> None:
        empty = Manifest.from_rows([], storage=DiskStorage(tmp_path), origin="empty")
        assert list(read_manifest(write_manifest(empty, tmp_path / "e.manifest"))) == []

    def test_a_layout_with_its_landmark_files_moves_as_one(self, tmp_path: Path) -> None:
        write_celebref(tmp_path / "old", {"Zoë 张": 2, "00001": 1})
        made = CelebRefHQLayout(dataroot_gt=str(tmp_path / "old" / "images")).manifest()
        write_manifest(made, tmp_path / "old" / "faces.manifest")
        (tmp_path / "old").rename(tmp_path / "new")
        found = read_manifest(tmp_path / "new" / "faces.manifest")
        assert [row.name for row in found] == ["00001/1.png", "Zoë 张/1.png", "Zoë 张/2.png"]
        for row in found:
            assert Path(row.landmark_file) == tmp_path / "new" / "landmarks" / f"{row.name}.txt"
            assert Path(row.landmark_file).is_file()
            assert found.storage.read(row.picture)
        again = read_manifest(write_manifest(found, tmp_path / "new" / "again.manifest"))
        assert_same_rows(found, again)
        assert_same_rows(select_rows(found, np.array([0, 2])), select_rows(again, np.array([0, 2])))

    def test_several_roots(self, tmp_path: Path) -> None:
        for folder in ("images", "lq"):
            (tmp_path / folder).mkdir()
        storage = MountedStorage({"gt": DiskStorage(tmp_path / "images"), "lq": DiskStorage(tmp_path / "lq")})
        made = Manifest.from_rows([Row("1.png", "1", "gt/1.png", "lq/1.png")], storage=storage, origin="made")
        found = read_manifest(write_manifest(made, tmp_path / "a.manifest"))
        assert found.storage.where("lq/1.png") == str(tmp_path / "lq" / "1.png")

    def test_another_storage_may_be_given(self, file: Path, tmp_path: Path) -> None:
        assert read_manifest(file, DiskStorage("elsewhere")).storage.where("a") == os.path.join("elsewhere", "a")


class TestOtherProcesses:
    def test_a_pickle_holds_places_and_no_columns(self, tmp_path: Path) -> None:
        made = Manifest.from_rows(made_rows(300), storage=DiskStorage(tmp_path), origin="made")
        manifest = read_manifest(write_manifest(made, tmp_path / "faces.manifest"))
        assert manifest.number_of["Zoë 1/1 é.png"] == 1  # made on demand; stays at home
        data = pickle.dumps(manifest)
        assert len(data) < 4000
        assert_same_rows(pickle.loads(data), manifest)

    def test_a_part_sends_what_is_not_in_the_file(self, file: Path) -> None:
        manifest = read_manifest(file)
        for rows in (np.array([1, 3, 4]), np.arange(3, 7)):
            part = select_rows(manifest, rows)
            assert_same_rows(pickle.loads(pickle.dumps(part)), part)

    def test_a_table_in_memory_is_copied(self, tmp_path: Path) -> None:
        made = Manifest.from_rows(made_rows(), storage=DiskStorage(tmp_path), origin="made")
        assert_same_rows(pickle.loads(pickle.dumps(made)), made)

    def test_a_spawned_process_reads_the_same(self, file: Path) -> None:
        manifest = read_manifest(file)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(manifest.__getitem__, (7,)) == manifest[7]

    def test_a_file_that_was_replaced_in_between(self, file: Path) -> None:
        data = pickle.dumps(read_manifest(file))
        os.utime(file, ns=(1, 1))
        with pytest.raises(DataError, match="was replaced while it was in use"):
            pickle.loads(data)


class TestWriting:
    def test_what_lies_elsewhere_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        outside = Manifest.from_rows([Row("a", "p", "a.png")], storage=DiskStorage(tmp_path / "out"), origin="made")
        with pytest.raises(DataError, match=r"pictures are in .*out; write the manifest to that folder"):
            write_manifest(outside, tmp_path / "in" / "a.manifest")
        rows = [Row("a", "p", "a.png", landmark_file=str(tmp_path / "out" / "a.txt"))]
        marks = Manifest.from_rows(rows, storage=DiskStorage(tmp_path / "in"), origin="made")
        with pytest.raises(DataError, match=r"a\.txt: lies outside of .*in"):
            write_manifest(marks, tmp_path / "in" / "a.manifest")

    def test_names(self, tmp_path: Path) -> None:
        made = Manifest.from_rows([], storage=DiskStorage(tmp_path), origin="made")
        with pytest.raises(DataError, match=r"ends in \.manifest"):
            write_manifest(made, tmp_path / "faces.csv")
        with pytest.raises(DataError, match="does not exist; make it first"):
            write_manifest(made, tmp_path / "no" / "faces.manifest")

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            (Row("../a.png", "p"), r"name of row 0 has a part '\.\.'"),
            (Row("a/..", "p"), r"part '\.\.'"),
            (Row("a", "p", "x/../../b.png"), r"picture of row 0 has a part '\.\.'"),
            (Row("/a.png", "p"), "begins with a slash"),
            (Row("a", "p", degraded="/etc/passwd"), "degraded of row 0 begins with a slash"),
            (Row("a\\b.png", "p"), "backslash, NUL or line break"),
            (Row("a\0.png", "p"), "backslash, NUL or line break"),
            (Row("a.png", "p\nq"), "identities of row 1 has a backslash, NUL or line break"),
            (Row("", "p"), "row 0 has no name"),
            (Row("a" * 5000, "p"), "5,000 bytes"),
            (Row("a", "p", size=(512, 0)), r"size of row 0 is \[512, 0\]"),
            (Row("a", "p", size=(-1, 5)), "size of row 0"),
            (Row("a", "p", checksum=2**32), "checksum of row 0"),
            (Row("a", "p", landmarks=np.where(np.arange(136) == 5, np.nan, 1).reshape(68, 2)), "landmarks of row 0"),
            (Row("a", "p", landmarks=np.full((68, 2), np.inf)), "landmarks of row 0"),
            (Row("a", "p", embedding=np.array([1, np.nan])), "embedding of row 0"),
            (Row("a", "p", landmarks=np.ones((5, 2))), r"landmarks is float32 \(2, 5, 2\)"),
            (Row("a", "p", sharpness=np.inf), "sharpness of row 0"),
        ],
    )
    def test_no_bad_row_is_written(self, row: Row, why: str, tmp_path: Path) -> None:
        made = Manifest.from_rows([row, Row("z..png", "a..b")], storage=DiskStorage(tmp_path), origin="made")
        with pytest.raises(DataError, match=why):
            write_manifest(made, tmp_path / "a.manifest")
        assert not list(tmp_path.iterdir())

    def test_dots_that_lead_nowhere_are_names(self, tmp_path: Path) -> None:
        names = ["a..png", "..a/b", "a../b", "...", "a/...", "x/.y"]
        made = Manifest.from_rows([Row(name, name) for name in names], storage=DiskStorage(tmp_path), origin="made")
        assert list(read_manifest(write_manifest(made, tmp_path / "a.manifest")).text["name"]) == names

    def test_a_failed_writing_leaves_the_old_file(self, file: Path, tmp_path: Path) -> None:
        before = file.read_bytes()
        bad = Manifest.from_rows([Row("..", "p")], storage=DiskStorage(tmp_path), origin="bad")
        with pytest.raises(DataError):
            write_manifest(bad, file)
        assert file.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["faces.manifest"]


def with_columns(file: Path, **changes: np.ndarray | None) -> Path:
    """Write the file again with other columns."""
    tensors = {name: np.array(array) for name, array in safetensors.numpy.load_file(file).items()}
    tensors |= {name.replace("__", "."): array for name, array in changes.items() if array is not None}
    for name in [name.replace("__", ".") for name, array in changes.items() if array is None]:
        del tensors[name]
    metadata = {"format": "dmdnet.manifest", "version": "1", "dataroot": '{"": "."}'}
    return write_tensors(file, tensors, metadata)


def int64(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def column(value: float, row: int, dtype: type, count: int = 12, rest: float = 0) -> np.ndarray:
    values = np.full(count, rest, dtype=dtype)
    values[row] = value
    return values


class TestBadColumns:
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"identity": column(3, 5, np.int32)}, "identity of row 5 is 3, 0 to 2"),
            ({"identity": column(-1, 5, np.int32)}, "identity of row 5 is -1"),
            ({"split": column(4, 2, np.uint8)}, "split of row 2 is 4"),
            ({"duplicate_of": column(12, 3, np.int64, rest=-1)}, "duplicate_of of row 3 is 12"),
            ({"duplicate_of": column(3, 3, np.int64, rest=-1)}, "duplicate_of of row 3 is no earlier row"),
            ({"reference_rows": int64(*[0] * 35, 12)}, "reference_rows of row 35"),
            ({"reference_rows": int64(0)}, "reference_ends does not end at 1"),
            ({"reference_ends": column(-1, 0, np.int64, rest=36)}, "reference_ends does not rise"),
            ({"reference_ends": None}, "'reference_ends' is missing"),
            ({"name__ends": None}, "'name.ends' is missing"),
            ({"identity": None}, "'identity' is missing"),
            ({"picture__data": None}, "'picture.data' is missing"),
            ({"colour": np.zeros(12, np.int32)}, "unknown column 'colour'"),
            ({"pose": np.zeros((12, 2), np.float32)}, r"pose is float32 \(12, 2\), float32 \(12, 3\)"),
            ({"pose": np.zeros((11, 3), np.float32)}, r"pose is float32 \(11, 3\)"),
            ({"embedding": np.zeros((12, 0), np.float16)}, "embedding is"),
            ({"embedding": np.zeros((12, 16), np.float32)}, "embedding is float32"),
            ({"identities__data": np.frombuffer(b"aab", np.uint8), "identities__ends": int64(1, 2, 3)},
             "two people are named 'a', rows 0 and 1"),
        ],
    )  # fmt: skip
    def test_each_is_named(self, changes: dict, why: str, file: Path) -> None:
        bad = with_columns(file, **changes)
        with pytest.raises(DataError, match=why) as caught:
            read_manifest(bad)
        assert str(file) in str(caught.value)

    def test_strings(self, file: Path) -> None:
        names = b"".join(b"%02d" % number for number in range(12))
        ends = np.arange(2, 26, 2)
        assert len(read_manifest(with_columns(file, name__data=np.frombuffer(names, np.uint8), name__ends=ends))) == 12
        for data, change, why in [
            (names[:-2] + b"00", {}, "two faces are named '00', rows 0 and 11"),
            (names[:-2] + b"\xff0", {}, "name is no UTF-8"),
            (names[:-3] + "é".encode() + b"0", {}, "begins inside a character"),
            (names, {3: 99}, "name.ends does not rise"),
            (names, {11: 23}, "name.ends does not end at 24"),
            (names, {0: -2}, "name.ends does not rise"),
        ]:
            changed = np.array(ends)
            changed[list(change)] = list(change.values())
            bad = with_columns(file, name__data=np.frombuffer(data, np.uint8), name__ends=changed)
            with pytest.raises(DataError, match=why):
                read_manifest(bad)

    def test_a_truth_value_that_is_neither(self, file: Path) -> None:
        data = bytearray(file.read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        place = start + json.loads(data[8:start])["is_target"]["data_offsets"][0] + 4
        data[place] = 2
        file.write_bytes(data)
        with pytest.raises(DataError, match="is_target of row 4 is 2"):
            read_manifest(file)


def with_header(file: Path, change: Callable[[dict], object]) -> None:
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    text = json.dumps(change(header) or header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[start:])


class TestBadFiles:
    def test_cut_anywhere(self, tmp_path: Path) -> None:
        made = Manifest.from_rows(made_rows(2)[:1], storage=DiskStorage(tmp_path), origin="made")
        short = write_manifest(made, tmp_path / "short.manifest")
        with open(short, "ab") as file:
            file.write(b"\0")
        with pytest.raises(DataError, match="its header describes"):
            read_manifest(short)
        for length in range(short.stat().st_size - 2, -1, -1):
            os.truncate(short, length)
            with pytest.raises(DataError, match=r"short\.manifest"):
                read_manifest(short)

    def test_flipped_bytes_are_found_or_harmless(self, file: Path, tmp_path: Path) -> None:
        data, damaged = file.read_bytes(), tmp_path / "damaged.manifest"
        rng, found = np.random.default_rng(1), 0
        for _ in range(1000):
            changed = bytearray(data)
            changed[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
            damaged.write_bytes(changed)
            try:
                assert len(list(read_manifest(damaged))) == 12
            except DataError:
                found += 1
            with pytest.raises(DataError, match=str(tmp_path)):
                read_manifest(damaged, verify_digest=True)
        assert found > 100

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda h: h["identity"].update(data_offsets=[0, 48]), "begins at byte"),
            (lambda h: h["identity"].update(shape=[13]), r"needs 52 bytes"),
            (lambda h: h["identity"].update(shape=[-12]), "has the shape"),
            (lambda h: h["identity"].update(shape=[12.0]), "has the shape"),
            (lambda h: h["identity"].update(shape=[10**4000] * 4), "has the shape"),
            (lambda h: h["identity"].update(shape=[True] * 12), "has the shape"),
            (lambda h: h["identity"].update(shape=[2**62, 2**62]), "needs"),
            (lambda h: h.update(no={"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}), "'no' of shape"),
            (lambda h: h["identity"].update(dtype="I16"), "numbers of the type 'I16'"),
            (lambda h: h["identity"].update(dtype=[]), "numbers of the type"),
            (lambda h: h.update(identity=3), "is not described"),
            (lambda h: h["identity"].update(more=1), "is not described"),
            (lambda h: h.update(__metadata__=3), "metadata are not strings"),
            (lambda h: h["__metadata__"].update(version=1), "metadata are not strings"),
            (lambda h: h["__metadata__"].update(version="2"), r"version '2', this program reads 1; update"),
            (lambda h: h["__metadata__"].pop("format"), "no manifest"),
            (lambda h: h["__metadata__"].update(dataroot='{"": "../.."}'), "leads out of its folder"),
            (lambda h: h["__metadata__"].update(dataroot='{"": "/etc"}'), "leads out of its folder"),
            (lambda h: h["__metadata__"].update(dataroot="["), "dataroot cannot be read"),
            (lambda h: h["__metadata__"].update(dataroot="[]"), "no mapping"),
            (lambda h: h["__metadata__"].update(dataroot='{"": "nowhere"}'), "nowhere: there is no such folder"),
            (lambda h: [1], "no mapping"),
        ],
    )
    def test_headers(self, change: Callable[[dict], object], why: str, file: Path) -> None:
        with_header(file, change)
        with pytest.raises(DataError, match=why):
            read_manifest(file)

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"x", b"<html>not a manifest, but a page that says so</html>", b"\xff" * 100,
            (50).to_bytes(8, "little") + b"[" * 50, (4).to_bytes(8, "little") + b'"a":',
            (100_000).to_bytes(8, "little") + b"[" * 100_000, (20).to_bytes(8, "little") + b'{"a": 1, "a":      1}',
        ],
    )  # fmt: skip
    def test_other_files(self, data: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.manifest").write_bytes(data)
        with pytest.raises(DataError, match=r"a\.manifest"):
            read_manifest(tmp_path / "a.manifest")

    def test_no_file_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file"):
            read_manifest(tmp_path / "a.manifest")
        with pytest.raises(DataError, match="is a folder; give the file in it"):
            read_manifest(tmp_path)

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, tmp_path / "a.manifest")
        with pytest.raises(DataError, match="a safetensors file, but no manifest"):
            read_manifest(tmp_path / "a.manifest")


def test_the_pictures_of_a_manifest_may_be_in_an_lmdb_that_is_missing(file: Path) -> None:
    with_header(file, lambda header: header["__metadata__"].update(dataroot='{"": "faces.lmdb"}'))
    with pytest.raises(DataError, match=r"faces\.lmdb"):
        read_manifest(file)
    assert len(read_manifest(file, open_storage(file.parent))) == 12


@pytest.mark.slow
def test_a_million_rows_open_in_seconds(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "scripts/bench/manifest_open.py", "--folder", str(tmp_path), "--json"]
    made = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    figures = json.loads(made.stdout)
    assert figures["rows"] == 1_000_000
    assert figures["seconds"] < 10
    assert figures["peak_rss_gb"] < 2
