"""A row becomes a face: sizes, landmarks from the row, a file or made, and files that cannot be used."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from made_faces import mean_landmarks, picture, write_face

from dmdnet.data.face_reader import Face, FaceReader, resize_face
from dmdnet.data.manifest import Row
from dmdnet.data.storage import DiskStorage
from dmdnet.errors import BoxError, ConfigError, DataError
from dmdnet.faces.backend import Face as FoundFace
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.landmarks import FLIP_68, read_landmarks, write_landmarks
from dmdnet.faces.template import template_landmarks
from dmdnet.images import write_image

NAME = "a b/ö 1.png"
Make = Callable[..., FaceReader]


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    return tmp_path / "images" / NAME


@pytest.fixture
def landmark_file(tmp_path: Path) -> Path:
    return tmp_path / "landmarks" / f"{NAME}.txt"


@pytest.fixture
def row(picture_file: Path, landmark_file: Path) -> Row:
    write_face(picture_file, landmark_file, 3, 128)
    return Row(NAME, "a b", picture=NAME, landmark_file=str(landmark_file))


@pytest.fixture
def reader(tmp_path: Path) -> Make:
    """Return a reader of the pictures, 128 pixels wide unless told."""

    def make(**options: Any) -> FaceReader:
        return FaceReader(storage=DiskStorage(tmp_path / "images"), **{"image_size": 128, **options})

    return make


class TestSizes:
    def test_as_it_is(self, row: Row, reader: Make, landmark_file: Path) -> None:
        face = reader().read(row)
        np.testing.assert_array_equal(face.image, picture(3, 128))
        np.testing.assert_array_equal(face.landmarks, read_landmarks(landmark_file))
        assert face.name == row.name

    @pytest.mark.parametrize("size", [64, 256])
    def test_another_size_moves_the_landmarks_with_the_picture(self, size: int) -> None:
        # a bright dot stays under its landmark
        image = np.zeros((128, 128, 3), np.uint8)
        image[60:64, 80:84] = 255
        centre = np.array([81.5, 61.5])
        resized, points = resize_face(image, np.tile(centre, (68, 1)), size)
        assert resized.shape == (size, size, 3)
        weights = resized[..., 0].astype(float)
        y, x = (np.arange(size) for _ in range(2))
        found = [(weights.sum(0) * x).sum() / weights.sum(), (weights.sum(1) * y).sum() / weights.sum()]
        np.testing.assert_allclose(found, points[0], atol=0.05)

    def test_boxes_scale_with_the_picture(self, row: Row, reader: Make) -> None:
        small, large = (reader(image_size=size).read(row).boxes() for size in (128, 512))
        np.testing.assert_allclose(small * 4, large, atol=4)

    def test_refuses_a_picture_that_is_not_square(self, row: Row, reader: Make, picture_file: Path) -> None:
        write_image(picture_file, picture(0, 64)[:, :50])
        with pytest.raises(DataError, match="50 x 64 pixels; aligned faces are square"):
            reader(image_size=64).read(row)


class TestFlip:
    def test_twice_is_the_face_itself_and_the_record_is_untouched(self, row: Row, reader: Make) -> None:
        face = reader().read(row)
        image, landmarks = face.image.copy(), face.landmarks.copy()
        again = face.flipped().flipped()
        np.testing.assert_array_equal(again.image, image)
        np.testing.assert_allclose(again.landmarks, landmarks, atol=1e-9)
        np.testing.assert_array_equal(face.image, image)
        np.testing.assert_array_equal(face.landmarks, landmarks)

    def test_eyes_change_places(self, row: Row, reader: Make) -> None:
        face = reader().read(row)
        mirrored = face.flipped()
        np.testing.assert_allclose(mirrored.landmarks[36], [127, 0] + face.landmarks[45] * [-1, 1])
        assert mirrored.boxes()[0, 0] < mirrored.boxes()[1, 0]  # the left eye is on the left again
        # what was under a landmark is under its mirrored one
        x, y = np.round(face.landmarks[FLIP_68[36]]).astype(int)
        np.testing.assert_array_equal(mirrored.image[y, 127 - x], face.image[y, x])

    def test_boxes_are_made_anew(self, row: Row, reader: Make) -> None:
        mirrored = reader().read(row).flipped()
        np.testing.assert_array_equal(mirrored.boxes(), component_boxes(mirrored.landmarks[None], 128)[0])


class TestBoxes:
    def test_limited_to_the_picture(self) -> None:
        high = mean_landmarks(512) - [0, 180]
        boxes = Face(picture(0, 512), high, "a").boxes()
        assert component_boxes(high[None])[0].min() < 0 <= boxes.min()

    def test_names_picture_and_component(self) -> None:
        shut = mean_landmarks(512)
        shut[[*range(17, 22), *range(36, 42)]] = [180, 240]  # brow and eye in one point
        with pytest.raises(BoxError, match=r"people/7\.png.*left_eye"):
            Face(picture(0, 512), shut, "people/7.png").boxes()


class TestBadFiles:
    def test_truncated_picture(self, row: Row, reader: Make, picture_file: Path) -> None:
        os.truncate(picture_file, picture_file.stat().st_size // 2)
        with pytest.raises(DataError, match=r"ö 1\.png.*cut short"):
            reader().read(row)

    def test_missing_picture(self, row: Row, reader: Make, picture_file: Path) -> None:
        picture_file.unlink()
        with pytest.raises(DataError, match=r"ö 1\.png"):
            reader().read(row)

    @pytest.mark.parametrize(
        ("points", "words"),
        [
            (mean_landmarks(128)[:67], "67 landmarks"),
            (mean_landmarks(128)[FLIP_68], "swapped"),
            (mean_landmarks(512), "far outside"),
        ],
    )
    def test_wrong_landmarks(self, row: Row, reader: Make, points: np.ndarray, words: str, landmark_file: Path) -> None:
        landmark_file.write_text("".join(f"{x} {y}\n" for x, y in points))
        with pytest.raises(DataError, match=words):
            reader().read(row)

    @pytest.mark.parametrize(
        ("points", "words"),
        [
            (np.full((68, 2), np.nan), "landmark 0 is not finite"),
            (mean_landmarks(128)[FLIP_68], "swapped"),
            (mean_landmarks(128) + 500, "far outside"),
        ],
    )
    def test_wrong_landmarks_in_the_table(self, row: Row, reader: Make, points: np.ndarray, words: str) -> None:
        with pytest.raises(DataError, match=rf"ö 1\.png.*{words}"):
            reader().read(replace(row, landmarks=points.astype(np.float32)))

    @pytest.mark.parametrize("other", [64, 96, 192, 256])
    def test_landmarks_of_the_picture_at_another_size(self, row: Row, reader: Make, other: int) -> None:
        own = template_landmarks(128)
        assert reader().read(replace(row, landmarks=own.astype(np.float32))).name == row.name
        points = ((own + 0.5) * (other / 128) - 0.5).astype(np.float32)
        with pytest.raises(DataError, match=rf"fit this picture at about {other} x {other} pixels, and it has 128"):
            reader().read(replace(row, landmarks=points))

    @pytest.mark.parametrize("share", [0.6, 0.8, 1.2])
    def test_faces_in_a_wider_or_narrower_frame_are_taken(self, row: Row, reader: Make, share: float) -> None:
        points = (template_landmarks(128) - 63.5) * share + 63.5
        assert reader().read(replace(row, landmarks=points.astype(np.float32))).name == row.name

    @pytest.mark.parametrize("key", ["../secret.png", "/etc/passwd", "a/../../b.png", "a\0.png", "n" * 300 + ".png"])
    def test_keys_that_lead_out(self, row: Row, reader: Make, key: str) -> None:
        with pytest.raises(DataError, match="is no name of a picture"):
            reader().read(replace(row, picture=key))

    def test_a_name_that_leads_out_of_the_cache(self, row: Row, reader: Make, tmp_path: Path) -> None:
        stranger = replace(row, name="../../outside", landmark_file="")
        with pytest.raises(DataError, match=r"outside.*'\.\.'"):
            reader(landmark_cache=str(tmp_path / "cache")).read(stranger)

    def test_no_picture_of_a_kind(self, row: Row, reader: Make) -> None:
        with pytest.raises(DataError, match="no sharp picture"):
            reader().read(replace(row, picture=""))
        with pytest.raises(DataError, match="no degraded picture"):
            reader().read_degraded(row)

    def test_a_picture_too_large_for_a_face(self, row: Row, reader: Make, picture_file: Path) -> None:
        write_image(picture_file, np.zeros((3073, 3073, 3), np.uint8))
        with pytest.raises(DataError, match=r"3073 x 3073 pixels are more than the 9 megapixels"):
            reader().read(row)


class TestChecksums:
    def test_a_changed_file_is_named_with_both_numbers(self, row: Row, reader: Make, picture_file: Path) -> None:
        checksum = zlib.crc32(picture_file.read_bytes())
        assert reader(verify_checksums=True).read(replace(row, checksum=checksum)).name == NAME
        write_image(picture_file, picture(4, 128))
        found = zlib.crc32(picture_file.read_bytes())
        with pytest.raises(DataError, match=rf"ö 1\.png.*{found:08x}, {checksum:08x} was"):
            reader(verify_checksums=True).read(replace(row, checksum=checksum))
        assert reader().read(replace(row, checksum=checksum)).name == NAME  # nobody asked

    def test_the_degraded_picture_has_its_own(self, row: Row, reader: Make) -> None:
        both = replace(row, degraded=NAME, picture="", degraded_checksum=1)
        with pytest.raises(DataError, match="00000001 was recorded"):
            reader(verify_checksums=True).read_degraded(both)
        assert reader().read_degraded(both).size == 128


class TestTable:
    def test_the_landmarks_of_the_row_come_first(self, row: Row, reader: Make) -> None:
        moved = (mean_landmarks(128) + 2).astype(np.float32)
        np.testing.assert_array_equal(reader().read(replace(row, landmarks=moved)).landmarks, moved)

    def test_without_a_sharp_picture_they_are_the_degraded_one_s(self, row: Row, reader: Make) -> None:
        alone = replace(row, picture="", degraded=NAME)
        np.testing.assert_array_equal(reader().read_degraded(alone).landmarks, reader().read(row).landmarks)


class CountingBackend:
    """Finds the mean face in every picture, or in none, and counts."""

    same_person_distance = 0.6

    def __init__(self, finds: bool = True) -> None:
        self.calls = 0
        self.finds = finds

    def detect(self, rgb: np.ndarray) -> list[FoundFace]:
        self.calls += 1
        side = rgb.shape[0]
        return [FoundFace((0, 0, side, side), mean_landmarks(side), 1.0)] if self.finds else []


class TestMissingLandmarks:
    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
        backend = CountingBackend()
        monkeypatch.setattr("dmdnet.data.made_landmarks.get_backend", lambda name: backend)
        return backend

    def test_made_once_and_kept_where_they_belong(
        self, row: Row, reader: Make, backend: CountingBackend, landmark_file: Path
    ) -> None:
        landmark_file.unlink()
        first = reader().read(row)
        second = reader().read(row)
        assert backend.calls == 1
        np.testing.assert_allclose(read_landmarks(landmark_file), mean_landmarks(128), atol=1e-3)
        np.testing.assert_array_equal(first.landmarks, second.landmarks)  # the maker sees what is kept

    def test_kept_in_the_cache_when_there_is_one(
        self, row: Row, reader: Make, backend: CountingBackend, tmp_path: Path, landmark_file: Path
    ) -> None:
        landmark_file.unlink()
        for _ in range(2):
            reader(landmark_cache=str(tmp_path / "cache")).read(row)
        assert backend.calls == 1
        assert (tmp_path / "cache" / f"{row.name}.txt").is_file()
        assert not landmark_file.exists()

    def test_many_at_once_leave_one_whole_file(
        self, row: Row, reader: Make, backend: CountingBackend, landmark_file: Path
    ) -> None:
        landmark_file.unlink()
        with ThreadPoolExecutor(8) as pool:
            faces = list(pool.map(lambda _: reader().read(row), range(16)))
        assert all(np.array_equal(face.landmarks, faces[0].landmarks) for face in faces)
        assert [path.name for path in landmark_file.parent.iterdir()] == [landmark_file.name]

    def test_a_folder_that_cannot_be_made_names_the_cache(
        self, row: Row, reader: Make, backend: CountingBackend, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        blocked = replace(row, landmark_file=str(tmp_path / "file" / "x" / "1.png.txt"))
        with pytest.raises(ConfigError, match="landmark_cache"):
            reader().read(blocked)

    def test_kept_nowhere_without_a_place(self, row: Row, reader: Make, backend: CountingBackend) -> None:
        homeless = replace(row, landmark_file="")
        np.testing.assert_array_equal(reader().read(homeless).landmarks, mean_landmarks(128))

    def test_of_a_degraded_picture_are_looked_for_on_it(
        self, row: Row, reader: Make, backend: CountingBackend, tmp_path: Path
    ) -> None:
        paired = replace(row, degraded=NAME)
        for _ in range(2):
            face = reader().read_degraded(paired)
        assert backend.calls == 1
        np.testing.assert_allclose(face.landmarks, mean_landmarks(128), atol=1e-3)
        assert (tmp_path / "landmarks" / f"{NAME}.degraded.txt").is_file()
        reader(landmark_cache=str(tmp_path / "cache")).read_degraded(paired)
        assert (tmp_path / "cache" / f"{NAME}.degraded.txt").is_file()


class TestMisses:
    """A face that is not found is not looked for again, unless the picture changes."""

    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
        backend = CountingBackend(finds=False)
        monkeypatch.setattr("dmdnet.data.made_landmarks.get_backend", lambda name: backend)
        return backend

    @pytest.fixture
    def lost(self, row: Row, landmark_file: Path) -> Row:
        landmark_file.unlink()
        return row

    def test_are_remembered(self, lost: Row, reader: Make, backend: CountingBackend, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no face was found in.*68 lines"):
            reader().read(lost)
        with pytest.raises(DataError, match=r"no face was found before.*delete it.*68 lines"):
            reader().read(lost)
        assert backend.calls == 1
        assert (tmp_path / "landmarks" / f"{NAME}.no_face").is_file()

    def test_are_forgotten_when_the_picture_changes(
        self, lost: Row, reader: Make, backend: CountingBackend, picture_file: Path
    ) -> None:
        for seed in (3, 4):
            write_image(picture_file, picture(seed, 128))
            with pytest.raises(DataError, match="no face was found in"):
                reader().read(lost)
        assert backend.calls == 2

    def test_a_landmark_file_written_later_is_used(
        self, lost: Row, reader: Make, backend: CountingBackend, landmark_file: Path
    ) -> None:
        with pytest.raises(DataError, match="no face"):
            reader().read(lost)
        write_landmarks(landmark_file, mean_landmarks(128))
        assert reader().read(lost).name == NAME

    def test_the_mean_face_may_stand_in(self, lost: Row, reader: Make, backend: CountingBackend) -> None:
        for _ in range(2):
            face = reader(missing_landmarks="template", image_size=64).read(lost)
        assert backend.calls == 1
        np.testing.assert_allclose(face.landmarks, template_landmarks(64))
        face.boxes()

    def test_a_folder_that_may_not_be_written_says_what_to_do(
        self, lost: Row, reader: Make, backend: CountingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(ConfigError, match=r"not writable.*landmark_cache"):
            reader().read(lost, keep_faults=True)  # no fault of the face


class TestWithDlib:
    @pytest.fixture(autouse=True)
    def _needs_dlib(self) -> None:
        pytest.importorskip("dlib")

    def test_a_real_face_gets_landmarks(self, row: Row, reader: Make, picture_file: Path, landmark_file: Path) -> None:
        landmark_file.unlink()
        write_image(picture_file, np.ascontiguousarray(skimage.data.astronaut()[0:256, 96:352]))
        face = reader().read(row)
        left, right = face.landmarks[36:42].mean(0), face.landmarks[42:48].mean(0)
        assert 10 < right[0] - left[0] < 60
        assert landmark_file.is_file()
        face.boxes()

    def test_no_face_says_what_to_do(self, row: Row, reader: Make, landmark_file: Path) -> None:
        landmark_file.unlink()
        with pytest.raises(DataError, match=r"ö 1\.png.*no landmark file.*68 lines"):
            reader().read(row)
        assert not landmark_file.exists()


def test_written_landmarks_are_read_back(tmp_path: Path) -> None:
    write_landmarks(tmp_path / "a.txt", mean_landmarks(64))
    np.testing.assert_allclose(read_landmarks(tmp_path / "a.txt"), mean_landmarks(64), atol=1e-3)
