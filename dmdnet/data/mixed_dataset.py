"""Several data sets as one, each with its share of the samples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from dmdnet.data.face_dataset import FaceDataset
from dmdnet.data.face_reader import Face
from dmdnet.data.parts import Part
from dmdnet.data.randomness import Stream, generator
from dmdnet.data.reference_face_dataset import Phase
from dmdnet.data.samples import FaceSample
from dmdnet.data.sampling import Draw, record_of_draw
from dmdnet.errors import ConfigError
from dmdnet.registry import DATASETS, Component, Runtime


@DATASETS.register()
class MixedDataset:
    """Draws from several data sets.

    In training the number of the draw decides both: the set, by chance with its share, and the record, which is the
    one that this set alone would take at that draw (so within an epoch of a set none of its records comes twice).
    In testing the sets follow each other.

    Args:
        datasets: the data sets.
        shares: their shares of the samples, in any unit.
    """

    def __init__(
        self,
        *,
        datasets: Annotated[tuple[Annotated[Component, DATASETS], ...], Field(min_length=1)],
        shares: tuple[Annotated[float, Field(gt=0)], ...],
        seed: Runtime[int] = 0,
        phase: Runtime[Phase] = "train",
    ) -> None:
        if len(shares) != len(datasets):
            raise ConfigError(f"MixedDataset: {len(shares)} shares for {len(datasets)} datasets")
        self.seed = seed
        self.phase = phase
        self.members: tuple[FaceDataset, ...] = tuple(
            DATASETS.build(dataset, seed=seed, phase=phase) for dataset in datasets
        )
        sizes = {member.image_size for member in self.members}
        if len(sizes) > 1:
            raise ConfigError(f"MixedDataset: its data sets have different image_size: {sorted(sizes)}")
        if len({member.has_gt for member in self.members}) > 1:
            raise ConfigError("MixedDataset: some of its data sets have ground truth and some not; test them apart")
        self.image_size = sizes.pop()
        self.has_gt = self.members[0].has_gt
        self.max_bad_share = min(member.max_bad_share for member in self.members)
        self.starts = (0, *accumulate(len(member) for member in self.members))
        self.thresholds = tuple(part / sum(shares) for part in accumulate(shares))

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def identities(self) -> Sequence[str]:
        """The person of every record, of the sets one after the other; marked with the set's number."""
        return _MarkedIdentities(self)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rows that the sets use, for the checks of data/checks.py."""
        return tuple(part for member in self.members for part in member.parts)

    @property
    def most_references(self) -> int | None:
        """How many references a sample has at most; None: as many as the person has."""
        counts = [member.most_references for member in self.members]
        return None if None in counts else max(count for count in counts if count is not None)

    @property
    def has_wrong_references(self) -> bool:
        """Whether samples of any of the sets come with another person's pictures, too."""
        return any(member.has_wrong_references for member in self.members)

    def key(self, record: int) -> tuple[str, str]:
        """Return identity and name of a record, as its sample has them."""
        member, place = self.place(record)
        return self.members[member].key(place)

    def files(self, record: int) -> list[str]:
        """Return every file that a record's sample may be made from."""
        member, place = self.place(record)
        return self.members[member].files(place)

    def face(self, record: int) -> Face:
        """Return a sharp face as it is; records are counted through the sets one after the other."""
        member, place = self.place(record)
        return self.members[member].face(place)

    def __getitem__(self, index: Draw | int) -> FaceSample:
        if isinstance(index, tuple) and self.phase == "train":
            member, place = self._chance(index.draw)
            draw = index.draw
        else:
            record, draw = index if isinstance(index, tuple) else (index, index)
            member, place = self.place(record)
        return self.members[member][Draw(place, draw)]

    def _chance(self, draw: int) -> tuple[int, int]:
        chance = generator(self.seed, draw, Stream.MIXTURE).random()
        member = min(bisect_right(self.thresholds, chance), len(self.members) - 1)
        return member, record_of_draw(self.seed, draw, len(self.members[member]))

    def place(self, record: int) -> tuple[int, int]:
        """Return the set of a record, and its place in that set."""
        if not 0 <= record < len(self):
            raise IndexError(f"record {record} of a data set of {len(self)}")
        member = bisect_right(self.starts, record) - 1
        return member, record - self.starts[member]


class _MarkedIdentities(Sequence[str]):
    """The people of a mixture, looked up when asked for."""

    def __init__(self, mixture: MixedDataset) -> None:
        self._mixture = mixture

    def __len__(self) -> int:
        return len(self._mixture)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[record] for record in range(*index.indices(len(self)))]
        member, place = self._mixture.place(range(len(self))[index])
        return f"{member}/{self._mixture.members[member].identities[place]}"
