"""The degraded picture of a sample: made on the fly, left for the device to make, or read as it lies ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dmdnet.data.face_reader import Face, FaceReader, boxes_of, faulty
from dmdnet.data.manifest import Row
from dmdnet.data.selection import Selection, filled
from dmdnet.degradations import Degradation, apply_degradation, build_degradation, draw_degradation
from dmdnet.degradations.pipeline import Draws
from dmdnet.errors import ConfigError, DataError, FaceError, NoLandmarksError
from dmdnet.faces.backend import find_face, get_backend
from dmdnet.faces.boxes import box_defects
from dmdnet.faces.template import template_landmarks
from dmdnet.registry import Component

LqLandmarks = Literal["target", "found"]


@dataclass(frozen=True)
class Degraded:
    """A degraded picture.

    Args:
        face: the face on it: where its boxes come from. While the picture is pending it has the sharp image.
        pending: the operations and the parameters that are still to make it; None where it is there.
    """

    face: Face
    pending: tuple[tuple[Degradation, ...], Draws] | None = None


class DegradedFaces:
    """Gives the degraded pictures of a data set.

    Args:
        reader: reads its faces.
        selection: its rows.
        degradation: the operations for faces without a ready degraded picture.
        landmarks: whether boxes come from the target's landmarks or from those found on the degraded picture.
        backend: what finds them.
        on_device: leave the operations to whoever has the batch.
        keep_faults: give a face whose landmarks are missing or no good with its `fault`, and raise nothing.

    Raises:
        ConfigError: operations that would never be used, or landmarks to be found on a picture that is not there.
        DataError: some faces have ground truth and some not, or a face has no picture at all.
    """

    def __init__(
        self,
        reader: FaceReader,
        selection: Selection,
        degradation: Sequence[Component],
        landmarks: LqLandmarks,
        backend: str,
        on_device: bool,
        keep_faults: bool = False,
    ) -> None:
        self.reader = reader
        self.ops = build_degradation(degradation)
        self.landmarks = landmarks
        self.backend = backend
        self.on_device = on_device
        self.keep_faults = keep_faults
        self.has_gt = _has_gt(selection)
        ready = filled(selection.manifest, "degraded")[selection.targets]
        if self.ops and ready.all():
            raise ConfigError(
                f"degradation: {selection.manifest.origin} has a ready degraded picture of every face, which the list "
                "would not change; leave the list out, or leave the degraded pictures out of the layout"
            )
        if on_device and landmarks == "found":
            raise ConfigError("lq_landmarks: found needs the degraded picture in the worker; set degrade_on: worker")

    def ready(self, row: Row, target: Face | None) -> Face | None:
        """Return the ready degraded face of a row, None where it is to be made."""
        if not row.degraded:
            return None
        if self.landmarks == "target" and target is not None:
            return self.reader.read_degraded(row, landmarks_of=target)
        return self._with_boxes(self.reader.read_degraded(row, keep_faults=self.keep_faults))

    def make(self, target: Face, sharp: np.ndarray, rng: np.random.Generator) -> Degraded:
        """Return the degraded picture of `sharp` (uint8 (S, S, 3)), a picture of `target`.

        Raises:
            ConfigError: the operations do not come back to the picture's size.
            DataError: no face is found on it, where it is looked for.
        """
        draws = draw_degradation(self.ops, rng, sharp.shape[:2])
        if self.on_device:
            return Degraded(replace(target, image=sharp), (self.ops, draws))
        image = apply_degradation(sharp, self.ops, draws)
        if image.shape != sharp.shape:
            raise ConfigError(
                f"degradation: the degraded picture of {target.name} has {image.shape[1]} x {image.shape[0]} pixels, "
                f"the sharp one {sharp.shape[1]} x {sharp.shape[0]}; end the list with {{type: ResizeBack}}"
            )
        if self.landmarks == "target":
            return Degraded(replace(target, image=image))
        return Degraded(self._found(image, target.name))

    def _found(self, image: np.ndarray, name: str) -> Face:
        """Return the face as it is found on a degraded picture."""
        try:
            face = self._with_boxes(Face(image, *self._find(image, name)))
            if self.keep_faults:
                face.boxes()
            return face
        except DataError as error:
            if self.keep_faults:
                return faulty(image, name, error)
            raise

    def _find(self, image: np.ndarray, name: str) -> tuple[np.ndarray, str, bool]:
        """Return landmarks, the name, and whether the landmarks are the face's own."""
        try:
            return find_face(get_backend(self.backend), image).landmarks, name, True
        except FaceError as error:
            if self.reader.missing_landmarks == "template":
                return template_landmarks(image.shape[0]), name, False
            raise NoLandmarksError(
                f"{name}: no landmarks are found on its degraded picture: {error}; set missing_landmarks: template, "
                "or lq_landmarks: target"
            ) from error

    def _with_boxes(self, face: Face) -> Face:
        """Return the face; with the template's landmarks where its own give boxes that no network can take."""
        if self.reader.missing_landmarks == "error" or not box_defects(boxes_of(face.landmarks, face.size), face.size):
            return face
        return Face(face.image, template_landmarks(face.size), face.name, measured=False)


def _has_gt(selection: Selection) -> bool:
    """Return whether the targets have sharp pictures: all of them, or none."""
    manifest, targets = selection.manifest, selection.targets
    sharp = filled(manifest, "picture")[targets]
    empty = targets[~sharp & ~filled(manifest, "degraded")[targets]]
    if len(empty):
        raise DataError(
            f"{manifest.origin}: {manifest.name_of(int(empty[0]))} has neither a sharp nor a degraded picture"
        )
    if sharp.any() and not sharp.all():
        lacking = manifest.name_of(int(targets[~sharp][0]))
        raise DataError(
            f"{manifest.origin}: {int((~sharp).sum())} of {len(targets)} faces have no ground truth, the first is "
            f"{lacking}; give those with and those without as two data sets"
        )
    return bool(sharp.all())
