"""Drawn people: the same everywhere, different from each other, with landmarks where the drawing is."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmdnet.data.demo_faces import Identity, Light, Pose, Shot, compose_photograph, draw_face, make_demo_faces
from dmdnet.data.demo_faces.geometry import face_geometry
from dmdnet.data.demo_faces.pose import dense_map, inverse_map, project
from dmdnet.data.demo_faces.relief import face_relief
from dmdnet.errors import DataError
from dmdnet.faces.landmarks import read_landmarks
from dmdnet.images import read_image

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_demo_faces.py"


def _face(number: int, index: int = 1, size: int = 128, seed: int = 0):
    return draw_face(Identity.sample(seed, number), Shot.sample(seed, number, index), size)


def _digest(face) -> str:
    return hashlib.sha256(face.image.tobytes() + face.landmarks.tobytes()).hexdigest()


# --- the same from the same numbers, different from different ones -------------------------------------------------


def test_another_process_draws_the_same_pixels():
    code = (
        "import hashlib\nfrom dmdnet.data.demo_faces import *\n"
        "f = draw_face(Identity.sample(3, 7), Shot.sample(3, 7, 2), 96)\n"
        "print(hashlib.sha256(f.image.tobytes() + f.landmarks.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SCRIPT.parents[1]
    )
    assert done.stdout.strip() == _digest(_face(7, 2, 96, seed=3))


def test_every_number_changes_the_picture():
    pictures = [_face(1, 1, 64), _face(2, 1, 64), _face(1, 2, 64), _face(1, 1, 64, seed=1)]
    assert len({_digest(face) for face in pictures}) == 4
    assert Identity.sample(0, 1) == Identity.sample(0, 1)
    assert Identity.sample(0, 1) != Identity.sample(1, 1)


def test_a_shot_does_not_change_the_person():
    """The fine patterns are keyed by the person alone: two equal shots of equal people agree, whatever came between."""
    person, shot = Identity.sample(0, 5), Shot.sample(0, 5, 1)
    first = draw_face(person, shot, 64)
    draw_face(Identity.sample(0, 6), Shot.sample(0, 6, 1), 64)
    np.testing.assert_array_equal(first.image, draw_face(person, shot, 64).image)


# --- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 65, 100, 128, 256])
def test_sizes_are_the_same_picture(size):
    large, small = _face(4, 1, 512), _face(4, 1, size)
    assert small.image.shape == (size, size, 3)
    assert small.image.dtype == np.uint8
    resized = cv2.resize(large.image, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(resized - small.image).mean() < 2.5
    np.testing.assert_allclose((small.landmarks + 0.5) / size, (large.landmarks + 0.5) / 512, atol=1e-9)


@pytest.mark.parametrize("size", [63, 513, 0, -1])
def test_a_size_out_of_range_is_named(size):
    with pytest.raises(DataError, match=rf"size {size}\b.*64 to 512"):
        draw_face(Identity.sample(0, 1), Shot(), size)


# --- landmarks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 13))
def test_landmarks_are_in_order_and_in_the_picture(number):
    points = _face(number, 3, 64).landmarks / 64
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    assert (np.diff(points[:17, 0]) > -0.015).all()  # the near side of a turned jaw is upright
    assert (np.diff(points[3:14, 0]) > 0).all()
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) > 0).all()
    assert (np.diff(points[31:36, 0]) > 0).all()
    for eye in (points[36:42], points[42:48]):
        assert (np.diff(eye[:4, 0]) > 0).all()
        assert (eye[[5, 4], 1] > eye[[1, 2], 1]).all()
    assert (np.diff(points[48:55, 0]) > 0).all()
    assert (points[[67, 66, 65], 1] >= points[[61, 62, 63], 1]).all()
    inside = (points[17:] > 0.02) & (points[17:] < 0.98)
    assert inside.all()
    assert points[:17].min() > -0.1
    assert points[:17].max() < 1.1


def test_faces_are_aligned_as_ffhq_aligns_them():
    points = np.array([_face(number, 1, 64).landmarks + 0.5 for number in range(1, 25)]) / 64
    eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], 1)
    mouth = (points[:, 48] + points[:, 54]) / 2
    np.testing.assert_allclose(eyes.mean(0), [[0.385, 0.475], [0.615, 0.475]], atol=0.015)
    np.testing.assert_allclose(mouth.mean(0), [0.5, 0.74], atol=0.02)
    assert eyes.std(0).max() < 0.03


@pytest.mark.parametrize("number", range(1, 9))
def test_landmarks_lie_where_the_warp_puts_their_points(number):
    """The picture is drawn through the inverse of the projection that gives the landmarks: both must meet."""
    person, shot = Identity.sample(0, number), Shot.sample(0, number, 4)
    shot = replace(shot, pose=replace(shot.pose, yaw=0.28 * (-1) ** number, pitch=0.12))
    face = face_geometry(person, shot.expression)
    relief = face_relief(person, face, shot.expression.smile)
    heights = relief.at(face.landmarks)
    projection = project(shot.pose, face.landmarks, heights)
    size = 256
    back = dense_map(inverse_map(projection, relief), size, 1.0, (0.0, 0.0))
    seen = (projection.points(face.landmarks, heights) * size - 0.5).astype(np.float32)
    inside = ((seen > 0) & (seen < size - 1)).all(1)
    seen = seen[inside]
    kept = face.landmarks[inside]
    found = cv2.remap(back, seen[None, :, 0], seen[None, :, 1], cv2.INTER_LINEAR)[0]
    assert np.abs(found - kept).max() * size < 1.5
    assert np.abs(found - kept).mean() * size < 0.25


def test_the_iris_is_drawn_between_its_landmarks():
    """Straight gaze, no lashes to speak of: the darkest column between the lids is near the middle of the eye."""
    shot = Shot(light=Light(azimuth=0.0, elevation=0.5))
    for number in (2, 3, 9, 11):
        person = Identity.sample(0, number)
        bare = replace(person.make_up, lash_length=0.05, liner=0.0, wing=0.0, lower_liner=0.0)
        person = replace(person, glasses=None, make_up=bare)
        for yaw in (-0.2, 0.0, 0.2):
            face = draw_face(person, replace(shot, pose=Pose(yaw=yaw)), 256)
            for eye in (face.landmarks[36:42], face.landmarks[42:48]):
                left, right = int(eye[0, 0]) + 4, int(eye[3, 0]) - 3
                middle = int(eye[:, 1].mean())
                columns = face.image[middle - 1 : middle + 2, left:right].astype(float).mean((0, 2))
                dark = np.convolve(columns, np.ones(7) / 7, mode="valid").argmin() + left + 3
                assert abs(dark - eye[:, 0].mean()) < 4, (number, yaw)


def test_dlib_finds_the_faces():
    dlib = pytest.importorskip("dlib")
    models = importlib.util.find_spec("face_recognition_models")
    if models is None or models.origin is None:
        pytest.skip("face_recognition_models is not installed")
    path = Path(models.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"
    detector, predictor = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))
    errors = []
    for number in range(101, 121):
        face = _face(number, 1, 256)
        boxes = detector(face.image, 0)
        if boxes:
            found = [(p.x, p.y) for p in predictor(face.image, max(boxes, key=lambda box: box.area())).parts()]
            errors.append(np.hypot(*(np.array(found) - face.landmarks).T))
    assert len(errors) >= 16
    assert np.median(np.concatenate(errors)) < 5.0


# --- what a reference is good for ----------------------------------------------------------------------------------

_EYE, _MOUTH = slice(36, 42), slice(48, 60)
_PEOPLE, _SHOTS = range(200, 245), 3


@pytest.fixture(scope="module")
def album():
    return [[_face(number, index) for index in range(1, _SHOTS + 1)] for number in _PEOPLE]


def _patches(album, part: slice, shape: tuple[int, int]) -> list[list[np.ndarray]]:
    """Return the part of each face (album order), brought to one place by an affine map of its landmarks, mean 1."""
    centred = np.array([[f.landmarks[part] - f.landmarks[part].mean(0) for f in shots] for shots in album])
    goal = centred.mean((0, 1)) + np.array(shape) / 2

    def patch(face) -> np.ndarray:
        points = face.landmarks[part]
        matrix = np.linalg.lstsq(np.concatenate([points, np.ones((len(points), 1))], 1), goal, rcond=None)[0].T
        cut = cv2.warpAffine(face.image.astype(np.float32), matrix, shape, flags=cv2.INTER_LINEAR)
        return cut / cut.mean()

    return [[patch(face) for face in shots] for shots in album]


def _coarse(patch: np.ndarray, factor: int) -> np.ndarray:
    """Return what is left of a patch after a reduction by `factor`."""
    height, width = patch.shape[:2]
    small = cv2.resize(patch, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _likeness(a: np.ndarray, many: list[np.ndarray]) -> float:
    return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for b in many]))


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize(("part", "shape"), [(_EYE, (32, 24)), (_MOUTH, (48, 32))], ids=["eye", "mouth"])
def test_references_tell_what_a_degraded_picture_does_not(album, part, shape, factor):
    """Fine detail agrees with other pictures of the person better than with those of the nearest look-alike.

    Detail is what a reduction by `factor` at 128 px destroys, less the mean detail of all people. The look-alike is the
    other person with the most similar reduced picture: the best guess from the degraded picture, with these people
    known. Every picture of a person is the target once, the others are the references; the person's gain is the mean.
    One-sided sign test over people: 31 of 45 is p < 0.01. And the detail names the person far above chance (1 in 45).
    """
    patches = _patches(album, part, shape)
    coarse = [[_coarse(patch, factor) for patch in shots] for shots in patches]
    fine = [[p - c for p, c in zip(*shots, strict=True)] for shots in zip(patches, coarse, strict=True)]
    mean = np.mean(fine, (0, 1))
    fine = [[patch - mean for patch in shots] for shots in fine]
    people = range(len(album))
    gains, named = np.zeros(len(album)), 0
    for i in people:
        for k in range(_SHOTS):
            rest = [other for other in range(_SHOTS) if other != k]
            alike = [min(float(np.square(coarse[i][k] - coarse[j][m]).mean()) for m in rest) for j in people]
            alike[i] = np.inf
            likeness = [_likeness(fine[i][k], [fine[j][m] for m in rest]) for j in people]
            gains[i] += likeness[i] - likeness[int(np.argmin(alike))]
            named += int(np.argmax(likeness)) == i
    wins = int((gains > 0).sum())
    print(f"own better than look-alike: {wins} of {len(people)}; named by detail: {named / len(people) / _SHOTS:.2f}")
    assert wins >= 31
    assert named >= 0.2 * len(people) * _SHOTS


def test_iris_is_independent_of_skin_and_hair():
    people = [Identity.sample(0, number) for number in range(400)]
    iris = np.array([person.iris.outer for person in people])
    seen = np.array([(*person.skin.colour, *person.hair.colour, person.age, person.feminine) for person in people])
    design = np.concatenate([seen, np.ones((len(seen), 1))], 1)
    train, test = slice(0, 250), slice(250, 400)
    weights, *_ = np.linalg.lstsq(design[train], iris[train], rcond=None)
    residual = ((iris[test] - design[test] @ weights) ** 2).sum()
    assert residual > 0.95 * ((iris[test] - iris[train].mean(0)) ** 2).sum()


# --- the tree ------------------------------------------------------------------------------------------------------


def _tree_bytes(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout_is_celebref_hq(tmp_path):
    tree = make_demo_faces(tmp_path, identities=2, images_per_identity=2, size=64, first_identity=7)
    assert (tree.pictures, tree.drawn) == (4, 4)
    expected = [
        f"{kind}/0000{i}/{k}.png{end}"
        for kind, end in (("images", ""), ("landmarks", ".txt"))
        for i in (7, 8)
        for k in (1, 2)
    ]
    assert sorted(name for name in _tree_bytes(tmp_path) if "/" in name) == sorted(expected)
    face = _face(8, 2, 64)
    np.testing.assert_array_equal(read_image(tmp_path / "images/00008/2.png"), face.image)
    np.testing.assert_allclose(read_landmarks(tmp_path / "landmarks/00008/2.png.txt"), face.landmarks, atol=1e-3)


def test_a_broken_run_is_continued_to_the_same_bytes(tmp_path):
    make_demo_faces(tmp_path / "a", identities=2, images_per_identity=2, size=64)
    make_demo_faces(tmp_path / "b", identities=1, images_per_identity=2, size=64, first_identity=2)
    cut = tmp_path / "b/images/00002/1.png"
    cut.write_bytes(cut.read_bytes()[:200])
    (tmp_path / "b/landmarks/00002/2.png.txt").unlink()
    assert make_demo_faces(tmp_path / "b", identities=2, images_per_identity=2, size=64).drawn == 4
    assert make_demo_faces(tmp_path / "b", identities=2, images_per_identity=2, size=64).drawn == 0
    assert _tree_bytes(tmp_path / "a") == _tree_bytes(tmp_path / "b")


def test_workers_write_the_same(tmp_path):
    make_demo_faces(tmp_path / "a", identities=2, images_per_identity=1, size=64)
    make_demo_faces(tmp_path / "b", identities=2, images_per_identity=1, size=64, workers=2)
    assert _tree_bytes(tmp_path / "a") == _tree_bytes(tmp_path / "b")


def test_workers_without_a_main_guard_fail_with_the_remedy(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from dmdnet.data.demo_faces import make_demo_faces\n"
        "make_demo_faces('faces', identities=1, images_per_identity=2, size=64, workers=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert "DataError: workers 2: a drawing process ended early" in ended.stderr


def test_faces_of_two_worlds_are_not_mixed(tmp_path):
    make_demo_faces(tmp_path, identities=1, images_per_identity=1, size=64)
    with pytest.raises(DataError, match="another folder"):
        make_demo_faces(tmp_path, identities=1, images_per_identity=1, size=64, seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identities": 0}, "identities 0"),
        ({"images_per_identity": 0}, "images_per_identity 0"),
        ({"workers": 0}, "workers 0"),
        ({"first_identity": 99_999}, "five digits"),
        ({"first_identity": -1}, "five digits"),
        ({"size": 1024}, "size 1024"),
    ],
)
def test_wrong_numbers_are_named(tmp_path, changes, message):
    options = {"identities": 2, "images_per_identity": 1, "size": 64, **changes}
    with pytest.raises(DataError, match=message):
        make_demo_faces(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def _script():
    spec = importlib.util.spec_from_file_location("make_demo_faces_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_writes_faces_and_a_sheet(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    arguments = [str(tmp_path / "demo"), "--identities", "2", "--images", "3", "--size", "64", "--sheet", str(sheet)]
    assert _script().main(arguments) == 0
    assert read_image(sheet).shape == (128, 192, 3)
    assert "6 drawn now" in capsys.readouterr().out


def test_script_ends_with_2_and_one_line(tmp_path, capsys):
    assert _script().main([str(tmp_path / "demo"), "--size", "30"]) == 2
    error = capsys.readouterr().err
    assert "size 30" in error
    assert error.count("\n") == 1


# --- a face in a larger photograph ---------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [-30.0, 0.0, 45.0])
def test_photograph_holds_the_face_at_its_landmarks(angle):
    face = _face(3, 1, 128)
    photograph, points = compose_photograph(face, 400, 300, 0.9, angle, seed=1)
    assert photograph.shape == (300, 400, 3)
    turn = points[45] - points[36]
    before = face.landmarks[45] - face.landmarks[36]
    assert np.hypot(*turn) == pytest.approx(0.9 * np.hypot(*before))
    turned = np.degrees(np.arctan2(turn[1], turn[0]) - np.arctan2(before[1], before[0]))
    assert turned == pytest.approx(angle)
    for point, there in zip(face.landmarks[[30, 36, 45, 57]], points[[30, 36, 45, 57]], strict=True):
        a = cv2.GaussianBlur(face.image, (0, 0), 2)[int(point[1] + 0.5), int(point[0] + 0.5)].astype(int)
        b = cv2.GaussianBlur(photograph, (0, 0), 1.8)[int(there[1] + 0.5), int(there[0] + 0.5)].astype(int)
        assert np.abs(a - b).max() < 25


def test_photograph_too_small_is_named():
    with pytest.raises(DataError, match="no room for a face"):
        compose_photograph(_face(3, 1, 128), 90, 60, 1.0, 0.0, seed=0)
    with pytest.raises(DataError, match="scale 0"):
        compose_photograph(_face(3, 1, 128), 90, 60, 0, 0.0, seed=0)
