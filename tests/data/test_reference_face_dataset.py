"""Samples: what belongs to them, what decides them, and what stops them."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from made_faces import mean_landmarks, write_celebref, write_face

from dmdnet.data.face_dataset import FaceDataset
from dmdnet.data.reference_face_dataset import ReferenceFaceDataset
from dmdnet.data.samples import FaceSample, FaceStack, collate
from dmdnet.data.sampling import Draw
from dmdnet.errors import ConfigError, DataError
from dmdnet.images import read_image
from dmdnet.registry import DATASETS, DEGRADATIONS

PEOPLE = {"00001": 4, "00002": 3, "00003": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celebref(tmp_path_factory.mktemp("celebref"), PEOPLE)


def build(root: Path, *, seed: int = 1, phase: str = "train", **options: object) -> ReferenceFaceDataset:
    options = {
        "layout": {"type": "CelebRefHQLayout", "dataroot_gt": str(root)},
        "image_size": 64,
        "degradation": ({"type": "Preset", "name": "gfpgan"},),
        **options,
    }
    return DATASETS.build(DATASETS.component("ReferenceFaceDataset", **options), seed=seed, phase=phase)


AUGMENTED = {"use_hflip": True, "color_jitter": 0.3, "landmark_noise": (2.0, 4.0), "box_jitter": 0.08}


def assert_same(one: FaceSample | FaceStack, other: FaceSample | FaceStack, but: tuple[str, ...] = ()) -> None:
    for item in fields(one):
        a, b = getattr(one, item.name), getattr(other, item.name)
        if item.name in but:
            continue
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b), item.name
        elif isinstance(a, FaceStack):
            assert_same(a, b)
        else:
            assert a == b, item.name


class TestSample:
    def test_shapes_and_types(self, root: Path) -> None:
        sample = build(root, num_references=(2, 2), wrong_references=True)[Draw(0, 0)]
        for image in (sample.lq, sample.gt):
            assert image.shape == (3, 64, 64)
            assert image.dtype == torch.uint8
            assert image.is_contiguous()
        for boxes in (sample.lq_boxes, sample.gt_boxes):
            assert boxes.shape == (4, 4)
            assert boxes.dtype == torch.int32
        for stack in (sample.references, sample.wrong_references):
            assert stack.images.shape == (2, 3, 64, 64)
            assert stack.boxes.shape == (2, 4, 4)
        assert (sample.name, sample.identity) == ("00001/1.png", "00001")

    def test_target_is_the_file_and_the_other_is_degraded(self, root: Path) -> None:
        sample = build(root)[Draw(1, 0)]
        file = torch.from_numpy(read_image(root / "00001" / "2.png")).permute(2, 0, 1)
        assert torch.equal(sample.gt, file)
        assert (sample.lq.float() - sample.gt.float()).abs().mean() > 1

    def test_references_are_of_the_person_and_not_the_target(self, root: Path) -> None:
        dataset = build(root, num_references=(1, 8), wrong_references=True)
        for draw in range(60):
            sample = dataset[Draw(draw % len(dataset), draw)]
            assert sample.name not in sample.references.names
            assert {name.split("/")[0] for name in sample.references.names} <= {sample.identity}
            assert sample.identity not in {name.split("/")[0] for name in sample.wrong_references.names}

    def test_person_with_one_picture(self, root: Path) -> None:
        sample = build(root)[Draw(7, 0)]
        assert sample.identity == "00003"
        assert len(sample.references) == 0
        assert not collate([sample]).references.mask_BR.any()

    def test_without_degradation_it_is_the_target(self, root: Path) -> None:
        sample = build(root, degradation=())[Draw(0, 0)]
        assert torch.equal(sample.lq, sample.gt)

    def test_a_set_without_references(self, root: Path) -> None:
        sample = build(root, num_references=(0, 0))[Draw(0, 0)]
        assert sample.references is None
        assert collate([sample]).references is None

    def test_identities_follow_the_records(self, root: Path) -> None:
        assert list(build(root).identities) == ["00001"] * 4 + ["00002"] * 3 + ["00003"]
        assert build(root).identities[-2:] == ["00002", "00003"]

    @pytest.mark.parametrize("index", [8, -1, Draw(8, 0)])
    def test_out_of_range(self, root: Path, index: int | Draw) -> None:
        with pytest.raises(IndexError):
            build(root)[index]


class TestAugmentation:
    def test_flip_mirrors_everything_together(self, root: Path) -> None:
        dataset = build(root, degradation=(), use_hflip=True, num_references=(3, 3), reference_order="given")
        plain = build(root, degradation=(), num_references=(3, 3), reference_order="given")[Draw(0, 0)]
        samples = [dataset[Draw(0, draw)] for draw in range(40)]
        flipped = [torch.equal(sample.gt, plain.gt.flip(-1)) for sample in samples]
        assert 8 < sum(flipped) < 32
        for sample, mirrored in zip(samples, flipped, strict=True):
            expected = plain.references.images.flip(-1) if mirrored else plain.references.images
            assert torch.equal(sample.references.images, expected)
            assert torch.equal(sample.gt, plain.gt.flip(-1) if mirrored else plain.gt)
            boxes = sample.gt_boxes
            assert boxes[0, 0] < boxes[1, 0]

    def test_colours_change_target_and_degraded_alike_but_not_references(self, root: Path) -> None:
        plain, jittered = (
            build(root, degradation=(), color_jitter=s, num_references=(2, 2))[Draw(0, 3)] for s in (0.0, 0.3)
        )
        assert not torch.equal(plain.gt, jittered.gt)
        assert torch.equal(jittered.lq, jittered.gt)
        assert torch.equal(plain.references.images, jittered.references.images)

    def test_box_errors_are_on_the_degraded_side_only(self, root: Path) -> None:
        plain, jittered = (build(root, **options)[Draw(0, 3)] for options in ({}, {"box_jitter": 0.08}))
        assert torch.equal(plain.gt_boxes, jittered.gt_boxes)
        assert torch.equal(plain.lq_boxes, plain.gt_boxes)
        assert not torch.equal(jittered.lq_boxes, jittered.gt_boxes)

    def test_the_same_draw_twice_is_the_same_sample(self, root: Path) -> None:
        # a data set that changed a record in place would flip the second time from the flipped one
        dataset = build(root, **AUGMENTED)
        for draw in range(6):
            assert_same(dataset[Draw(2, draw)], dataset[Draw(2, draw)])


class TestWhatDecidesASample:
    def test_draw_and_seed(self, root: Path) -> None:
        dataset = build(root, **AUGMENTED)
        first = dataset[Draw(0, 5)]
        assert_same(first, build(root, **AUGMENTED)[Draw(0, 5)])
        assert not torch.equal(first.lq, dataset[Draw(0, 6)].lq)
        assert not torch.equal(first.lq, build(root, seed=2, **AUGMENTED)[Draw(0, 5)].lq)

    def test_one_purpose_does_not_shift_another(self, root: Path) -> None:
        plain = build(root, num_references=(1, 3))[Draw(0, 5)]
        assert_same(plain, build(root, num_references=(1, 3), box_jitter=0.08)[Draw(0, 5)], but=("lq_boxes",))
        more = build(root, num_references=(3, 3))[Draw(0, 5)]
        assert_same(plain, more, but=("references",))

    def test_testing_depends_on_the_name_alone(self, root: Path, tmp_path: Path) -> None:
        dataset = build(root, phase="test", reference_order="given", num_references=(2, 2), wrong_references=False)
        assert_same(dataset[Draw(4, 4)], dataset[Draw(4, 999)])
        larger = write_celebref(tmp_path, {"00000": 2, **PEOPLE})
        for name in PEOPLE:  # the same pictures under the same names, after two new ones
            for path in (root / name).iterdir():
                (larger / name / path.name).write_bytes(path.read_bytes())
                points = Path("landmarks") / name / f"{path.name}.txt"
                (tmp_path / points).write_bytes((root.parent / points).read_bytes())
        grown = build(larger, phase="test", reference_order="given", num_references=(2, 2))
        for number in range(len(dataset)):
            assert_same(dataset[number], grown[number + 2])


class TestBadInput:
    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        root = write_celebref(tmp_path, {"00001": 3, "00002": 3})
        os.truncate(root / "00001" / "2.png", 500)
        return root

    def test_a_damaged_target_is_named(self, broken: Path) -> None:
        with pytest.raises(DataError, match=r"00001.2\.png.*cut short"):
            build(broken)[Draw(1, 0)]

    def test_a_damaged_reference_is_named(self, broken: Path) -> None:
        with pytest.raises(DataError, match=r"00001.2\.png.*cut short"):
            build(broken, num_references=(2, 2))[Draw(0, 0)]

    def test_skipping_a_target_is_told_and_repeats(self, broken: Path) -> None:
        dataset = build(broken, num_references=(2, 2), bad_pictures="skip")
        samples = [dataset[Draw(1, draw)] for draw in range(8)]
        assert len({sample.name for sample in samples}) > 2
        for sample in samples:
            assert sample.name != "00001/2.png"
            assert re.match(r"00001/2\.png: .*cut short", sample.skipped[0])
        assert_same(samples[0], build(broken, num_references=(2, 2), bad_pictures="skip")[Draw(1, 0)])

    def test_another_picture_stands_in_for_a_bad_reference(self, broken: Path) -> None:
        dataset = build(broken, num_references=(1, 1), reference_order="given", bad_pictures="skip")
        sample = dataset[Draw(0, 0)]
        assert sample.references.names == ("00001/3.png",)
        assert [message.split(": ")[0] for message in sample.skipped] == ["00001/2.png"]
        alone = build(broken, num_references=(2, 2), reference_order="given", bad_pictures="skip")[Draw(0, 0)]
        assert alone.references.names == ("00001/3.png",)  # nobody else is left
        assert dataset[Draw(4, 0)].skipped == ()
        assert collate([sample, dataset[Draw(4, 0)]]).skipped == sample.skipped

    def test_skipping_ends_when_all_are_bad(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"00001": 2})
        for path in (root / "00001").iterdir():
            path.write_bytes(b"")
        with pytest.raises(DataError, match="empty"):
            build(root, bad_pictures="skip")[Draw(0, 0)]

    def test_testing_never_skips(self, broken: Path) -> None:
        with pytest.raises(DataError, match="cut short"):
            build(broken, phase="test", bad_pictures="skip")[Draw(1, 0)]

    def test_a_component_that_the_network_cannot_see_is_named(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"00001": 2})
        points = mean_landmarks(64)
        points[[*range(17, 22), *range(36, 42)]] = [22, 30]
        text = "".join(f"{x} {y}\n" for x, y in points)
        (tmp_path / "landmarks" / "00001" / "1.png.txt").write_text(text)
        with pytest.raises(DataError, match=r"00001/1\.png.*left_eye"):
            build(root)[Draw(0, 0)]

    def test_a_degradation_that_does_not_come_back_to_size_is_named(self, root: Path) -> None:
        small = build(root, degradation=({"type": "Downsample", "scale": (2.0, 2.0)},))
        with pytest.raises(ConfigError, match=r"has 32 x 32 pixels, the sharp one 64 x 64; end the list .*ResizeBack"):
            small[0]

    @pytest.mark.parametrize("options", [{"wrong_person_prob": 0.1}, {"wrong_references": True}])
    def test_wrong_people_need_two(self, tmp_path: Path, options: dict) -> None:
        with pytest.raises(DataError, match="second person"):
            build(write_celebref(tmp_path, {"00001": 2}), **options)

    def test_wrong_references_need_references(self, root: Path) -> None:
        with pytest.raises(ConfigError, match="num_references"):
            build(root, num_references=(0, 0), wrong_references=True)

    def test_unicode_names(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"Zoë 张": 2, "b": 2})
        sample = build(root, phase="test")[Draw(0, 0)]
        assert sample.identity == "Zoë 张"
        assert len(sample.references) == 1


def test_ffhq_has_people_without_references(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / "images1024x1024" / "00000"
        name = f"{number:05d}.png"
        write_face(folder / name, tmp_path / "landmarks" / "00000" / f"{name}.txt", number, 128)
    layout = {"type": "FFHQLayout", "dataroot_gt": str(tmp_path / "images1024x1024")}
    dataset = build(tmp_path, layout=layout)
    sample = dataset[Draw(1, 0)]
    assert sample.gt.shape == (3, 64, 64)  # made smaller from 128
    assert len(sample.references) == 0
    wrong = build(tmp_path, layout=layout, wrong_person_prob=1.0)[Draw(1, 0)]
    assert wrong.references.names
    assert sample.name not in wrong.references.names


def test_collation_pads_and_masks() -> None:
    def sample(count: int | None) -> FaceSample:
        picture = torch.full((3, 16, 16), 7, dtype=torch.uint8)
        boxes = torch.zeros(4, 4, dtype=torch.int32)
        stack = None
        if count is not None:
            images = torch.full((count, 3, 16, 16), 9, dtype=torch.uint8)
            stack = FaceStack(images, torch.ones(count, 4, 4, dtype=torch.int32), ("r",) * count)
        return FaceSample(picture, boxes, "n", "i", references=stack)

    batch = collate([sample(1), sample(3), sample(0), sample(None)])
    assert batch.references.mask_BR.tolist() == [[True, False, False], [True] * 3, [False] * 3, [False] * 3]
    assert batch.references.images_BRCHW.shape == (4, 3, 3, 16, 16)
    assert (batch.references.images_BRCHW[batch.references.mask_BR] == 9).all()
    assert (batch.references.images_BRCHW[~batch.references.mask_BR] == 0).all()
    assert batch.gt_BCHW is None
    assert batch.wrong_references is None
    assert len(batch) == 4
    assert collate([sample(0)]).references.mask_BR.tolist() == [[False]]
    assert collate([sample(None)]).references is None


def test_face_is_sharp_and_plain(root: Path) -> None:
    face = build(root, **AUGMENTED).face(0)
    np.testing.assert_array_equal(face.image, read_image(root / "00001" / "1.png"))


def test_every_registered_degradation_can_be_named_in_a_data_set(root: Path) -> None:
    assert "Preset" in DEGRADATIONS.names()
    with pytest.raises(ValueError, match="GaussianBlur"):
        build(root, degradation=({"type": "GausianBlur", "sigma": (1.0, 2.0)},))


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_data_set_has_what_the_program_asks_of_one(name: str, root: Path) -> None:
    one = {"type": "ReferenceFaceDataset", "layout": {"type": "CelebRefHQLayout", "dataroot_gt": str(root)}}
    options = {"datasets": (one,), "shares": (1.0,)} if name == "MixedDataset" else {"layout": one["layout"]}
    dataset = DATASETS.build(DATASETS.component(name, **options), seed=4, phase="train")
    asked = [*FaceDataset.__annotations__, *(key for key in vars(FaceDataset) if not key.startswith("_"))]
    assert {"seed", "image_size", "has_gt", "max_bad_share", "identities", "parts", "face"} <= set(asked)
    assert all(hasattr(dataset, key) for key in asked)
    assert len(dataset.identities) == len(dataset) == 8
    assert len(dataset.parts) == 1


def test_checksums_that_nobody_recorded_are_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(root)
    assert "checksums" not in caplog.text
    build(root, verify_checksums=True)
    assert "has no checksums, so verify_checksums verifies nothing" in caplog.text
