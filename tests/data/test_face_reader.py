"""A record becomes a face: sizes, landmarks from the file or made, and files that cannot be used."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from made_faces import mean_landmarks, picture, write_face

from dmdnet.data.face_reader import Face, FaceReader, resize_face
from dmdnet.data.records import FaceRecord
from dmdnet.errors import BoxError, DataError
from dmdnet.faces.backend import Face as FoundFace
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.faces.landmarks import FLIP_68, read_landmarks, write_landmarks
from dmdnet.images import write_image


def record_in(root: Path, name: str = "a b/ö 1.png") -> FaceRecord:
    return FaceRecord(name, root / "images" / name, root / "landmarks" / f"{name}.txt", name.split("/")[0])


@pytest.fixture
def record(tmp_path: Path) -> FaceRecord:
    record = record_in(tmp_path)
    write_face(record.path, record.landmarks, 3, 128)
    return record


class TestSizes:
    def test_as_it_is(self, record: FaceRecord) -> None:
        face = FaceReader(image_size=128).read(record)
        np.testing.assert_array_equal(face.image, picture(3, 128))
        np.testing.assert_array_equal(face.landmarks, read_landmarks(record.landmarks))
        assert face.name == record.name

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

    def test_boxes_scale_with_the_picture(self, record: FaceRecord) -> None:
        small, large = (FaceReader(image_size=size).read(record).boxes() for size in (128, 512))
        np.testing.assert_allclose(small * 4, large, atol=4)

    def test_refuses_a_picture_that_is_not_square(self, record: FaceRecord) -> None:
        write_image(record.path, picture(0, 64)[:, :50])
        with pytest.raises(DataError, match="50 x 64 pixels; aligned faces are square"):
            FaceReader(image_size=64).read(record)


class TestFlip:
    def test_twice_is_the_face_itself_and_the_record_is_untouched(self, record: FaceRecord) -> None:
        face = FaceReader(image_size=128).read(record)
        image, landmarks = face.image.copy(), face.landmarks.copy()
        again = face.flipped().flipped()
        np.testing.assert_array_equal(again.image, image)
        np.testing.assert_allclose(again.landmarks, landmarks, atol=1e-9)
        np.testing.assert_array_equal(face.image, image)
        np.testing.assert_array_equal(face.landmarks, landmarks)

    def test_eyes_change_places(self, record: FaceRecord) -> None:
        face = FaceReader(image_size=128).read(record)
        mirrored = face.flipped()
        np.testing.assert_allclose(mirrored.landmarks[36], [127, 0] + face.landmarks[45] * [-1, 1])
        assert mirrored.boxes()[0, 0] < mirrored.boxes()[1, 0]  # the left eye is on the left again
        # what was under a landmark is under its mirrored one
        x, y = np.round(face.landmarks[FLIP_68[36]]).astype(int)
        np.testing.assert_array_equal(mirrored.image[y, 127 - x], face.image[y, x])

    def test_boxes_are_made_anew(self, record: FaceRecord) -> None:
        mirrored = FaceReader(image_size=128).read(record).flipped()
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
    def test_truncated_picture(self, record: FaceRecord) -> None:
        os.truncate(record.path, record.path.stat().st_size // 2)
        with pytest.raises(DataError, match=r"ö 1\.png.*cut short"):
            FaceReader(image_size=128).read(record)

    def test_missing_picture(self, record: FaceRecord) -> None:
        record.path.unlink()
        with pytest.raises(DataError, match=r"ö 1\.png"):
            FaceReader(image_size=128).read(record)

    @pytest.mark.parametrize(
        ("points", "words"),
        [
            (mean_landmarks(128)[:67], "67 landmarks"),
            (mean_landmarks(128)[FLIP_68], "swapped"),
            (mean_landmarks(512), "far outside"),
        ],
    )
    def test_wrong_landmarks(self, record: FaceRecord, points: np.ndarray, words: str) -> None:
        record.landmarks.write_text("".join(f"{x} {y}\n" for x, y in points))
        with pytest.raises(DataError, match=words):
            FaceReader(image_size=128).read(record)


class CountingBackend:
    """Finds the mean face in every picture, and counts."""

    same_person_distance = 0.6

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, rgb: np.ndarray) -> list[FoundFace]:
        self.calls += 1
        side = rgb.shape[0]
        return [FoundFace((0, 0, side, side), mean_landmarks(side), 1.0)]


class TestMissingLandmarks:
    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
        backend = CountingBackend()
        monkeypatch.setattr("dmdnet.data.face_reader.get_backend", lambda name: backend)
        return backend

    def test_made_once_and_kept_where_they_belong(self, record: FaceRecord, backend: CountingBackend) -> None:
        record.landmarks.unlink()
        first = FaceReader(image_size=128).read(record)
        second = FaceReader(image_size=128).read(record)
        assert backend.calls == 1
        np.testing.assert_allclose(read_landmarks(record.landmarks), mean_landmarks(128), atol=1e-3)
        np.testing.assert_array_equal(first.landmarks, second.landmarks)  # the maker sees what is kept

    def test_kept_in_the_cache_when_there_is_one(
        self, record: FaceRecord, backend: CountingBackend, tmp_path: Path
    ) -> None:
        record.landmarks.unlink()
        for _ in range(2):
            FaceReader(image_size=128, landmark_cache=str(tmp_path / "cache")).read(record)
        assert backend.calls == 1
        assert (tmp_path / "cache" / f"{record.name}.txt").is_file()
        assert not record.landmarks.exists()

    def test_many_at_once_leave_one_whole_file(self, record: FaceRecord, backend: CountingBackend) -> None:
        record.landmarks.unlink()
        with ThreadPoolExecutor(8) as pool:
            faces = list(pool.map(lambda _: FaceReader(image_size=128).read(record), range(16)))
        assert all(np.array_equal(face.landmarks, faces[0].landmarks) for face in faces)
        assert [path.name for path in record.landmarks.parent.iterdir()] == [record.landmarks.name]

    def test_a_folder_that_cannot_be_made_names_the_cache(
        self, record: FaceRecord, backend: CountingBackend, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        blocked = replace(record, landmarks=tmp_path / "file" / "x" / "1.png.txt")
        with pytest.raises(DataError, match="landmark_cache"):
            FaceReader(image_size=128).read(blocked)


class TestWithDlib:
    @pytest.fixture(autouse=True)
    def _needs_dlib(self) -> None:
        pytest.importorskip("dlib")

    def test_a_real_face_gets_landmarks(self, tmp_path: Path) -> None:
        record = record_in(tmp_path, "astronaut/1.png")
        record.path.parent.mkdir(parents=True)
        write_image(record.path, np.ascontiguousarray(skimage.data.astronaut()[0:256, 96:352]))
        face = FaceReader(image_size=128).read(record)
        left, right = face.landmarks[36:42].mean(0), face.landmarks[42:48].mean(0)
        assert 10 < right[0] - left[0] < 60
        assert record.landmarks.is_file()
        face.boxes()

    def test_no_face_says_what_to_do(self, record: FaceRecord) -> None:
        record.landmarks.unlink()
        with pytest.raises(DataError, match=r"ö 1\.png.*no landmark file.*68 lines"):
            FaceReader(image_size=128).read(record)
        assert not record.landmarks.exists()


def test_written_landmarks_are_read_back(tmp_path: Path) -> None:
    write_landmarks(tmp_path / "a.txt", mean_landmarks(64))
    np.testing.assert_allclose(read_landmarks(tmp_path / "a.txt"), mean_landmarks(64), atol=1e-3)
