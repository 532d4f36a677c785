"""What people have in their folders, and what they do wrong."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_faces import NAME, ColourBackend, everything, write_people, write_person
from PIL import Image

from dmdnet.cli.main import main
from dmdnet.data.manifest import read_manifest
from dmdnet.errors import ConfigError, DataError, FaceError
from dmdnet.faces.template import template_landmarks
from dmdnet.images import read_image, write_image
from dmdnet.prepare import FaceOptions, TableOptions, prepare
from dmdnet.prepare.names import folder_name
from dmdnet.prepare.report import describe
from dmdnet.prepare.scan import scan
from dmdnet.prepare.worker import FaceFinder

FOUND = FaceOptions(size=64, face_backend=NAME, min_face=0)


def rows_of(output: Path) -> dict[str, object]:
    return {row.source: row for row in read_manifest(output / "faces.manifest")}


def reasons_of(summary) -> dict[str, str]:
    return {failure.photograph: failure.reason for failure in summary.failures}


def bomb(path: Path, width: int, height: int) -> None:
    """Write a small PNG that decodes to `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(1)
    rows = bytes(3 * width + 1) * 100
    data = b"".join([packed.compress(rows) for _ in range(height // 100)]) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_every_kind_of_picture_is_taken_and_every_broken_one_listed(tmp_path):
    root = tmp_path / "in"
    write_person(root, (180, 60, 60), 1, size=80)
    whole = (root / "1.png").read_bytes()
    rgb = Image.fromarray(read_image(root / "1.png"))
    for name in ("jpeg.JPG", "webp.webp", "bmp.bmp", "tiff.tif", "gif.gif"):
        rgb.save(root / name)
    rgb.convert("P").save(root / "palette.png")
    rgb.convert("L").save(root / "grey.png")
    rgb.convert("CMYK").save(root / "cmyk.jpg")
    rgb.convert("RGBA").save(root / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(root / "turned.jpg", exif=turned)
    good = {path.name for path in root.iterdir()}
    (root / "cut.png").write_bytes(whole[:-40])
    (root / "empty.jpg").write_bytes(b"")
    (root / "page.png").write_bytes(b"<!DOCTYPE html><html></html>")
    (root / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    bomb(root / "bomb.png", 14000, 5000)
    Image.new("RGB", (30000, 1)).save(root / "line.png")
    Image.new("RGB", (1, 1)).save(root / "dot.png")
    Image.new("RGB", (64, 64)).save(root / "nobody.png")
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_bytes(whole)
    (root / ".trash").mkdir()
    (root / ".trash" / "1.png").write_bytes(whole)
    (root / "linked.png").symlink_to(root / "1.png")
    (root / "loop").symlink_to(root)
    summary = prepare(root, tmp_path / "out", faces=FOUND, workers=0)
    assert set(rows_of(tmp_path / "out")) == good
    reasons = reasons_of(summary)
    expected = {
        "cut.png": "cut short", "empty.jpg": "the file is empty", "page.png": "a web page",
        "phone.heic": "HEIC, AVIF or video", "bomb.png": "more than the 64 megapixels", "line.png": "no face",
        "dot.png": "no face", "nobody.png": "no face was found in 64 x 64 pixels", "linked.png": "is a link",
        "loop": "is a link",
    }  # fmt: skip
    assert set(reasons) == set(expected)
    assert all(words in reasons[name] for name, words in expected.items())
    assert not any(reason.startswith(name) for name, reason in reasons.items())


def peak_kib() -> int:
    """Return the most memory that this process has had since the peak was last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be measured")
def test_a_bomb_does_not_fill_the_memory(tmp_path):
    (tmp_path / "in").mkdir()
    bomb(tmp_path / "in" / "bomb.png", 14000, 14000)
    finder = FaceFinder(tmp_path / "in", tmp_path / "out", FOUND)
    photograph = scan(tmp_path / "in").photographs[0]
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_kib()
    reason = finder(photograph).failures[0].reason
    assert "than the 64 megapixels that are read" in reason
    assert peak_kib() - before < 50_000


def test_names_of_any_script_keep_their_people_apart(tmp_path):
    names = ["Ann", "a b", "a_b", "Ünï ©ødé", "Данил", "dots...", "ß" * 60]
    for number, name in enumerate(names):
        write_person(tmp_path / "in" / name, (30 * number + 20, 100, 250 - 30 * number), 2, seed=number)
    prepare(tmp_path / "in", tmp_path / "out", faces=FOUND, workers=0)
    found = list(read_manifest(tmp_path / "out" / "faces.manifest"))
    assert {row.identity for row in found} == set(names)
    assert len(found) == 14
    folders = {row.identity: row.picture.split("/")[1] for row in found}
    assert len(set(folders.values())) == len(names)
    assert folders["Данил"] == "Данил"
    assert all(folders[name] == folder_name(name) for name in names)
    assert all((tmp_path / "out" / row.picture).is_file() for row in found)


def test_names_that_are_no_text_are_listed(tmp_path):
    write_person(tmp_path / "in", (200, 50, 50), 1)
    strange = os.fsencode(tmp_path / "in") + b"/\xff\xfe.png"
    shutil.copy(os.fsencode(tmp_path / "in" / "1.png"), strange)
    summary = prepare(tmp_path / "in", tmp_path / "out", faces=FOUND, workers=0)
    assert reasons_of(summary) == {"\\xff\\xfe.png": "its name is not valid UTF-8; rename it"}
    assert summary.faces == 1


def test_a_pipe_is_listed_and_not_waited_for(tmp_path):
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in/1.png", np.full((40, 40, 3), 99, np.uint8))
    os.mkfifo(tmp_path / "in/pipe.png")
    found = scan(tmp_path / "in")
    assert [photograph.name for photograph in found.photographs] == ["1.png"]
    assert [(failure.photograph, failure.reason) for failure in found.failures] == [
        ("pipe.png", "is no file but a pipe, a socket or a device")
    ]


def test_names_that_no_table_can_hold_are_listed_and_stop_nothing(tmp_path):
    write_person(tmp_path / "in" / "Ann", (200, 50, 50), 3)
    write_person(tmp_path / "in" / "B\nea", (50, 50, 200), 1)
    (tmp_path / "in" / "Ann" / "2.png").rename(tmp_path / "in" / "Ann" / "two\r.png")
    (tmp_path / "in" / "Ann" / "3.png").rename(tmp_path / "in" / "Ann" / "th\\ree.png")
    summary = prepare(tmp_path / "in", tmp_path / "out", faces=FOUND, workers=0)
    assert list(rows_of(tmp_path / "out")) == ["Ann/1.png"]
    assert set(reasons_of(summary)) == {"Ann/two?.png", "Ann/th?ree.png", "B?ea/1.png"}
    assert set(reasons_of(summary).values()) == {"its name has a line break or backslash; rename it"}


def test_one_photograph_beside_the_folders_is_said_to_be_why_people_are_sorted(people, tmp_path):
    shutil.copy(people / "Ann" / "1.png", people / "stray.png")
    assert "photographs in no folder: 1, so folders were not taken" in describe(
        prepare(people, tmp_path / "out", faces=FOUND, workers=0)
    )
    for people_by in ("sort", "folders"):  # asked for: nothing to explain
        table = TableOptions(people=people_by)
        assert "in no folder:" not in describe(prepare(people, tmp_path / "out", faces=FOUND, table=table, workers=0))


def test_a_file_that_cannot_be_read_is_tried_again(tmp_path, monkeypatch):
    root = write_people(tmp_path / "in", 2)
    monkeypatch.setattr(
        "dmdnet.prepare.worker.read_file",
        lambda path: (_ for _ in ()).throw(DataError(f"{path}: cannot be read: Stale file handle")),
    )
    summary = prepare(root, tmp_path / "out", faces=FOUND, workers=0)
    assert (summary.faces, summary.manifest, len(summary.failures)) == (0, None, 8)
    assert set(reasons_of(summary).values()) == {"cannot be read: Stale file handle"}
    monkeypatch.undo()
    from dmdnet.registry import FACE_BACKENDS

    monkeypatch.setitem(FACE_BACKENDS._components, NAME, ColourBackend)
    assert prepare(root, tmp_path / "out", faces=FOUND, workers=0).faces == 8


def test_small_faces_are_left_out_with_their_size(tmp_path):
    write_person(tmp_path / "in", (200, 50, 50), 2, size=100)
    write_person(tmp_path / "in" / "small", (200, 50, 50), 1, size=50)
    summary = prepare(tmp_path / "in", tmp_path / "out", faces=replace(FOUND, min_face=64), workers=0)
    assert list(reasons_of(summary)) == ["small/1.png"]
    assert "pixels wide, min_face asks for 64" in reasons_of(summary)["small/1.png"]
    assert all(row.source_side > 64 for row in rows_of(tmp_path / "out").values())


class TestAligned:
    def test_pictures_are_taken_as_they_are(self, people, aligned, tmp_path):
        prepare(people, tmp_path / "out", faces=aligned, workers=0)
        for source, row in rows_of(tmp_path / "out").items():
            assert np.array_equal(read_image(tmp_path / "out" / row.picture), read_image(people / source))
            np.testing.assert_allclose(row.landmarks, template_landmarks(64), atol=1e-4)
            assert row.source_side == 64

    def test_another_size_takes_the_landmarks_along(self, people, aligned, tmp_path):
        prepare(people, tmp_path / "out", faces=replace(aligned, size=128), workers=0)
        for row in rows_of(tmp_path / "out").values():
            assert read_image(tmp_path / "out" / row.picture).shape == (128, 128, 3)
            np.testing.assert_allclose(row.landmarks, template_landmarks(128), atol=1e-4)

    def test_in_place_writes_no_picture(self, people, aligned, tmp_path):
        write_person(people / "Ann", (200, 60, 60), 1, size=96, seed=4)  # replaces 1.png
        prepare(people, tmp_path / "out", faces=replace(aligned, in_place=True), workers=0)
        table = read_manifest(tmp_path / "out" / "faces.manifest")
        assert not list((tmp_path / "out" / "work" / "faces").rglob("*.png"))
        for row in table:
            data = (people / row.source).read_bytes()
            assert table.storage.read(row.picture) == data
            assert row.checksum == zlib.crc32(data)
        large = next(row for row in table if row.source == "Ann/1.png")
        assert large.size == (96, 96)
        np.testing.assert_allclose(large.landmarks, template_landmarks(96), atol=1e-4)
        assert prepare(people, tmp_path / "out", faces=replace(aligned, in_place=True), workers=0).faces == 16

    def test_in_place_moves_with_its_pictures(self, people, aligned, tmp_path):
        prepare(people, tmp_path / "made" / "out", faces=replace(aligned, in_place=True), workers=0)
        (tmp_path / "elsewhere").mkdir()
        for folder in (people, tmp_path / "made"):
            folder.rename(tmp_path / "elsewhere" / folder.name)
        table = read_manifest(tmp_path / "elsewhere" / "made" / "out" / "faces.manifest")
        assert all(table.storage.read(row.picture) for row in table)

    def test_in_place_leaves_out_what_no_data_set_reads(self, people, aligned, tmp_path, monkeypatch):
        monkeypatch.setattr("dmdnet.prepare.worker.MAX_FACE_PIXELS", 80 * 80)
        write_person(people / "Ann", (200, 60, 60), 1, size=96, seed=4)
        summary = prepare(people, tmp_path / "out", faces=replace(aligned, in_place=True), workers=0)
        assert list(reasons_of(summary)) == ["Ann/1.png"]
        assert "leave out --in-place" in reasons_of(summary)["Ann/1.png"]
        assert prepare(people, tmp_path / "whole", faces=aligned, workers=0).failures == ()

    def test_what_is_not_aligned_is_listed(self, people, aligned, tmp_path, monkeypatch):
        write_image(people / "Ann" / "wide.png", np.full((64, 90, 3), 120, np.uint8))
        write_image(people / "Ann" / "off.png", np.full((64, 64, 3), (1, 250, 3), np.uint8))
        right = ColourBackend.landmarks_in

        def found(self, rgb, box):
            return right(self, rgb, box) + (9 if rgb[0, 0, 1] == 250 else 0)

        monkeypatch.setattr(ColourBackend, "landmarks_in", found)
        detect = ColourBackend.detect
        searched = []

        def search(self, rgb):
            searched.append(rgb.shape)
            return [replace(face, landmarks=face.landmarks + 9) for face in detect(self, rgb)]

        monkeypatch.setattr(ColourBackend, "detect", search)
        summary = prepare(people, tmp_path / "out", faces=aligned, workers=0)
        reasons = reasons_of(summary)
        assert "90 x 64 pixels are no aligned face" in reasons["Ann/wide.png"]
        assert "is not in FFHQ's frame: its landmarks lie 20% of its side" in reasons["Ann/off.png"]
        assert len(searched) == 1  # the search is the last resort

    def test_near_duplicates_go_to_one_side_and_are_nobodys_references(self, people, aligned, tmp_path):
        twin = people / "Bea Ö" / "copy of Ann.png"
        shutil.copy(people / "Ann" / "2.png", twin)
        faces = replace(aligned, in_place=True)
        for seed in range(6):
            table = TableOptions(people="folders", seed=seed, val_share=0.3, test_share=0.3, same_person_distance=1.5)
            prepare(people, tmp_path / "out", faces=faces, table=table, workers=0)
            rows = rows_of(tmp_path / "out")
            one, other = rows["Ann/2.png"], rows["Bea Ö/copy of Ann.png"]
            assert one.split == other.split
            assert {one.duplicate_of, other.duplicate_of} == {None, other.name if one.duplicate_of else one.name}
            order = [row.name for row in read_manifest(tmp_path / "out" / "faces.manifest")]
            assert all(
                not row.duplicate_of or order.index(row.duplicate_of) < order.index(row.name) for row in rows.values()
            )
            assert len(rows) == 17


class TestMistakes:
    def test_a_wrong_input(self, tmp_path):
        (tmp_path / "file.png").write_bytes(b"x")
        (tmp_path / "empty").mkdir()
        for name, message in {"no": "there is no such folder", "file.png": "is a file; give the folder",
                              "empty": "there is no picture in it"}.items():  # fmt: skip
            with pytest.raises(DataError, match=message):
                prepare(tmp_path / name, tmp_path / "out", faces=FOUND, workers=0)
        assert not (tmp_path / "out").exists()

    def test_a_wrong_output(self, people, tmp_path):
        with pytest.raises(DataError, match="lies inside of INPUT"):
            prepare(people, people / "out", faces=FOUND, workers=0)
        with pytest.raises(DataError, match="lies inside of OUTPUT"):
            prepare(people, tmp_path, faces=FOUND, workers=0)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").touch()
        with pytest.raises(DataError, match="holds files that `prepare` did not make"):
            prepare(people, tmp_path / "mine", faces=FOUND, workers=0)
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match="is a file; OUTPUT is a folder"):
            prepare(people, tmp_path / "file", faces=FOUND, workers=0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"size": 100}, "size 100: a multiple of 8"),
            ({"min_face": -1}, "min_face -1"),
            ({"min_face": float("nan")}, "min_face nan"),
            ({"in_place": True}, "add --aligned"),
        ],
    )
    def test_face_options(self, options, message):
        with pytest.raises(ConfigError, match=message):
            FaceOptions(**options)

    @pytest.mark.parametrize(
        "options",
        [
            {"people": "cats"}, {"same_person_distance": 0}, {"val_share": 0.6, "test_share": 0.4},
            {"val_share": float("nan")}, {"val_share": 0.1, "test_share": float("nan")},
        ],
    )  # fmt: skip
    def test_table_options(self, options):
        with pytest.raises(ConfigError, match=next(iter(options))):
            TableOptions(**options)

    def test_shards_workers_and_back_ends(self, people, tmp_path):
        for shard in ((0, 2), (3, 2)):
            with pytest.raises(ConfigError, match="shard"):
                prepare(people, tmp_path / "out", faces=FOUND, workers=0, shard=shard)
        with pytest.raises(ConfigError, match="workers -1"):
            prepare(people, tmp_path / "out", faces=FOUND, workers=-1)
        with pytest.raises(FaceError, match=r"unknown face back end type 'dlip'.*dlib"):
            prepare(people, tmp_path / "out", faces=replace(FOUND, face_backend="dlip"), workers=0)
        with pytest.raises(SystemExit):
            main(["prepare", str(people), str(tmp_path / "out"), "--shard", "1of2"])

    def test_a_folder_without_a_face_ends_with_one(self, tmp_path, capsys):
        (tmp_path / "in").mkdir()
        write_image(tmp_path / "in" / "black.png", np.zeros((64, 64, 3), np.uint8))
        code = main(["prepare", str(tmp_path / "in"), str(tmp_path / "out"), "--face-backend", NAME, "--workers", "0"])
        assert code == 1
        said = capsys.readouterr().out
        assert "black.png: no face was found" in said
        assert "nothing came out" in said
        assert set(everything(tmp_path / "out")) == {"failed.csv"}
