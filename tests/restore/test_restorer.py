from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.errors import FaceError, WeightsError
from dmdnet.faces.align import transform_points
from dmdnet.images import read_image
from dmdnet.restore.references import read_references
from dmdnet.restore.restorer import Restorer


@pytest.fixture(scope="module")
def restorer(network, backend):
    return Restorer(network, backend)


@pytest.fixture(scope="module")
def people(reference_folder, backend):
    return read_references(reference_folder, backend, 128)


def test_generic_output_changes_the_face_and_nothing_else(restorer, photo):
    rgb = read_image(photo)
    restored = restorer.restore(rgb)
    (face,) = restored.faces
    assert (face.number, face.output, face.distance) == (1, "generic", None)
    y, x = np.mgrid[0:512, 0:512]
    inside = transform_points(np.stack([x, y], axis=-1), face.aligned.matrix)
    outside = ((inside < -0.5) | (inside > 127.5)).any(-1)
    np.testing.assert_array_equal(restored.photo[outside], rgb[outside])
    assert (restored.photo != rgb).any(-1).mean() > 0.03
    assert "171 px square shrunk to the network's 128 px" in restored.notes[0]
    assert "detail finer than its pixels is lost" in restored.notes[0]


def test_references_give_the_specific_output_of_the_network(restorer, photo, people, network):
    rgb = read_image(photo)
    (face,) = restorer.restore(rgb, people).faces
    assert face.output == "specific"
    assert face.distance < 0.6

    def tensor(picture):
        return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1

    refs = torch.cat([tensor(item.image) for item in people.references])
    boxes = torch.stack([torch.from_numpy(item.boxes) for item in people.references])
    with torch.no_grad():
        output = network(
            tensor(face.aligned.image), torch.from_numpy(face.boxes)[None], network.enrol(refs, boxes)
        ).specific
    wanted = ((output[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().numpy()
    assert np.abs(face.image - wanted).max() <= 1
    (generic,) = restorer.restore(rgb, people, output="generic").faces
    assert generic.output == "generic"
    assert (generic.image != face.image).any()


def test_more_references_than_are_enrolled_at_once(restorer, people):
    many = type(people)(people.references * 3)
    assert restorer.enrol(many).num_slots == 9


def test_several_faces_need_a_choice(restorer, two_faces, people):
    rgb = read_image(two_faces)
    with pytest.raises(FaceError, match=r"two\.png: shows 2 faces: 1 at .*--face N, --face largest or --face all"):
        restorer.restore(rgb, name="two.png")
    assert [face.number for face in restorer.restore(rgb, face="all").faces] == [1, 2]
    assert [face.number for face in restorer.restore(rgb, face=2).faces] == [2]
    (nearest,) = restorer.restore(rgb, people).faces
    both = restorer.restore(rgb, people, face="all").faces
    assert nearest.distance == min(face.distance for face in both)
    assert sorted(face.output for face in both) == ["generic", "specific"]


def test_specific_output_needs_references(restorer, photo):
    with pytest.raises(FaceError, match="needs references"):
        restorer.restore(read_image(photo), output="specific")


def test_no_face(restorer):
    with pytest.raises(FaceError, match=r"sky\.jpg: no face was found in 40 x 30 pixels"):
        restorer.restore(np.full((30, 40, 3), 200, np.uint8), name="sky.jpg")


def test_references_of_another_person_are_warned_of(restorer, photo, people):
    moved = tuple(type(item)(item.path, item.image, item.boxes, item.embedding + 0.5) for item in people.references)
    restored = restorer.restore(read_image(photo), type(people)(moved))
    assert any("the references may show another person" in warning for warning in restored.warnings)


def test_damaged_weights_give_no_picture(backend, photo):
    broken = DMDNet(image_size=128, base_channels=8, dictionary_size=8)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        Restorer(broken, backend).restore(read_image(photo))


def test_another_network_is_refused(backend):
    with pytest.raises(WeightsError, match="of a Conv2d, a DMDNet is needed"):
        Restorer(nn.Conv2d(3, 3, 3), backend)


def test_a_cut_face_is_restored_with_a_warning(restorer, photos):
    """Half of a mouth box of 64 px can vanish at the border; what is left is still restored."""
    restored = restorer.restore(read_image(photos / "odd" / "partial_1.jpg"))
    assert len(restored.faces) == 1


def test_the_person_is_found_in_a_group(restorer, photos, backend):
    """person_a is in both group pictures: the references say which face is meant."""
    people = read_references(photos / "person_a", backend, 128)
    rgb = read_image(photos / "group" / "2.jpg")
    restored = restorer.restore(rgb, people)
    distances = sorted(face.distance for face in restorer.restore(rgb, people, face="all").faces)
    assert restored.faces[0].distance == distances[0]
