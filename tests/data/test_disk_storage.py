"""Folders: listed alike everywhere, read only below their root, and links followed but not in circles."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dmdnet.data.storage import DiskStorage, MountedStorage, open_storage
from dmdnet.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(DataError, match="a pipe"):
        DiskStorage(tmp_path).read("1.png")


class TestListing:
    def test_natural_order_suffixes_and_hidden_ones(self, tmp_path: Path) -> None:
        touch(
            tmp_path, "b/10.png", "b/2.JPG", "a ö/1.webp", "c.png", ".hidden/1.png", "b/.x.png", "b/1.png.txt", "n.txt"
        )
        assert DiskStorage(tmp_path).list_keys() == ["a ö/1.webp", "b/2.JPG", "b/10.png", "c.png"]

    def test_links_are_followed(self, tmp_path: Path) -> None:
        touch(tmp_path / "elsewhere", "x/1.png", "2.png")
        root = tmp_path / "root"
        root.mkdir()
        (root / "person").symlink_to(tmp_path / "elsewhere" / "x")
        (root / "one.png").symlink_to(tmp_path / "elsewhere" / "2.png")
        storage = DiskStorage(root)
        assert storage.list_keys() == ["one.png", "person/1.png"]
        assert [storage.read(key) for key in storage.list_keys()] == [b"2.png", b"x/1.png"]

    @pytest.mark.parametrize("goal", ["..", "."])
    def test_circles_are_an_error(self, tmp_path: Path, goal: str) -> None:
        touch(tmp_path, "a/b/1.png")
        (tmp_path / "a" / "b" / "back").symlink_to(goal, target_is_directory=True)
        with pytest.raises(DataError, match=r"b/back: links back to .*remove the link"):
            DiskStorage(tmp_path).list_keys()

    def test_a_link_to_nothing_is_no_folder(self, tmp_path: Path) -> None:
        touch(tmp_path, "1.png")
        (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
        assert DiskStorage(tmp_path).list_keys() == ["1.png"]

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        try:
            (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))).write_bytes(b"")
        except OSError:
            pytest.skip("this file system has only names in UTF-8")
        with pytest.raises(DataError, match=r"udcff\.png' is not valid UTF-8; rename it"):
            DiskStorage(tmp_path).list_keys()

    def test_an_empty_folder_and_none(self, tmp_path: Path) -> None:
        assert open_storage(tmp_path).list_keys() == []
        with pytest.raises(DataError, match="cannot be listed"):
            DiskStorage(tmp_path / "missing").list_keys()
        (tmp_path / "file").write_bytes(b"")
        for name, words in (("missing", "no such folder"), ("file", "is a file")):
            with pytest.raises(DataError, match=words):
                open_storage(tmp_path / name)

    @pytest.mark.slow
    def test_a_million_files_in_ten_seconds(self, tmp_path: Path) -> None:
        for person in range(1000):
            (tmp_path / f"{person:05}").mkdir()
            for number in range(1000):
                os.close(os.open(tmp_path / f"{person:05}" / f"{number}.png", os.O_CREAT))
        start = time.perf_counter()
        assert len(DiskStorage(tmp_path).list_keys()) == 1_000_000
        assert time.perf_counter() - start < 10


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "words"),
        [
            ("", "is empty"),
            ("/etc/passwd", "is absolute"),
            ("C:/x.png", "is absolute"),
            ("../x.png", "leads out"),
            ("a/../../x.png", "leads out"),
            ("a\\..\\x.png", "backslash"),
            ("a\0.png", "zero byte"),
            ("n" * 300 + ".png", "too long"),
            ("ab/" * 500, "too long"),
            ("\udcff.png", "Unicode"),
        ],
    )
    def test_that_name_nothing_below_the_root(self, tmp_path: Path, key: str, words: str) -> None:
        touch(tmp_path, "x.png", "root/1.png")
        with pytest.raises(DataError, match=rf"is no name of a picture.*{words}") as caught:
            DiskStorage(tmp_path / "root").read(key)
        assert len(str(caught.value)) < 400

    def test_dots_and_spaces_are_names_like_others(self, tmp_path: Path) -> None:
        touch(tmp_path, "a..b/.. c.png", "..d.png", "日本 語.png")
        storage = DiskStorage(tmp_path)
        assert storage.read("a..b/.. c.png") == b"a..b/.. c.png"
        assert storage.read("..d.png") == b"..d.png"
        assert "日本 語.png" in storage.list_keys()

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        touch(tmp_path, "a/1.png")
        for key, words in (("b.png", "no such file"), ("a", "is a folder")):
            with pytest.raises(DataError, match=words):
                DiskStorage(tmp_path).read(key)

    def test_mounts(self, tmp_path: Path) -> None:
        touch(tmp_path, "x/1.png", "y/1.png")
        both = MountedStorage({"gt": DiskStorage(tmp_path / "x"), "lq": DiskStorage(tmp_path / "y")})
        assert both.list_keys() == ["gt/1.png", "lq/1.png"]
        assert both.read("lq/1.png") == b"y/1.png"
        with pytest.raises(DataError, match="leads out"):
            both.read("lq/../x/1.png")
        with pytest.raises(DataError, match="begins with none of gt, lq"):
            both.read("x/1.png")
