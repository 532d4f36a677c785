"""What the loop does between two steps: save, validate, and leave when a signal came or a save failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dmdnet.config.options import Options
from dmdnet.engine.distributed import World
from dmdnet.engine.history import append_validation, read_validations
from dmdnet.engine.pictures import write_samples
from dmdnet.engine.saving import Saver
from dmdnet.engine.scalars import validation_names
from dmdnet.engine.signals import StopRequest
from dmdnet.engine.tracking import Trackers
from dmdnet.engine.validation import Stopped, Validation
from dmdnet.errors import CheckpointError
from dmdnet.models.base import Model
from dmdnet.registry import plain

_SAVE_FAILED = 1000  # among the numbers of signals
logger = logging.getLogger(__name__)


@dataclass
class Run:
    """One training under way. Every method is called by all ranks after the same step.

    A checkpoint is written before the validation of its iteration, so that nothing is lost in it, and says that this
    is still to come (`unjudged`): a run that continues from it validates first.
    """

    options: Options
    world: World
    model: Model
    saver: Saver
    stop: StopRequest
    validation: Validation
    trackers: Trackers

    def prepare(self) -> None:
        """After the first step, when the optimisers have their states: make room for saving in the background."""
        if self.world.main and self.options.logger.async_save:
            self.saver.prepare(self.model.weights(), {"model": self.model.state_dict()})

    def save(self, iteration: int, draws: int, *, unjudged: bool, last: bool = False) -> None:
        """Let rank 0 save; a failure is raised by `leave_if_stopped`, or at the end by `finish`."""
        self.model.settle()  # nothing is saved that the host has not looked at
        if not self.world.main:
            return
        state = {
            "draws": draws,
            "batch": global_batch(self.options, self.world),
            "unjudged": unjudged,
            "options": plain(self.options),
            "model": self.model.state_dict(),
        }
        if self.saver.best is not None:
            state["best"] = self.saver.best.state_dict()
        self.saver.save(iteration, self.model.weights(), state, last, later=self.model.changed_by_updates())

    def leave_if_stopped(self, iteration: int, draws: int, saved: bool, *, unjudged: bool) -> None:
        """End the run, on all ranks, when a signal has come to any or a save has failed.

        Raises:
            CheckpointError: rank 0's save failed; on every rank.
            SystemExit: 128 + signal; this iteration is saved.
        """
        order = self.world.highest(_SAVE_FAILED if self.saver.failed else self.stop.signal)
        if not order:
            return
        if order < _SAVE_FAILED and not saved:
            self.save(iteration, draws, unjudged=unjudged)
        self.finish()
        logger.warning("stopped by signal %d after iteration %d; the same command continues", order, iteration)
        raise SystemExit(128 + order)

    def finish(self) -> None:
        """Wait for the save that is under way, on all ranks: none of them may end as if it had gone well.

        Raises:
            CheckpointError: rank 0 could not save; on every rank.
        """
        self.saver.wait()
        if self.world.highest(int(self.saver.failed)):
            self.saver.check()
            raise CheckpointError("rank 0 could not save; its message says why")

    def judge(self, iteration: int, draws: int, saved: bool) -> None:
        """Validate; save again what has become one of the best and is not saved yet."""
        self.model.settle()  # here, with all ranks: what is among the best is saved by the first rank alone
        try:
            values = self.validation.run(self.model, iteration)
        except Stopped:
            self.leave_if_stopped(iteration, draws, saved, unjudged=True)
            raise
        if self.world.main:
            self._show(values, iteration)
        if self._is_best(values, iteration) and not saved:
            self.save(iteration, draws, unjudged=False)

    def _show(self, values: Mapping[str, float], iteration: int) -> None:
        folder = self.saver.checkpoints.root
        append_validation(folder, iteration, values)
        self.trackers.scalars(validation_names(values), iteration)
        for name, samples in self.validation.samples.items():
            write_samples(folder, name, samples, iteration)
            self.trackers.picture(f"val/{name}", samples.grid_CHW, iteration)

    def judge_late(self, iteration: int, draws: int) -> None:
        """Validate a checkpoint that was stopped before the end of its validation, unless its values are known."""
        folder = self.saver.checkpoints.root
        if not self.validation.due(iteration, last=True):
            return
        if is_judged(folder, iteration, self.world):
            self._is_best(read_validations(folder).get(iteration, {}), iteration)
        else:
            self.judge(iteration, draws, saved=True)

    def _is_best(self, values: Mapping[str, float], iteration: int) -> bool:
        best = self.saver.best
        if not self.world.main or best is None or not best.update(values, iteration):
            return False
        logger.info("iteration %d is among the best by %s", iteration, best.metric)
        return True


def global_batch(options: Options, world: World) -> int:
    """Return how many samples an iteration takes, over all ranks."""
    recipe = options.train
    assert recipe is not None
    return options.datasets["train"].batch_size_per_gpu * recipe.accumulate * world.size


def is_judged(folder: Path, iteration: int, world: World) -> bool:
    """Return, on all ranks alike, whether the run's folder has the validation of `iteration`."""
    return bool(world.highest(int(world.main and iteration in read_validations(folder))))
