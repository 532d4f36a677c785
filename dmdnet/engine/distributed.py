"""The processes of a run: started by torchrun or SLURM, joined by torch.distributed, or just this one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from dmdnet.config.options import DistOptions
from dmdnet.engine.pulse import Pulse, beating
from dmdnet.errors import ConfigError
from dmdnet.models.means import Mean

Launcher = Literal["auto", "none", "pytorch", "slurm"]


@dataclass(frozen=True)
class World:
    """This process among those of the run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    control: torch.distributed.ProcessGroup | None = None  # on the CPU, for small agreements

    @property
    def main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def highest(self, value: int) -> int:
        """Return the largest `value` of all ranks, on every rank."""
        if self.size == 1:
            return value
        table = torch.tensor([value])
        torch.distributed.all_reduce(table, op=torch.distributed.ReduceOp.MAX, group=self.control)
        return int(table)

    def reduce(self, means: Mapping[str, Mean]) -> dict[str, float]:
        """Return the means over all ranks as numbers: one transfer to the host, one collective.

        A mean to which no rank added anything (no sample had references) is left out: it has no value.
        """
        if not means:
            return {}
        names = sorted(means)
        table: Tensor = torch.stack([torch.stack(tuple(means[name])).double() for name in names]).cpu()
        if self.size > 1:
            torch.distributed.all_reduce(table, group=self.control)
        return {name: float(total / weight) for name, (total, weight) in zip(names, table, strict=True) if weight}


@contextmanager
def processes(
    device: str, options: DistOptions, launcher: Launcher = "auto", log_folder: Path | None = None
) -> Iterator[World]:
    """Join the run's processes; leave them at the end.

    Args:
        device: `auto`, `cuda` or `cpu`.
        launcher: "pytorch" reads torchrun's environment, "slurm" that of srun, "none" runs alone; "auto" is
            "pytorch" where torchrun started the process.
        log_folder: where a rank that misses another writes its stacks.

    Raises:
        ConfigError: the environment does not fit the launcher, or there is no such device.
    """
    rank, size, local_rank = _place(launcher, os.environ)
    place = _device(device, local_rank, launcher)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if size == 1:
        yield World(device=place)
        return
    if options.backend == "nccl" and place.type != "cuda":
        raise ConfigError("dist_params.backend: nccl works between GPUs, and this run is on the CPU; leave it out")
    backend = options.backend if options.backend != "auto" else ("nccl" if place.type == "cuda" else "gloo")
    timeout = timedelta(seconds=options.timeout_s)
    store = _of_this_start(next(iter(rendezvous("env://", rank, size, timeout=timeout)))[0], os.environ)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    control = torch.distributed.new_group(backend="gloo", timeout=timeout) if backend != "gloo" else None
    pulse = Pulse(store.clone(), rank, size, options.hang_timeout_s, log_folder)
    try:
        with beating(pulse):
            yield World(rank, size, local_rank, place, control)
    except SystemExit:  # as all have agreed
        torch.distributed.destroy_process_group()
        raise
    # After an error the group is left to the end of the process: leaving it properly would wait for the other ranks.
    torch.distributed.destroy_process_group()


def _of_this_start(store: Any, environment: Mapping[str, str]) -> Any:
    """Return the part of a store that is of this start of the ranks.

    torchrun's static rendezvous keeps one store over restarts, in which new ranks would find the addresses of dead
    ones. Several machines may count their restarts differently; there `--rdzv-backend=c10d` gives each start a store.
    """
    if environment.get("GROUP_WORLD_SIZE") != "1":
        return store
    return torch.distributed.PrefixStore(f"start_{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _device(name: str, local_rank: int, launcher: Launcher = "auto") -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("device: cuda, but torch finds no CUDA device here; set device: cpu or auto")
    if launcher == "slurm" and torch.cuda.device_count() == 1:
        return torch.device("cuda", 0)  # srun --gpus-per-task=1 shows each task a GPU of its own, and no other
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"this is local process {local_rank} and the machine has {torch.cuda.device_count()} GPUs; "
            "start as many processes as there are GPUs (CUDA_VISIBLE_DEVICES says which are seen)"
        )
    return torch.device("cuda", local_rank)


def _place(launcher: Launcher, environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Return (rank, world size, local rank)."""
    if launcher == "auto":
        launcher = "pytorch" if "RANK" in environment and "WORLD_SIZE" in environment else "none"
    if launcher == "none":
        return 0, 1, 0
    if launcher == "slurm":
        _export_slurm()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    missing = [name for name in names if not environment.get(name, "").isdigit()]
    if missing:
        raise ConfigError(
            f"--launcher {launcher}: {', '.join(missing)} not set; start with "
            "torchrun --nproc_per_node=N train.py -opt FILE --launcher pytorch, or leave --launcher out for one process"
        )
    rank, size, local_rank = (int(environment[name]) for name in names)
    return rank, size, local_rank


def _export_slurm() -> None:
    """Set torch.distributed's variables from those of srun; no shell is asked."""
    wanted = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}
    missing = [name for name in (*wanted.values(), "SLURM_STEP_NODELIST") if name not in os.environ]
    if missing:
        raise ConfigError(f"--launcher slurm: {', '.join(missing)} not set; start with srun")
    os.environ.update({name: os.environ[source] for name, source in wanted.items()})
    os.environ.setdefault("MASTER_ADDR", first_host(os.environ["SLURM_STEP_NODELIST"]))
    os.environ.setdefault("MASTER_PORT", str(20000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20000))


def first_host(nodelist: str) -> str:
    """Return the first host of a SLURM node list: `gpu[003-007,9],other` gives `gpu003`.

    Raises:
        ConfigError: the list holds anything but host names and ranges.
    """
    match = re.match(r"([A-Za-z0-9.-]+)(?:\[(\d+)[-,\d]*\])?([A-Za-z0-9.-]*)(?:,|$)", nodelist)
    if match is None:
        raise ConfigError(f"SLURM_STEP_NODELIST: {nodelist!r} is not a node list; set MASTER_ADDR yourself")
    return "".join(part or "" for part in match.groups())
