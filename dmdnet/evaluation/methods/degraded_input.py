"""The degraded picture itself: what every method has to be better than."""

from __future__ import annotations

from collections.abc import Sequence

from dmdnet.data.batch import FaceBatch
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.records import MethodInfo
from dmdnet.evaluation.restoring import Restored, answered
from dmdnet.registry import METHODS


@METHODS.register()
class InputMethod(Method):
    """The degraded input as it is."""

    @property
    def columns(self) -> tuple[MethodInfo, ...]:
        """One column, named as the entry."""
        return (MethodInfo(self.entry, "input", entry=self.entry, mode="input"),)

    def restore(self, batch: FaceBatch, columns: Sequence[str]) -> dict[str, Restored]:
        """Return the degraded pictures; nothing can fail."""
        return {column: answered(batch, batch.lq_BCHW, (None,) * len(batch)) for column in columns}
