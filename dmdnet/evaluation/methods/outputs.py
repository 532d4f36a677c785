"""The outputs of one model as the methods of an evaluation: of validation in training, and of option files without
`methods`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dmdnet.data.batch import FaceBatch
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.restoring import Restored, RestoreFunction, restore_batch


class OutputsMethod(Method):
    """Columns named as the modes of a restoring function, "input" being the degraded picture itself.

    Args:
        restore: (batch, modes) -> mode -> float RGB [-1, 1] (B,3,H,W). Never asked for "input".
        modes: in the order of the columns.
        source, sha256: of the weights, where there are some.
        decides: what else decides the pictures.
        networks: of the model, by name.
    """

    def __init__(
        self,
        restore: RestoreFunction,
        modes: Sequence[str],
        *,
        source: str = "",
        sha256: str = "",
        decides: Mapping[str, Any] | None = None,
        networks: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self._restore = restore
        self._networks = networks or {}
        self._decides = {"weights": sha256, **(decides or {})}
        self._columns = tuple(
            MethodInfo(mode, "input", mode=mode)
            if mode == "input"
            else MethodInfo(mode, "network", entry="network_g", mode=mode, source=source, sha256=sha256)
            for mode in modes
        )

    @property
    def columns(self) -> tuple[MethodInfo, ...]:
        """One for each mode."""
        return self._columns

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the networks of the model, where it has some."""
        return self._networks

    def settings(self, column: str) -> Mapping[str, Any]:
        """Return the weights, and what else decides the pictures of a mode."""
        return {} if column == "input" else self._decides

    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return mode -> answer."""
        return restore_batch(self._restore, batch, tuple(columns))
