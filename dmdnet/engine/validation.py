"""Evaluation during training: the code of test.py, on all ranks, with the averaged weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmdnet.config.options import Options
from dmdnet.engine.distributed import World
from dmdnet.evaluation.runner import evaluate
from dmdnet.evaluation.summary import summarise
from dmdnet.models.base import Model
from dmdnet.registry import METRICS

logger = logging.getLogger(__name__)


class Validation:
    """The validation sets of a run.

    Args:
        loaders: set name -> this rank's share of it.
        out_dir: where `val.save_img` puts the restored pictures; those of the validation before are replaced.
    """

    def __init__(self, options: Options, loaders: Mapping[str, Any], world: World, out_dir: Path) -> None:
        self._options = options
        self._loaders = loaders
        self._world = world
        self._out_dir = out_dir
        self._metrics = {name: METRICS.build(metric) for name, metric in options.val.metrics.items()}

    def due(self, iteration: int) -> bool:
        """Return whether to validate after `iteration`."""
        freq = self._options.val.val_freq
        return bool(freq and self._loaders and iteration % freq == 0)

    def run(self, model: Model, iteration: int) -> dict[str, float]:
        """Return `val_<set>/<mode>_<metric>` -> mean over the pictures of all ranks; log them."""
        found: dict[str, float] = {}
        for set_name, loader in self._loaders.items():
            evaluation = evaluate(
                lambda batch, modes: model.restore(batch, modes),
                loader,
                metrics=self._metrics,
                modes=self._options.val.modes,
                set_name=set_name,
                out_dir=self._out_dir,
                save_images=self._options.val.save_img,
                device=self._world.device,
            )
            records = summarise(evaluation)
            means = {f"{r.method}_{r.metric}": r.mean for r in records if r.kind == "mean" and r.mean is not None}
            logger.info(
                "validation after iteration %d on %s (%d pictures): %s",
                iteration,
                set_name,
                len({picture.key for picture in evaluation.pictures}),
                ", ".join(f"{name} {value:.4g}" for name, value in means.items()),
            )
            found |= {f"val_{set_name}/{name}": value for name, value in means.items()}
        return found
