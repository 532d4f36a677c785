"""Which pictures are references of a target: of the same person, of nobody, or of somebody else."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dmdnet.errors import ConfigError

Order = Literal["random", "given"]


@dataclass(frozen=True)
class ReferencePolicy:
    """How references are chosen.

    Args:
        count: smallest and largest number, drawn uniformly and limited to what the person has.
        order: `random` draws them; `given` takes the first ones in the order of the layout.
        none_prob: share of samples that get no reference.
        wrong_person_prob: share of samples that get another person's pictures as references.
    """

    count: tuple[int, int]
    order: Order = "random"
    none_prob: float = 0.0
    wrong_person_prob: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.count
        if not 0 <= low <= high:
            raise ConfigError(f"num_references: [{low}, {high}] is not a range 0 <= low <= high")
        if self.none_prob + self.wrong_person_prob > 1:
            raise ConfigError(
                f"no_reference_prob {self.none_prob:g} and wrong_person_prob {self.wrong_person_prob:g} "
                "are together more than 1"
            )


def choose_references(
    target: int, identity: str, people: Mapping[str, Sequence[int]], policy: ReferencePolicy, rng: np.random.Generator
) -> tuple[int, ...]:
    """Return the records of the references of one sample; never the target, and none twice.

    Args:
        target: the target's record.
        identity: the target's person.
        people: the records of every person.
    """
    outcome = rng.random()
    count = int(rng.integers(policy.count[0], policy.count[1] + 1))
    if outcome < policy.none_prob:
        return ()
    if outcome < policy.none_prob + policy.wrong_person_prob:
        names = list(people)
        other = int(rng.integers(len(names) - 1))
        # the target's own person is passed over by taking the next one from its place on
        identity = names[other + (other >= names.index(identity))]
    candidates = [record for record in people[identity] if record != target]
    if policy.order == "random":
        candidates = [candidates[place] for place in rng.permutation(len(candidates))]
    return tuple(candidates[:count])


def wrong_person(identity: str, people: Mapping[str, Sequence[int]], count: int) -> tuple[int, ...]:
    """Return `count` records of another person, the same one whenever the same person is asked for.

    The person is the one with the smallest hash together with `identity` among those who have `count` pictures
    (all others when nobody has): adding people to a set changes the choice only where a newcomer wins.
    """
    others = [name for name in people if name != identity]
    able = [name for name in others if len(people[name]) >= count] or others
    chosen = min(able, key=lambda name: (zlib.crc32(f"{identity}\n{name}".encode()), name))
    return tuple(people[chosen][:count])
