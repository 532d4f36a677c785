"""`python -m dmdnet bench data`: the data path in one run, on one core but for the loader's workers and the GPU."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch

from dmdnet.benchmarks.degradation import compare, samples_of, time_batch, time_operations, time_steps
from dmdnet.benchmarks.loading import (
    REFERENCES,
    make_pictures,
    time_decoding,
    time_loader,
    time_loader_with_device,
    worker_counts,
)
from dmdnet.benchmarks.timing import machine, one_core
from dmdnet.data.demo_faces import Identity, Shot, draw_face

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Args:
        size: side of the pictures in pixels.
        draws: samples of the degradation.
        rounds: how often each is timed.
        people, each: demo people and pictures of each, for the loader.
        loader_samples: samples that are loaded for one figure of the loader.
        batch, cpu_batch: pictures in a batch on the GPU, and on the CPU where there is none.
        workers: numbers of the loader's worker processes.
    """

    size: int
    draws: int
    rounds: int
    people: int
    each: int
    loader_samples: int
    batch: int
    cpu_batch: int
    workers: tuple[int, ...]


FULL = Extent(
    size=512, draws=48, rounds=7, people=4, each=6, loader_samples=96, batch=64, cpu_batch=8, workers=worker_counts()
)
QUICK = Extent(size=512, draws=12, rounds=3, people=2, each=5, loader_samples=8, batch=4, cpu_batch=2, workers=(0, 1))


def run_data_benchmark(extent: Extent = FULL, say: Say = print) -> dict[str, Any]:
    """Measure all, and return it as JSON can hold it.

    `usual_samples_per_s`, `ours_samples_per_s`, `ratio`, `mean_difference_levels`, `worst_difference_levels`: of the
    GFPGAN-style sample; `steps` and `ops`: milliseconds; `decode_*`; `loader_samples_per_s`; `batch_path`; `machine`.

    Args:
        extent: FULL or QUICK (few pictures: rough figures; those of the loader say only that it runs).
        say: is told what is being measured.
    """
    cuda = torch.cuda.is_available()
    photo, face = _photo(extent.size), draw_face(Identity.sample(0, 1), Shot.sample(0, 1, 1), extent.size).image
    samples = samples_of([photo, face], extent.draws)
    result: dict[str, Any] = {"size": extent.size, "draws": extent.draws, "rounds": extent.rounds}
    with one_core(), tempfile.TemporaryDirectory(prefix="dmdnet_bench_") as folder:
        say("degradation: the usual way and ours ...")
        result |= compare(samples, extent.rounds)
        say("degradation: its steps and other operations ...")
        result["steps"] = time_steps(samples, extent.rounds)
        result["ops"] = time_operations([photo, face], max(extent.draws // 4, 1), extent.rounds)
        say("degradation: a batch on the GPU ..." if cuda else "degradation: a batch (no GPU: on the CPU) ...")
        batch = samples_of([photo, face], extent.batch if cuda else extent.cpu_batch)
        result["batch_path"] = time_batch(batch, extent.rounds, result["ours_samples_per_s"])
        say("drawing faces to load ...")
        faces = make_pictures(Path(folder), extent.size, extent.people, extent.each, photo)
        say("decoding ...")
        result |= time_decoding(Path(folder), extent.rounds, 4)
        say("the loader ...")
        roots = {"disk": faces, "lmdb": faces.with_name("images.lmdb")}
        result["loader_samples_per_s"] = time_loader(roots, extent.size, extent.loader_samples, extent.workers)
        if cuda:
            device = torch.device("cuda")
            loaded = time_loader_with_device(faces, extent.size, 8 * extent.loader_samples, device)
            result["batch_path"]["loader_samples_per_s"] = loaded
    return result | {"machine": machine()}


def report(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    computer = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in computer["versions"].items())
    decode = {key: value for key, value in result.items() if key.startswith("decode_")}
    batch = result["batch_path"]
    lines = [
        f"{computer['cpu']}, {computer['cores']} cores, GPU {computer['gpu'] or 'none'}; {versions}",
        "",
        f"GFPGAN-style sample, {result['size']} px, one core, {result['draws']} draws, median of {result['rounds']} "
        "rounds that take turns:",
        "",
        "| | samples/s | ms | slowest and quickest round, ms |",
        "|---|---|---|---|",
        _sample_line("the usual way", result["usual_sample"]),
        _sample_line("ours", result["ours_sample"]),
        "",
        f"{result['ratio']:.2f} times the usual way ({_range(result['ratio_range'])}); the pictures differ by "
        f"{result['mean_difference_levels']:.3f} grey levels on average, the worst one by "
        f"{result['worst_difference_levels']:.3f} (the same noise given to both).",
        "",
        "| step | the usual way, ms | ours, ms |",
        "|---|---|---|",
        *(f"| {name} | {step['usual_ms']:.2f} | {step['ours_ms']:.2f} |" for name, step in result["steps"].items()),
        "",
        "| operation on the whole picture | ms |",
        "|---|---|",
        *(f"| {name} | {ms:.2f} |" for name, ms in result["ops"].items()),
        "",
        "| read and decode | pictures/s | ms | bytes |",
        "|---|---|---|---|",
        *(f"| {key[7:].replace('_', ' ')} | {value['per_s']:.0f} | {value['ms']:.2f} | {value['bytes']} |"
          for key, value in decode.items()),
        "",
        f"| loader with {REFERENCES} references | samples/s |",
        "|---|---|",
        *(f"| {name} | {rate:.1f} |" for name, rate in result["loader_samples_per_s"].items()),
        "",
        _batch_line(batch, gpu=computer["gpu"] is not None),
        *(f"Loader: {name}: {rate:.0f} samples/s." for name, rate in batch.get("loader_samples_per_s", {}).items()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _batch_line(batch: dict[str, Any], gpu: bool) -> str:
    where = f"A batch of {batch['batch']} on {batch['device']}" if gpu else (
        f"There is no GPU here; for information, a batch of {batch['batch']} on one core of the CPU"
    )  # fmt: skip
    against = f", {batch['ratio_to_16_cores']:.1f} times 16 cores (16 times the figure above)" if gpu else ""
    return (
        f"{where}: {batch['samples_per_s']:.0f} samples/s{against}; its pictures differ from the single ones by "
        f"{batch['mean_difference_levels']:.4f} levels on average, the worst one by "
        f"{batch['worst_difference_levels']:.4f}."
    )


def _sample_line(name: str, timing: dict[str, Any]) -> str:
    return f"| {name} | {timing['per_s']:.1f} | {timing['ms']:.2f} | {_range(timing['ms_range'][::-1])} |"


def _range(bounds: list[float]) -> str:
    return f"{bounds[0]:.2f} to {bounds[1]:.2f}"


def _photo(size: int) -> np.ndarray:
    """Return the photograph of an astronaut that comes with scikit-image (NASA, public domain)."""
    photo: np.ndarray = skimage.data.astronaut()
    return np.ascontiguousarray(photo[:size, :size])
