"""Which pictures are references of a target: of the same person, of nobody, or of somebody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dmdnet.data.farthest_points import farthest_points
from dmdnet.data.manifest import Manifest
from dmdnet.data.people import NameHashes, People
from dmdnet.data.selection import Selection
from dmdnet.errors import ConfigError

Order = Literal["random", "given", "farthest", "pose"]
_Number = Annotated[int, Field(ge=0)]
Count = tuple[_Number, _Number] | _Number | Literal["all"]
PoseOf = Callable[[int], "tuple[float, float, float] | None"]

_ALL = 1 << 31  # more than anybody has
_MOST_ORDERED = 64  # by distance, for one sample: all of thousands would take seconds; prepare lists as many
_SPARE = 8  # places beyond the count that are still ordered: they stand in for pictures that cannot be read


def count_range(count: Count) -> tuple[int, int]:
    """Return the smallest and largest number of references of an option `num_references`.

    Raises:
        ConfigError: negative, or falling.
    """
    low, high = (_ALL, _ALL) if count == "all" else (count, count) if isinstance(count, int) else count
    if not 0 <= low <= high:
        raise ConfigError(f"num_references: [{low}, {high}] is not a range 0 <= low <= high")
    return low, high


@dataclass(frozen=True)
class ReferencePolicy:
    """How references are chosen.

    Args:
        count: smallest and largest number, drawn uniformly and limited to what the person has.
        order: `random` draws them; the others take the first ones: `given` in the order of the manifest's list, or of
            the table; `farthest` in farthest-point order of the identity embeddings, the first 72 of them; `pose` by
            nearness of the head's pose to the target's.
        none_prob: share of samples that get no reference.
        wrong_person_prob: share of samples that get another person's pictures as references.
    """

    count: tuple[int, int]
    order: Order = "random"
    none_prob: float = 0.0
    wrong_person_prob: float = 0.0

    @property
    def most(self) -> int | None:
        """The largest number; None: as many as the person has."""
        return None if self.count[1] == _ALL else self.count[1]

    def __post_init__(self) -> None:
        count_range(self.count)
        if self.none_prob + self.wrong_person_prob > 1:
            raise ConfigError(
                f"no_reference_prob {self.none_prob:g} and wrong_person_prob {self.wrong_person_prob:g} "
                "are together more than 1"
            )


class ReferenceChooser:
    """Chooses the references of a data set's targets.

    Never among them are the target, its near-duplicates and copies, and pictures below the quality floor. Candidates
    are the manifest's list for the target, or, where it has no lists, the other pictures of the person.

    Args:
        selection: the rows of the data set.
        policy: how many, and in which order.
        pose_of: (row) -> yaw, pitch, roll in degrees, None where unknown; asked for the order `pose`.

    Raises:
        ConfigError: the order is `farthest` and the manifest has no embeddings.
    """

    def __init__(self, selection: Selection, policy: ReferencePolicy, pose_of: PoseOf | None = None) -> None:
        manifest = selection.manifest
        if policy.order == "farthest" and "embedding" not in manifest.arrays:
            raise ConfigError(
                f"reference_order: farthest needs identity embeddings, and {manifest.origin} has none; make a "
                "manifest with `python -m dmdnet prepare`, or take reference_order: given"
            )
        self.manifest = manifest
        self.policy = policy
        self.people = People(manifest, selection.rows[selection.may_refer[selection.rows]])
        self._may_refer = selection.may_refer
        self._originals = originals(manifest)
        self._checksums = manifest.arrays.get("checksum")
        self._pose_of = pose_of
        self._hashes: NameHashes | None = None
        self._wrong: dict[tuple[int, int], int] = {}

    def choose(self, target: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return the candidates of one sample, the best first, and how many of them are to be taken.

        There may be fewer candidates than that, and there may be more: they stand in for pictures that cannot be read.
        """
        outcome = rng.random()
        count = int(rng.integers(self.policy.count[0], self.policy.count[1] + 1))
        if outcome < self.policy.none_prob:
            return np.zeros(0, dtype=np.int64), 0
        if outcome < self.policy.none_prob + self.policy.wrong_person_prob:
            candidates = self._another(target, rng)
        else:
            candidates = self._own(target)
        return self._ordered(target, self._allowed(target, candidates), count, rng), count

    def candidates(self, target: int, *, wrong: bool = False) -> list[int]:
        """Return all rows that may be references of a target, the first ones of another person included if `wrong`."""
        if self.policy.count[1] == 0:
            return []
        own = self._allowed(target, self._own(target))
        if not wrong:
            return own.tolist()
        count = max(1, min(self.policy.count[1], len(own)))
        return [*own.tolist(), *self.wrong(target, count)[:count].tolist()]

    def wrong(self, target: int, count: int) -> np.ndarray:
        """Return another person's pictures in their order, the same person's whenever the same person is asked for.

        The person is the one with the smallest hash together with the target's person among those who have `count`
        pictures (all others when nobody has). So of P people each newcomer changes the choice of one in P on average,
        and nothing else that happens to the set does.
        """
        place = self.people.place_of(target)
        key = (int(self.manifest.identity[target]), count)
        if key not in self._wrong:
            self._wrong[key] = self._find_wrong(place, self.manifest.identity_of(target), count)
        return self._allowed(target, self.people.rows_of(self._wrong[key]))

    def _find_wrong(self, place: int, identity: str, count: int) -> int:
        if self._hashes is None:
            self._hashes = NameHashes(self.people.names())
        others = np.ones(len(self.people), dtype=bool)
        if place >= 0:
            others[place] = False
        able = others & (self.people.counts >= count)
        able = able if able.any() else others
        hashes = np.where(able, self._hashes.after(identity).astype(np.int64), 1 << 33)
        return int(np.argmin(hashes))

    def _own(self, target: int) -> np.ndarray:
        listed = self.manifest.references_of(target)
        if listed is not None:
            return listed
        place = self.people.place_of(target)
        return np.zeros(0, dtype=np.int64) if place < 0 else self.people.rows_of(place)

    def _another(self, target: int, rng: np.random.Generator) -> np.ndarray:
        place = self.people.place_of(target)
        other = int(rng.integers(len(self.people) - (place >= 0)))
        # the target's own person is passed over by taking the next one from its place on
        return self.people.rows_of(other + (0 <= place <= other))

    def _allowed(self, target: int, candidates: np.ndarray) -> np.ndarray:
        kept: np.ndarray = self._may_refer[candidates] & (candidates != target)
        if self._originals is not None:
            kept &= self._originals[candidates] != self._originals[target]
        if self._checksums is not None and self._checksums[target] >= 0:
            kept &= self._checksums[candidates] != self._checksums[target]
        return candidates[kept]

    def _ordered(self, target: int, candidates: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        if self.policy.order == "random":
            return candidates[rng.permutation(len(candidates))]
        if self.policy.order == "farthest":
            limit = min(count, _MOST_ORDERED) + _SPARE
            return candidates[farthest_order(self.manifest.arrays["embedding"][candidates], limit)]
        if self.policy.order == "pose" and self._pose_of is not None:
            return candidates[pose_order([self._pose_of(row) for row in candidates.tolist()], self._pose_of(target))]
        return candidates


def originals(manifest: Manifest) -> np.ndarray | None:
    """Return for each row the first picture of which it is a near-duplicate, through all steps; itself for the rest.

    None where the manifest marks no duplicates.
    """
    if manifest.duplicate_of is None:
        return None
    found = np.where(manifest.duplicate_of < 0, np.arange(len(manifest)), manifest.duplicate_of)
    while True:
        further = found[found]
        if np.array_equal(further, found):
            return found
        found = further


def farthest_order(embeddings: np.ndarray, limit: int) -> np.ndarray:
    """Return the farthest-point order of references, so that any first few are spread well.

    The first is the most usual picture. The target has no say, since it is not known in use. Pictures without an
    embedding come last.

    Args:
        embeddings: (N, D), NaN where unknown.
        limit: how many places are ordered so; the others follow as they come.

    Returns:
        int64 (N,), a permutation.
    """
    known = np.flatnonzero(~np.isnan(embeddings).any(axis=1))
    order = known[farthest_points(embeddings[known], limit)]
    unknown = np.setdiff1d(np.arange(len(embeddings)), known)
    return np.concatenate([order, np.setdiff1d(known, order), unknown])


def pose_order(poses: list[tuple[float, float, float] | None], target: tuple[float, float, float] | None) -> np.ndarray:
    """Return the order of references by the angle between their heads' poses and the target's, the nearest first.

    Equal ones keep their order; unknown poses come last, and a target of unknown pose leaves all as they are.
    """
    if target is None or not poses:
        return np.arange(len(poses))
    unknown = (np.inf, np.inf, np.inf)
    angles = np.array([unknown if pose is None else pose for pose in poses])
    return np.argsort(np.sqrt(((angles - np.array(target)) ** 2).sum(axis=1)), kind="stable")
