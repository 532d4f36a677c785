"""`python -m dmdnet bench train`: what each switch of training gives, in one run, against plain float32 eager."""

from __future__ import annotations

import gc
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dmdnet.benchmarks.plain_loop import plain_loop
from dmdnet.benchmarks.timing import machine
from dmdnet.benchmarks.train_variants import PLAIN, SWITCHES, variants
from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.engine.prefetch import on_device
from dmdnet.errors import ConfigError, DMDNetError
from dmdnet.models import finite
from dmdnet.models.base import Model, build_model
from dmdnet.ops.precision import set_matmul_precision

BY_HAND = "hand-written loop"
AS_BY_HAND = "ours, as by hand"
# What cannot be had here (float16, a compiler, memory) is no reason to give the rest up.
_NOT_HERE = (DMDNetError, torch.OutOfMemoryError)
_KEPT_BATCHES = 4
_WARM_UP = 2
_ROUNDS = 5
_PAIRS = 5  # of steps, ours and the one written by hand, for each step of the other ways


@dataclass
class _Contender:
    """One way to train: its step, its data, and what was measured of it."""

    step: Callable[[FaceBatch, int], None]
    data: _Data
    precision: str = "highest"
    prefetch: bool = False
    settle: Callable[[], None] = lambda: None
    forget_gradients: Callable[[], None] = lambda: None  # so that ways that wait for their turn hold less memory
    figures: dict[str, Any] = field(default_factory=dict)
    iteration: int = 0
    rounds: list[float] = field(default_factory=list)  # seconds a step

    def run(self, batches: Iterator[FaceBatch], count: int) -> float:
        """Take `count` steps and return the seconds spent waiting for their data."""
        set_matmul_precision(self.precision)  # type: ignore[arg-type]
        waited = 0.0
        for _ in range(count):
            before = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - before
            self.iteration += 1
            self.step(batch, self.iteration)
        self.settle()
        return waited


def run_train_benchmark(
    options: Options,
    iterations: int = 20,
    leave_out: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure training by an option file, and return it as JSON can hold it.

    `ways`: way -> `it_per_s` and `samples_per_s` of the step alone, `ratio` of samples a second to the plain way
    (median over rounds that take turns), `with_loader_it_per_s`, `data_wait_share`, `peak_memory_mib` (CUDA),
    `host_reads_per_step`, and of the project's loop in the form of the one written by hand `time_to_hand_written`, the
    ratio of their median steps over `pairs` of them that take turns.

    Args:
        options: of a training run; its `datasets.train` is read, nothing is written.
        iterations: steps of each way, in rounds.
        leave_out: names of switches that are not measured.
        say: is told what is being measured.

    Raises:
        ConfigError: the options are not for training, or no way has a name of `leave_out`.
    """
    if options.train is None or "train" not in options.datasets:
        raise ConfigError(f"{options.name}: bench train needs an option file with 'train' and 'datasets.train'")
    for name in leave_out:
        if name not in (known := (*SWITCHES, BY_HAND)):
            raise ConfigError(
                f"bench train --without: no way is called {name!r}; those that can be left out: {', '.join(known)}"
            )
    cuda = torch.cuda.is_available() and options.device != "cpu"
    device = torch.device("cuda" if cuda else "cpu")
    torch.backends.cudnn.benchmark = cuda
    say("reading some batches ...")
    data = _Data(options, device)
    moved: dict[Any, _Data] = {options.datasets["train"].dataset: data}
    ways: dict[str, _Contender] = {}
    skipped: dict[str, str] = {}
    for name, changed in variants(options, cuda, leave_out).items():
        say(f"{name}: the first steps ...")
        try:
            dataset = changed.datasets["train"].dataset
            if dataset not in moved:
                moved[dataset] = _Data(changed, device)
            ways[name] = _contender(changed, device, moved[dataset])
            ways[name].forget_gradients()
        except _NOT_HERE as error:
            ways.pop(name, None)
            skipped[name] = _reason(error)
            _check_plain(skipped)
    first = data.kept[0]
    if BY_HAND not in leave_out and options.network_d is None and first.references is not None and not first.pending:
        try:
            ways |= _by_hand(options, device, data)
        except _NOT_HERE as error:
            skipped[BY_HAND] = _reason(error)
    say("steps, taking turns ...")
    rounds = min(_ROUNDS, iterations)
    for _ in range(rounds):
        _each(ways, skipped, lambda way: _take_a_turn(way, device, iterations // rounds))
    say("with the loader ...")
    _each(ways, skipped, lambda way: _with_loader(way, device, iterations))
    batch = len(first)
    result = {name: {**_speeds(way, ways[PLAIN], batch), **way.figures} for name, way in ways.items()}
    if AS_BY_HAND in ways and BY_HAND in ways:
        say(f"{AS_BY_HAND}, and {BY_HAND}: step by step ...")
        ours, theirs = _step_by_step((ways[AS_BY_HAND], ways[BY_HAND]), device, pairs := _PAIRS * iterations)
        result[AS_BY_HAND] |= {"time_to_hand_written": round(ours / theirs, 4), "pairs": pairs}
    return {
        "options": options.name,
        "device": device.type,
        "batch": batch,
        "iterations": iterations,
        "ways": result,
        "skipped": skipped,
        "machine": machine(),
    }


class _Data:
    """The training data of an option file: endless, and its first batches in memory."""

    def __init__(self, options: Options, device: torch.device) -> None:
        entry = options.datasets["train"]
        assert options.train is not None
        size = entry.batch_size_per_gpu * options.train.accumulate
        self.dataset = build_dataset(entry, seed=options.manual_seed, phase="train")
        whole = entry.model_copy(update={"batch_size_per_gpu": size})
        pin = device.type == "cuda"
        self.batches = iter(build_loader(self.dataset, whole, phase="train", pin_memory=pin))
        self.kept = [next(self.batches) for _ in range(_KEPT_BATCHES)]


def _contender(options: Options, device: torch.device, data: _Data) -> _Contender:
    """Build a way, take its first steps alone, and count its memory and its host reads."""
    assert options.train is not None
    held = _start_counting_memory(device)
    model = build_model(options, device)
    recipe = options.train
    networks = list(model.networks().values())
    way = _Contender(
        _step_of(model), data, recipe.matmul_precision, recipe.prefetch, model.settle, partial(_forget, networks)
    )
    way.run(_turns(data.kept), _WARM_UP)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        way.figures["peak_memory_mib"] = round((torch.cuda.max_memory_allocated(device) - held) / 2**20, 1)
    if not recipe.compile or device.type == "cuda":
        way.figures["host_reads_per_step"] = _host_reads(way, data.kept, device)
    return way


def _forget(networks: list[nn.Module]) -> None:
    for network in networks:
        network.zero_grad(set_to_none=True)


def _step_of(model: Model) -> Callable[[FaceBatch, int], None]:
    def step(batch: FaceBatch, iteration: int) -> None:
        model.step(batch, iteration)

    return step


def _by_hand(options: Options, device: torch.device, data: _Data) -> dict[str, _Contender]:
    """Return the loop written by hand, and the project's in the same precision and memory format."""
    same = variants(options, cuda=False)["channels last"]
    assert same.train is not None
    train = same.train.model_copy(update={"optim_g": _fused(same.train.optim_g), "accumulate": 1})
    ours = _contender(same.model_copy(update={"train": train}), device, data)
    net, _, step = plain_loop(options, device)
    theirs = _Contender(step, data, forget_gradients=partial(_forget, [net]))
    theirs.run(_turns(data.kept), _WARM_UP)
    return {AS_BY_HAND: ours, BY_HAND: theirs}


def _fused(optimizer: Any) -> Any:
    return type(optimizer)(optimizer.type, {**optimizer.options, "implementation": "fused"})


def _each(ways: dict[str, _Contender], skipped: dict[str, str], work: Callable[[_Contender], None]) -> None:
    """Do it for each way; one that cannot go on is moved to `skipped`."""
    for name, way in list(ways.items()):
        try:
            work(way)
        except _NOT_HERE as error:
            del ways[name]
            skipped[name] = _reason(error)
            _check_plain(skipped)
        way.forget_gradients()


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_plain(skipped: Mapping[str, str]) -> None:
    if PLAIN in skipped:
        raise ConfigError(f"bench train: {PLAIN}, to which all is compared, cannot be measured: {skipped[PLAIN]}")


def _take_a_turn(way: _Contender, device: torch.device, steps: int) -> None:
    _synchronize(device)
    start = time.perf_counter()
    way.run(_turns(way.data.kept), steps)
    _synchronize(device)
    way.rounds.append((time.perf_counter() - start) / steps)


def _step_by_step(pair: tuple[_Contender, _Contender], device: torch.device, count: int) -> list[float]:
    """Return the seconds of the median step of each. They take turns at every step, on the same batch, and each begins
    every other time: a ratio of a few hundredths is less than what rounds of several steps differ by."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(count):
        for which in (0, 1) if turn % 2 else (1, 0):
            way = pair[which]
            _synchronize(device)
            start = time.perf_counter()
            way.run(iter([way.data.kept[turn % _KEPT_BATCHES]]), 1)
            _synchronize(device)
            seconds[which].append(time.perf_counter() - start)
    return [statistics.median(one) for one in seconds]


def _with_loader(way: _Contender, device: torch.device, iterations: int) -> None:
    batches = on_device(way.data.batches, device, way.prefetch)
    way.run(batches, 1)
    _synchronize(device)
    start = time.perf_counter()
    waited = way.run(batches, iterations)
    _synchronize(device)
    elapsed = time.perf_counter() - start
    way.figures["with_loader_it_per_s"] = round(iterations / elapsed, 3)
    way.figures["data_wait_share"] = round(waited / elapsed, 4)


def _speeds(way: _Contender, plain: _Contender, batch: int) -> dict[str, Any]:
    seconds = statistics.median(way.rounds)
    ratios = [theirs / mine for mine, theirs in zip(way.rounds, plain.rounds, strict=True)]
    return {
        "it_per_s": round(1 / seconds, 4),
        "samples_per_s": round(batch / seconds, 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def _turns(kept: list[FaceBatch]) -> Iterator[FaceBatch]:
    while True:
        yield from kept


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _start_counting_memory(device: torch.device) -> int:
    gc.collect()
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


class _HostReads(TorchDispatchMode):
    """Counts values and shapes that go to the host. Without a GPU it cannot be told which would have to be waited for,
    so that those of the reference mask, which is on the host anyway, are counted, too."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


def _host_reads(way: _Contender, kept: list[FaceBatch], device: torch.device) -> float:
    """Return how often a step waits for the device: torch's own count with CUDA, else what would read it there."""
    if device.type == "cuda":
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                for batch in kept:
                    way.iteration += 1
                    way.step(batch, way.iteration)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return sum("called a synchronizing CUDA operation" in str(item.message) for item in caught) / len(kept)
    free, finite.free_to_read = finite.free_to_read, lambda verdict: False
    try:
        with _HostReads() as reads:
            for batch in kept:
                way.iteration += 1
                way.step(batch, way.iteration)
    finally:
        finite.free_to_read = free
    return reads.count / len(kept)


def report(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    computer = result["machine"]
    lines = [
        f"{result['options']}: batch {result['batch']} on {computer['gpu'] or computer['cpu']}, {computer['cores']} "
        f"cores; torch {computer['versions']['torch']}",
        "",
        "| | it/s | samples/s | to plain | with the loader, it/s | data wait | peak memory, MiB | host reads a step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, way in result["ways"].items():
        low, high = way["ratio_range"]
        lines.append(
            f"| {name} | {way['it_per_s']:.3g} | {way['samples_per_s']:.4g} "
            f"| {way['ratio']:.2f} ({low:.2f}-{high:.2f}) "
            f"| {way['with_loader_it_per_s']:.3g} | {way['data_wait_share']:.0%} | {way.get('peak_memory_mib', '-')} "
            f"| {way.get('host_reads_per_step', '-')} |"
        )
    ours = result["ways"].get(AS_BY_HAND)
    if ours is not None and "time_to_hand_written" in ours:
        lines += [
            "",
            f"A step takes {ours['time_to_hand_written']:.3f} times that of the loop written by hand (the median of "
            f"{ours['pairs']} steps of each, in turns).",
        ]
    if result["device"] == "cpu":
        lines += ["", "Host reads: without a GPU those of tensors that are on the host anyway are counted, too."]
    lines += ["", *(f"Not measured: {name}: {reason}" for name, reason in result["skipped"].items())]
    return "\n".join(lines).rstrip() + "\n"
