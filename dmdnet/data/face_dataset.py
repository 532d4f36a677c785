"""What a data set of `datasets:` has to offer. A new one is one file here that registers a class in DATASETS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dmdnet.data.face_reader import Face
from dmdnet.data.parts import Part
from dmdnet.data.samples import FaceSample
from dmdnet.data.sampling import Draw


class FaceDataset(Protocol):
    """Faces to train or test on. Built with the program's `seed` and `phase`, read by many processes."""

    seed: int
    image_size: int
    has_gt: bool
    """Whether samples have a sharp target: all of them, or none."""
    max_bad_share: float
    """Share of its records that may be skipped before a run stops."""

    @property
    def identities(self) -> Sequence[str]:
        """The person of every record."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rows that it uses, for the checks that keep training and test apart; none if it cannot say."""
        ...

    @property
    def most_references(self) -> int | None:
        """How many references a sample has at most; None: as many as the person has."""
        ...

    @property
    def has_wrong_references(self) -> bool:
        """Whether samples come with another person's pictures, too."""
        ...

    def key(self, record: int) -> tuple[str, str]:
        """Return identity and name of a record, as its sample has them, without reading it."""
        ...

    def files(self, record: int) -> list[str]:
        """Return every file that a record's sample may be made from, those included that are not there."""
        ...

    def face(self, record: int) -> Face:
        """Return a record's sharp face as it is."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Draw | int) -> FaceSample:
        """Return a sample that follows from the seed, the record and the number of the draw alone.

        Raises:
            DataError: its pictures cannot be used.
        """
        ...
