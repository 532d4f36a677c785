"""`python -m dmdnet bench metrics`: how fast pictures are scored, against a loop over pictures of library calls.

Both ways read the same PNG files once and give PSNR, SSIM and LPIPS (AlexNet) of each pair. The loop calls
`skimage.metrics.peak_signal_noise_ratio`, `skimage.metrics.structural_similarity` (with the Gaussian window, as our
SSIM) and the lpips package's network, one pair after the other, as most evaluation scripts do. Ours reads the next
batch while one is scored.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dmdnet.benchmarks.timing import cores, machine, take_turns
from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.lpips import LPIPSFeatures
from dmdnet.images import from_hwc, read_image, write_image
from dmdnet.metrics import Metric, MetricInput
from dmdnet.metrics.lpips import LPIPS
from dmdnet.metrics.psnr import PSNR
from dmdnet.metrics.ssim import SSIM
from dmdnet.weights import WEIGHTS, find_weights

BATCH = 10
NAMES = ("psnr", "ssim", "lpips")
_TRUNK = "alexnet"  # by the names of dmdnet.weights
Pair = tuple[Path, Path]
Scores = list[list[float]]


@dataclass(frozen=True)
class Extent:
    """How much is measured; `threads` of torch, None for one a core."""

    pictures: int = 200
    size: int = 512
    rounds: int = 3
    threads: int | None = None


def run_metrics_benchmark(extent: Extent, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures: `loop`, `ours` (milliseconds a picture, pictures a second), `ratio` and `ratio_range` of the
    rounds, `each` metric alone, `largest_difference` of the numbers, `trunk`, what was measured, and `machine`.

    Args:
        extent: how many pictures of which size, in how many rounds.
        say: is told what is being measured.

    Raises:
        ConfigError: the lpips package is not installed.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _threads(extent.threads or cores()), tempfile.TemporaryDirectory(prefix="dmdnet_bench_") as folder:
        say(f"drawing {extent.pictures} pairs of {extent.size} pixels ...")
        pairs = _make_pairs(Path(folder), extent)
        network, trunk, drawn = _package_network(Path(folder), device)
        metrics = _our_metrics(trunk, device)
        say("comparing the numbers ...")
        loop, ours = Loop(network, device), Ours(metrics, device)
        sample = pairs[: 2 * BATCH]
        differences = np.abs(np.array(loop(sample)) - np.array(ours(sample))).max(axis=0)
        say(f"the loop and ours, {extent.rounds} rounds that take turns ...")
        parts = [pairs[start : start + 2 * BATCH] for start in range(0, len(pairs), 2 * BATCH)]
        work = {"loop": [partial(loop, part) for part in parts], "ours": [partial(ours, part) for part in parts]}
        timings = take_turns(work, extent.rounds)
        say("each metric alone ...")
        each = _time_each(loop, ours, sample[:BATCH], extent.rounds)
    ratios = [a / b for a, b in zip(timings["loop"].seconds, timings["ours"].seconds, strict=True)]
    share = len(parts) / len(pairs)  # of a picture in what was timed
    return {
        "pictures": len(pairs),
        "size": extent.size,
        "rounds": extent.rounds,
        "threads": extent.threads or cores(),
        "device": str(device),
        "trunk": "drawn" if drawn else "published",
        "loop_ms": round(1e3 * share * timings["loop"].median, 3),
        "ours_ms": round(1e3 * share * timings["ours"].median, 3),
        "ratio": round(timings["loop"].median / timings["ours"].median, 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "each": each,
        "largest_difference": dict(zip(NAMES, differences.tolist(), strict=True)),
        "machine": machine(),
    }


class Loop:
    """One pair after the other through the libraries' calls."""

    def __init__(self, network: torch.nn.Module, device: torch.device) -> None:
        self.network, self.device = network, device

    def __call__(self, pairs: Sequence[Pair]) -> Scores:
        """Return PSNR, SSIM and LPIPS of each pair of files."""
        return [[call(*pictures) for call in self.calls()] for pictures in map(_read_plainly, pairs)]

    def calls(self) -> tuple[Callable[[np.ndarray, np.ndarray], float], ...]:
        """Return the call of each metric."""
        return (self.psnr, self.ssim, self.lpips)

    def psnr(self, pred: np.ndarray, target: np.ndarray) -> float:
        """Return scikit-image's."""
        return float(peak_signal_noise_ratio(target, pred, data_range=255))

    def ssim(self, pred: np.ndarray, target: np.ndarray) -> float:
        """Return scikit-image's, with the window of the paper."""
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return float(structural_similarity(target, pred, data_range=255, channel_axis=2, **options))

    @torch.no_grad()
    def lpips(self, pred: np.ndarray, target: np.ndarray) -> float:
        """Return the package's."""
        pictures = (torch.from_numpy(rgb).permute(2, 0, 1)[None].to(self.device) for rgb in (pred, target))
        return float(self.network(*(picture.float() / 127.5 - 1 for picture in pictures)))


class Ours:
    """Batches through our metrics, the next one read meanwhile."""

    def __init__(self, metrics: Sequence[Metric], device: torch.device) -> None:
        self.metrics, self.device = metrics, device

    def __call__(self, pairs: Sequence[Pair]) -> Scores:
        """Return PSNR, SSIM and LPIPS of each pair of files."""
        scores: Scores = []
        with ThreadPoolExecutor(1) as pool:
            batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]
            coming = pool.submit(self.read, batches[0])
            for following in (*batches[1:], None):
                inputs = coming.result()
                if following is not None:
                    coming = pool.submit(self.read, following)
                scores += self.score(inputs)
        return scores

    def read(self, pairs: Sequence[Pair]) -> MetricInput:
        """Return the batch on the device."""
        pred, target = (
            torch.stack([from_hwc(read_image(path)) for path in paths]).to(self.device)
            for paths in zip(*pairs, strict=True)
        )
        return MetricInput(pred, target)

    def score(self, inputs: MetricInput) -> Scores:
        """Return a row for each picture."""
        columns = [metric(inputs) for metric in self.metrics]
        rows: Scores = torch.stack(columns, dim=1).tolist()
        return rows


def report(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    computer = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in computer["versions"].items())
    low, high = result["ratio_range"]
    drawn = (
        "AlexNet's weights are drawn, since the published ones are not in the weights folder: the arithmetic and "
        "its time are the same, the numbers mean nothing."
    )
    lines = [
        f"{computer['cpu']}, {computer['cores']} cores, GPU {computer['gpu'] or 'none'}; {versions}",
        "",
        f"PSNR, SSIM and LPIPS (AlexNet) of {result['pictures']} pairs of PNG files of {result['size']} px, read once, "
        f"on {result['device']} with {result['threads']} threads; median of {result['rounds']} rounds in which both "
        "ways take turns:",
        "",
        "| | ms a picture | pictures/s |",
        "|---|---|---|",
        *(f"| {name} | {result[key]:.1f} | {1e3 / result[key]:.1f} |" for name, key in
          (("a loop over pictures: scikit-image, lpips", "loop_ms"), ("ours", "ours_ms"))),
        "",
        f"{result['ratio']:.2f} times the loop ({low:.2f} to {high:.2f}).",
        "",
        "| metric alone, already read | the loop, ms | ours, ms | the numbers differ by |",
        "|---|---|---|---|",
        *(f"| {name} | {times['loop_ms']:.1f} | {times['ours_ms']:.1f} | {result['largest_difference'][name]:.1e} |"
          for name, times in result["each"].items()),
        "",
        *((drawn,) if result["trunk"] == "drawn" else ()),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _time_each(loop: Loop, ours: Ours, pairs: Sequence[Pair], rounds: int) -> dict[str, dict[str, float]]:
    pictures, inputs = [_read_plainly(pair) for pair in pairs], ours.read(pairs)
    table = {}
    for name, call, metric in zip(NAMES, loop.calls(), ours.metrics, strict=True):

        def libraries(call: Callable[..., float] = call) -> list[float]:
            return [call(*pair) for pair in pictures]

        def mine(metric: Metric = metric) -> list[float]:
            fresh = MetricInput(inputs.pred_BCHW, inputs.target_BCHW)
            scores: list[float] = metric(fresh).tolist()
            return scores

        timings = take_turns({"loop": [libraries], "ours": [mine]}, rounds)
        table[name] = {f"{way}_ms": round(timing.ms / len(pairs), 3) for way, timing in timings.items()}
    return table


def _make_pairs(folder: Path, extent: Extent) -> list[Pair]:
    """Write targets (a photograph and drawn faces) and the same with noise; return the files, ours first."""
    photo = cv2.resize(skimage.data.astronaut(), (extent.size, extent.size), interpolation=cv2.INTER_AREA)
    pairs = []
    for number in range(extent.pictures):
        face = draw_face(Identity.sample(0, number), Shot.sample(0, number, 1), extent.size).image
        target = photo if number % 10 == 0 else face
        noise = np.random.Generator(np.random.Philox(number)).normal(0, 12, target.shape)
        pred = np.clip(cv2.GaussianBlur(target, (0, 0), 1.5) + noise, 0, 255).astype(np.uint8)
        pair = folder / f"{number}_pred.png", folder / f"{number}_target.png"
        for path, rgb in zip(pair, (pred, target), strict=True):
            write_image(path, np.ascontiguousarray(rgb))
        pairs.append(pair)
    return pairs


def _read_plainly(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    pred, target = (cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in pair)
    assert pred is not None
    assert target is not None
    return pred, target


def _package_network(folder: Path, device: torch.device) -> tuple[torch.nn.Module, Path, bool]:
    """Return the lpips package's network, the file of its trunk's weights, and whether they are drawn."""
    try:
        package = importlib.import_module("lpips")
    except ImportError as error:
        raise ConfigError(
            f"the benchmark needs lpips, which cannot be imported ({error}): pip install lpips"
        ) from error
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore", UserWarning)  # the package calls torchvision in the manner of an older version
        torch.manual_seed(0)
        network = package.LPIPS(pretrained=True, pnet_rand=True, net="alex", verbose=False)
    state = {"features." + key.split(".", 1)[1]: value for key, value in network.net.state_dict().items()}
    try:
        path, drawn = find_weights(_TRUNK), False
    except WeightsError:
        path, drawn = folder / WEIGHTS[_TRUNK].file, True
        torch.save(state, path)
    published = LPIPSFeatures("alex", None, path).trunk.state_dict()
    network.net.load_state_dict(published)
    return network.to(device).eval(), path, drawn


def _our_metrics(trunk: Path, device: torch.device) -> tuple[Metric, ...]:
    lpips = LPIPS(net="alex")
    lpips.features = LPIPSFeatures("alex", None, trunk)
    metrics: tuple[Metric, ...] = (PSNR(), SSIM(), lpips)
    return tuple(metric.to(device).eval() for metric in metrics)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use so many threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
