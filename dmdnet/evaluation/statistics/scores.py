"""The records of an evaluation by column: what statistics are made from.

Shape: P pictures that at least one method was scored on, in the order of the evaluation.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from dmdnet.evaluation.records import Evaluation, MethodInfo, PictureRecord

_DIGEST = 16  # characters


class Scores:
    """Values, failures and gaps of every method over the pictures of a set.

    Attributes:
        keys, identities: of every picture.
        infos: what is known of the methods; worked out from their names where the evaluation does not say.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.keys = list(dict.fromkeys(record.key for record in evaluation.pictures))
        self._lines = [f"{person}\t{name}\n".encode("utf-8", "backslashreplace") for person, name in self.keys]
        self.identities = [identity for identity, _ in self.keys]
        known = {info.name: info for info in evaluation.infos}
        self.infos = {method: known.get(method) or info_of_mode(method) for method in evaluation.methods}
        row_of = {key: row for row, key in enumerate(self.keys)}
        self._records: dict[str, list[PictureRecord | None]] = {
            method: [None] * len(self.keys) for method in evaluation.methods
        }
        for record in evaluation.pictures:
            if record.method in self._records:
                self._records[record.method][row_of[record.key]] = record
        self._values: dict[tuple[str, str], np.ndarray] = {}

    def records(self, method: str) -> list[PictureRecord | None]:
        """Return the method's records, None where it has none."""
        return self._records[method]

    def values(self, method: str, metric: str) -> np.ndarray:
        """Return the values of one metric, float64 (P,); NaN where the method is not scored."""
        if (method, metric) not in self._values:
            dropped = self.evaluation.failed_as == "drop"
            self._values[method, metric] = np.array(
                [
                    math.nan
                    if record is None or record.status == "no_references" or (dropped and record.status == "failed")
                    else record.values.get(metric, math.nan)
                    for record in self._records[method]
                ],
                dtype=np.float64,
            )
        return self._values[method, metric]

    def digest(self, rows_P: np.ndarray, value_R: np.ndarray) -> str:
        """Return what tells one choice of pictures from another; empty for none.

        Args:
            rows_P: the pictures of a part, bool.
            value_R: a value for each of those; NaN where there is none.
        """
        rows = np.flatnonzero(rows_P)[~np.isnan(value_R)].tolist()
        text = b"".join(self._lines[row] for row in rows)
        return hashlib.sha256(text).hexdigest()[:_DIGEST] if rows else ""

    def failed(self, method: str) -> np.ndarray:
        """Return where the method failed, bool (P,)."""
        return self._where(method, "failed")

    def without_references(self, method: str) -> np.ndarray:
        """Return where the method needs references and the picture has none, bool (P,)."""
        return self._where(method, "no_references")

    def reasons(self, method: str) -> np.ndarray:
        """Return why the method failed, str (P,); empty where it did not."""
        return np.array(
            [
                (record.reason or "other") if record is not None and record.status == "failed" else ""
                for record in self._records[method]
            ],
            dtype=object,
        )

    def refused(self, method: str, metric: str) -> list[str]:
        """Return why the metric refused each of the method's pictures; empty where it did not."""
        return ["" if record is None else record.unscored.get(metric, "") for record in self._records[method]]

    def references_given(self, method: str) -> np.ndarray:
        """Return how many references the method was given, float64 (P,); NaN where it was not asked."""
        return np.array(
            [
                math.nan if record is None or record.status == "no_references" else record.references
                for record in self._records[method]
            ],
            dtype=np.float64,
        )

    def _where(self, method: str, status: str) -> np.ndarray:
        return np.array(
            [record is not None and record.status == status for record in self._records[method]], dtype=bool
        )


def info_of_mode(mode: str) -> MethodInfo:
    """Return what the name of a mode says, for evaluations of one network such as the validations of a training."""
    return MethodInfo(mode, "input") if mode == "input" else MethodInfo(mode, "network", mode=mode)
