"""Photographs of one person as references: aligned faces with boxes and embeddings, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmdnet.errors import DMDNetError, FaceError
from dmdnet.faces.align import align_face
from dmdnet.faces.backend import Face, FaceBackend
from dmdnet.faces.boxes import USED_COMPONENTS, box_defects, clip_boxes
from dmdnet.faces.component_boxes import component_boxes
from dmdnet.images import list_images, read_image


@dataclass(frozen=True)
class Reference:
    """A usable reference: aligned uint8 RGB (size, size, 3), int32 boxes (4, 4) and the face's embedding.

    A component whose box is empty in the aligned picture is left out when the person is enrolled.
    """

    path: Path
    image: np.ndarray
    boxes: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Skipped:
    """A photograph that is no use as a reference, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ReferenceSet:
    """The references of one person."""

    references: tuple[Reference, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()

    def distance(self, embedding: np.ndarray) -> float:
        """Return the median distance of an embedding to the references'."""
        return _distance([reference.embedding for reference in self.references], embedding)


def read_references(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    backend: FaceBackend,
    image_size: int,
    exclude: str | os.PathLike[str] | None = None,
) -> ReferenceSet:
    """Read the photographs of a person: a folder or a list of files.

    A photograph that shows several people is used when one of them is the person that the other photographs show.
    `exclude` is the photograph to restore, which is no reference of itself.

    Raises:
        DataError: the folder is missing.
        FaceError: no photograph is usable; the message gives the reason for each.
    """
    paths = list_images(source) if isinstance(source, str | os.PathLike) else [Path(path) for path in source]
    references: list[Reference] = []
    reasons: dict[Path, str] = {}
    several: list[Path] = []
    # pictures are read again rather than kept: a folder of photographs need not fit into memory
    for path in paths:
        try:
            if exclude is not None and path.exists() and os.path.samefile(path, exclude):
                raise FaceError("is the photograph that is to be restored")
            rgb = read_image(path)
            faces = backend.detect(rgb)
            if len(faces) > 1:
                several.append(path)
            elif faces:
                references.append(_reference(path, rgb, faces[0], backend, image_size))
            else:
                raise FaceError("no face was found")
        except DMDNetError as error:
            reasons[path] = str(error)
    known = [reference.embedding for reference in references]
    for path in several:
        try:
            rgb = read_image(path)
            face = _face_of(known, rgb, backend)
            references.append(_reference(path, rgb, face, backend, image_size))
        except DMDNetError as error:
            reasons[path] = str(error)
    skipped = tuple(Skipped(path, reasons[path]) for path in paths if path in reasons)
    if not references:
        raise FaceError(_none_usable(source, skipped))
    return ReferenceSet(tuple(references), skipped, _disagreements(references, backend.same_person_distance))


def _face_of(known: Sequence[np.ndarray], rgb: np.ndarray, backend: FaceBackend) -> Face:
    """Return the face of a group picture that belongs to the person with the `known` embeddings."""
    faces = backend.detect(rgb)
    if not known:
        raise FaceError(f"shows {len(faces)} faces, and no photograph with one face says which is meant")
    distances = [_distance(known, backend.embed(rgb, face.landmarks)) for face in faces]
    if min(distances) > backend.same_person_distance:
        raise FaceError(f"shows {len(faces)} faces, and none is the person of the other photographs")
    return faces[int(np.argmin(distances))]


def _reference(path: Path, rgb: np.ndarray, face: Face, backend: FaceBackend, image_size: int) -> Reference:
    aligned = align_face(rgb, face.landmarks, image_size)
    boxes = clip_boxes(component_boxes(aligned.landmarks[None], image_size)[0], image_size)
    if len(box_defects(boxes, image_size)) == len(USED_COMPONENTS):
        raise FaceError("neither an eye nor the mouth is whole in the picture")
    return Reference(path, aligned.image, boxes, backend.embed(rgb, face.landmarks))


def _distance(embeddings: Sequence[np.ndarray], embedding: np.ndarray) -> float:
    return float(np.median([np.linalg.norm(embedding - other) for other in embeddings]))


def _disagreements(references: Sequence[Reference], same_person_distance: float) -> tuple[str, ...]:
    """Name the references that do not look like most of the others."""
    if len(references) < 2:
        return ()
    embeddings = np.stack([reference.embedding for reference in references])
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    centre = int(np.argmin(np.median(distances, axis=1)))
    return tuple(
        f"{reference.path}: may show another person than {references[centre].path.name} "
        f"(distance {distance:.2f}, one person's lie below {same_person_distance:.2f})"
        for reference, distance in zip(references, distances[centre], strict=True)
        if distance > same_person_distance
    )


def _none_usable(source: object, skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return f"{source}: there is no picture in it; put photographs of the person there"
    reasons = "; ".join(
        item.reason if str(item.path) in item.reason else f"{item.path.name}: {item.reason}" for item in skipped
    )
    return f"no usable reference among {len(skipped)} pictures: {reasons}"
