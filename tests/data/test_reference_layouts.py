"""Layouts whose references are listed, and folders of degraded faces: FFHQ-Ref, CelebA-Test-Ref, DMDNet's lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_faces import picture, write_face

from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.layouts.celeba_test_ref import CelebATestRefLayout
from dmdnet.data.layouts.degraded_folder import DegradedFolderLayout
from dmdnet.data.layouts.dmdnet_list import DMDNetListLayout
from dmdnet.data.layouts.ffhq_ref import FFHQRefLayout
from dmdnet.data.layouts.pairing import PictureIndex, paired, people_of
from dmdnet.data.manifest import Manifest, Row, read_manifest, write_manifest
from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.data.sampling import Draw
from dmdnet.data.storage import DiskStorage
from dmdnet.data.storage.lmdb_writing import write_lmdb
from dmdnet.errors import ConfigError, DataError
from dmdnet.images import write_image

SIZE = 64


def face(root: Path, name: str, seed: int) -> None:
    """Write a picture and its landmarks in `landmarks` beside `root`."""
    write_face(root / name, root.parent / "landmarks" / f"{name}.txt", seed, SIZE)


def degraded(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture(seed, SIZE))


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def build(kind: str, phase: str = "test", layout: dict[str, Any] | None = None, **options: Any) -> ReferenceFaceDataset:
    component = LAYOUTS.component(kind, **{key: str(value) if isinstance(value, Path) else value
                                           for key, value in (layout or {}).items()})  # fmt: skip
    return ReferenceFaceDataset(layout=component, image_size=SIZE, phase=phase, **options)


def by_name(manifest: Manifest) -> dict[str, Row]:
    return {row.name: row for row in manifest}


@pytest.fixture
def ffhq_ref(tmp_path: Path) -> dict[str, Path]:
    """Write FFHQ (nested) and FFHQ-Ref's files as they are published."""
    gt, ref = tmp_path / "ffhq" / "images1024x1024", tmp_path / "FFHQ-Ref"
    for number in (1, 2, 3, 10, 11, 12, 20, 1001):
        face(gt, f"{number // 1000 * 1000:05}/{number:05}.png", number)
    mapping = ref / "reference_mapping"
    text(mapping / "train_references.csv",
         "gt_image,ref_image\n00001.png,\"['00003.png', '00002.png']\"\n00002.png,\"['00001.png']\"\n")  # fmt: skip
    text(mapping / "val_references.csv", "gt_image,lq_image,ref_image\n01001.png,01001.png,\"['00020.png']\"\n")
    text(mapping / "test_references.csv",
         "gt_image,lq_image,ref_image\n00012.png,00012.png,\"['00010.png', '00011.png']\"\n"
         "00010.png,00010.png,\"['00011.png']\"\n")  # fmt: skip
    text(ref / "id_based_ffhq_split" / "test_image.txt", "00010.png\n00011.png\n00012.png\n")
    for kind in ("moderate", "severe"):
        for number in (10, 12):
            degraded(ref / "test_images" / f"{kind}_degrad" / f"{number:05}.png", number + 100 * len(kind))
    return {"dataroot_gt": gt, "reference_mapping": mapping}


class TestFFHQRef:
    def table(self, ffhq_ref: dict[str, Path], **options: Any) -> Manifest:
        return FFHQRefLayout(**{key: str(value) for key, value in ffhq_ref.items()}, **options).manifest()

    def test_targets_references_and_people(self, ffhq_ref: dict[str, Path]) -> None:
        rows = by_name(self.table(ffhq_ref, split="train"))
        assert list(rows) == ["00001.png", "00002.png", "00003.png"]
        assert rows["00001.png"].references == ("00003.png", "00002.png")  # in the order of the list
        assert rows["00003.png"].references == ()
        assert [row.is_target for row in rows.values()] == [True, True, False]
        assert {row.identity for row in rows.values()} == {"00001"}  # connected through 00001
        assert {row.split for row in rows.values()} == {"train"}
        assert rows["00001.png"].picture == "00000/00001.png"
        landmarks = ffhq_ref["dataroot_gt"].parent / "landmarks" / "00000" / "00001.png.txt"
        assert Path(rows["00001.png"].landmark_file) == landmarks
        assert landmarks.is_file()

    def test_all_splits(self, ffhq_ref: dict[str, Path]) -> None:
        rows = by_name(self.table(ffhq_ref))
        assert [rows[name].split for name in ("00001.png", "01001.png", "00020.png", "00012.png")] == [
            "train", "val", "val", "test"]  # fmt: skip
        assert len({row.identity for row in rows.values()}) == 3

    @pytest.mark.parametrize("kind", ["moderate", "severe"])
    def test_published_degraded_pictures(self, kind: str, ffhq_ref: dict[str, Path]) -> None:
        table = self.table(ffhq_ref, split="test", degraded=kind)
        row = by_name(table)["00012.png"]
        place = ffhq_ref["reference_mapping"].parent / "test_images" / f"{kind}_degrad" / "00012.png"
        assert table.storage.where(row.degraded) == str(place)
        assert table.storage.read(row.degraded) == place.read_bytes()
        assert table.storage.where(row.picture) == str(ffhq_ref["dataroot_gt"] / "00000" / "00012.png")
        assert by_name(table)["00011.png"].degraded == ""
        samples = build("FFHQRefLayout", layout={**ffhq_ref, "split": "test", "degraded": kind},
                        num_references=1, reference_order="given")  # fmt: skip
        assert len(samples) == 2
        sample = samples[Draw(1, 0)]
        assert sample.name == "00012.png"
        assert sample.references.names == ("00010.png",)  # the first of the list

    def test_from_lmdbs(self, ffhq_ref: dict[str, Path], tmp_path: Path) -> None:
        images, lq = ffhq_ref["dataroot_gt"], ffhq_ref["reference_mapping"].parent / "test_images" / "severe_degrad"
        write_lmdb(DiskStorage(images), images.with_suffix(".lmdb"))
        write_lmdb(DiskStorage(lq), tmp_path / "lq.lmdb")
        folders = self.table(ffhq_ref, split="test", degraded="severe")
        options = {"split": "test", "degraded": "severe", "dataroot_lq": str(tmp_path / "lq.lmdb")}
        lmdbs = self.table({**ffhq_ref, "dataroot_gt": images.with_suffix(".lmdb")}, **options)
        assert list(lmdbs) == list(folders)
        for row in lmdbs:
            for key in filter(None, (row.picture, row.degraded)):
                assert lmdbs.storage.read(key) == folders.storage.read(key)

    def test_flat_pictures_of_another_format(self, ffhq_ref: dict[str, Path], tmp_path: Path) -> None:
        for path in sorted(ffhq_ref["dataroot_gt"].rglob("*.png")):
            degraded(tmp_path / "faces512" / f"{path.stem}.jpg", 1)
        table = self.table({**ffhq_ref, "dataroot_gt": tmp_path / "faces512"}, split="train")
        assert (table[0].name, table[0].picture) == ("00001.jpg", "00001.jpg")
        assert table[0].references == ("00003.jpg", "00002.jpg")

    def test_pictures_without_references(self, ffhq_ref: dict[str, Path], tmp_path: Path) -> None:
        lists = ffhq_ref["reference_mapping"].parent / "id_based_ffhq_split"
        text(lists / "train_image.txt", "00001.png\n00002.png\n00003.png\n00020.png\n")
        rows = by_name(self.table(ffhq_ref, split="train", with_unreferenced=True))
        assert list(rows) == ["00001.png", "00002.png", "00003.png", "00020.png"]
        assert rows["00020.png"].is_target
        assert not rows["00003.png"].is_target
        assert rows["00020.png"].identity == "00020"
        with pytest.raises(DataError, match=r"val_image\.txt does not exist"):
            self.table(ffhq_ref, split="val", with_unreferenced=True)

    def test_a_list_that_leaves_its_split(self, ffhq_ref: dict, caplog: pytest.LogCaptureFixture) -> None:
        self.table(ffhq_ref, split="test")
        assert "not in it" not in caplog.text
        text(ffhq_ref["reference_mapping"].parent / "id_based_ffhq_split" / "test_image.txt", "00010.png\n00012.png\n")
        self.table(ffhq_ref, split="test")
        assert "1 pictures of the list of references are not in it: 00000/00011.png" in caplog.text

    def test_another_list_of_the_same_split(self, ffhq_ref: dict[str, Path]) -> None:
        other = text(ffhq_ref["reference_mapping"] / "test_references_arcface01-04.csv",
                     "gt_image,lq_image,ref_image\n00012.png,00012.png,\"['00011.png']\"\n")  # fmt: skip
        with pytest.raises(ConfigError, match="is one list; say with split which one"):
            self.table({**ffhq_ref, "reference_mapping": other})
        rows = by_name(self.table({**ffhq_ref, "reference_mapping": other}, split="test", degraded="moderate"))
        assert rows["00012.png"].references == ("00011.png",)
        assert rows["00012.png"].degraded == "lq/00012.png"

    @pytest.mark.parametrize("name", ["00000/00012.png", "00012.jpg"])
    def test_a_target_among_its_references_under_another_name(self, name: str, ffhq_ref: dict[str, Path]) -> None:
        path = ffhq_ref["reference_mapping"] / "test_references.csv"
        path.write_text(f"gt_image,ref_image\n00012.png,\"['00010.png', '{name}']\"\n")
        with pytest.raises(DataError, match=r"00012\.png is among its own references under another name"):
            self.table(ffhq_ref, split="test")

    def test_a_reference_under_two_names_is_one(self, ffhq_ref: dict[str, Path]) -> None:
        path = ffhq_ref["reference_mapping"] / "test_references.csv"
        path.write_text("gt_image,ref_image\n00012.png,\"['00010.png', '00010.jpg', '00000/00011.png']\"\n")
        assert by_name(self.table(ffhq_ref, split="test"))["00012.png"].references == ("00010.png", "00011.png")

    def test_missing_pictures_are_named(self, ffhq_ref: dict[str, Path]) -> None:
        (ffhq_ref["dataroot_gt"] / "00000" / "00003.png").unlink()
        with pytest.raises(DataError, match=r"lacks 1 of the pictures that .* names: 00003\.png\. FFHQ-Ref is"):
            self.table(ffhq_ref, split="train")
        (ffhq_ref["reference_mapping"].parent / "test_images" / "severe_degrad" / "00012.png").unlink()
        with pytest.raises(DataError, match=r"severe_degrad: lacks 1 .*00012\.png"):
            self.table(ffhq_ref, split="test", degraded="severe")

    def test_two_pictures_of_one_name(self, ffhq_ref: dict[str, Path]) -> None:
        face(ffhq_ref["dataroot_gt"], "elsewhere/00003.png", 3)
        with pytest.raises(DataError, match=r"00003\.png may be 00000/00003\.png or elsewhere/00003\.png"):
            self.table(ffhq_ref, split="train")

    def test_degraded_pictures_are_of_the_test_split(self, ffhq_ref: dict[str, Path]) -> None:
        for split in ("train", None):
            with pytest.raises(ConfigError, match="set split: test"):
                self.table(ffhq_ref, split=split, degraded="moderate")


class TestCelebATestRef:
    @pytest.fixture
    def roots(self, tmp_path: Path) -> dict[str, Path]:
        root = tmp_path / "CelebA Test Ref"
        for number in (13, 14, 15):
            face(root / "celeba_test_images" / "gt", f"{number:08}.png", number)
            degraded(root / "celeba_test_images" / "lq" / f"{number:08}.png", 100 + number)
        for number in (3, 4, 7):
            face(root / "CelebAMask-HQ" / "CelebA-HQ-img", f"{number}.jpg", number)
        text(root / "test_references.csv",
             "gt_image,lq_image,ref_image\n00000013.png,00000013.png,\"['7.jpg', '3.jpg']\"\n"
             "00000014.png,00000014.png,\"['7.jpg']\"\n00000015.png,00000015.png,\"['4.jpg']\"\n")  # fmt: skip
        return {"dataroot_gt": root / "celeba_test_images" / "gt", "dataroot_ref": root / "CelebAMask-HQ/CelebA-HQ-img"}

    def test_rows(self, roots: dict[str, Path]) -> None:
        table = CelebATestRefLayout(**{key: str(value) for key, value in roots.items()}).manifest()
        rows = by_name(table)
        assert list(rows)[:3] == ["00000013.png", "00000014.png", "00000015.png"]
        assert rows["00000013.png"].references == ("CelebA-HQ-img/7.jpg", "CelebA-HQ-img/3.jpg")
        assert [row.is_target for row in rows.values()] == [True] * 3 + [False] * 3
        assert rows["00000014.png"].identity == rows["CelebA-HQ-img/3.jpg"].identity == "00000013"
        assert rows["CelebA-HQ-img/4.jpg"].identity == "00000015"
        for row in rows.values():
            assert table.storage.read(row.picture)
        gt, lq = (table.storage.where(key) for key in (rows["00000013.png"].picture, rows["00000013.png"].degraded))
        assert (Path(gt).parent.name, Path(lq).parent.name) == ("gt", "lq")

    def test_a_sample(self, roots: dict[str, Path], tmp_path: Path) -> None:
        for name in ("00000013.png", "00000014.png", "00000015.png"):
            write_face(tmp_path / "x" / name, tmp_path / "marks" / "gt" / f"{name}.txt", 1, SIZE)
        for name in ("7.jpg", "3.jpg", "4.jpg"):
            write_face(tmp_path / "x" / name, tmp_path / "marks" / "CelebA-HQ-img" / f"{name}.txt", 1, SIZE)
        data = build("CelebATestRefLayout", layout={**roots, "dataroot_landmarks": tmp_path / "marks"},
                     num_references="all", reference_order="given")  # fmt: skip
        sample = data[Draw(0, 0)]
        assert len(data) == 3
        assert sample.references.names == ("CelebA-HQ-img/7.jpg", "CelebA-HQ-img/3.jpg")
        assert not (sample.lq == sample.gt).all()

    def test_missing_references_are_named(self, roots: dict[str, Path]) -> None:
        (roots["dataroot_ref"] / "7.jpg").unlink()
        with pytest.raises(DataError, match=r"CelebA-HQ-img: lacks 1 of the pictures .*: 7\.jpg\. CelebA-Test-Ref is"):
            CelebATestRefLayout(**{key: str(value) for key, value in roots.items()}).manifest()


class TestDMDNetList:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "Test Data"
        for number in (1, 2):
            degraded(root / "lq" / f"{number}.png", number)
            face(root / "sharp", f"{number}.jpg", number + 50)
            write_face(root / "x.png", root / "landmarks" / "lq" / f"{number}.png.txt", number, SIZE)
        for number in (1, 2, 10):
            write_face(
                root / "refs" / "Zoë" / f"{number}.png", root / "marks" / "Zoë" / f"{number}.png.txt", number, SIZE
            )
        return root

    def write(self, root: Path, *lines: str, end: str = "\n") -> str:
        return str(text(root / "list.txt", end.join(lines) + end))

    def test_generic_and_specific_lines(self, root: Path) -> None:
        file = self.write(root, "lq/2.png\trefs/Zoë\tmarks/Zoë", "./lq/1.png", "", "# no picture", end="\r\n")
        table = DMDNetListLayout(list_file=file).manifest()
        rows = by_name(table)
        assert list(rows) == ["lq/2.png", "lq/1.png", "refs/Zoë/1.png", "refs/Zoë/2.png", "refs/Zoë/10.png"]
        assert rows["lq/2.png"].references == ("refs/Zoë/1.png", "refs/Zoë/2.png", "refs/Zoë/10.png")
        assert rows["lq/2.png"].identity == rows["refs/Zoë/10.png"].identity == "refs/Zoë"
        assert rows["lq/1.png"].references == ()
        assert rows["lq/1.png"].identity == "lq/1"
        assert rows["lq/2.png"].picture == ""
        assert table.storage.read(rows["lq/2.png"].degraded)
        assert Path(rows["refs/Zoë/10.png"].landmark_file) == root / "marks" / "Zoë" / "10.png.txt"
        assert [row.is_target for row in rows.values()] == [True, True, False, False, False]

    def test_landmarks_by_the_stem(self, root: Path) -> None:
        (root / "marks" / "Zoë" / "1.png.txt").rename(root / "marks" / "Zoë" / "1.txt")
        table = DMDNetListLayout(list_file=self.write(root, "lq/2.png\trefs/Zoë\tmarks/Zoë")).manifest()
        assert Path(by_name(table)["refs/Zoë/1.png"].landmark_file).name == "1.txt"

    def test_samples_without_and_with_ground_truth(self, root: Path) -> None:
        file = self.write(root, "lq/2.png\trefs/Zoë\tmarks/Zoë", "lq/1.png")
        blind = build("DMDNetListLayout", layout={"list_file": file}, reference_order="given")
        assert blind[Draw(0, 0)].gt is None
        assert len(blind[Draw(0, 0)].references.names) > 0
        known = build("DMDNetListLayout", layout={
            "list_file": file, "dataroot_gt": root / "sharp", "dataroot_landmarks": root / "landmarks"})  # fmt: skip
        assert known[Draw(1, 0)].gt is not None

    def test_paths_from_another_folder_and_whole_paths(self, root: Path) -> None:
        file = self.write(root.parent, "Test Data/lq/1.png", str(root / "lq" / "2.png"))
        assert list(DMDNetListLayout(list_file=file).manifest().text["name"]) == [
            "Test Data/lq/1.png", "Test Data/lq/2.png"]  # fmt: skip
        table = DMDNetListLayout(list_file=self.write(root, "lq/1.png"), dataroot=str(root)).manifest()
        assert table[0].name == "lq/1.png"

    @pytest.mark.parametrize(
        ("lines", "why"),
        [
            (("lq/1.png\trefs/Zoë",), "line 1: has 2 parts"),
            (("lq/9.png",), r"line 1: there is no picture .*dataroot is the folder"),
            (("../other/1.png",), r"line 1: '../other/1.png' is not below"),
            (("/etc/passwd",), "is not below"),
            (("lq/1.png", "lq/../lq/1.png"), "line 2: lq/1.png is on line 1, too"),
            (("lq/1.png\trefs/Ann\tmarks/Ann",), r"refs/Ann does not exist\. The list has the form"),
            (("lq/1.png\tmarks/Zoë\tmarks/Zoë",), "holds no picture"),
            (("lq/1.png\trefs/Zoë\ta", "lq/2.png\trefs/Zoë\tb"), "line 2: the landmarks of refs/Zoë are in a"),
            (("refs/Zoë/1.png\trefs/Zoë\tmarks/Zoë",), "is a degraded picture and a reference"),
            (("",), "holds no picture"),
        ],
    )
    def test_bad_lists(self, lines: tuple[str, ...], why: str, root: Path) -> None:
        with pytest.raises(DataError, match=why):
            DMDNetListLayout(list_file=self.write(root, *lines)).manifest()

    def test_ground_truth_that_is_missing(self, root: Path) -> None:
        (root / "sharp" / "2.jpg").unlink()
        file = self.write(root, "lq/1.png", "lq/2.png")
        with pytest.raises(DataError, match=r"sharp: lacks 1 of the pictures that .*list\.txt names: lq/2\.png"):
            DMDNetListLayout(list_file=file, dataroot_gt=str(root / "sharp")).manifest()


class TestDegradedFolder:
    def test_without_targets(self, tmp_path: Path) -> None:
        for name in ("b 2.jpg", "a/1.png"):
            degraded(tmp_path / "WebPhoto-Test" / name, 1)
        table = DegradedFolderLayout(dataroot_lq=str(tmp_path / "WebPhoto-Test")).manifest()
        assert [(row.name, row.identity, row.picture) for row in table] == [
            ("a/1.png", "a/1", ""), ("b 2.jpg", "b 2", "")]  # fmt: skip
        assert Path(table[0].landmark_file) == tmp_path / "landmarks" / "a" / "1.png.txt"
        with pytest.raises(ConfigError, match="no sharp pictures to train towards"):
            build("DegradedFolderLayout", "train", {"dataroot_lq": tmp_path / "WebPhoto-Test"}, num_references=0)
        options = {"num_references": 0, "missing_landmarks": "template", "landmark_cache": str(tmp_path / "cache")}
        data = build("DegradedFolderLayout", layout={"dataroot_lq": tmp_path / "WebPhoto-Test"}, **options)
        assert data[Draw(0, 0)].gt is None

    def test_with_targets(self, tmp_path: Path) -> None:
        degraded(tmp_path / "lq" / "1.jpg", 1)
        face(tmp_path / "gt", "1.png", 2)
        table = DegradedFolderLayout(dataroot_lq=str(tmp_path / "lq"), dataroot_gt=str(tmp_path / "gt")).manifest()
        assert table.storage.read(table[0].picture) == (tmp_path / "gt" / "1.png").read_bytes()
        write_manifest(table, tmp_path / "pairs.manifest")
        again = read_manifest(tmp_path / "pairs.manifest")
        assert again.storage.read(again[0].degraded) == (tmp_path / "lq" / "1.jpg").read_bytes()

    def test_what_does_not_pair(self, tmp_path: Path) -> None:
        for folder, names in (("lq", "12345"), ("gt", "1678")):
            for name in names:
                degraded(tmp_path / folder / f"{name}.png", 1)
        with pytest.raises(DataError, match=r"2\.png, 3\.png, 4\.png and 1 more in .*lq without a partner; 6\.png, 7"):
            DegradedFolderLayout(dataroot_lq=str(tmp_path / "lq"), dataroot_gt=str(tmp_path / "gt")).manifest()


class TestPairing:
    def test_people_are_connected_faces(self) -> None:
        people = people_of({"b.png": ["x", "y"], "a.png": ["y", "z"], "c.png": [], "d.png": ["w"]})
        assert people == {
            "b.png": "b",
            "a.png": "b",
            "x": "b",
            "y": "b",
            "z": "b",
            "c.png": "c",
            "d.png": "d",
            "w": "d",
        }

    def test_a_long_chain(self) -> None:
        chain = {f"{number}.png": [f"{number + 1}.png"] for number in range(5000)}
        assert set(people_of(chain).values()) == {"0"}

    def test_pictures_are_found_by_path_then_stem(self) -> None:
        index = PictureIndex(["a/1.png", "b/1.png", "b/2.jpg"], "root")
        assert index.find("b/1.png") == "b/1.png"
        assert index.find("somewhere/2.png") == "b/2.jpg"
        index.check("list", "")
        index.find("3.png")
        with pytest.raises(DataError, match=r"root: lacks 1 of the pictures that list names: 3\.png"):
            index.check("list", "")

    def test_two_of_one_stem(self) -> None:
        with pytest.raises(DataError, match=r"lq: 1\.jpg and 1\.png differ in their suffix only"):
            paired(["1.jpg", "1.png"], ["1.png"], ("lq", "gt"))
