"""Layouts on disk: what is found, in which order, and what a missing set says."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from made_faces import write_celebref

from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.layouts.base import natural_key
from dmdnet.data.layouts.celebref_hq import ALWAYS_TEST, CelebRefHQLayout, celebref_split
from dmdnet.data.layouts.ffhq import FFHQLayout
from dmdnet.data.layouts.manifest_file import ManifestLayout
from dmdnet.data.layouts.person_folders import PersonFoldersLayout
from dmdnet.data.manifest import split_of, write_manifest
from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.data.sampling import Draw
from dmdnet.data.storage import DiskStorage
from dmdnet.data.storage.lmdb_writing import write_lmdb
from dmdnet.errors import DataError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


class TestCelebRefHQ:
    def test_people_and_pictures_in_order(self, tmp_path: Path) -> None:
        write_celebref(tmp_path, {"00010": 2, "00002": 11})
        records = list(CelebRefHQLayout(dataroot_gt=str(tmp_path / "images")).manifest())
        assert [record.name for record in records[:3]] == ["00002/1.png", "00002/2.png", "00002/3.png"]
        assert records[10].name == "00002/11.png"  # after 10.png, not after 1.png
        assert records[11].identity == "00010"
        assert Path(records[0].landmark_file) == tmp_path / "landmarks" / "00002" / "1.png.txt"
        assert Path(records[0].landmark_file).is_file()

    def test_landmarks_from_another_tree_under_the_original_names(self, tmp_path: Path) -> None:
        touch(tmp_path / "CelebHQRefForRelease" / "00005" / "1.png")
        layout = CelebRefHQLayout(
            dataroot_gt=str(tmp_path / "CelebHQRefForRelease"), dataroot_landmarks=str(tmp_path / "points")
        )
        assert Path(layout.manifest()[0].landmark_file) == tmp_path / "points" / "00005" / "1.png.txt"

    def test_passes_over_what_is_no_picture_of_a_person(self, tmp_path: Path) -> None:
        root = tmp_path / "images"
        touch(root / "a" / "1.png", root / "a" / ".2.png", root / "a" / "notes.txt", root / ".cache" / "1.png")
        touch(root / "stray.png", root / "a" / "deeper" / "3.png", root / "a" / "4.JPG")
        assert list(CelebRefHQLayout(dataroot_gt=str(root)).manifest().text["name"]) == ["a/1.png", "a/4.JPG"]

    def test_unicode_and_spaces(self, tmp_path: Path) -> None:
        write_celebref(tmp_path, {"Zoë 张 O'Neil": 2})
        records = list(CelebRefHQLayout(dataroot_gt=str(tmp_path / "images")).manifest())
        assert {record.identity for record in records} == {"Zoë 张 O'Neil"}
        assert all((tmp_path / "images" / record.picture).is_file() for record in records)
        assert all(Path(record.landmark_file).is_file() for record in records)

    def test_linked_folders_are_followed(self, tmp_path: Path) -> None:
        write_celebref(tmp_path / "elsewhere", {"00001": 1})
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "00001").symlink_to(tmp_path / "elsewhere" / "images" / "00001")
        assert len(CelebRefHQLayout(dataroot_gt=str(tmp_path / "images")).manifest()) == 1


class TestFFHQ:
    def test_nested_and_flat(self, tmp_path: Path) -> None:
        nested, flat = tmp_path / "images1024x1024", tmp_path / "flat"
        touch(nested / "00000" / "00000.png", nested / "01000" / "01000.png", nested / "00000" / "00999.png")
        touch(flat / "00002.png", flat / "00001.png")
        records = FFHQLayout(dataroot_gt=str(nested)).manifest()
        assert [record.name for record in records] == ["00000/00000.png", "00000/00999.png", "01000/01000.png"]
        assert list(FFHQLayout(dataroot_gt=str(flat)).manifest().text["name"]) == ["00001.png", "00002.png"]

    def test_everybody_is_somebody_else(self, tmp_path: Path) -> None:
        touch(*(tmp_path / "images" / f"{number:05d}.png" for number in range(5)))
        manifest = FFHQLayout(dataroot_gt=str(tmp_path / "images")).manifest()
        assert len(manifest.identities) == len(manifest) == 5


class TestPublishedSplit:
    SPLITS = Path(__file__).parents[2] / "options" / "splits"

    def test_the_lists_follow_from_the_rule(self) -> None:
        people = [f"{number:05}" for number in range(1, 1006)]
        listed = {}
        for split in ("train", "val", "test"):
            names = (self.SPLITS / f"celebref_hq_{split}.txt").read_text().splitlines()
            listed[split] = [name for name in names if not name.startswith("#")]
            assert listed[split] == [person for person in people if celebref_split(person) == split]
        assert {split: len(names) for split, names in listed.items()} == {"train": 831, "val": 55, "test": 119}

    def test_people_whom_others_test_on_are_never_trained_on(self) -> None:
        assert len(ALWAYS_TEST) == 25
        assert {celebref_split(person) for person in ALWAYS_TEST} == {"test"}
        assert {"00005", "00146", "00757"} < ALWAYS_TEST

    def test_a_persons_split_needs_nobody_else(self) -> None:
        assert [split_of(f"{number} 张", seed=1, test=0.3, val=0.3) for number in range(8)] == [
            "train",
            "train",
            "val",
            "test",
            "train",
            "val",
            "val",
            "train",
        ]
        splits = [split_of(str(number), test=0.25, val=0.25) for number in range(4000)]
        assert abs(splits.count("test") / 4000 - 0.25) < 0.03
        assert abs(splits.count("val") / 4000 - 0.25) < 0.03

    def test_the_layout_divides_people(self, tmp_path: Path) -> None:
        write_celebref(tmp_path, {"00001": 2, "00002": 2, "00004": 1})
        root = str(tmp_path / "images")
        for split in ("train", "test"):
            rows = list(CelebRefHQLayout(dataroot_gt=root, split=split).manifest())
            assert rows
            assert {row.split for row in rows} == {split}
            assert {celebref_split(row.identity) for row in rows} == {split}
        with pytest.raises(DataError, match=r"none of its people \(3\) is in the split 'val'"):
            CelebRefHQLayout(dataroot_gt=root, split="val").manifest()


class TestPersonFolders:
    def test_nested_folders_and_stray_pictures(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        root = tmp_path / "my photos"
        touch(root / "Zoë 张" / "2019" / "party 1.jpg", root / "Zoë 张" / "2.webp", root / "Bob" / "1.png")
        touch(root / "who.png", root / "Bob" / "notes.txt")
        rows = list(PersonFoldersLayout(dataroot_gt=str(root)).manifest())
        assert [row.name for row in rows] == ["Bob/1.png", "Zoë 张/2.webp", "Zoë 张/2019/party 1.jpg"]
        assert [row.identity for row in rows] == ["Bob", "Zoë 张", "Zoë 张"]
        assert Path(rows[2].landmark_file) == tmp_path / "landmarks" / "Zoë 张" / "2019" / "party 1.jpg.txt"
        assert "1 pictures are in no person's folder and are left out: who.png" in caplog.text

    def test_only_stray_pictures(self, tmp_path: Path) -> None:
        touch(tmp_path / "faces" / "1.png")
        with pytest.raises(DataError, match=r"holds no picture in this layout.*a folder per person"):
            PersonFoldersLayout(dataroot_gt=str(tmp_path / "faces")).manifest()

    def test_a_person_with_one_picture(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"a": 1, "b": 2})
        layout = LAYOUTS.component("PersonFoldersLayout", dataroot_gt=str(root))
        dataset = ReferenceFaceDataset(layout=layout, image_size=64)
        assert len(dataset[Draw(0, 0)].references) == 0
        assert len(dataset[Draw(1, 0)].references) == 1


class TestLmdb:
    """An LMDB in place of a folder gives the same table: names, people, splits and landmarks."""

    @pytest.mark.parametrize("kind", [CelebRefHQLayout, FFHQLayout, PersonFoldersLayout])
    def test_the_same_rows_and_bytes(self, kind: type, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"00002": 11, "Zoë 张": 1})
        write_lmdb(DiskStorage(root), tmp_path / "faces.lmdb")
        folder, database = (kind(dataroot_gt=str(path)).manifest() for path in (root, tmp_path / "faces.lmdb"))
        assert list(folder) == list(database)
        assert [folder.storage.read(row.picture) for row in folder] == [
            database.storage.read(row.picture) for row in database
        ]

    def test_a_missing_one_says_how_to_make_it(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"faces\.lmdb does not exist; scripts/make_lmdb\.py makes"):
            FFHQLayout(dataroot_gt=str(tmp_path / "faces.lmdb")).manifest()


class TestManifestLayout:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        root = write_celebref(tmp_path, {"00001": 2, "00002": 2, "00004": 1})
        return write_manifest(CelebRefHQLayout(dataroot_gt=str(root)).manifest(), tmp_path / "faces.manifest")

    def test_all_and_one_split(self, file: Path) -> None:
        assert len(ManifestLayout(manifest=str(file)).manifest()) == 5
        rows = list(ManifestLayout(manifest=str(file), split="test").manifest())
        assert [row.name for row in rows] == ["00001/1.png", "00001/2.png"]

    def test_another_place_of_the_pictures(self, file: Path, tmp_path: Path) -> None:
        (tmp_path / "images").rename(tmp_path / "moved")
        with pytest.raises(DataError, match="images"):
            ManifestLayout(manifest=str(file)).manifest()
        table = ManifestLayout(manifest=str(file), dataroot=str(tmp_path / "moved")).manifest()
        assert table.storage.read(table[0].picture)

    def test_a_split_that_is_not_there(self, file: Path) -> None:
        with pytest.raises(DataError, match=r"no face in the split 'val', only in test, train"):
            ManifestLayout(manifest=str(file), split="val").manifest()

    def test_landmarks_of_the_file_are_read(self, file: Path) -> None:
        dataset = ReferenceFaceDataset(
            layout=LAYOUTS.component("ManifestLayout", manifest=str(file), split="test"), image_size=64
        )
        assert dataset.face(0).boxes().shape == (4, 4)


def needed_options(name: str, value: Path) -> dict[str, str]:
    fields = LAYOUTS.schema(name).model_fields.items()
    return {option: str(value) for option, field in fields if field.is_required()}


@pytest.mark.parametrize("name", LAYOUTS.names())
class TestMissingData:
    """Every registered layout says what is expected, for example where, and whence."""

    def message(self, name: str, root: Path) -> str:
        with pytest.raises(DataError) as caught:
            LAYOUTS.get(name)(**needed_options(name, root)).manifest()
        message = str(caught.value)
        assert "\n" not in message
        assert "datasets/README.md" in message
        assert re.search(r"\bfrom\b", message)  # whence
        return message

    def test_no_folder(self, name: str, tmp_path: Path) -> None:
        message = self.message(name, tmp_path / "nowhere")
        assert "does not exist" in message
        assert message.count(str(tmp_path)) >= 2  # what is missing, and an example of what is expected

    def test_empty_folder(self, name: str, tmp_path: Path) -> None:
        touch(tmp_path / "images" / "readme.txt")
        assert re.search(
            "holds no picture|is a folder, a file is needed|does not exist", self.message(name, tmp_path / "images")
        )

    def test_a_file_in_place_of_the_folder(self, name: str, tmp_path: Path) -> None:
        touch(tmp_path / "images")
        if name in ("DMDNetListLayout", "ManifestLayout"):
            pytest.skip("they want a file")
        assert "is a file" in self.message(name, tmp_path / "images")


def test_seventy_thousand_pictures_become_a_table() -> None:
    class Listing:
        def list_keys(self) -> list[str]:
            return [f"{number // 1000 * 1000:05}/{number:05}.png" for number in range(70_000)]

        def read(self, key: str) -> bytes:
            raise AssertionError(f"{key}: nothing is read to list")

        def where(self, key: str) -> str:
            return key

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dmdnet.data.layouts.ffhq.open_root", lambda *_: Listing())
        manifest = FFHQLayout(dataroot_gt="ffhq/images1024x1024").manifest()
    assert len(manifest) == len(manifest.identities) == 70_000
    assert manifest[69_999].picture == "69000/69999.png"


def test_a_hundred_thousand_names_are_sorted_quickly() -> None:
    names = [f"{number // 20:05d}/{number % 20}.png" for number in range(100_000)]
    start = time.process_time()
    names.reverse()
    assert sorted(names, key=natural_key)[20:22] == ["00001/0.png", "00001/1.png"]
    assert time.process_time() - start < 5
