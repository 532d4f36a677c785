"""Which checkpoints stay: all, or the newest ones and those that were best in validation."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from dmdnet.config.options import KeepBestOptions, Options
from dmdnet.errors import ConfigError
from dmdnet.registry import METRICS
from dmdnet.typed import nearest

logger = logging.getLogger(__name__)


class Best:
    """The best iterations by one validation metric; its values are part of the training state.

    Args:
        metric: `<set>/<mode>_<metric>`, as the log of a validation names it.
        higher: whether more is better.
        count: how many iterations are kept.
    """

    def __init__(self, metric: str, higher: bool, count: int = 1) -> None:
        self.metric, self.higher, self.count = metric, higher, count
        self.entries: list[tuple[float, int]] = []  # (value, iteration), best first

    @classmethod
    def of(cls, options: Options) -> Best | None:
        """Return what `logger.keep_best` asks for, or None.

        Raises:
            ConfigError: no validation of these options gives such a value.
        """
        wanted = options.logger.keep_best
        return None if wanted is None else cls(wanted.metric, _higher(wanted, options), wanted.count)

    def update(self, values: Mapping[str, float], iteration: int) -> bool:
        """Take a validation's values; return whether this iteration is among the best."""
        value = values.get(f"val_{self.metric}")
        if value is None or math.isnan(value):
            logger.warning("logger.keep_best: the validation after iteration %d gave no %s", iteration, self.metric)
            return False
        others = [entry for entry in self.entries if entry[1] != iteration]
        # The older of two equals is the better: a run that no longer learns keeps what it has.
        ranked = sorted([*others, (value, iteration)], key=lambda e: (-e[0] if self.higher else e[0], e[1]))
        self.entries = ranked[: self.count]
        return (value, iteration) in self.entries

    def iterations(self) -> tuple[int, ...]:
        """Return the best iterations, the best first."""
        return tuple(iteration for _, iteration in self.entries)

    def state_dict(self) -> dict[str, Any]:
        """Return the best values, for the checkpoint."""
        return {"metric": self.metric, "entries": [list(entry) for entry in self.entries]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict()` back; values of another metric say nothing and are left out."""
        if state.get("metric") == self.metric:
            self.entries = [(float(value), int(iteration)) for value, iteration in state["entries"]][: self.count]


def doomed(sealed: Iterable[int], iteration: int, keep_last: int | None, best: Iterable[int] = ()) -> list[int]:
    """Return the checkpoints to take away after `iteration` has been saved, oldest first.

    Args:
        sealed: the iterations that have a checkpoint.
        keep_last: how many of the newest stay, this one among them; None keeps all.
        best: iterations that stay as well.

    Later ones are left alone: a run that went back to an earlier state has not reached them yet.
    """
    if keep_last is None:
        return []
    past = sorted(one for one in sealed if one <= iteration)
    kept = {*past[-keep_last:], *best}
    return [one for one in past if one not in kept]


def _higher(wanted: KeepBestOptions, options: Options) -> bool:
    """Return the direction of the metric, after looking that validation gives it."""
    sets = [entry.name for key, entry in options.datasets.items() if key.startswith("val")]
    classes: dict[str, Any] = {name: METRICS.get(metric.type) for name, metric in options.val.metrics.items()}
    given: dict[str, bool] = {
        f"{name}/{mode}_{metric}": found.higher_is_better
        for name in sets
        for mode in options.val.modes
        for metric, found in classes.items()
    }
    if options.val.val_freq is None or wanted.metric not in given:
        known = nearest(wanted.metric, tuple(given)) if given and options.val.val_freq else "there is no validation"
        raise ConfigError(
            f"logger.keep_best.metric: {wanted.metric!r} is not among the values of validation, "
            f"<set>/<mode>_<metric>; {known}"
        )
    return given[wanted.metric] if wanted.mode == "auto" else wanted.mode == "max"
