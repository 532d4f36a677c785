"""Degraded faces with their targets and with references of the same person."""

from __future__ import annotations

import logging
import zlib
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from dmdnet.data.augmentation import degraded_boxes, jitter_colours
from dmdnet.data.degraded_faces import Degraded, DegradedFaces, LqLandmarks
from dmdnet.data.face_reader import Face, FaceReader, MissingLandmarks
from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.manifest import Manifest
from dmdnet.data.parts import Part
from dmdnet.data.people import PersonOfRecord
from dmdnet.data.poses import HeadPoses
from dmdnet.data.randomness import Stream, generator
from dmdnet.data.references import Count, Order, ReferenceChooser, ReferencePolicy, count_range
from dmdnet.data.samples import FaceSample, FaceStack
from dmdnet.data.sampling import Draw
from dmdnet.data.selection import QualityFloor, select
from dmdnet.errors import ConfigError, DataError
from dmdnet.faces.boxes import COMPONENTS
from dmdnet.faces.landmarks import NUM_LANDMARKS
from dmdnet.images import from_hwc
from dmdnet.registry import DATASETS, DEGRADATIONS, Component, Runtime
from dmdnet.wording import counted

logger = logging.getLogger(__name__)

TRIES = 10  # records tried for one sample before bad pictures are too many to be skipped

Phase = Literal["train", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=16, multiple_of=8)]
Least = Annotated[float, Field(ge=0)]


@DATASETS.register()
class ReferenceFaceDataset:
    """Aligned faces, degraded on the fly or as they lie ready. `dataset[Draw(record, draw)]` is a `FaceSample`.

    Everything random about a sample follows from the seed and the number of its draw (train), or from the seed and
    the picture's name (test: pictures added to the set change nothing about the others).

    A face with a ready degraded picture is used with it; its colours and its target's stay as they are. Faces without
    a sharp picture make a set without ground truth, for testing only.

    Args:
        layout: where pictures, people and landmarks are, and which split.
        image_size: side of all pictures in pixels; others are resized with their landmarks.
        degradation: what makes the degraded picture, in order; empty leaves it sharp.
        degrade_on: where training pictures are degraded: by the `worker` that read them, or by batches on the
            training's `device`; the parameters are the same, the pictures on average within one grey level. Tests
            are always degraded by the worker: their pictures stay the same to the last bit.
        lq_landmarks: where the degraded face's boxes come from: the `target`'s landmarks, or those `found` on the
            degraded picture, as in use (slow: the face is looked for in every sample that is not a ready picture).
        missing_landmarks: a face in which no landmarks are found: `error` (in tests: networks fail on it, and the
            picture counts as failed), or `template`: the mean of aligned faces.
        num_references: number of references, or smallest and largest number, drawn uniformly, or `all`; never the
            target itself, nor a near-duplicate of it. A person with fewer pictures gives what there is. 0: the set
            has no references.
        reference_order: `random`; `given`: always the first ones of the manifest's list for the target, or in the
            order of the layout; `farthest`: farthest-point order of the identity embeddings, the most usual
            picture first (lists of FFHQ-Ref and of `prepare` are in such an order already: there it is `given`);
            `pose`: nearest head pose first.
        no_reference_prob: share of samples with no reference.
        wrong_person_prob: share of samples whose references show another person.
        wrong_references: also give `wrong_references`: as many pictures of another person, the same one always.
        min_sharpness: pictures below are no references; unknown sharpness passes.
        min_source_side: pictures cut from a smaller face (pixels in the photograph) are no references.
        quality_floor: whom the two keep out: `references`, or `all`: targets too.
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
        verify_checksums: hold every file against its checksum in the manifest, else in the LMDB.
        bad_pictures: what a picture or landmark file that cannot be used does in training: `error` stops; `skip`
            goes on without it: for a target another record stands in, which one follows from the seed and the draw;
            for a reference the next one of the person, or nobody. Testing counts them, whatever is said here: a test
            set with holes is another test set. Nobody stands in for a target, nor for a reference.
        max_bad_share: share of the pictures that may be bad before a run that skips stops; one always may.
        allow_split_overlap: this set may share people or pictures with the training set; only to see whether a
            network can learn its training faces by heart, since figures on such a set say nothing else.

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
        degrade_on: Literal["worker", "device"] = "worker",
        lq_landmarks: LqLandmarks = "target",
        missing_landmarks: MissingLandmarks = "error",
        num_references: Count = (1, 8),
        reference_order: Order = "random",
        no_reference_prob: Fraction = 0.0,
        wrong_person_prob: Fraction = 0.0,
        wrong_references: bool = False,
        min_sharpness: Least | None = None,
        min_source_side: Least | None = None,
        quality_floor: Literal["references", "all"] = "references",
        use_hflip: bool = False,
        color_jitter: Fraction = 0.0,
        landmark_noise: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.0, 0.0),
        box_jitter: Annotated[float, Field(ge=0, lt=0.5)] = 0.0,
        identities_file: str | None = None,
        exclude_identities: tuple[str, ...] = (),
        identity_range: tuple[int, int] | None = None,
        landmark_cache: str | None = None,
        face_backend: str = "dlib",
        verify_checksums: bool = False,
        bad_pictures: Literal["error", "skip"] = "error",
        max_bad_share: Fraction = 0.001,
        allow_split_overlap: bool = False,
        seed: Runtime[int] = 0,
        phase: Runtime[Phase] = "train",
    ) -> None:
        self.seed = seed
        self.phase = phase
        self.image_size = image_size
        self.selection = select(
            LAYOUTS.build(layout).manifest(),
            identities_file=identities_file,
            exclude_identities=exclude_identities,
            identity_range=identity_range,
            floor=QualityFloor(min_sharpness, min_source_side, quality_floor),
        )
        self.manifest: Manifest = self.selection.manifest
        self.reader = FaceReader(
            storage=self.manifest.storage,
            image_size=image_size,
            landmark_cache=landmark_cache,
            face_backend=face_backend,
            verify_checksums=verify_checksums,
            missing_landmarks=missing_landmarks,
        )
        if verify_checksums and not _has_checksums(self.manifest):
            logger.warning("%s: has no checksums, so verify_checksums verifies nothing; manifests of prepare and LMDBs "
                           "of scripts/make_lmdb.py have them", self.manifest.origin)  # fmt: skip
        on_device = degrade_on == "device" and phase == "train"
        testing = phase == "test"
        self.lq = DegradedFaces(
            self.reader, self.selection, degradation, lq_landmarks, face_backend, on_device, keep_faults=testing
        )
        self.has_gt = self.lq.has_gt
        if phase == "train" and not self.has_gt:
            raise ConfigError(
                f"{self.manifest.origin}: the set has no sharp pictures to train towards; give it as a test set, or "
                "name its ground truth in the layout (dataroot_gt)"
            )
        policy = ReferencePolicy(count_range(num_references), reference_order, no_reference_prob, wrong_person_prob)
        self.references = ReferenceChooser(self.selection, policy, HeadPoses(self.manifest, self.reader))
        self.wrong_references = wrong_references
        if policy.count[1] > 0 and not len(self.references.people) and (min_sharpness or min_source_side):
            raise DataError(
                f"{self.manifest.origin}: no picture is good enough to be a reference; lower min_sharpness and "
                "min_source_side, or set num_references: 0"
            )
        self._check_wrong_people(policy)
        self.use_hflip = use_hflip
        self.color_jitter = color_jitter
        self.landmark_noise = landmark_noise
        self.box_jitter = box_jitter
        self.skips = bad_pictures == "skip" and phase == "train"
        self.max_bad_share = max_bad_share
        self.allow_split_overlap = allow_split_overlap
        logger.info(
            "%s: %s to restore, %s to refer to",
            self.manifest.origin,
            counted(len(self), "picture"),
            counted(len(self.references.people), "person"),
        )

    def _check_wrong_people(self, policy: ReferencePolicy) -> None:
        if (policy.wrong_person_prob > 0 or self.wrong_references) and len(self.references.people) < 2:
            people = self.references.people.names() or ["nobody"]
            raise DataError(
                f"wrong_person_prob and wrong_references need a second person, the data have only {people[0]}; add "
                "people or leave both out"
            )
        if self.wrong_references and policy.count[1] == 0:
            raise ConfigError("wrong_references: there are none with num_references [0, 0]; raise the second number")

    def __len__(self) -> int:
        return len(self.selection.targets)

    @property
    def identities(self) -> PersonOfRecord:
        """The person of every record."""
        return self.selection.identities

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rows that the set uses, for the checks of data/checks.py."""
        return (Part(self.selection, self.reader, self.allow_split_overlap),)

    @property
    def most_references(self) -> int | None:
        """How many references a sample has at most; None: as many as the person has."""
        return self.references.policy.most

    @property
    def has_wrong_references(self) -> bool:
        """Whether samples come with another person's pictures, too."""
        return self.wrong_references

    def key(self, record: int) -> tuple[str, str]:
        """Return identity and name of a record, as its sample has them."""
        row = self._row(record)
        return self.manifest.identity_of(row), self.manifest.name_of(row)

    def files(self, record: int) -> list[str]:
        """Return every file that a record's sample may be made from: its own, and its candidates' as references."""
        row = self._row(record)
        found = self.reader.files(self.manifest.without_references(row), degraded=True)
        for candidate in self.references.candidates(row, wrong=self.wrong_references):
            found += self.reader.files(self.manifest.without_references(candidate))
        return list(dict.fromkeys([*found, self.manifest.origin]))

    def face(self, record: int) -> Face:
        """Return a sharp face as it is, without any augmentation."""
        return self.reader.read(self.manifest.without_references(self._row(record)))

    def __getitem__(self, index: Draw | int) -> FaceSample:
        draw = self._draw(index)
        replacements = generator(self.seed, draw.draw, Stream.REPLACEMENT)
        skipped: list[str] = []
        for _ in range(TRIES - 1 if self.skips else 0):
            try:
                return self._sample(draw, skipped)
            except DataError as error:
                skipped.append(f"{self.manifest.name_of(self._row(draw.record))}: {error}")
                draw = draw._replace(record=int(replacements.integers(len(self))))
        return self._sample(draw, skipped)

    def _sample(self, draw: Draw, skipped: list[str]) -> FaceSample:
        number = self._row(draw.record)
        row = self.manifest.without_references(number)
        rng = generator(self.seed, draw.draw, Stream.AUGMENTATION)
        flip = self.use_hflip and bool(rng.random() < 0.5)
        as_read = self.reader.read(row, keep_faults=self.phase == "test") if self.has_gt else None
        ready = self.lq.ready(row, as_read)
        target = None if as_read is None else _mirrored(as_read, flip)
        if ready is not None:
            sharp, degraded = None if target is None else target.image, Degraded(_mirrored(ready, flip))
        else:
            assert target is not None  # a set without ground truth has ready pictures only
            sharp = jitter_colours(target.image, self.color_jitter, rng) if self.color_jitter else target.image
            degraded = self.lq.make(target, sharp, generator(self.seed, draw.draw, Stream.DEGRADATION))
        lq_boxes = _boxes(degraded.face)
        if degraded.face.fault is None:
            rng = generator(self.seed, draw.draw, Stream.BOXES)
            lq_boxes = degraded_boxes(degraded.face, self.landmark_noise, self.box_jitter, rng)
        references, wrong_references = self._references(draw, number, flip, skipped)
        return FaceSample(
            lq=from_hwc(degraded.face.image) if degraded.pending is None else None,
            lq_boxes=torch.from_numpy(lq_boxes),
            gt=None if sharp is None else from_hwc(sharp),
            gt_boxes=None if target is None else torch.from_numpy(_boxes(target)),
            name=row.name,
            identity=row.identity,
            references=references,
            wrong_references=wrong_references,
            pending=degraded.pending,
            skipped=tuple(skipped),
            lq_landmarks=_landmarks(degraded.face),
            gt_landmarks=None if target is None else _landmarks(target),
            fault=degraded.face.fault,
        )

    def _references(
        self, draw: Draw, target: int, flip: bool, skipped: list[str]
    ) -> tuple[FaceStack | None, FaceStack | None]:
        if self.references.policy.count[1] == 0:
            return None, None
        candidates, count = self.references.choose(target, generator(self.seed, draw.draw, Stream.REFERENCES))
        right = self._stack(candidates, count, flip, skipped)
        if not self.wrong_references:
            return right, None
        shown = max(1, len(right))
        return right, self._stack(self.references.wrong(target, shown), shown, flip, skipped)

    def _stack(self, candidates: np.ndarray, count: int, flip: bool, skipped: list[str]) -> FaceStack:
        """Read the first `count` candidates; where bad pictures are skipped the next ones stand in for them.

        In tests nobody does: with another one the sample would be another sample.
        """
        most = min(count, len(candidates))
        testing = self.phase == "test"
        images = torch.empty(most, 3, self.image_size, self.image_size, dtype=torch.uint8)
        boxes = np.empty((most, 4, 4), np.int32)
        landmarks = torch.empty(most, NUM_LANDMARKS, 2)
        names: list[str] = []
        for row in candidates[: most if testing else None].tolist():
            if len(names) == most:
                break
            try:
                face = _mirrored(self.reader.read(self.manifest.without_references(row)), flip)
                boxes[len(names)] = face.boxes()
            except DataError as error:
                if not self.skips and not testing:
                    raise
                skipped.append(f"{self.manifest.name_of(row)}: {error}")
                continue
            images[len(names)] = from_hwc(face.image)
            landmarks[len(names)] = _landmarks(face)
            names.append(face.name)
        kept = len(names)
        return FaceStack(images[:kept], torch.from_numpy(boxes[:kept]), tuple(names), landmarks[:kept])

    def _draw(self, index: Draw | int) -> Draw:
        record, number = index if isinstance(index, tuple) else (index, index)
        if not 0 <= record < len(self):
            raise IndexError(f"record {record} of a data set of {len(self)}")
        if self.phase == "test":
            number = zlib.crc32(self.manifest.name_of(self._row(record)).encode())
        return Draw(record, number)

    def _row(self, record: int) -> int:
        return int(self.selection.targets[record])


def _has_checksums(manifest: Manifest) -> bool:
    if {"checksum", "degraded_checksum"} & manifest.arrays.keys():
        return True
    first = manifest.without_references(0)
    return manifest.storage.checksum(first.picture or first.degraded) is not None


def _boxes(face: Face) -> np.ndarray:
    """Return the boxes of a face, empty ones where it has no landmarks."""
    return face.boxes() if face.fault is None else np.zeros((len(COMPONENTS), 4), np.int32)


def _mirrored(face: Face, flip: bool) -> Face:
    return face.flipped() if flip else face


def _landmarks(face: Face) -> torch.Tensor:
    points = face.landmarks if face.measured else np.full_like(face.landmarks, np.nan)
    return torch.from_numpy(points.astype(np.float32))
