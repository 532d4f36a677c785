"""Degraded faces with their targets and with references of the same person."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from dmdnet.data.augmentation import degraded_boxes, jitter_colours
from dmdnet.data.face_reader import Face, FaceReader
from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.randomness import Stream, generator
from dmdnet.data.records import by_identity, select_people
from dmdnet.data.references import Order, ReferencePolicy, choose_references, wrong_person
from dmdnet.data.samples import FaceSample, FaceStack
from dmdnet.data.sampling import Draw
from dmdnet.degradations import build_degradation, degrade
from dmdnet.errors import ConfigError, DataError
from dmdnet.images import from_hwc
from dmdnet.registry import DATASETS, DEGRADATIONS, Component, Runtime

logger = logging.getLogger(__name__)

TRIES = 10  # records tried for one sample before bad pictures are too many to be skipped

Phase = Literal["train", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=16, multiple_of=8)]


@DATASETS.register()
class ReferenceFaceDataset:
    """Aligned faces on disk, degraded on the fly. `dataset[Draw(record, draw)]` is a `FaceSample`.

    Everything random about a sample follows from the seed and the number of its draw (train), or from the seed and
    the picture's name (test: pictures added to the set change nothing about the others).

    Args:
        layout: where pictures, people and landmarks are.
        image_size: side of all pictures in pixels; others are resized with their landmarks.
        degradation: what makes the degraded picture, in order; empty leaves it sharp.
        num_references: smallest and largest number of references, drawn uniformly; never the target itself. A
            person with fewer pictures gives what there is. [0, 0]: the set has no references.
        reference_order: `random`, or `given`: always the first ones in the order of the layout (fixed tests).
        no_reference_prob: share of samples with no reference.
        wrong_person_prob: share of samples whose references show another person.
        wrong_references: also give `wrong_references`: as many pictures of another person, the same one always.
        use_hflip: mirror every other sample, left to right: target and references together, since a face is not
            symmetric and a mirrored person has a mirrored mole.
        color_jitter: strength of the change of brightness, contrast and saturation of the sharp target before it
            is degraded (references keep their own light).
        landmark_noise: range of the landmarks' error on the degraded side, pixels of a 512-pixel picture.
        box_jitter: movement of the boxes on the degraded side, as a fraction of their side.
        identities_file: use only the people in this list, one a line.
        exclude_identities: leave these people out.
        identity_range: use only people first <= n < last of the sorted people.
        landmark_cache: folder for landmarks that are missing and have to be made (default: where they belong).
        face_backend: what makes missing landmarks.
        bad_pictures: what a picture or landmark file that cannot be used does in training: `error` stops; `skip` is
            logged and another record takes its place, which one follows from the seed and the draw. Testing stops
            always: a test set with holes is another test set.

    Raises:
        DataError: the layout's root is missing or empty, nobody is left, or wrong people are asked for and there
            is only one person. Indexing raises it for a picture or landmark file that cannot be used.
        ConfigError: options that contradict each other.
    """

    def __init__(
        self,
        *,
        layout: Annotated[Component, LAYOUTS],
        image_size: Size = 512,
        degradation: tuple[Annotated[Component, DEGRADATIONS], ...] = (),
        num_references: tuple[int, int] = (1, 8),
        reference_order: Order = "random",
        no_reference_prob: Fraction = 0.0,
        wrong_person_prob: Fraction = 0.0,
        wrong_references: bool = False,
        use_hflip: bool = False,
        color_jitter: Fraction = 0.0,
        landmark_noise: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.0, 0.0),
        box_jitter: Annotated[float, Field(ge=0, lt=0.5)] = 0.0,
        identities_file: str | None = None,
        exclude_identities: tuple[str, ...] = (),
        identity_range: tuple[int, int] | None = None,
        landmark_cache: str | None = None,
        face_backend: str = "dlib",
        bad_pictures: Literal["error", "skip"] = "error",
        seed: Runtime[int] = 0,
        phase: Runtime[Phase] = "train",
    ) -> None:
        self.seed = seed
        self.phase = phase
        self.image_size = image_size
        source = LAYOUTS.build(layout)
        self.manifest = source.manifest()
        self.records = select_people(
            source.records(),
            identities_file=identities_file,
            exclude_identities=exclude_identities,
            identity_range=identity_range,
        )
        self.people = by_identity(self.records)
        self.policy = ReferencePolicy(num_references, reference_order, no_reference_prob, wrong_person_prob)
        self.wrong_references = wrong_references
        if (wrong_person_prob > 0 or wrong_references) and len(self.people) < 2:
            raise DataError(
                f"wrong_person_prob and wrong_references need a second person, the data have only "
                f"{next(iter(self.people))}; add people or leave both out"
            )
        if wrong_references and num_references[1] == 0:
            raise ConfigError("wrong_references: there are none with num_references [0, 0]; raise the second number")
        self.use_hflip = use_hflip
        self.color_jitter = color_jitter
        self.landmark_noise = landmark_noise
        self.box_jitter = box_jitter
        self.tries = TRIES if bad_pictures == "skip" and phase == "train" else 1
        self.degradation = build_degradation(degradation)
        self.reader = FaceReader(
            storage=self.manifest.storage,
            image_size=image_size,
            landmark_cache=landmark_cache,
            face_backend=face_backend,
        )
        logger.info("%s: %d pictures of %d people", layout.options["dataroot_gt"], len(self), len(self.people))

    def __len__(self) -> int:
        return len(self.records)

    @property
    def identities(self) -> tuple[str, ...]:
        """The person of every record."""
        return tuple(record.identity for record in self.records)

    def face(self, record: int) -> Face:
        """Return a sharp face as it is, without any augmentation."""
        return self.reader.read(self.manifest[self.manifest.number_of[self.records[record].name]])

    def __getitem__(self, index: Draw | int) -> FaceSample:
        draw = self._draw(index)
        replacements = generator(self.seed, draw.draw, Stream.REPLACEMENT)
        for _ in range(self.tries - 1):
            try:
                return self._sample(draw)
            except DataError as error:
                logger.warning("skipped: %s", error)
                draw = draw._replace(record=int(replacements.integers(len(self))))
        return self._sample(draw)

    def _sample(self, draw: Draw) -> FaceSample:
        record = self.records[draw.record]
        rng = generator(self.seed, draw.draw, Stream.AUGMENTATION)
        flip = self.use_hflip and bool(rng.random() < 0.5)
        target = self._read(draw.record, flip)
        sharp = jitter_colours(target.image, self.color_jitter, rng) if self.color_jitter else target.image
        lq = degrade(sharp, self.degradation, generator(self.seed, draw.draw, Stream.DEGRADATION))
        if lq.shape != sharp.shape:
            raise ConfigError(
                f"degradation: the degraded picture of {record.name} has {lq.shape[1]} x {lq.shape[0]} pixels, the "
                f"sharp one {sharp.shape[1]} x {sharp.shape[0]}; end the list with {{type: ResizeBack}}"
            )
        lq_boxes = degraded_boxes(
            target, self.landmark_noise, self.box_jitter, generator(self.seed, draw.draw, Stream.BOXES)
        )
        references, wrong_references = self._references(draw, flip)
        return FaceSample(
            lq=from_hwc(lq),
            lq_boxes=torch.from_numpy(lq_boxes),
            gt=from_hwc(sharp),
            gt_boxes=torch.from_numpy(target.boxes()),
            name=record.name,
            identity=record.identity,
            references=references,
            wrong_references=wrong_references,
        )

    def _draw(self, index: Draw | int) -> Draw:
        record, number = index if isinstance(index, tuple) else (index, index)
        if not 0 <= record < len(self.records):
            raise IndexError(f"record {record} of a data set of {len(self.records)}")
        if self.phase == "test":
            number = zlib.crc32(self.records[record].name.encode())
        return Draw(record, number)

    def _read(self, record: int, flip: bool) -> Face:
        face = self.face(record)
        return face.flipped() if flip else face

    def _references(self, draw: Draw, flip: bool) -> tuple[FaceStack | None, FaceStack | None]:
        if self.policy.count[1] == 0:
            return None, None
        identity = self.records[draw.record].identity
        rng = generator(self.seed, draw.draw, Stream.REFERENCES)
        right = choose_references(draw.record, identity, self.people, self.policy, rng)
        if not self.wrong_references:
            return self._stack(right, flip), None
        wrong = wrong_person(identity, self.people, max(1, len(right)))
        return self._stack(right, flip), self._stack(wrong, flip)

    def _stack(self, records: Sequence[int], flip: bool) -> FaceStack:
        faces = [self._read(record, flip) for record in records]
        images = np.zeros((len(faces), self.image_size, self.image_size, 3), np.uint8)
        boxes = np.zeros((len(faces), 4, 4), np.int32)
        for row, face in enumerate(faces):
            images[row], boxes[row] = face.image, face.boxes()
        return FaceStack(from_hwc(images), torch.from_numpy(boxes), tuple(face.name for face in faces))
