"""Identity: our pipeline against libraries called by hand, whose landmarks count, and what has no value."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from made_onnx import small_recogniser
from skimage.transform import estimate_transform, warp
from torch.nn import functional as F

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.faces.align import align_face
from dmdnet.faces.backend import Face, find_face, get_backend
from dmdnet.faces.dlib_backend import DlibBackend
from dmdnet.features.recognisers import load_recogniser
from dmdnet.images import from_hwc, to_float, to_hwc
from dmdnet.metrics import MetricInput, MetricReferences, build_metrics
from dmdnet.registry import METRICS
from dmdnet.weights import WEIGHTS

SIZE = 128
FIVE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def drawn(people, shots, size=SIZE):
    """Return drawn faces, a person a row: uint8 (P, S, 3, H, W) and landmarks (P, S, 68, 2)."""
    faces = [
        [draw_face(Identity.sample(0, p), Shot.sample(0, p, s), size) for s in range(shots)] for p in range(people)
    ]
    pictures = torch.stack([torch.stack([from_hwc(face.image) for face in row]) for row in faces])
    return pictures, torch.from_numpy(np.stack([[face.landmarks for face in row] for row in faces])).float()


@pytest.fixture(scope="module")
def inputs():
    """Two people: the prediction is a blurred target, two other pictures of each are references."""
    pictures, landmarks = drawn(2, 3)
    blurred = [from_hwc(cv2.GaussianBlur(picture, (0, 0), 2.0)) for picture in to_hwc(pictures[:, 0])]
    references = MetricReferences(pictures[:, 1:], torch.ones(2, 2, dtype=torch.bool), landmarks[:, 1:])
    return MetricInput(torch.stack(blurred), pictures[:, 0], None, landmarks[:, 0], references)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A weights folder with a small recogniser in place of w600k_r50."""
    monkeypatch.setitem(WEIGHTS, "arcface_w600k_r50", replace(WEIGHTS["arcface_w600k_r50"], sha256=None))
    (tmp_path / "w600k_r50.onnx").write_bytes(small_recogniser()[0])
    return str(tmp_path)


def build(folder, name="IdentitySimilarity", **options):
    metric = METRICS.build(METRICS.component(name, **options))
    metric.prepare(folder)
    return metric.eval()


def by_hand(chips_BCHW):
    """Return the small recogniser's embeddings of RGB pictures of 112 pixels in [-1, 1]."""
    weights = {name: torch.from_numpy(value) for name, value in small_recogniser()[1].items()}
    x = F.prelu(F.conv2d(chips_BCHW, weights["w"], stride=8), weights["slope"].flatten())
    return F.linear(x.flatten(1), weights["fc"], weights["bias"])


def five_points(landmarks):
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]])


def aligned_by_hand(pictures, landmarks, samples):
    """Return chips aligned by scikit-image: warped at `samples` times the size, then averaged."""
    chips = []
    for picture, points in zip(to_hwc(pictures), landmarks.double().numpy(), strict=True):
        # pixel centres: a point x of the chip lies at (x + 0.5) * samples - 0.5 of the larger one
        found = estimate_transform("similarity", five_points(points), (FIVE + 0.5) * samples - 0.5)
        side = 112 * samples
        large = warp(picture / 255.0, found.inverse, output_shape=(side, side), order=1, mode="edge")
        chips.append(large.reshape(112, samples, 112, samples, 3).mean(axis=(1, 3)))
    return to_float(torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2) * 255)


class TestValues:
    @pytest.mark.parametrize("size", [SIZE, 200])
    def test_five_points(self, folder, size):
        pictures, landmarks = drawn(2, 2, size)
        found = build(folder)(MetricInput(pictures[:, 1], pictures[:, 0], landmarks_B682=landmarks[:, 0]))
        samples = -(-size * 3 // (4 * 112))
        vectors = [by_hand(aligned_by_hand(pictures[:, shot], landmarks[:, 0], samples)) for shot in (0, 1)]
        torch.testing.assert_close(found, F.cosine_similarity(*vectors).double(), rtol=0, atol=2e-5)
        assert found.max() < 0.999

    def test_the_middle_of_512_pixels(self, folder):
        pictures, _ = drawn(1, 2, 512)
        found = build(folder, crop="centre")(MetricInput(pictures[:, 1], pictures[:, 0]))
        chips = [F.avg_pool2d(to_float(pictures[:, shot])[..., 32:480, 32:480], 4) for shot in (0, 1)]
        expected = F.cosine_similarity(by_hand(chips[0]), by_hand(chips[1]))
        torch.testing.assert_close(found, expected.double(), rtol=0, atol=1e-6)

    def test_the_mean_over_references(self, folder, inputs):
        metric = build(folder, against="references")
        alone = []
        for number in (0, 1):
            mask = torch.zeros_like(inputs.references.mask_BR)
            mask[:, number] = True
            one = replace(inputs.references, mask_BR=mask)
            alone.append(metric(replace(inputs, references=one, target_memo={})))
        torch.testing.assert_close(metric(inputs), (alone[0] + alone[1]) / 2)


class TestWhatHasNoValue:
    def test_references_without_landmarks_do_not_count(self, folder, inputs):
        metric = build(folder, against="references")
        landmarks = inputs.references.landmarks_BR682.clone()
        landmarks[0, 1] = torch.nan
        landmarks[1] = torch.nan
        references = replace(inputs.references, landmarks_BR682=landmarks)
        found = metric(replace(inputs, references=references, target_memo={}))
        mask = torch.tensor([[True, False], [False, False]])
        expected = metric(replace(inputs, references=replace(inputs.references, mask_BR=mask), target_memo={}))
        torch.testing.assert_close(found, expected, equal_nan=True)
        assert found.isnan().tolist() == [False, True]
        assert "no reference" in metric.undefined

    def test_nobody_has_references(self, folder, inputs):
        references = replace(inputs.references, mask_BR=torch.zeros(2, 2, dtype=torch.bool))
        for crop in ("5pt", "centre"):
            metric = build(folder, against="references", crop=crop)
            assert metric(replace(inputs, references=references, target_memo={})).isnan().all()

    def test_a_target_without_landmarks(self, folder, inputs):
        metric = build(folder)
        both = metric(inputs)
        landmarks = inputs.landmarks_B682.clone()
        landmarks[0] = torch.nan
        found = metric(replace(inputs, landmarks_B682=landmarks, pred_memo={}, target_memo={}))
        assert found[0].isnan()
        assert found[1] == both[1]
        assert build(folder, crop="centre")(replace(inputs, landmarks_B682=None)).isfinite().all()
        assert metric.needs == {"target", "landmarks"}
        assert build(folder, crop="centre", against="references").needs == {"references"}

    def test_a_restored_face_that_is_not_found(self, folder, inputs, monkeypatch):
        monkeypatch.setattr(DlibBackend, "detect", lambda self, rgb: [] if rgb.std() < 1 else detect(self, rgb))
        detect = seen(inputs.landmarks_B682[1].double().numpy() + 3)
        pred = inputs.pred_BCHW.clone()
        pred[0] = 90
        metric = build(folder, landmarks="found")
        failed = replace(inputs, pred_BCHW=pred, pred_memo={}, target_memo={})
        assert metric(failed).isnan().tolist() == [True, False]
        assert "no face is found" in metric.undefined
        # at the target's landmarks, the same picture has a value: a bad restoration cannot fail the detector
        assert build(folder)(replace(failed, pred_memo={})).isfinite().all()
        # a perfect picture is perfect also where the detector and the target's own landmarks differ
        perfect = replace(inputs, pred_BCHW=inputs.target_BCHW, pred_memo={}, target_memo={})
        torch.testing.assert_close(metric(perfect), torch.ones(2, dtype=torch.float64))


def seen(landmarks):
    """Return a detector that sees these landmarks wherever it looks."""
    return lambda backend, rgb: [Face((0, 0, 9, 9), landmarks, 1.0)]


def test_embeddings_are_made_once(folder, inputs, monkeypatch):
    metrics = [build(folder), build(folder, against="references")]
    assert metrics[0].embedding is metrics[1].embedding
    calls = []
    original = type(metrics[0].embedding).forward
    monkeypatch.setattr(
        type(metrics[0].embedding), "forward", lambda self, x: calls.append(len(x)) or original(self, x)
    )
    for pred_memo in ({}, {}):  # two methods
        for metric in metrics:
            metric(replace(inputs, pred_memo=pred_memo))
    assert sum(calls) == 2 * 2 + 2 + 4  # each method's pictures, the targets, the references


def test_red_and_blue_as_each_was_trained(folder, tmp_path, monkeypatch):
    assert not load_recogniser("w600k_r50", folder).bgr
    monkeypatch.setitem(WEIGHTS, "arcface_ir_se50", replace(WEIGHTS["arcface_ir_se50"], sha256=None))
    (tmp_path / WEIGHTS["arcface_ir_se50"].file).touch()
    monkeypatch.setattr("dmdnet.features.recognisers.load_arcface", lambda where: torch.nn.Flatten())
    assert load_recogniser("ir_se50", folder).bgr


def test_missing_weights_are_told_with_the_remedy(tmp_path):
    components = {"ids": METRICS.component("IdentitySimilarity"), "idd": METRICS.component("DlibIdentityDistance")}
    ready, unavailable = build_metrics(components, str(tmp_path))
    assert list(ready) == ["idd"]
    assert "w600k_r50.onnx out of https://" in unavailable["ids"].reason
    assert unavailable["ids"].recipe == "ids@w600k_r50/5pt/target-landmarks"


def test_damaged_weights_are_named(folder, tmp_path):
    (tmp_path / "w600k_r50.onnx").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=r"w600k_r50\.onnx: not insightface's w600k_r50: .*download it again"):
        build(folder)


def test_an_unknown_back_end_is_told_before_the_run(folder):
    with pytest.raises(ConfigError, match="unknown face back end type 'dlip'"):
        build(folder, landmarks="found", face_backend="dlip")


def test_a_crop_without_landmarks_looks_for_none(folder):
    with pytest.raises(ConfigError, match="crop: centre takes no landmarks"):
        build(folder, crop="centre", landmarks="found")


def test_what_is_missing_is_named(folder, inputs):
    with pytest.raises(DataError, match="needs landmarks"):
        build(folder)(replace(inputs, landmarks_B682=None))
    references = replace(inputs.references, landmarks_BR682=None)
    with pytest.raises(DataError, match="needs the references' landmarks"):
        build(folder, against="references")(replace(inputs, references=references, target_memo={}))


class TestDlib:
    @pytest.fixture(scope="class")
    def faces(self):
        """A real face, blurred and not, with its landmarks; and a drawn one."""
        astronaut = skimage.data.astronaut()
        face = align_face(astronaut, find_face(get_backend(), astronaut).landmarks, 256)
        drawn_face = draw_face(Identity.sample(0, 0), Shot.sample(0, 0, 0), 256)
        pictures = [
            from_hwc(image) for image in (face.image, cv2.GaussianBlur(face.image, (0, 0), 2), drawn_face.image)
        ]
        return torch.stack(pictures), torch.from_numpy(np.stack([face.landmarks, face.landmarks, drawn_face.landmarks]))

    def test_one_person_is_near_and_another_is_far(self, faces):
        pictures, landmarks = faces
        target = pictures[:1].expand(3, -1, -1, -1)
        found = build(None, "DlibIdentityDistance")(MetricInput(pictures, target, landmarks_B682=landmarks.float()))
        assert found[0] == 0
        assert 0.02 < found[1] < 0.5
        assert found[2] > 0.6

    def test_it_is_dlibs_own_number(self, faces):
        dlib = pytest.importorskip("dlib")
        pictures, landmarks = faces
        model = get_backend()._recogniser
        vectors = []
        for rgb, points in zip(to_hwc(pictures), landmarks.numpy(), strict=True):
            (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
            box = dlib.rectangle(round(left), round(top), round(right), round(bottom))
            shape = dlib.full_object_detection(box, dlib.points([dlib.point(round(x), round(y)) for x, y in points]))
            vectors.append(np.array(model.compute_face_descriptor(rgb, shape)))
        metric = build(None, "DlibIdentityDistance")
        places = landmarks[[1, 2]].float()
        # each face keeps its own landmarks: the reference's are not the restored one's
        references = MetricReferences(
            pictures[[0, 0]][:, None], torch.ones(2, 1).bool(), landmarks[[0, 0]][:, None].float()
        )
        inputs = MetricInput(pictures[[1, 2]], None, None, places, references)
        found = build(None, "DlibIdentityDistance", against="references")(inputs)
        expected = [np.linalg.norm(vectors[index] - vectors[0]) for index in (1, 2)]
        # landmarks are rounded to pixels there, and to fractions of a pixel here
        np.testing.assert_allclose(found.numpy(), expected, atol=0.06)
        assert not metric.higher_is_better

    def test_landmarks_outside_the_picture_give_no_value(self, faces):
        pictures, landmarks = faces
        metric = build(None, "DlibIdentityDistance")
        places = torch.stack([landmarks[0] + 5000, torch.full((68, 2), torch.nan).double()]).float()
        assert metric(MetricInput(pictures[:2], pictures[:2], landmarks_B682=places)).isnan().all()


def test_a_reference_is_looked_at_once_for_all_pictures_of_a_person(folder, inputs, monkeypatch):
    metric = build(folder, against="references")
    expected = metric(inputs)
    calls = []
    original = type(metric.embedding).forward
    monkeypatch.setattr(type(metric.embedding), "forward", lambda self, x: calls.append(len(x)) or original(self, x))
    torch.testing.assert_close(metric(replace(inputs, pred_memo={}, target_memo={})), expected, rtol=0, atol=0)
    assert sum(calls) == 2  # the restored pictures alone
    landmarks = inputs.references.landmarks_BR682 + 1
    moved = replace(inputs, references=replace(inputs.references, landmarks_BR682=landmarks), target_memo={})
    assert (metric(moved) != expected).all()  # other landmarks are another face
