"""Evaluation during training: the code of test.py, on all ranks, with the averaged weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.engine.distributed import World
from dmdnet.engine.pictures import Samples, restored_samples
from dmdnet.engine.signals import StopRequest
from dmdnet.evaluation.runner import evaluate
from dmdnet.evaluation.statistics.summary import MEANS_ONLY, summarise
from dmdnet.metrics import build_metrics
from dmdnet.models.base import Model

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal came on some rank; all ranks have left at the same batch."""


class Validation:
    """The validation sets of a run.

    Args:
        loaders: set name -> this rank's share of it.
        stop: asked before each batch, on all ranks together.
        out_dir: where `val.save_img` puts the restored pictures; those of the validation before are replaced.
    """

    def __init__(
        self, options: Options, loaders: Mapping[str, Any], world: World, stop: StopRequest, out_dir: Path
    ) -> None:
        self._options = options
        self._loaders = loaders
        self._world = world
        self._stop = stop
        self._out_dir = out_dir
        self.samples: dict[str, Samples] = {}  # of the last run, by set; on rank 0
        weights = options.path.weights if "weights" in options.path.model_fields_set else None
        self._metrics, unavailable = build_metrics(options.val.metrics, weights)
        for name, metric in unavailable.items():
            logger.warning("validation goes without %s: %s", name, metric.reason)

    def due(self, iteration: int, last: bool) -> bool:
        """Return whether to validate after `iteration`: every `val_freq`, and after the last."""
        freq = self._options.val.val_freq
        return bool(freq and self._loaders and (iteration % freq == 0 or last))

    def run(self, model: Model, iteration: int) -> dict[str, float]:
        """Return `val_<set>/<mode>_<metric>` -> mean over the pictures of all ranks; log them.

        Raises:
            Stopped: a signal came; there are no values.
        """
        found: dict[str, float] = {}
        self.samples = {}
        for set_name, loader in self._loaders.items():
            evaluation = evaluate(
                partial(self._restore, model, set_name),
                self._until_stopped(loader),
                metrics=self._metrics,
                modes=self._options.val.modes,
                set_name=set_name,
                out_dir=self._out_dir,
                save_images=self._options.val.save_img,
                device=self._world.device,
            )
            records = summarise(evaluation, MEANS_ONLY)
            means = {f"{r.method}_{r.metric}": r.mean for r in records if r.pair is None and r.mean is not None}
            logger.info(
                "validation after iteration %d on %s (%d pictures): %s",
                iteration,
                set_name,
                len({picture.key for picture in evaluation.pictures}),
                ", ".join(f"{name} {value:.4g}" for name, value in means.items()),
            )
            for lost in evaluation.unusable:
                logger.warning("validation on %s goes without %s: %s", set_name, lost.name, lost.note)
            found |= {f"val_{set_name}/{name}": value for name, value in means.items()}
        return found

    def _restore(self, model: Model, set_name: str, batch: FaceBatch, modes: Sequence[str]) -> dict[str, Tensor]:
        """Let the model restore; keep the first faces of a set, to be looked at."""
        restored = model.restore(batch, modes)
        if self._world.main and set_name not in self.samples:
            self.samples[set_name] = restored_samples(batch, restored)
        return restored

    def _until_stopped(self, loader: Any) -> Iterator[FaceBatch]:
        """Yield a loader's batches; ranks with fewer of them than others go on asking."""
        batches = iter(loader)
        for _ in range(self._world.highest(len(loader))):
            if self._world.highest(self._stop.signal):
                raise Stopped
            batch = next(batches, None)
            if batch is not None:
                yield batch
