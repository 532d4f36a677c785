"""What a method of a benchmark is: where the pictures of one or more columns come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.restoring import Restored
from dmdnet.registry import Runtime


@dataclass(frozen=True)
class TestSet:
    """What a method hears of a set before its first batch.

    Attributes:
        name: of the set.
        keys: identity and name of every picture, in the order of the set.
        most_references: how many a picture can come with at most; None where that is not known.
        has_wrong_references: whether pictures come with another person's, too; None where that is not known.
        image_size: side of its pictures in pixels.
    """

    __test__ = False  # not a test case, whatever pytest thinks of its name

    name: str
    keys: tuple[tuple[str, str], ...]
    image_size: int
    most_references: int | None = None
    has_wrong_references: bool | None = None


class Method(ABC):
    """One entry of `methods`, which gives one or more columns of pictures.

    The runner makes it once, asks for its `columns`, and then for each set: `start` once and `restore` for each batch.
    A constructor's keywords are its options in the option file; the three below come from the program.

    Args:
        entry: the entry's name.
        options: of the whole run.
        device: of this process.
    """

    def __init__(self, *, entry: Runtime[str], options: Runtime[Options], device: Runtime[torch.device]) -> None:
        self.entry = entry
        self.options = options
        self.device = device

    @property
    @abstractmethod
    def columns(self) -> tuple[MethodInfo, ...]:
        """What it gives, in the order in which reports show it."""

    def applies_to(self, set_name: str) -> bool:
        """Return whether it has anything to give for a set."""
        return True

    def start(self, test_set: TestSet) -> tuple[str, ...]:
        """Get ready for a set; return what people should know about the two, a line each (such as files left over).

        Raises:
            DataError: it cannot give pictures of this set.
            ConfigError: its options ask for what the set does not have.
        """
        return ()

    def networks(self) -> Mapping[str, nn.Module]:
        """Return its networks by name, for those who want to know how large they are."""
        return {}

    def settings(self, column: str) -> Mapping[str, Any]:
        """Return what decides the pictures of a column, as plain values: two runs in which it is equal (and code and
        data are) give equal pictures."""
        return {}

    def stamp(self, key: tuple[str, str]) -> str:
        """Return what tells one version of a picture's result from another, for results that lie ready; call it after
        `start`."""
        return ""

    @abstractmethod
    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return column -> answer, for some of its columns.

        Args:
            batch: on the device, degraded; never empty.
        """
