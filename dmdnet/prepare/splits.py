"""Train, val and test by person: nobody, and no shot, is in two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from dmdnet.data.manifest.splits import split_of
from dmdnet.prepare.names import digest

_SPLITS = ("train", "val", "test")


def split_people(
    pictures: Mapping[str, int],
    alike: Sequence[tuple[str, str]] = (),
    *,
    val_share: float = 0.05,
    test_share: float = 0.1,
    seed: int = 0,
) -> dict[str, str]:
    """Return the split of each person.

    A person's split follows from the seed and their key alone, so that people who join later move nobody; only where
    a split that is asked for would be empty although there are three people to divide, one is moved there. People
    with one picture train, and so does everybody where fewer than three have more. People who share a near-duplicate
    go together.

    Args:
        pictures: how many pictures that are no near-duplicates each person has, by key.
        alike: pairs of people who share a near-duplicate.
    """
    groups = _together(pictures, alike)
    split = dict.fromkeys(groups, "train")
    divided = [key for key, members in groups.items() if max(pictures[member] for member in members) > 1]
    if len(divided) >= len(_SPLITS):
        for key in divided:
            split[key] = split_of(key, seed=seed, val=val_share, test=test_share)
        for name, share in zip(_SPLITS, (1.0, val_share, test_share), strict=True):
            if share > 0:
                _fill(split, divided, name, seed)
    return {member: split[key] for key, members in groups.items() for member in members}


def _fill(split: dict[str, str], divided: Sequence[str], name: str, seed: int) -> None:
    """Move one group from the fullest split to `name` when that is empty."""
    held: defaultdict[str, list[str]] = defaultdict(list)
    for key in divided:
        held[split[key]].append(key)
    if not held[name]:
        fullest = max(_SPLITS, key=lambda other: len(held[other]))
        split[min(held[fullest], key=lambda key: digest(f"{seed}/{name}/{key}"))] = name


def _together(people: Mapping[str, int], alike: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return groups of people by their first member, in a fixed order."""
    parent = {person: person for person in people}

    def root(person: str) -> str:
        while parent[person] != person:
            person = parent[person]
        return person

    for one, other in alike:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for person in sorted(people):
        groups[root(person)].append(person)
    return dict(groups)
