"""What the numbers depend on and records do not say: options, versions, the data that was read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dmdnet.environment import environment
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.html_report.contents import Contents, contents_of


@dataclass(frozen=True)
class SetFacts:
    """Where a set's table of faces comes from, and what its files hold (None: nobody looked)."""

    origin: str = ""
    contents: Contents | None = None


@dataclass(frozen=True)
class Facts:
    """What stands at the end of a report.

    Attributes:
        options: the resolved option file.
        seed: of everything random.
        environment: versions and machine, as `dmdnet.environment.environment` gives them.
        data: name of a set -> where its faces come from.
        when: the day of the run.
        device: what restored and scored.
    """

    options: str = ""
    seed: int = 0
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, SetFacts] = field(default_factory=dict)
    when: str = ""
    device: str = ""

    @property
    def made_with(self) -> str:
        """The last line of the page."""
        version = self.environment.get("packages", {}).get("dmdnet", "")
        return " · ".join(part for part in (f"Made by dmdnet {version}".rstrip(), self.when) if part)


def facts_of(options: str, *, seed: int, datasets: Mapping[str, Any], device: object = "cpu") -> Facts:
    """Return the facts of this process, today.

    Args:
        datasets: name of a set -> its data set; all its files are read once, for their checksum.
    """
    data = {name: _set_facts(dataset) for name, dataset in datasets.items()}
    return Facts(options, seed, environment(), data, time.strftime("%Y-%m-%d"), str(device))


def _set_facts(dataset: Any) -> SetFacts:
    origins = dict.fromkeys(part.origin for part in dataset.parts)
    return SetFacts(", ".join(origins), contents_of(f for r in range(len(dataset)) for f in dataset.files(r)))


def names_digest(evaluation: Evaluation) -> str:
    """Return the SHA-256 of the set's pictures by identity and name: two runs of one digest were of the same pictures.

    It is of the lines `identity<TAB>name`, sorted, each ended by a line feed, in UTF-8 (bytes that are no text as they
    are), those that could not be read included.
    """
    keys = {record.key for record in evaluation.pictures}
    keys |= {(picture.identity, picture.name) for picture in evaluation.unusable}
    lines = "".join(f"{identity}\t{name}\n" for identity, name in sorted(keys))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
