"""Layouts on disk: what is found, in which order, and what a missing set says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_faces import write_celebref

from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.layouts.base import natural_key
from dmdnet.data.layouts.celebref_hq import CelebRefHQLayout
from dmdnet.data.layouts.ffhq import FFHQLayout
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


@pytest.mark.parametrize("name", LAYOUTS.names())
class TestMissingData:
    """Every registered layout says what is expected, for example where, and whence."""

    def message(self, name: str, root: Path) -> str:
        with pytest.raises(DataError) as caught:
            LAYOUTS.get(name)(dataroot_gt=str(root)).manifest()
        return str(caught.value)

    def test_no_folder(self, name: str, tmp_path: Path) -> None:
        message = self.message(name, tmp_path / "nowhere")
        assert "does not exist" in message
        assert str(tmp_path / "nowhere" / "0000") in message  # an example of a path
        assert "datasets/README.md" in message
        assert "from " in message

    def test_empty_folder(self, name: str, tmp_path: Path) -> None:
        touch(tmp_path / "images" / "readme.txt")
        assert "no picture" in self.message(name, tmp_path / "images")

    def test_a_file_in_place_of_the_folder(self, name: str, tmp_path: Path) -> None:
        touch(tmp_path / "images")
        assert "is a file" in self.message(name, tmp_path / "images")


def test_a_hundred_thousand_names_are_sorted_quickly() -> None:
    names = [f"{number // 20:05d}/{number % 20}.png" for number in range(100_000)]
    start = time.process_time()
    names.reverse()
    assert sorted(names, key=natural_key)[20:22] == ["00001/0.png", "00001/1.png"]
    assert time.process_time() - start < 5
