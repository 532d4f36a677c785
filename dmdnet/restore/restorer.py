"""The way of a photograph: find the face, align it, restore it, paste it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from dmdnet.archs.dmdnet.specific_dictionary import SpecificDictionary
from dmdnet.errors import FaceError, WeightsError
from dmdnet.faces.align import Aligned, align_face, paste_back
from dmdnet.faces.backend import Face, FaceBackend, no_face
from dmdnet.faces.boxes import box_defects, clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.images import from_hwc, to_float, to_hwc, to_uint8
from dmdnet.ops.precision import full_float32_products
from dmdnet.restore.choose_face import choose_faces
from dmdnet.restore.references import ReferenceSet

Output = Literal["auto", "specific", "generic"]
OUTPUTS: tuple[str, ...] = ("auto", "specific", "generic")
_ENROL_CHUNK = 4


@dataclass(frozen=True)
class RestoredFace:
    """One restored face. `number` counts from 1, the largest face; `image` is uint8 RGB in the aligned frame.

    `distance` is the distance of its embedding to the references', None without references.
    """

    number: int
    face: Face
    aligned: Aligned
    boxes: np.ndarray
    image: np.ndarray
    output: str
    distance: float | None = None


@dataclass(frozen=True)
class Restored:
    """A restored photograph, uint8 RGB (H, W, 3), its restored faces, and what the user should know."""

    photo: np.ndarray
    faces: tuple[RestoredFace, ...]
    faces_found: int
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Restorer:
    """Restores the faces of photographs with one network and one face back end.

    Args:
        network: a DMDNet of any size.
        backend: finds and recognises faces.
        device: where the network runs.

    Raises:
        WeightsError: the network is no DMDNet.
    """

    def __init__(self, network: nn.Module, backend: FaceBackend, device: torch.device | str = "cpu") -> None:
        if not hasattr(network, "enrol"):
            raise WeightsError(f"the weights are of a {type(network).__name__}, a DMDNet is needed to restore faces")
        self.network = network.eval().to(device)
        self.backend = backend
        self.device = torch.device(device)
        self.image_size: int = network.size.image_size  # type: ignore[union-attr,assignment]

    def restore(
        self,
        photo: np.ndarray,
        references: ReferenceSet | None = None,
        face: str | int = "only",
        output: Output = "auto",
        name: object = "photograph",
    ) -> Restored:
        """Restore faces of a photograph, uint8 RGB (H, W, 3).

        Args:
            references: of one person; with `face` "all" only the face nearest to them is restored with them.
            face: "only", "largest", "all", or a face's number.
            output: "auto" takes "specific" where there are references.
            name: of the photograph, for messages.

        Raises:
            FaceError: no face, several faces and no choice, or a specific output without references.
            WeightsError: the network gives values that are not finite.
        """
        if output == "specific" and references is None:
            raise FaceError("output 'specific' needs references of the person: give --references FOLDER")
        faces = self.backend.detect(photo)
        if not faces:
            raise no_face(name, photo)
        distances = self._distances(photo, faces, references)
        chosen = choose_faces(faces, face, name, distances)
        person = min(chosen, key=lambda index: distances[index]) if distances else None
        dictionary = self.enrol(references) if references and output != "generic" else None
        restored = [
            self._restore_face(
                photo,
                index + 1,
                faces[index],
                dictionary if index == person else None,
                distances[index] if distances else None,
            )
            for index in chosen
        ]
        result = photo
        for item in restored:
            result = paste_back(result, item.image, item.aligned.matrix)
        warnings = [*(references.warnings if references else ()), *self._warnings(restored, person)]
        return Restored(result, tuple(restored), len(faces), tuple(map(_size_note, restored)), tuple(warnings))

    @torch.inference_mode()
    def enrol(self, references: ReferenceSet) -> SpecificDictionary:
        """Return the specific dictionary of the person, a few references at a time."""
        dictionary: SpecificDictionary | None = None
        for start in range(0, len(references.references), _ENROL_CHUNK):
            part = references.references[start : start + _ENROL_CHUNK]
            images = self._to_network([reference.image for reference in part])
            boxes = torch.from_numpy(np.stack([reference.boxes for reference in part])).to(self.device)
            with full_float32_products(self.device):
                enrolled: SpecificDictionary = self.network.enrol(images, boxes)  # type: ignore[operator]
            dictionary = dictionary.join(enrolled) if dictionary else enrolled
        if dictionary is None:
            raise FaceError("there are no references to enrol")
        return dictionary

    @torch.inference_mode()
    def restore_aligned(
        self, rgb: np.ndarray, boxes: np.ndarray, dictionary: SpecificDictionary | None = None
    ) -> np.ndarray:
        """Restore an aligned face: uint8 RGB (image_size, image_size, 3), with int boxes (4, 4).

        The specific output with a dictionary, else the generic one.

        Raises:
            WeightsError: the network gives values that are not finite.
        """
        wanted = "generic" if dictionary is None else "specific"
        boxes_144 = torch.from_numpy(boxes[None]).to(self.device)
        with full_float32_products(self.device):
            outputs = self.network(self._to_network([rgb]), boxes_144, dictionary, outputs=(wanted,))
        image = getattr(outputs, wanted)[0]
        if not bool(torch.isfinite(image).all()):
            raise WeightsError("the network gives values that are not finite; its weights are damaged")
        return to_hwc(to_uint8(image))

    def _restore_face(
        self, photo: np.ndarray, number: int, face: Face, dictionary: SpecificDictionary | None, distance: float | None
    ) -> RestoredFace:
        aligned = align_face(photo, face.landmarks, self.image_size)
        boxes = clip_boxes(component_boxes(aligned.landmarks[None], self.image_size)[0], self.image_size)
        image = self.restore_aligned(aligned.image, boxes, dictionary)
        output = "generic" if dictionary is None else "specific"
        return RestoredFace(number, face, aligned, boxes, image, output, distance)

    def _distances(
        self, photo: np.ndarray, faces: Sequence[Face], references: ReferenceSet | None
    ) -> list[float] | None:
        if references is None:
            return None
        return [references.distance(self.backend.embed(photo, face.landmarks)) for face in faces]

    def _warnings(self, restored: Sequence[RestoredFace], person: int | None) -> list[str]:
        warnings = []
        for item in restored:
            defects = box_defects(item.boxes, self.image_size)
            if defects:
                parts = ", ".join(defects).replace("_", " ")
                warnings.append(f"face {item.number}: no help from the dictionaries for {parts}: cut off or tiny")
            if item.number - 1 == person and item.distance and item.distance > self.backend.same_person_distance:
                warnings.append(
                    f"face {item.number}: the references may show another person (distance {item.distance:.2f}, one "
                    f"person's lie below {self.backend.same_person_distance:.2f}; a degraded face can lie further)"
                )
        return warnings

    def _to_network(self, pictures: Sequence[np.ndarray]) -> torch.Tensor:
        return to_float(from_hwc(np.stack(pictures)).to(self.device))


def _size_note(item: RestoredFace) -> str:
    side, size = item.aligned.side_in_photo, item.image.shape[0]
    change = "enlarged" if item.aligned.magnification > 1 else "shrunk"
    note = f"face {item.number}: {side:.0f} px square {change} to the network's {size} px, {item.output} output"
    if item.aligned.magnification < 0.8:
        note += "; detail finer than its pixels is lost"
    return note
