"""`experiments/<name>`: whether a run starts, continues or is refused, and what it leaves beside its checkpoints."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dmdnet.config import to_yaml
from dmdnet.config.options import Options
from dmdnet.engine.checkpoint import CheckpointFolder, checkpoint_of_state
from dmdnet.engine.distributed import World
from dmdnet.environment import environment
from dmdnet.errors import CheckpointError
from dmdnet.registry import plain

logger = logging.getLogger(__name__)


class Resume(NamedTuple):
    """The checkpoint that a run continues from."""

    folder: CheckpointFolder
    iteration: int


def run_folder(options: Options) -> Path:
    """Return `experiments/<name>`."""
    return Path(options.path.experiments_root) / options.name


def find_resume(options: Options, auto_resume: bool, world: World) -> Resume | None:
    """Return where to continue: the run's own newest whole checkpoint, else `path.resume_state`, else None.

    A `path.resume_state` of another run is where this one begins; once it has checkpoints of its own, the same command
    goes on from them. One of this very run goes back to it.

    Raises:
        CheckpointError: the run has checkpoints and `auto_resume` is off, or none of them is whole.
    """
    folder = CheckpointFolder(run_folder(options))
    given = None
    if options.path.resume_state is not None:
        given = Resume(*checkpoint_of_state(options.path.resume_state))
        if given.folder.root.resolve() == folder.root.resolve():
            return given
    if not auto_resume and folder.iterations():
        raise CheckpointError(
            f"{folder.root} already has checkpoints up to iteration {folder.iterations()[0]}. Continue it with "
            "--auto_resume, choose another 'name', or move the folder away; nothing is overwritten"
        )
    # Hashing is rank 0's work; what it found is told to the others.
    found = world.highest((folder.latest() or 0) if world.main else 0)
    return Resume(folder, found) if found else given


def log_option_changes(options: Options, saved: Mapping[str, Any]) -> None:
    """Log every option that differs from the checkpoint's.

    Raises:
        CheckpointError: a network's options differ.
    """
    before, after = _flat(saved), _flat(plain(options))
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    lines = [f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}" for key in changed]
    networks = [line for line in lines if line.startswith(("network_g", "network_d"))]
    if networks:
        raise CheckpointError(
            f"the checkpoint belongs to another network ({'; '.join(networks)}). Put these options back, or start "
            "a new run under another name (with path.pretrain_network_g to begin from its weights)"
        )
    for line in lines:
        logger.info("option changed since the checkpoint: %s", line)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping from dotted paths."""
    if isinstance(value, Mapping) and value:
        items = list(value.items())
    elif isinstance(value, list) and value:
        items = list(enumerate(value))
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def write_description(options: Options) -> None:
    """Write the resolved options and the versions of what runs them into the run's folder."""
    root = run_folder(options)
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "options.yml").write_text(to_yaml(options), encoding="utf-8")
        (root / "environment.json").write_text(json.dumps(environment(), indent=2), encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"{root}: cannot be written: {error.strerror or error}; set path.experiments_root to a writable folder"
        ) from error
