"""Weights & Biases, which `logger.wandb` turns on: online where that is possible, else recorded beside the run."""

from __future__ import annotations

import logging
import netrc
import os
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.config.options import WandbOptions
from dmdnet.engine.trackers.base import RunInfo, Tracker
from dmdnet.registry import plain

_ANSWERS_WITHIN = 5.0  # seconds
_STARTS_WITHIN = 30.0
_ID_FILE = "wandb_id.txt"
logger = logging.getLogger(__name__)


class WandbTracker(Tracker):
    """A run of Weights & Biases; a run that is continued stays the same one there.

    With `mode: auto` it is online where a key is known and the server answers, else offline: what is in
    `experiments/<name>/wandb` is sent later by `wandb sync`. The environment variable WANDB_MODE has precedence.
    """

    packages = ("wandb",)
    shows_pictures = True

    def __init__(self, run: RunInfo, options: WandbOptions) -> None:
        import wandb  # only where it is asked for

        self._wandb: Any = wandb
        mode = chosen_mode(options.mode, os.environ, str(wandb.setup().settings.base_url))
        self._run: Any = wandb.init(
            project=options.project,
            entity=options.entity,
            group=options.group,
            tags=list(options.tags),
            name=run.name,
            id=options.resume_id or run_id(run),
            resume="allow",
            dir=str(run.folder),
            mode=mode,
            config=plain(run.options),
            settings=wandb.Settings(init_timeout=_STARTS_WITHIN, console="off", silent=True),
        )
        # Our iterations in place of its own count of calls, which does not go back when a run is continued.
        self._run.define_metric("iteration")
        self._run.define_metric("*", step_metric="iteration")
        if mode == "offline":
            logger.info("wandb: offline; send it later with: wandb sync %s/wandb/offline-run-*", run.folder)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Log numbers."""
        self._run.log({**values, "iteration": iteration})

    def picture(self, name: str, image_HWC: np.ndarray, iteration: int) -> None:
        """Log a picture."""
        self._run.log({name: self._wandb.Image(image_HWC), "iteration": iteration})

    def close(self) -> None:
        """Finish the run there."""
        self._run.finish()


def run_id(run: RunInfo) -> str:
    """Return the id of a run: the one that its folder has, or, when it starts anew, a new one."""
    place = run.folder / _ID_FILE
    if run.iteration and place.is_file():
        found = place.read_text(encoding="utf-8").strip()
        if re.fullmatch(r"[0-9a-f]{16}", found):
            return found
    new = uuid.uuid4().hex[:16]
    place.write_text(new + "\n", encoding="utf-8")
    return new


def chosen_mode(wanted: str, environment: Mapping[str, str], server: str) -> str:
    """Return "online", "offline", or what WANDB_MODE says."""
    if environment.get("WANDB_MODE"):
        return environment["WANDB_MODE"]
    if wanted != "auto":
        return wanted
    if not has_key(server, environment):
        logger.info("wandb: no key of %s is known (wandb login, or WANDB_API_KEY)", server)
        return "offline"
    return "online" if answers(server) else "offline"


def has_key(server: str, environment: Mapping[str, str]) -> bool:
    """Return whether a key is known; without one the library would ask for it, and wait."""
    if environment.get("WANDB_API_KEY"):
        return True
    path = Path(environment.get("NETRC", "~/.netrc")).expanduser()
    host = urllib.parse.urlsplit(server).hostname or ""
    try:
        return netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def answers(server: str) -> bool:
    """Return whether a server answers at all, through a proxy where the environment names one."""
    if urllib.parse.urlsplit(server).scheme not in ("http", "https"):
        return False
    request = urllib.request.Request(server, method="HEAD")  # noqa: S310  (the scheme is looked at above)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWERS_WITHIN):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True  # it says no, but it says it
    except OSError:
        return False
