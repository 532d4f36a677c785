"""Which methods are held against each other, and what each difference answers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dmdnet.errors import ConfigError
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.statistics.summary_record import QUESTIONS, Question
from dmdnet.typed import nearest


@dataclass(frozen=True)
class Pair:
    """`first` less `second`."""

    first: str
    second: str
    question: Question

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.first} - {self.second}"


def pairs_of(infos: Mapping[str, MethodInfo], asked: Sequence[tuple[str, str]] = ()) -> list[Pair]:
    """Return the pairs of these methods by question, each pair once.

    Of every network: with the most references, and without any, against the input; with references against without;
    each number of references against the one before; the right person's against somebody else's; somebody else's
    against none. Between entries: each one's best-equipped output against the others'.

    Args:
        infos: column -> what it is, in the order of the option file.
        asked: further pairs; those of columns that this set does not have are left out.
    """
    entries: dict[tuple[str, str], list[MethodInfo]] = {}
    for info in infos.values():
        entries.setdefault((info.kind, info.entry or ("" if info.kind == "network" else info.name)), []).append(info)
    inputs = [info for info in infos.values() if info.kind == "input"]
    mains: list[str] = []
    found: list[Pair] = []
    for (kind, _), columns in entries.items():
        if kind == "input":
            continue
        outputs = _by_mode(columns) if kind == "network" else {}
        main = _main(columns, outputs)
        found += _within(outputs)
        if main is None:
            continue
        mains.append(main.name)
        against_input = dict.fromkeys([*(info.name for info in outputs.get("generic", ())), main.name])
        found += [Pair(name, info.name, "restoring") for name in against_input for info in inputs]
    found += [Pair(first, second, "methods") for first, second in itertools.combinations(mains, 2)]
    found += [Pair(first, second, "asked") for first, second in asked if first in infos and second in infos]
    return _once(found)


def check_pairs(pairs: Iterable[tuple[str, str]], columns: Iterable[str]) -> None:
    """Raise a ConfigError unless every pair is of two different columns."""
    known = list(columns)
    for pair in pairs:
        for name in pair:
            if name not in known:
                raise ConfigError(f"benchmark.pairs: there is no method {name!r} to compare; {nearest(name, known)}")
        if pair[0] == pair[1]:
            raise ConfigError(f"benchmark.pairs: {pair[0]!r} is paired with itself; name two methods")


def _by_mode(columns: Sequence[MethodInfo]) -> dict[str, list[MethodInfo]]:
    """Return mode -> columns, few references first; "all that the set gives" counts as the most."""
    modes: dict[str, list[MethodInfo]] = {}
    for info in columns:
        modes.setdefault(info.mode, []).append(info)
    return {mode: sorted(of_mode, key=_count) for mode, of_mode in modes.items()}


def _count(info: MethodInfo) -> float:
    return math.inf if info.references is None else info.references


def _main(columns: Sequence[MethodInfo], outputs: Mapping[str, Sequence[MethodInfo]]) -> MethodInfo | None:
    """Return the column that stands for an entry: the most references of the right person, else none at all."""
    if not outputs:
        return columns[0]
    for mode in ("specific", "generic"):
        if mode in outputs:
            return outputs[mode][-1]
    return next((of_mode[-1] for mode, of_mode in outputs.items() if mode != "wrong_person"), None)


def _within(outputs: Mapping[str, Sequence[MethodInfo]]) -> list[Pair]:
    generic = outputs.get("generic", ())
    specific, wrong = outputs.get("specific", ()), outputs.get("wrong_person", ())
    return [
        *(Pair(info.name, base.name, "references") for info in specific for base in generic),
        *(Pair(more.name, fewer.name, "more_references") for fewer, more in itertools.pairwise(specific)),
        *(Pair(a.name, b.name, "right_person") for a in specific for b in wrong if a.references == b.references),
        *(Pair(info.name, base.name, "robustness") for info in wrong for base in generic),
    ]


def _once(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs by question; one that answers two keeps the first, whichever way round it is."""
    order = {question: index for index, question in enumerate(QUESTIONS)}
    found: dict[frozenset[str], Pair] = {}
    for pair in sorted(pairs, key=lambda pair: order[pair.question]):
        if pair.first != pair.second:
            found.setdefault(frozenset((pair.first, pair.second)), pair)
    return list(found.values())
