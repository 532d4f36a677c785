"""`python -m dmdnet runs`: the runs below a folder, read from what each leaves there; nothing is changed."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dmdnet.config import load_options
from dmdnet.config.options import Options
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.history import NAME as HISTORY
from dmdnet.engine.history import read_validations
from dmdnet.engine.retention import Best
from dmdnet.engine.run_lock import is_held
from dmdnet.errors import ConfigError, DataError
from dmdnet.registry import METRICS

State = Literal["running", "finished", "stopped", "failed"]
_CONTROLS = ("input", "wrong_person")  # modes that are compared with and do not judge a network
_TAIL = 65536
_STOPPED = r"stopped by signal \d+ after iteration \d+.*\n(?:.*: (?:tracker |report: ).*\n)*\Z"


@dataclass(frozen=True)
class RunSummary:
    """One run: `iteration` is the last that its log or a checkpoint knows, `best` a metric's name, value, iteration."""

    name: str
    state: State
    iteration: int
    total: int | None
    best: tuple[str, float, int] | None
    changed: float

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        best = f"{self.best[0]} {self.best[1]:.4g} @ {self.best[2]:,}" if self.best else "-"
        step = f"{self.iteration:,}" + (f"/{self.total:,}" if self.total else "")
        return self.name, self.state, step, best, time.strftime("%Y-%m-%d %H:%M", time.localtime(self.changed))


HEADER = ("run", "state", "step", "best", "last change")


def list_runs(root: Path) -> list[RunSummary]:
    """Return the runs below `root`, the one that changed last first.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; give the one that path.experiments_root names")
    folders = [entry for entry in root.iterdir() if entry.is_dir()]
    runs = [summarise_run(folder) for folder in folders if run_logs(folder) or (folder / "training_states").is_dir()]
    return sorted(runs, key=lambda run: (-run.changed, run.name))


def summarise_run(folder: Path) -> RunSummary:
    """Return what a run's folder says of it.

    A run is running while its lock is held; finished when its last iteration has a checkpoint; stopped when its log
    ends with the signal; else it failed: by an error, or killed without a word.
    """
    options = read_options(folder)
    total = options.train.total_iter if options and options.train else None
    saved = max(CheckpointFolder(folder).iterations(), default=0)
    tail = _tail(folder)
    logged = [int(number.replace(",", "")) for number in re.findall(r": iter ([\d,]+)/", tail)]
    state: State = "failed"
    if is_held(folder):
        state = "running"
    elif total is not None and saved >= total:
        state = "finished"
    elif re.search(_STOPPED, tail):
        state = "stopped"
    return RunSummary(folder.name, state, max([saved, *logged[-1:]]), total, _best(folder, options), _changed(folder))


def read_options(folder: Path) -> Options | None:
    """Return the run's options; None where there are none, or of a version that this one does not read."""
    try:
        return load_options(folder / "options.yml") if (folder / "options.yml").is_file() else None
    except ConfigError:
        return None


def run_logs(folder: Path) -> list[Path]:
    """Return the logs of a run, one a start, in order."""
    return sorted(folder.glob("train_*.log"))


def _tail(folder: Path) -> str:
    """Return the end of the newest log."""
    logs = run_logs(folder)
    if not logs:
        return ""
    with open(logs[-1], "rb") as file:
        file.seek(max(logs[-1].stat().st_size - _TAIL, 0))
        return file.read().decode("utf-8", errors="replace")


def _best(folder: Path, options: Options | None) -> tuple[str, float, int] | None:
    """Return the best value of `logger.keep_best.metric`, or of the last metric that judges the network."""
    history = read_validations(folder)
    if options is None or not history:
        return None
    metric, higher = _metric_of(options, list(next(iter(history.values()))))
    if metric is None:
        return None
    best = Best(metric, higher)
    for iteration, values in history.items():
        if f"val_{metric}" in values:
            best.update(values, iteration)
    return (metric, *best.entries[0]) if best.entries else None


def _metric_of(options: Options, names: list[str]) -> tuple[str | None, bool]:
    wanted = Best.of(options)
    if wanted is not None:
        return wanted.metric, wanted.higher
    judging = [name for name in names if not any(f"/{mode}_" in name for mode in _CONTROLS)]
    for name in reversed(judging or names):
        for metric, component in options.val.metrics.items():
            if name.endswith(f"_{metric}"):
                kind: Any = METRICS.get(component.type)
                return name.removeprefix("val_"), bool(kind.higher_is_better)
    return None, True


def _changed(folder: Path) -> float:
    files = [*run_logs(folder), folder / HISTORY, *(folder / "training_states").glob("*.json")]
    return max((path.stat().st_mtime for path in files if path.exists()), default=folder.stat().st_mtime)
