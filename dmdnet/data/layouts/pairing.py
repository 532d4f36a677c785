"""Finding the pictures that a list names, and pairing pictures by their stems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dmdnet.data.layouts.base import stem_of
from dmdnet.errors import DataError

_SHOWN = 3


class PictureIndex:
    """The pictures of one root, found by name whatever folder and suffix the list gives them.

    Args:
        keys: of all pictures.
        root: for messages.
    """

    def __init__(self, keys: Iterable[str], root: str) -> None:
        self.root = root
        self.keys = frozenset(keys)
        self.by_stem: dict[str, list[str]] = {}
        for key in sorted(self.keys):
            self.by_stem.setdefault(stem_of(key).rpartition("/")[2], []).append(key)
        self.missing: list[str] = []

    def find(self, name: str) -> str:
        """Return the key of the picture called `name`: with its path, else by its stem alone.

        A name that is not there is remembered for `check`, and returned as it is.

        Raises:
            DataError: several pictures have that stem.
        """
        if name in self.keys:
            return name
        found = self.by_stem.get(stem_of(name).rpartition("/")[2], [])
        if len(found) > 1:
            raise DataError(f"{self.root}: {name} may be {found[0]} or {found[1]}; keep one of them there")
        if not found:
            self.missing.append(name)
        return found[0] if found else name

    def find_all(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the keys of several pictures in their order, each once, however often and in what form it is named."""
        return tuple(dict.fromkeys(map(self.find, names)))

    def check(self, source: str, expected: str) -> None:
        """Raise DataError when something was not found; `source` names it, `expected` says where it comes from."""
        if self.missing:
            names = list(dict.fromkeys(self.missing))
            raise DataError(
                f"{self.root}: lacks {len(names):,} of the pictures that {source} names: {shown(names)}. {expected}"
            )


def paired(degraded: Sequence[str], sharp: Sequence[str], roots: tuple[str, str]) -> dict[str, str]:
    """Return degraded key -> sharp key of the same path without suffix.

    Args:
        degraded, sharp: keys.
        roots: of both, for messages.

    Raises:
        DataError: one side has a picture that the other lacks, or two of one stem.
    """
    left, right = _by_stem(degraded, roots[0]), _by_stem(sharp, roots[1])
    alone = [left[stem] for stem in left if stem not in right], [right[stem] for stem in right if stem not in left]
    if any(alone):
        sides = [f"{shown(keys)} in {root} without a partner" for keys, root in zip(alone, roots, strict=True) if keys]
        raise DataError(
            f"{roots[0]} and {roots[1]} do not pair by their names without suffix: {'; '.join(sides)}. Take them out, "
            "or rename them"
        )
    return {key: right[stem] for stem, key in left.items()}


def people_of(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return face -> person, from which faces are references of which: connected faces show one person.

    Args:
        lists: target -> its references; every name stands for one face.

    Returns:
        The person of every target and reference, called after the first target of its group, without suffix.
    """
    parent: dict[str, str] = {}

    def root(face: str) -> str:
        parent.setdefault(face, face)
        while parent[face] != face:
            parent[face] = parent[parent[face]]
            face = parent[face]
        return face

    for target, references in lists.items():
        for reference in references:
            parent[root(reference)] = root(target)
    names: dict[str, str] = {}
    for target in lists:
        names.setdefault(root(target), stem_of(target))
    return {face: names[root(face)] for face in (*lists, *parent)}


def shown(names: Sequence[str]) -> str:
    """Return the first few of `names`, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _by_stem(keys: Sequence[str], root: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in keys:
        if found.setdefault(stem_of(key), key) != key:
            raise DataError(f"{root}: {found[stem_of(key)]} and {key} differ in their suffix only; keep one of them")
    return found
