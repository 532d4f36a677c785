"""Several data sets as one, each with its share of the samples."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from dmdnet.data.face_reader import Face
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
        self.members = tuple(DATASETS.build(dataset, seed=seed, phase=phase) for dataset in datasets)
        sizes = {member.image_size for member in self.members}
        if len(sizes) > 1:
            raise ConfigError(f"MixedDataset: its data sets have different image_size: {sorted(sizes)}")
        self.image_size: int = sizes.pop()
        self.starts = (0, *accumulate(len(member) for member in self.members))
        self.thresholds = tuple(part / sum(shares) for part in accumulate(shares))

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def identities(self) -> tuple[str, ...]:
        """The person of every record, of the sets one after the other; marked with the set's number."""
        return tuple(
            f"{number}/{identity}" for number, member in enumerate(self.members) for identity in member.identities
        )

    def face(self, record: int) -> Face:
        """Return a sharp face as it is; records are counted through the sets one after the other."""
        member, place = self._place(record)
        face: Face = self.members[member].face(place)
        return face

    def __getitem__(self, index: Draw | int) -> FaceSample:
        if isinstance(index, tuple) and self.phase == "train":
            member, place = self._chance(index.draw)
            draw = index.draw
        else:
            record, draw = index if isinstance(index, tuple) else (index, index)
            member, place = self._place(record)
        sample: FaceSample = self.members[member][Draw(place, draw)]
        return sample

    def _chance(self, draw: int) -> tuple[int, int]:
        chance = generator(self.seed, draw, Stream.MIXTURE).random()
        member = min(bisect_right(self.thresholds, chance), len(self.members) - 1)
        return member, record_of_draw(self.seed, draw, len(self.members[member]))

    def _place(self, record: int) -> tuple[int, int]:
        if not 0 <= record < len(self):
            raise IndexError(f"record {record} of a data set of {len(self)}")
        member = bisect_right(self.starts, record) - 1
        return member, record - self.starts[member]
