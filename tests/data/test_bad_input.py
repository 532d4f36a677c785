"""What people's data really look like, through a whole data set: an error that names it, or defined behaviour."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from made_faces import celebref_options, mean_landmarks, picture, write_celebref
from PIL import Image

from dmdnet.config.options import DatasetOptions
from dmdnet.data.face_reader import FaceReader
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.manifest import Row
from dmdnet.data.sampling import Draw
from dmdnet.data.storage import DiskStorage
from dmdnet.errors import DataError, DMDNetError
from dmdnet.faces.landmarks import FLIP_68
from dmdnet.images import write_image


def options(root: Path, **changes: object) -> DatasetOptions:
    return celebref_options(root, **{"num_references": (0, 2), **changes})


def first_batch(root: Path, phase: str = "test", **changes: object) -> object:
    opt = options(root, **changes)
    return next(iter(build_loader(build_dataset(opt, seed=0, phase=phase), opt, phase=phase)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_celebref(tmp_path, {"00001": 2}, size=64)


class TestPictures:
    """Each becomes picture 1 of the only person."""

    def bad(self, path: Path, kind: str) -> None:
        square = Image.fromarray(picture(1, 64))
        if kind == "truncated":
            os.truncate(path, path.stat().st_size // 2)
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "web page":
            path.write_bytes(b"<!DOCTYPE html><html>404</html>")
        elif kind == "one pixel":
            square.resize((1, 1)).save(path)
        elif kind == "long":
            square.resize((30_000, 1)).save(path)
        elif kind == "link to nothing":
            path.unlink()
            path.symlink_to("nowhere.png")

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("truncated", "cut short"),
            ("empty", "the file is empty"),
            ("web page", "is a web page"),
            ("one pixel", "far outside|swapped|no face|too small|component"),
            ("long", "30000 x 1 pixels; aligned faces are square"),
            ("link to nothing", "no such file"),
        ],
    )
    def test_that_cannot_be_used_are_named(self, root: Path, kind: str, words: str) -> None:
        self.bad(root / "00001" / "1.png", kind)
        with pytest.raises(DataError, match=rf"00001/1\.png.*({words})"):
            first_batch(root, phase="train", batch_size_per_gpu=4, num_references=(1, 1))
        batch = first_batch(root, batch_size_per_gpu=2)
        if kind == "one pixel":  # a picture, but no face
            assert batch.names == ("00001/1.png", "00001/2.png")
            assert batch.faults[0].kind == "bad_landmarks"
            assert batch.faults[1] is None
            return
        assert batch.names == ("00001/2.png",)
        (lost,) = batch.unusable
        assert (lost.identity, lost.name) == ("00001", "00001/1.png")
        assert lost.fault.kind == ("missing" if kind == "link to nothing" else "unreadable")
        assert re.search(words, lost.fault.note)

    @pytest.mark.parametrize("kind", ["16 bit", "palette", "grey", "alpha", "CMYK"])
    def test_of_other_kinds_are_read(self, root: Path, kind: str) -> None:
        path = root / "00001" / "1.png"
        rgb = picture(1, 64)
        if kind == "16 bit":
            cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 257)
        elif kind == "CMYK":
            Image.fromarray(rgb).convert("CMYK").save(path, "JPEG", quality=98, subsampling=0)
        else:
            Image.fromarray(rgb).convert({"palette": "P", "grey": "L", "alpha": "RGBA"}[kind]).save(path)
        found = build_dataset(options(root), seed=0, phase="test").face(0).image.astype(int)
        wanted = np.asarray(Image.open(path).convert("RGB")) if kind != "16 bit" else rgb
        assert np.abs(found - wanted).mean() < 3


class TestChecksums:
    def test_every_one_of_1000_changed_bytes_is_found(self, tmp_path: Path) -> None:
        """A JPEG with a changed byte decodes to another picture without a word: only a checksum can tell."""
        write_image(tmp_path / "1.jpg", picture(1, 64))
        data = (tmp_path / "1.jpg").read_bytes()
        row = Row("1", "a", picture="1.jpg", checksum=zlib.crc32(data), landmarks=mean_landmarks(64).astype(np.float32))
        reader = FaceReader(storage=DiskStorage(tmp_path), image_size=64, verify_checksums=True)
        reader.read(row)
        rng = np.random.Generator(np.random.Philox(3))
        silent = 0
        for _ in range(1000):
            damaged = bytearray(data)
            damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
            (tmp_path / "1.jpg").write_bytes(bytes(damaged))
            with pytest.raises(DataError, match=r"1\.jpg: is damaged or was changed: its CRC-32"):
                reader.read(row)
            try:
                FaceReader(storage=DiskStorage(tmp_path), image_size=64).read(row)
            except DataError:
                continue
            silent += 1
        assert silent > 500  # so many would have been trained on


class TestLandmarks:
    @pytest.mark.parametrize(
        ("points", "words"),
        [
            (mean_landmarks(64)[:67], "67 landmarks"),
            (np.full((68, 2), np.nan), "not finite"),
            (mean_landmarks(64) + 1000, "far outside"),
            (mean_landmarks(64)[FLIP_68], "swapped"),
            (np.full((68, 2), 30.0), "swapped|box"),
        ],
    )
    def test_that_cannot_be_used(self, root: Path, points: np.ndarray, words: str) -> None:
        path = root.parent / "landmarks" / "00001" / "1.png.txt"
        path.write_text("".join(f"{x} {y}\n" for x, y in points))
        with pytest.raises(DMDNetError, match=rf"00001/1\.png.*({words})"):
            first_batch(root, phase="train", batch_size_per_gpu=4, num_references=(1, 1))
        batch = first_batch(root, batch_size_per_gpu=1)
        assert batch.names == ("00001/1.png",)
        assert batch.faults[0].kind == "bad_landmarks"
        assert re.search(words, batch.faults[0].note)
        assert not batch.gt_boxes_B44.any()
        assert not batch.lq_boxes_B44.any()
        assert batch.gt_landmarks_B682.isnan().all()


class TestPeople:
    def test_a_missing_reference_is_named(self, root: Path) -> None:
        dataset = build_dataset(options(root, num_references=(1, 1)), seed=0, phase="train")
        (root / "00001" / "2.png").unlink()
        with pytest.raises(DataError, match=r"00001/2\.png: there is no such file"):
            dataset[Draw(0, 0)]

    def test_a_missing_reference_of_a_test_is_left_out_and_nobody_stands_in(self, tmp_path: Path) -> None:
        opt = options(
            write_celebref(tmp_path, {"00001": 4}, size=64),
            num_references=(2, 2), reference_order="given", batch_size_per_gpu=1,
        )  # fmt: skip
        dataset = build_dataset(opt, seed=0, phase="test")
        (whole,) = islice(build_loader(dataset, opt, phase="test"), 1)
        (tmp_path / "images" / "00001" / "2.png").unlink()
        (batch,) = islice(build_loader(dataset, opt, phase="test"), 1)
        assert batch.references.mask_BR.tolist() == [[True]]
        assert torch.equal(batch.references.images_BRCHW[0, 0], whole.references.images_BRCHW[0, 1])
        assert re.search(r"00001/2\.png.*no such file", batch.left_out[0])
        assert whole.left_out == ()

    def test_one_picture_in_all(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"00001": 1}, size=64)
        opt = options(root, num_references=(1, 2), batch_size_per_gpu=4)
        for phase, rows in (("train", 4), ("test", 1)):
            batch = next(iter(build_loader(build_dataset(opt, seed=0, phase=phase), opt, phase=phase)))
            assert batch.names == ("00001/1.png",) * rows
            assert not batch.references.mask_BR.any()

    def test_fewer_than_a_batch_and_than_ranks(self, root: Path) -> None:
        opt = options(root, batch_size_per_gpu=1)
        dataset = build_dataset(opt, seed=0, phase="test")
        names = [
            [batch.names for batch in build_loader(dataset, opt, phase="test", rank=rank, world_size=3)]
            for rank in range(3)
        ]
        assert names == [[("00001/1.png",)], [("00001/2.png",)], []]
        opt = options(root, batch_size_per_gpu=3)
        training = build_dataset(opt, seed=0, phase="train")
        assert all(len(batch) == 3 for batch in islice(build_loader(training, opt, phase="train"), 3))

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        with pytest.raises(DataError, match=r"images holds no picture"):
            build_dataset(options(tmp_path / "images"), seed=0, phase="train")


class TestPlaces:
    @pytest.mark.parametrize("name", ["ä ö/people 1", "日本", "a'b\"c"])
    def test_unicode_and_spaces(self, tmp_path: Path, name: str) -> None:
        root = write_celebref(tmp_path / name, {"名 前": 2}, size=64)
        assert first_batch(root).names == ("名 前/1.png", "名 前/2.png")

    def test_links_and_files_that_may_only_be_read(self, tmp_path: Path) -> None:
        real = write_celebref(tmp_path / "real", {"00001": 2}, size=64)
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "images").symlink_to(real)
        shutil.copytree(real.parent / "landmarks", tmp_path / "set" / "landmarks")
        for path in sorted((tmp_path / "set").rglob("*")) + sorted(real.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert first_batch(tmp_path / "set" / "images").names == ("00001/1.png", "00001/2.png")

    @pytest.mark.parametrize("key", ["../outside.png", "/etc/passwd", "a\0b.png", "x" * 300])
    def test_a_table_that_leads_out(self, root: Path, key: str) -> None:
        write_image(root.parent / "outside.png", picture(0, 64))
        dataset = build_dataset(options(root), seed=0, phase="test")
        row = replace(dataset.manifest[0], picture=key)
        with pytest.raises(DataError, match="is no name of a picture"):
            dataset.reader.read(row)
