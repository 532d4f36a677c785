"""The training loop: `train(options)` is the whole of it; the rooms it calls hold the details."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmdnet.config.options import Options, TrainOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.checks import check_apart
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.data.skips import SkipLog
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.distributed import Launcher, World, processes
from dmdnet.engine.history import append_return
from dmdnet.engine.logger import run_log
from dmdnet.engine.pictures import first_faces, picture_grid
from dmdnet.engine.prefetch import on_device
from dmdnet.engine.progress import Clock, Progress, progress_line
from dmdnet.engine.retention import Best
from dmdnet.engine.run import Run, global_batch, is_judged
from dmdnet.engine.run_folder import Resume, find_resume, log_option_changes, run_folder, write_description
from dmdnet.engine.run_lock import run_lock
from dmdnet.engine.run_report import reported
from dmdnet.engine.saving import Saver
from dmdnet.engine.scalars import grouped, in_line, site_means
from dmdnet.engine.signals import stop_requests
from dmdnet.engine.tracking import Trackers, check_trackers, tracked
from dmdnet.engine.validation import Validation
from dmdnet.errors import CheckpointError, ConfigError
from dmdnet.models.base import Model, build_model
from dmdnet.models.means import RunningMeans
from dmdnet.ops.determinism import use_deterministic
from dmdnet.ops.precision import set_matmul_precision

logger = logging.getLogger(__name__)


def train(options: Options, *, auto_resume: bool = True, launcher: Launcher = "auto", restart: bool = False) -> None:
    """Train, or go on with the run of that name, to `train.total_iter`.

    Args:
        options: everything the run depends on.
        auto_resume: continue from the newest whole checkpoint; False refuses a run that has any.
        launcher: who started the processes ("auto": torchrun if its variables are set).
        restart: begin at iteration 1 whatever the folder holds, and replace it (`--debug`, to try a change again).

    Raises:
        DMDNetError: what a user can cause; the last checkpoint is then still whole.
        SystemExit: 128 + signal, after SIGTERM, SIGINT or SIGUSR1 and a checkpoint at the step's boundary.
    """
    recipe = _recipe(options)
    check_trackers(options.logger)
    with (
        processes(options.device, options.dist_params, launcher, run_folder(options)) as world,
        stop_requests() as stop,
    ):
        root = run_folder(options)
        with run_lock(root, world), run_log(root, options.name, world) as progress:
            # Continue, start, or refuse
            resume = None if restart else find_resume(options, auto_resume, world)
            _set_backends(options, world)

            # Networks, weights, data
            entry = options.datasets["train"]
            dataset = build_dataset(entry, seed=options.manual_seed, phase="train")
            judges = _validation_sets(options)
            check_apart({"datasets.train": dataset}, {f"datasets.{key}": judge for key, judge in judges.items()})
            model = build_model(options, world.device, pretrained=resume is None)
            best = Best.of(options)
            start, draws, unjudged = _restore_state(model, options, resume, best, world) if resume else (0, 0, False)
            checkpoints = resume.folder if resume and resume.folder.root == root else CheckpointFolder(root)
            if world.main:
                checkpoints.clean()
            if start >= recipe.total_iter:
                logger.info("%s: already finished at iteration %d", options.name, start)
                if world.main:  # again, since a run may have been killed between its last checkpoint and this
                    checkpoints.publish_latest(start)
                if not unjudged or is_judged(root, start, world):
                    return
            if world.main:
                append_return(root, start)
                write_description(options)
            if resume is None:
                model.setup(dataset)
            model.distribute()
            loaders = _validation_loaders(options, judges, world)
            validation = Validation(options, loaders, world, stop, root / "visualization")
            batches = iter(
                build_loader(
                    dataset,
                    entry.model_copy(update={"batch_size_per_gpu": entry.batch_size_per_gpu * recipe.accumulate}),
                    phase="train",
                    rank=world.rank,
                    world_size=world.size,
                    start_draw=draws,
                    pin_memory=world.device.type == "cuda",
                    skip_log=_skip_log(dataset, root, world),
                )
            )
            batches = on_device(batches, world.device, recipe.prefetch)
            batch_size = global_batch(options, world)
            _log_start(options, model, world, start, batch_size)
            means, clock = RunningMeans(), Clock(start, recipe.total_iter)

            # The loop
            with (
                reported(root, world),
                tracked(root, start, options, world) as trackers,
                Saver(checkpoints, options.logger, best) as saver,
            ):
                run = Run(options, world, model, saver, stop, validation, trackers)
                model.before_update = saver.await_copy
                if unjudged:  # it was stopped before or during the validation that belongs to this iteration
                    run.judge_late(start, draws)
                for iteration in range(start + 1, recipe.total_iter + 1):
                    # One step. Whatever draws from torch's generator in it is a function of (seed, iteration, rank).
                    batch = clock.wait(batches)
                    draws += batch_size
                    _seed_torch(options.manual_seed, iteration, world.rank)
                    means.add(model.step(batch, iteration))
                    last = iteration == recipe.total_iter

                    # What is seen of it
                    if iteration % options.logger.print_freq == 0 or last:
                        _report(model, means, clock, trackers, progress, world, iteration, recipe.total_iter)
                    if _due(options.logger.image_freq, iteration) and trackers.show_pictures:
                        _write_pictures(model, batch, trackers, iteration)

                    # Checkpoint by the first rank, stop or validation on all
                    if iteration == start + 1:
                        run.prepare()
                    saved = last or _due(options.logger.save_checkpoint_freq, iteration)
                    judged = validation.due(iteration, last)
                    if saved:
                        run.save(iteration, draws, unjudged=judged, last=last)
                    run.leave_if_stopped(iteration, draws, saved, unjudged=judged)
                    if judged:
                        run.judge(iteration, draws, saved)
                run.finish()

            logger.info("finished: %s", checkpoints.models / f"net_g_{recipe.total_iter}.pth")


def _recipe(options: Options) -> TrainOptions:
    """Return `train`, or say what an option file for training lacks."""
    if options.train is None:
        raise ConfigError(f"{options.name}: the options have no 'train' section; a test run starts with test.py")
    if "train" not in options.datasets:
        raise ConfigError(
            f"{options.name}: datasets has no entry 'train' (it has {', '.join(options.datasets) or 'none'})"
        )
    others = [key for key in options.datasets if key.startswith("train_")]
    if others:
        raise ConfigError(
            f"{options.name}: datasets.{others[0]} would not be used; to train on several sets, list them in a "
            "MixedDataset as datasets.train"
        )
    return options.train


def _set_backends(options: Options, world: World) -> None:
    use_deterministic(options.deterministic)
    torch.backends.cudnn.benchmark = world.device.type == "cuda" and not options.deterministic
    set_matmul_precision(_recipe(options).matmul_precision)


def _seed_torch(seed: int, iteration: int, rank: int) -> None:
    """Make torch's global generators a function of the step, so that a restart draws the same."""
    words = np.random.SeedSequence([seed, iteration, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0]))


def _due(freq: int | None, iteration: int) -> bool:
    return freq is not None and iteration % freq == 0


def _validation_sets(options: Options) -> dict[str, Any]:
    """Return every entry of `datasets` that begins with `val`, by its key; none in a run without validation."""
    if not options.val.val_freq:
        return {}
    return {
        key: build_dataset(entry, seed=options.manual_seed, phase="test")
        for key, entry in options.datasets.items()
        if key.startswith("val")
    }


def _validation_loaders(options: Options, judges: dict[str, Any], world: World) -> dict[str, Any]:
    """Return set name -> this rank's share of it."""
    entries = options.datasets
    return {
        entries[key].name: build_loader(judge, entries[key], phase="test", rank=world.rank, world_size=world.size)
        for key, judge in judges.items()
    }


def _skip_log(dataset: Any, root: Path, world: World) -> SkipLog:
    """Return the list of pictures that training has had to do without; each rank sees its own share of the data."""
    name = "skipped_pictures.txt" if world.main else f"skipped_pictures.rank{world.rank}.txt"
    return SkipLog(len(dataset), dataset.max_bad_share, root / name)


def _restore_state(
    model: Model, options: Options, resume: Resume, best: Best | None, world: World
) -> tuple[int, int, bool]:
    """Load a checkpoint; return its iteration, the draws that it has used up, whether its validation is still due."""
    weights, state = resume.folder.load(resume.iteration)
    missing = [key for key in ("iteration", "draws", "options", "model") if key not in state]
    if missing:
        raise CheckpointError(f"{resume.folder.states / str(resume.iteration)}.state has no {', '.join(missing)}")
    log_option_changes(options, state["options"])
    before, now = state.get("batch"), global_batch(options, world)  # not in the checkpoints of version 0.1
    if before not in (None, now):
        logger.warning(
            "an iteration had %d samples until the checkpoint and has %d from now on (ranks x batch_size_per_gpu x "
            "accumulate): learning rates and schedule are those of the options all the same",
            before,
            now,
        )
    model.load_weights(weights)
    model.load_state_dict(state["model"])
    if best is not None and "best" in state:
        best.load_state_dict(state["best"])
    logger.info("continuing %s from iteration %d", resume.folder.root, resume.iteration)
    return int(state["iteration"]), int(state["draws"]), bool(state.get("unjudged", False))


def _report(
    model: Model,
    means: RunningMeans,
    clock: Clock,
    trackers: Trackers,
    progress: Progress,
    world: World,
    iteration: int,
    total: int,
) -> None:
    """Read the means of the last steps (the only transfer of losses to the host) and show them."""
    model.settle()
    terms = world.reduce(means.pop())
    statistics = model.statistics()
    speed = clock.lap(iteration)
    eta = clock.eta(iteration)
    logger.info(progress_line(iteration, total, eta, speed, in_line(terms) | site_means(statistics)))
    progress.show(iteration, total, f"eta {eta}  {speed['it_per_s']:.2f} it/s")
    values = grouped(terms) | statistics | {f"time/{name}": value for name, value in speed.items()}
    if world.device.type == "cuda":
        values["memory/peak_gib"] = torch.cuda.max_memory_allocated(world.device) / 2**30
    trackers.scalars(values, iteration)


def _write_pictures(model: Model, batch: FaceBatch, trackers: Trackers, iteration: int) -> None:
    faces = first_faces(batch)
    modes = ("generic",) if faces.references is None else ("generic", "specific")
    restored = model.restore(faces, modes)
    trackers.picture("train/degraded_restored_target_references", picture_grid(faces, restored), iteration)


def _log_start(options: Options, model: Model, world: World, start: int, batch_size: int) -> None:
    for name, network in model.networks().items():
        parameters = sum(parameter.numel() for parameter in network.parameters())
        logger.info("%s: %s, %s parameters", name, type(network).__name__, f"{parameters:,}")
    logger.info(
        "%s: iterations %d to %d, %d rank(s) on %s, batch %d in all, seed %d",
        options.name,
        start + 1,
        options.train.total_iter if options.train else 0,
        world.size,
        world.device.type,
        batch_size,
        options.manual_seed,
    )
