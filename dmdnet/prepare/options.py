"""What `prepare` is asked: how faces are cut out, and how the table is made of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dmdnet.errors import ConfigError
from dmdnet.faces.backend import DEFAULT_BACKEND

People = Literal["auto", "folders", "innermost", "sort"]
PEOPLE = ("auto", "folders", "innermost", "sort")

_SMALLEST_SIZE, _LARGEST_SIZE = 32, 2048


@dataclass(frozen=True)
class FaceOptions:
    """What decides the faces that one photograph gives; fixed for a whole OUTPUT.

    Args:
        size: side of the aligned pictures in pixels.
        face_backend: a name of FACE_BACKENDS.
        min_face: smallest side of the aligned square, in pixels of the photograph.
        aligned: the photographs are squares in FFHQ's frame already: no search, no warping.
        in_place: with `aligned`: no picture is written, the table names the photographs themselves.
    """

    size: int = 512
    face_backend: str = DEFAULT_BACKEND
    min_face: float = 64
    aligned: bool = False
    in_place: bool = False

    def __post_init__(self) -> None:
        if not _SMALLEST_SIZE <= self.size <= _LARGEST_SIZE or self.size % 8:
            raise ConfigError(
                f"size {self.size}: a multiple of 8 from {_SMALLEST_SIZE} to {_LARGEST_SIZE} is needed; "
                "networks work at an eighth of the picture"
            )
        if not 0 <= self.min_face < math.inf:
            raise ConfigError(f"min_face {self.min_face:g}: pixels of the photograph, 0 or more")
        if self.in_place and not self.aligned:
            raise ConfigError("in_place: only pictures that are aligned already can stay in place; add --aligned")

    def as_json(self) -> dict[str, Any]:
        """Return the options by name, equal ones alike."""
        return {**asdict(self), "min_face": float(self.min_face)}


@dataclass(frozen=True)
class TableOptions:
    """What decides people, splits and references; the table is made anew from finished photographs with each.

    Args:
        people: `folders`: the first folder below INPUT names the person; `innermost`: the folder that a photograph is
            in; `sort`: faces are sorted by their embeddings; `auto`: `folders` when every photograph is in one.
        same_person_distance: embeddings nearer than this are one person's; None: as the back end says.
        val_share, test_share: of the people with two pictures or more.
        seed: of the split.
    """

    people: People = "auto"
    same_person_distance: float | None = None
    val_share: float = 0.05
    test_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.people not in PEOPLE:
            raise ConfigError(f"people {self.people!r}: {', '.join(PEOPLE)} are known")
        if self.same_person_distance is not None and not 0 < self.same_person_distance < 4:
            raise ConfigError(f"same_person_distance {self.same_person_distance:g}: above 0 and below 4")
        shares = (self.val_share, self.test_share)
        if not (min(shares) >= 0 and sum(shares) < 1):  # NaN is neither
            raise ConfigError(
                f"val_share {self.val_share:g} and test_share {self.test_share:g}: each 0 or more, together below 1"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the options by name, equal ones alike."""
        return {**asdict(self), "val_share": float(self.val_share), "test_share": float(self.test_share)}
