"""Checkpoints as commits: every part is written beside its place, flushed and renamed; a manifest seals them last.

    experiments/<name>/models/net_g_<iter>.pth            weights: params, params_ema, network, iteration
    experiments/<name>/models/net_d_<iter>.pth            where there is a discriminator
    experiments/<name>/training_states/<iter>.state       optimisers, resolved options
    experiments/<name>/training_states/<iter>.json        the manifest: size and sha256 of every part

What has no manifest does not exist, and what does not match its hashes is passed over for the one before.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dmdnet.errors import CheckpointError

FORMAT = 1
logger = logging.getLogger(__name__)


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        root: `experiments/<name>`.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.models = self.root / "models"
        self.states = self.root / "training_states"

    def save(self, iteration: int, weights: Mapping[str, Mapping[str, Any]], state: Mapping[str, Any]) -> Path:
        """Write one checkpoint and return its manifest.

        Raises:
            CheckpointError: it cannot be written; earlier checkpoints are untouched.
        """
        parts = {
            self.models / f"{name}_{iteration}.pth": {**part, "iteration": iteration} for name, part in weights.items()
        }
        parts[self.states / f"{iteration}.state"] = {**state, "iteration": iteration, "format": FORMAT}
        self._check_space(parts)
        sealed = {}
        for path, part in parts.items():
            sealed[path.relative_to(self.root).as_posix()] = _write(path, partial(torch.save, part))
        manifest = {"format": FORMAT, "iteration": iteration, "parts": sealed}
        path = self.states / f"{iteration}.json"
        _write(path, lambda file: file.write(json.dumps(manifest, indent=2).encode()))
        return path

    def publish_latest(self, iteration: int) -> None:
        """Copy the weights of `iteration` to `<network>_latest.pth`, as BasicSR does at the end of a training."""
        for path in self.models.glob(f"*_{iteration}.pth"):
            latest = path.with_name(path.name.replace(f"_{iteration}.pth", "_latest.pth"))
            with open(path, "rb") as source:
                _write(latest, partial(shutil.copyfileobj, source))

    def iterations(self) -> list[int]:
        """Return the iterations that have a manifest, newest first, whether or not their parts are whole."""
        return sorted((int(path.stem) for path in self.states.glob("*.json") if path.stem.isdigit()), reverse=True)

    def latest(self) -> int | None:
        """Return the newest iteration whose parts all match their hashes; None for a run without checkpoints.

        Raises:
            CheckpointError: there are checkpoints, and none of them is whole.
        """
        complaints = []
        for iteration in self.iterations():
            defect = self.defect(iteration)
            if defect is None:
                return iteration
            logger.warning("checkpoint %d is damaged and passed over: %s", iteration, defect)
            complaints.append(defect)
        if complaints:
            raise CheckpointError(
                f"{self.states}: none of the {len(complaints)} checkpoints is whole ({complaints[0]}). Restore one "
                "from a copy, or start again under another name"
            )
        return None

    def defect(self, iteration: int) -> str | None:
        """Return what is wrong with a checkpoint, or None."""
        manifest = self.states / f"{iteration}.json"
        try:
            sealed = json.loads(manifest.read_bytes())
            if sealed["format"] != FORMAT or sealed["iteration"] != iteration:
                return f"{manifest} has format {sealed['format']} for iteration {sealed['iteration']}"
            parts = {str(name): (part["bytes"], part["sha256"]) for name, part in sealed["parts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{manifest} is unreadable ({error})"
        for name, (size, digest) in parts.items():
            path = self.root / name
            if not path.is_file():
                return f"{path} is missing"
            if path.stat().st_size != size:
                return f"{path} has {path.stat().st_size} bytes instead of {size}"
            if _digest(path) != digest:
                return f"{path} does not match its sha256"
        return None

    def load(self, iteration: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (weights by network, state) of a checkpoint, on the CPU; nothing in the files is executed.

        Raises:
            CheckpointError: a part is missing, damaged or of another format.
        """
        defect = self.defect(iteration)
        if defect is not None:
            raise CheckpointError(f"checkpoint {iteration} cannot be used: {defect}")
        names = json.loads((self.states / f"{iteration}.json").read_bytes())["parts"]
        suffix = f"_{iteration}.pth"
        weights = {
            Path(name).name.removesuffix(suffix): _read(self.root / name) for name in names if name.endswith(suffix)
        }
        return weights, _read(self.states / f"{iteration}.state")

    def _check_space(self, parts: Mapping[Path, Any]) -> None:
        needed = sum(_tensor_bytes(part) for part in parts.values())
        try:
            for folder in (self.models, self.states):
                folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise CheckpointError(f"{self.root}: no checkpoint can be written: {error.strerror or error}") from error
        if free < needed:
            raise CheckpointError(
                f"{self.root}: a checkpoint needs {needed:,} bytes and {free:,} are free; make room and run the same "
                "command again"
            )


def checkpoint_of_state(path: str | os.PathLike[str]) -> tuple[CheckpointFolder, int]:
    """Return the folder and the iteration of a `path.resume_state`: `.../training_states/<iter>.state`.

    Raises:
        CheckpointError: the name is not of this form or the file is missing.
    """
    path = Path(path)
    if path.suffix != ".state" or not path.stem.isdigit() or not path.is_file():
        raise CheckpointError(
            f"path.resume_state: {path} is not an existing file experiments/<name>/training_states/<iter>.state"
        )
    return CheckpointFolder(path.absolute().parent.parent), int(path.stem)


class _Hashing:
    """A binary file that hashes and counts what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._size += len(view)
        return self._file.write(view)

    def flush(self) -> None:
        self._file.flush()

    def seal(self) -> dict[str, Any]:
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}


def _write(path: Path, write: Callable[[Any], Any]) -> dict[str, Any]:
    """Write a file atomically and durably; return its size and hash."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(beside, "xb") as file:
            hashing = _Hashing(file)
            write(hashing)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _fsync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError when the file beneath it fails
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(
            f"{path}: the checkpoint cannot be written: {reason}. Earlier checkpoints are untouched"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return hashing.seal()


def _fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        part = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: {error}") from error
    if not isinstance(part, dict):
        raise CheckpointError(f"{path}: holds a {type(part).__name__} instead of a dictionary")
    return part


def _tensor_bytes(value: Any) -> int:
    """Return the bytes of all tensors in nested mappings and lists."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(_tensor_bytes(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_tensor_bytes(item) for item in value)
    return 0
