"""What the numbers depend on and records do not say: options, versions, the data that was read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dmdnet.environment import environment
from dmdnet.evaluation.records import Evaluation


@dataclass(frozen=True)
class Facts:
    """What stands at the end of a report.

    Attributes:
        options: the resolved option file.
        seed: of everything random.
        environment: versions and machine, as `dmdnet.environment.environment` gives them.
        origins: name of a set -> where its table of faces comes from.
        when: the day of the run.
        device: what restored and scored.
    """

    options: str = ""
    seed: int = 0
    environment: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    when: str = ""
    device: str = ""

    @property
    def made_with(self) -> str:
        """The last line of the page."""
        version = self.environment.get("packages", {}).get("dmdnet", "")
        return " · ".join(part for part in (f"Made by dmdnet {version}".rstrip(), self.when) if part)


def facts_of(options: str, *, seed: int, origins: Mapping[str, str], device: object = "cpu") -> Facts:
    """Return the facts of this process, today."""
    return Facts(options, seed, environment(), dict(origins), time.strftime("%Y-%m-%d"), str(device))


def names_digest(evaluation: Evaluation) -> str:
    """Return the SHA-256 of the set's pictures by identity and name: two runs of one digest were of the same pictures.

    It is of the lines `identity<TAB>name`, sorted, each ended by a line feed, in UTF-8 (bytes that are no text as they
    are), those that could not be read included.
    """
    keys = {record.key for record in evaluation.pictures}
    keys |= {(picture.identity, picture.name) for picture in evaluation.unusable}
    lines = "".join(f"{identity}\t{name}\n" for identity, name in sorted(keys))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
