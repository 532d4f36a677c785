"""Checkpoints as commits: every part is written beside its place, flushed and renamed; a manifest seals them last.

    experiments/<name>/models/net_g_<iter>.pth            weights: params, params_ema, network, iteration
    experiments/<name>/models/net_d_<iter>.pth            where there is a discriminator
    experiments/<name>/models/net_g_<iter>.safetensors    with logger.save_safetensors: the averaged weights alone
    experiments/<name>/training_states/<iter>.state       optimisers, resolved options
    experiments/<name>/training_states/<iter>.json        the manifest: size and sha256 of every part

What has no manifest does not exist, and what does not match its hashes is passed over for the one before. A checkpoint
is taken away by renaming its manifest to `<iter>.purge`, then removing its parts, then that: a crash in between is made
good by `clean`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from dmdnet.engine.durable import digest, discard, fsync_folder, remove_temporary, write_durably
from dmdnet.errors import CheckpointError
from dmdnet.tensor_files import NotTensors, read_tensors

FORMAT = 1
WEIGHT_SUFFIXES = (".pth", ".safetensors")
_PART = re.compile(r"(models|training_states)/[^/\\\0]+")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
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
        self.damaged: set[int] = set()  # those that `latest` has passed over: they do not count among what is kept

    def save(
        self,
        iteration: int,
        weights: Mapping[str, Mapping[str, Any]],
        state: Mapping[str, Any],
        safetensors: bool = False,
    ) -> Path:
        """Write one checkpoint and return its manifest.

        Args:
            safetensors: write the generator's weights (averaged, where there is an average) in that form as well.

        Raises:
            CheckpointError: it cannot be written; earlier checkpoints are untouched, and nothing of it is left.
        """
        contents: dict[Path, Mapping[str, Any]] = {
            self.models / f"{name}_{iteration}.pth": {**part, "iteration": iteration} for name, part in weights.items()
        }
        contents[self.states / f"{iteration}.state"] = {**state, "iteration": iteration, "format": FORMAT}
        writers: dict[Path, Callable[[Any], Any]] = {path: partial(torch.save, part) for path, part in contents.items()}
        if safetensors:
            writers[self.models / f"net_g_{iteration}.safetensors"] = _safetensors_writer(weights["net_g"], iteration)
        self._check_space(contents.values())
        sealed = {}
        path = self.states / f"{iteration}.json"
        try:
            for part, write in writers.items():
                needed = _tensor_bytes(contents.get(part))
                sealed[part.relative_to(self.root).as_posix()] = write_durably(part, write, needed)
            manifest = {"format": FORMAT, "iteration": iteration, "parts": sealed}
            text = _manifest_text(manifest)
            write_durably(path, lambda file: file.write(text), len(text))
        except CheckpointError:
            for name in sealed:  # without a manifest they are nothing, and they take the room
                discard(self.root / name)
            raise
        self.damaged.discard(iteration)
        return path

    def publish_latest(self, iteration: int) -> None:
        """Copy the weights of `iteration` to `<network>_latest.pth`, as BasicSR does at the end of a training."""
        for path in self.models.glob(f"*_{iteration}.*"):
            if path.suffix in WEIGHT_SUFFIXES:
                latest = path.with_name(path.name.replace(f"_{iteration}.", "_latest."))
                with open(path, "rb") as source:
                    write_durably(latest, partial(shutil.copyfileobj, source), path.stat().st_size)

    def purge(self, iterations: Iterable[int]) -> None:
        """Take checkpoints away.

        Raises:
            CheckpointError: a file cannot be removed.
        """
        for iteration in iterations:
            doomed = self.states / f"{iteration}.purge"
            try:
                os.replace(self.states / f"{iteration}.json", doomed)
                fsync_folder(self.states)
            except OSError as error:
                raise CheckpointError(f"{self.states}/{iteration}.json: cannot be removed: {error.strerror}") from error
            self._finish_purge(doomed)

    def clean(self) -> None:
        """Remove what a killed process left half written or half removed. Only for the one that holds the lock."""
        for folder in (self.models, self.states):
            remove_temporary(folder)
        for doomed in self.states.glob("*.purge"):
            self._finish_purge(doomed)

    def _finish_purge(self, doomed: Path) -> None:
        try:
            for name in _sealed_parts(doomed.read_bytes(), None):
                (self.root / name).unlink(missing_ok=True)
        except _UNREADABLE as error:
            logger.warning("%s: the parts that it names are left, it is unreadable (%s)", doomed, error)
        try:
            doomed.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"{doomed}: cannot be removed: {error.strerror}") from error

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
            self.damaged.add(iteration)
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
            parts = _sealed_parts(manifest.read_bytes(), iteration)
        except _UNREADABLE as error:
            return f"{manifest} is unreadable ({error})"
        for name, (size, sha256) in parts.items():
            path = self.root / name
            if not path.is_file():
                return f"{path} is missing"
            if path.stat().st_size != size:
                return f"{path} has {path.stat().st_size} bytes instead of {size}"
            if digest(path) != sha256:
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
        names = _sealed_parts((self.states / f"{iteration}.json").read_bytes(), iteration)
        suffix = f"_{iteration}.pth"
        weights = {
            Path(name).name.removesuffix(suffix): _read(self.root / name, iteration)
            for name in names
            if name.endswith(suffix)
        }
        return weights, _read(self.states / f"{iteration}.state", iteration)

    def _check_space(self, parts: Iterable[Any]) -> None:
        needed = sum(_tensor_bytes(part) for part in parts)
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


def _manifest_text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=2).encode()


def _sealed_parts(text: bytes, iteration: int | None) -> dict[str, tuple[int, str]]:
    """Return part -> (bytes, sha256) of a manifest's text; one of `_UNREADABLE` when anything about it is wrong."""
    sealed = json.loads(text)
    if sealed["format"] != FORMAT or sealed["iteration"] != (sealed["iteration"] if iteration is None else iteration):
        raise ValueError(f"it has format {sealed['format']} for iteration {sealed['iteration']}")
    parts = {str(name): (int(part["bytes"]), str(part["sha256"])) for name, part in sealed["parts"].items()}
    if _manifest_text(sealed) != text:
        raise ValueError("it is not as it was written")
    for name in parts:
        if not _PART.fullmatch(name):  # a name may be anything in a file from elsewhere, and purging removes it
            raise ValueError(f"it names {name!r}, which is no part of a checkpoint")
    return parts


def _safetensors_writer(part: Mapping[str, Any], iteration: int) -> Callable[[Any], Any]:
    """Return what writes the averaged weights, or the plain ones, with the network's options as metadata."""
    state = part.get("params_ema", part["params"])
    about = {"network": json.dumps(part["network"]), "iteration": str(iteration)}
    return lambda file: file.write(safetensors_bytes({key: item.contiguous() for key, item in state.items()}, about))


def _read(path: Path, iteration: int) -> dict[str, Any]:
    try:
        part = read_tensors(path)
    except (OSError, NotTensors) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: {error}") from error
    if not isinstance(part, dict):
        raise CheckpointError(f"{path}: holds a {type(part).__name__} instead of a dictionary")
    if part.get("iteration") != iteration:
        raise CheckpointError(f"{path}: is of iteration {part.get('iteration')}; checkpoints cannot be mixed")
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
