from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import DataError, FaceError
from dmdnet.faces.backend import Face
from dmdnet.images import read_image, write_image
from dmdnet.restore.demo_photo import demo_photograph
from dmdnet.restore.references import read_references


class PlannedBackend:
    """Finds in a picture the faces that the test planned for its top left colour: one embedding per face."""

    same_person_distance = 0.6

    def __init__(self, astronaut_landmarks, plan):
        self.landmarks, self.plan = astronaut_landmarks, plan

    def detect(self, rgb):
        number = int(rgb[0, 0, 0])
        return [Face((0, 0, 90, 90), self.landmarks + np.array([k, 0]), 1.0) for k in range(len(self.plan[number]))]

    def embed(self, rgb, landmarks):
        k = round(float((landmarks - self.landmarks)[0, 0]))
        return np.array([self.plan[int(rgb[0, 0, 0])][k], 0.0])


@pytest.fixture
def planned(tmp_path, backend):
    """Write one picture per entry of a plan; return the folder and a back end that follows the plan."""

    def make(*plan):
        rgb = demo_photograph()
        for number in range(len(plan)):
            rgb[0, 0] = number
            write_image(tmp_path / f"{number}.png", rgb)
        return tmp_path, PlannedBackend(backend.detect(rgb)[0].landmarks, plan)

    return make


def test_a_folder_gives_aligned_faces_and_reasons(reference_folder, backend):
    people = read_references(reference_folder, backend, 64)
    assert [item.path.name for item in people.references] == ["1.png", "2.jpg", "3.png"]
    assert {item.path.name for item in people.skipped} == {"blank.png", "broken.jpg"}
    reasons = {item.path.name: item.reason for item in people.skipped}
    assert "no face" in reasons["blank.png"]
    assert "web page" in reasons["broken.jpg"]
    for reference in people.references:
        assert reference.image.shape == (64, 64, 3)
        assert reference.boxes.shape == (4, 4)
        assert reference.boxes.dtype == np.int32
    assert people.warnings == ()
    assert people.distance(people.references[0].embedding) < 0.6


def test_the_photograph_itself_is_no_reference(reference_folder, backend):
    people = read_references(reference_folder, backend, 64, exclude=reference_folder / "1.png")
    assert [item.path.name for item in people.references] == ["2.jpg", "3.png"]
    assert any("is the photograph that is to be restored" in item.reason for item in people.skipped)


def test_no_usable_reference_says_why_for_each(tmp_path, backend):
    with pytest.raises(FaceError, match="there is no picture in it"):
        read_references(tmp_path, backend, 64)
    write_image(tmp_path / "grey.png", np.full((24, 24, 3), 128, np.uint8))
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(FaceError) as caught:
        read_references(tmp_path, backend, 64)
    assert "no usable reference among 2 pictures" in str(caught.value)
    assert "grey.png: no face was found" in str(caught.value)
    assert "empty.png: the file is empty" in str(caught.value)


def test_a_missing_folder(tmp_path, backend):
    with pytest.raises(DataError, match="no such folder"):
        read_references(tmp_path / "missing", backend, 64)


def test_in_a_group_the_person_of_the_others_is_taken(planned):
    folder, backend = planned([5.0, 0.1, 9.0], [0.0], [0.2])
    people = read_references(folder, backend, 64)
    assert [item.path.name for item in people.references] == ["1.png", "2.png", "0.png"]
    assert people.references[2].embedding[0] == 0.1


def test_a_group_without_the_person_is_skipped(planned):
    folder, backend = planned([5.0, 4.0], [0.0])
    people = read_references(folder, backend, 64)
    assert len(people.references) == 1
    assert "shows 2 faces, and none is the person" in people.skipped[0].reason


def test_only_groups_are_ambiguous(planned):
    folder, backend = planned([0.0, 4.0], [0.0, 3.0])
    with pytest.raises(FaceError, match="no photograph with one face says which is meant"):
        read_references(folder, backend, 64)


def test_a_stranger_among_the_references_is_warned_of(planned):
    folder, backend = planned([0.0], [0.1], [3.0], [0.2])
    (warning,) = read_references(folder, backend, 64).warnings
    assert "2.png: may show another person" in warning


def test_real_people(photos, backend, tmp_path):
    people = read_references(photos / "person_a", backend, 64)
    assert len(people.references) == 5
    assert people.warnings == ()
    stranger = photos / "person_b" / "1.jpg"
    mixed = read_references([*sorted((photos / "person_a").glob("*.jpg")), stranger], backend, 64)
    assert len(mixed.warnings) == 1
    assert str(stranger) in mixed.warnings[0]
    rgb = read_image(stranger)
    assert people.distance(backend.embed(rgb, backend.detect(rgb)[0].landmarks)) > 0.6
