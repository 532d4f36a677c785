"""Sets that must be apart, and what is found where they are not."""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from made_faces import celebref_set, picture, write_celebref
from made_tables import drawn_rows, on_disk, table

from dmdnet.cli.main import main
from dmdnet.data.check_copies import near_duplicates
from dmdnet.data.check_files import files_are_good, files_exist
from dmdnet.data.checks import check_apart, compare_quickly, wrong_lists
from dmdnet.data.face_reader import FaceReader
from dmdnet.data.manifest import Manifest, Row, write_manifest
from dmdnet.data.parts import Part, parts_of_splits
from dmdnet.data.selection import select
from dmdnet.data.storage import LMDBStorage, write_lmdb
from dmdnet.errors import ConfigError
from dmdnet.faces.fingerprint import fingerprint
from dmdnet.images import read_image, write_image
from dmdnet.registry import DATASETS

ROOT = Path(__file__).parents[2]
PEOPLE = {"00001": 2, "00002": 2, "00003": 1}


def part(manifest: Manifest, may_overlap: bool = False, **conditions: object) -> Part:
    reader = FaceReader(storage=manifest.storage, image_size=64)
    return Part(select(manifest, **conditions), reader, may_overlap)


def found(train: Part, judge: Part) -> dict[str, tuple[str, ...]]:
    checks = [*compare_quickly(train, judge), near_duplicates(train, judge)]
    return {check.what: check.findings for check in checks if check.findings}


def left_out(train: Part, judge: Part) -> dict[str, str]:
    checks = [*compare_quickly(train, judge), near_duplicates(train, judge)]
    return {check.what: check.left_out for check in checks if check.left_out}


class TestPeople:
    def test_apart(self) -> None:
        one = part(table(PEOPLE), identity_range=(0, 2))
        assert found(one, part(table(PEOPLE), identity_range=(2, 3))) == {}

    def test_shared(self) -> None:
        one, other = part(table(PEOPLE), identity_range=(0, 2)), part(table(PEOPLE), identity_range=(1, 3))
        assert found(one, other)["share no person"] == ("person 00002",)

    def test_people_who_are_only_referred_to_count(self) -> None:
        manifest = table(PEOPLE, is_target=[True, True, False, False, True], references=[("00002/1.png",), *[()] * 4])
        train = part(manifest, exclude_identities=("00002", "00003"))
        judge = part(table(PEOPLE), identity_range=(1, 2))
        assert found(train, judge)["share no person"] == ("person 00002",)

    def test_names_of_two_roots_are_not_compared(self) -> None:
        other = replace(table(PEOPLE), origin="elsewhere")
        assert "share no person" not in found(part(table(PEOPLE)), part(other))
        assert "named independently" in left_out(part(table(PEOPLE)), part(other))["share no person"]

    def test_one_root_by_two_paths(self, tmp_path: Path) -> None:
        rows = drawn_rows(tmp_path / "faces", {"a": 1})
        (tmp_path / "link").symlink_to(tmp_path / "faces")
        assert found(part(on_disk(tmp_path / "faces", rows)), part(on_disk(tmp_path / "link", rows))) == {
            "share no person": ("person a",),
            "share no file": (f"file {tmp_path / 'faces' / 'a' / '1.png'}",),
        }

    def test_a_folder_and_its_lmdb_are_one_root(self, tmp_path: Path) -> None:
        rows = drawn_rows(tmp_path / "faces", {"a": 1, "b": 1})
        folder = on_disk(tmp_path / "faces", rows)
        write_lmdb(folder.storage, tmp_path / "faces.lmdb")
        packed = replace(folder, storage=LMDBStorage(tmp_path / "faces.lmdb"), origin=str(tmp_path / "faces.lmdb"))
        train, judge = part(folder, identity_range=(0, 1)), part(packed)
        assert found(train, judge)["share no person"] == ("person a",)

    def test_an_allowed_overlap(self) -> None:
        one = part(table(PEOPLE))
        assert found(one, part(table(PEOPLE), may_overlap=True)) == {}
        assert set(left_out(one, part(table(PEOPLE), may_overlap=True)).values()) == {"allowed by allow_split_overlap"}


class TestCopies:
    @pytest.fixture
    def train(self, tmp_path: Path) -> Manifest:
        return on_disk(
            tmp_path / "one", self.described(tmp_path / "one", drawn_rows(tmp_path / "one", {"a": 2, "b": 2}))
        )

    def described(self, root: Path, rows: list[Row]) -> list[Row]:
        data = [(root / row.picture).read_bytes() for row in rows]
        return [
            replace(row, checksum=zlib.crc32(content), fingerprint=fingerprint(read_image(root / row.picture)))
            for row, content in zip(rows, data, strict=True)
        ]

    def judge(self, tmp_path: Path, image: np.ndarray | bytes, **known: object) -> Manifest:
        root = tmp_path / "two"
        row = drawn_rows(root, {"x": 1, "y": 1})[0]
        other = drawn_rows(root, {"z": 1})[0]
        if isinstance(image, bytes):
            (root / row.picture).write_bytes(image)
        else:
            write_image(root / row.picture, image)
        write_image(root / other.picture, picture(77, 64))
        return on_disk(root, self.described(root, [row, other]))

    def test_the_same_file_elsewhere(self, tmp_path: Path, train: Manifest) -> None:
        judge = self.judge(tmp_path, (tmp_path / "one" / "b" / "2.png").read_bytes())
        assert found(part(train), part(judge)) == {
            "share no copy of a file": (f"{tmp_path / 'two/x/1.png'} is {tmp_path / 'one/b/2.png'}",),
            "share no near-duplicate": (
                f"{tmp_path / 'two/x/1.png'} looks like {tmp_path / 'one/b/2.png'} (0 of 64 bits differ)",
            ),
        }

    def test_equal_checksums_of_different_files_are_no_copies(self, tmp_path: Path, train: Manifest) -> None:
        judge = self.judge(tmp_path, picture(5, 64))
        judge.arrays["checksum"][0] = train.arrays["checksum"][3]
        assert found(part(train), part(judge)) == {}

    def test_the_same_picture_smaller_and_darker(self, tmp_path: Path, train: Manifest) -> None:
        image = cv2.resize(read_image(tmp_path / "one" / "a" / "1.png"), (48, 48), interpolation=cv2.INTER_AREA)
        judge = self.judge(tmp_path, (image * 0.95).astype(np.uint8))
        (text,) = found(part(train), part(judge))["share no near-duplicate"]
        assert "two/x/1.png looks like" in text
        assert "one/a/1.png" in text

    def test_embeddings_of_strangers_take_it_back(self) -> None:
        rng = np.random.default_rng(0)
        people = {f"{number:05d}": 1 for number in range(40)}

        def made(origin: str, first: np.ndarray) -> Manifest:
            embedding = [first, *rng.normal(size=(39, 8))]
            prints = [12345, *(int(value) for value in rng.integers(1, 2**63, 39))]
            return replace(table(people, embedding=embedding, fingerprint=prints), origin=origin)

        one, same, stranger = made("1", np.ones(8)), made("2", np.ones(8) * 1.01), made("3", -np.ones(8))
        assert len(found(part(one), part(same))["share no near-duplicate"]) == 1
        assert "share no near-duplicate" not in found(part(one), part(stranger))

    def test_what_cannot_be_compared_is_said(self) -> None:
        said = left_out(part(table(PEOPLE)), part(replace(table(PEOPLE), origin="2")))
        assert "no checksums" in said["share no copy of a file"]
        assert "prepare" in said["share no near-duplicate"]

    def test_too_many_are_left_to_the_command(self, tmp_path: Path, train: Manifest) -> None:
        judge = self.judge(tmp_path, read_image(tmp_path / "one" / "a" / "1.png"))
        assert "check-data" in near_duplicates(part(train), part(judge), most_pairs=7).left_out
        assert len(near_duplicates(part(train), part(judge), most_pairs=8).findings) == 1


class TestLists:
    def test_a_target_in_its_own_list_and_its_copy(self) -> None:
        lists = [("00001/1.png", "00002/1.png"), ("00001/1.png",), (), ("00002/1.png",), ()]
        marks = [None, "00001/1.png", None, None, None]
        check = wrong_lists(part(table(PEOPLE, references=lists, duplicate_of=marks)))
        assert check.findings == (
            "00001/1.png has itself in its list of references",
            "00001/2.png has its near-duplicate 00001/1.png in its list of references",
        )
        assert wrong_lists(part(table(PEOPLE))).findings == ()


class TestFiles:
    def test_all_there(self, tmp_path: Path) -> None:
        rows = drawn_rows(tmp_path, PEOPLE)
        assert files_exist(part(on_disk(tmp_path, rows))).findings == ()
        (tmp_path / "00002" / "1.png").unlink()
        (text,) = files_exist(part(on_disk(tmp_path, rows))).findings
        assert "00002/1.png" in text

    @pytest.mark.parametrize("workers", [0, 1])
    def test_reading_finds_what_training_would(self, tmp_path: Path, workers: int) -> None:
        rows = drawn_rows(tmp_path, PEOPLE)
        sums = [zlib.crc32((tmp_path / row.picture).read_bytes()) for row in rows]
        rows = [replace(row, checksum=value) for row, value in zip(rows, sums, strict=True)]
        rows[3] = replace(rows[3], landmarks=rows[3].landmarks * 0.0)
        os.truncate(tmp_path / "00001" / "2.png", 700)
        seen: list[int] = []
        changed, unusable = files_are_good(
            part(on_disk(tmp_path, rows)), read=True, checksums=True, workers=workers, progress=seen.append
        )
        assert len(changed.findings) == 1
        assert "00001/2.png: CRC-32" in changed.findings[0]
        assert changed.count == 5
        assert ["00001/2.png" in unusable.findings[0], "00002/2.png" in unusable.findings[1]] == [True, True]
        assert sum(seen) == 5

    def test_without_checksums_it_is_said(self, tmp_path: Path) -> None:
        (check,) = files_are_good(part(on_disk(tmp_path, drawn_rows(tmp_path, PEOPLE))), read=False, checksums=True)
        assert "no checksums" in check.left_out


class TestAtBuild:
    def build(self, root: Path, phase: str, **options: object) -> object:
        layout = {"type": "CelebRefHQLayout", "dataroot_gt": str(root)}
        component = DATASETS.component("ReferenceFaceDataset", layout=layout, image_size=64, **options)
        return DATASETS.build(component, seed=0, phase=phase)

    def test_refuses_shared_people_and_says_what_to_do(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, PEOPLE)
        train = {"datasets.train": self.build(root, "train")}
        words = r"datasets\.val has faces of datasets\.train: person 00003\..*identity_range.*allow_split_overlap: true"
        with pytest.raises(ConfigError, match=words):
            check_apart(train, {"datasets.val": self.build(root, "test", identity_range=(2, 3))})
        check_apart(train, {"datasets.val": self.build(root, "test", allow_split_overlap=True)})
        apart = {"datasets.train": self.build(root, "train", identity_range=(0, 2))}
        check_apart(apart, {"datasets.val": self.build(root, "test", identity_range=(2, 3))})

    def test_shows_a_few_and_counts_the_rest(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {f"{number}": 1 for number in range(6)})
        with pytest.raises(ConfigError, match=r"person 0; person 1; person 2 and 3 more\."):
            check_apart({"t": self.build(root, "train")}, {"v": self.build(root, "test")})

    def written(self, root: Path, rows: list[Row], phase: str) -> object:
        path = write_manifest(on_disk(root, rows), root / "faces.manifest")
        layout = {"type": "ManifestLayout", "manifest": str(path)}
        component = DATASETS.component("ReferenceFaceDataset", layout=layout, image_size=64)
        return DATASETS.build(component, seed=0, phase=phase)

    def test_refuses_near_duplicates(self, tmp_path: Path) -> None:
        sets = {}
        for name, phase in (("one", "train"), ("two", "test")):
            rows = drawn_rows(tmp_path / name, {name: 2})
            if name == "two":  # the same picture in another file
                image = cv2.resize(read_image(tmp_path / "one" / "one" / "1.png"), (48, 48))
                write_image(tmp_path / "two" / "two" / "2.png", image)
            prints = [fingerprint(read_image(tmp_path / name / row.picture)) for row in rows]
            rows = [replace(row, fingerprint=known) for row, known in zip(rows, prints, strict=True)]
            sets[name] = self.written(tmp_path / name, rows, phase)
        with pytest.raises(ConfigError, match=r"datasets\.val has faces of t: .*two/2\.png looks like .*one/1\.png"):
            check_apart({"t": sets["one"]}, {"datasets.val": sets["two"]})

    def test_refuses_a_target_in_its_own_list(self, tmp_path: Path) -> None:
        rows = drawn_rows(tmp_path, {"a": 2}, references=[("a/2.png", "a/1.png"), ()])
        with pytest.raises(ConfigError, match=r"datasets\.train: a/1\.png has itself in its list of references"):
            check_apart({"datasets.train": self.written(tmp_path, rows, "train")}, {})

    def test_members_of_a_mixture_are_checked(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, PEOPLE)
        layout = {"type": "CelebRefHQLayout", "dataroot_gt": str(root)}
        members = tuple(
            {"type": "ReferenceFaceDataset", "layout": layout, "image_size": 64, "identity_range": chosen}
            for chosen in ((0, 1), (1, 2))
        )
        mixture = DATASETS.build(DATASETS.component("MixedDataset", datasets=members, shares=(1.0, 1.0)), seed=0)
        with pytest.raises(ConfigError, match="person 00002"):
            check_apart({"t": mixture}, {"v": self.build(root, "test", identity_range=(1, 3))})


class TestCommand:
    def rows(self, tmp_path: Path) -> list[Row]:
        splits = ["train"] * 2 + ["val"] * 2 + ["test"]
        return drawn_rows(tmp_path, PEOPLE, split=splits)

    def test_a_manifest_by_its_splits(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        manifest = on_disk(tmp_path, self.rows(tmp_path))
        assert list(parts_of_splits(manifest)) == ["train", "val", "test"]
        path = write_manifest(manifest, tmp_path / "faces.manifest")
        assert main(["check-data", str(path), "--read", "--checksums", "--workers", "0"]) == 0
        printed = capsys.readouterr().out
        assert "nothing found" in printed
        assert "not checked  share no near-duplicate" in printed

    def test_findings_end_with_1(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = self.rows(tmp_path)
        rows[4] = replace(rows[4], identity="00001")
        path = write_manifest(on_disk(tmp_path, rows), tmp_path / "faces.manifest")
        (tmp_path / "00002" / "2.png").unlink()
        assert main(["check-data", str(path)]) == 1
        printed = capsys.readouterr().out
        assert "    person 00001\n" in printed
        assert "00002/2.png" in printed
        assert "2 finding(s)" in printed

    def test_what_a_network_is_chosen_by_is_held_against_what_judges_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = self.rows(tmp_path)
        rows[4] = replace(rows[4], identity="00002")
        path = write_manifest(on_disk(tmp_path, rows), tmp_path / "faces.manifest")
        assert main(["check-data", str(path)]) == 1
        printed = capsys.readouterr().out
        assert "val and test: " in printed
        assert "    person 00002\n" in printed
        assert "1 finding(s)" in printed

    def test_test_sets_of_the_same_faces_are_not_compared(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = write_celebref(tmp_path, PEOPLE)
        options = {
            "name": "own",
            "model": {"type": "DMDNetModel"},
            "network_g": {"type": "DMDNet", "image_size": 64},
            "datasets": {name: {"name": name, **celebref_set(root)} for name in ("test_x4", "test_x8")},
        }
        (tmp_path / "own.yml").write_text(yaml.safe_dump(options))
        assert main(["check-data", "-opt", str(tmp_path / "own.yml")]) == 0
        assert "no training set and test set to compare" in capsys.readouterr().out

    def test_an_option_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        root = write_celebref(tmp_path, PEOPLE)
        text = (ROOT / "options" / "demo" / "train_dmdnet_demo.yml").read_text()
        text = text.replace("datasets/demo_faces/images", str(root))
        text = text.replace("[0, 92]", "[0, 2]").replace("[92, 96]", "[1, 3]")
        (tmp_path / "own.yml").write_text(text)
        assert main(["check-data", "-opt", str(tmp_path / "own.yml")]) == 1
        assert "person 00002" in capsys.readouterr().out
        apart = ["--set", "datasets.val.identity_range=[2,3]", "datasets.val.wrong_references=false"]
        assert main(["check-data", "-opt", str(tmp_path / "own.yml"), *apart]) == 0
        assert "nothing found" in capsys.readouterr().out
        assert main(["check-data", "x.manifest", *apart]) == 2

    def test_wants_one_of_the_two(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check-data"]) == 2
        assert "either a manifest or -opt FILE" in capsys.readouterr().err

    def test_a_number_of_workers_that_cannot_be(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check-data", "x.manifest", "--read", "--workers", "-1"]) == 2
        assert "--workers -1: 0 (this process) or more" in capsys.readouterr().err
