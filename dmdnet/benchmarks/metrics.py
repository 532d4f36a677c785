"""`python -m dmdnet bench metrics`: how fast pictures are scored, against a loop over pictures of library calls.

Both ways read PNG files and give PSNR, SSIM and LPIPS (AlexNet) of each picture against its ground truth: of one
method, and of several methods that restored the same faces, which is what a benchmark is for. The loop calls
`skimage.metrics.peak_signal_noise_ratio`, `skimage.metrics.structural_similarity` (with the Gaussian window, as our
SSIM) and the lpips package's network, one pair of files after the other, as most evaluation scripts do. Ours scores a
batch at a time on all cores, and looks at a ground truth once for all methods.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
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
from dmdnet.ops.cores import on_all_cores
from dmdnet.weights import WEIGHTS, find_weights

BATCH = 10
NAMES = ("psnr", "ssim", "lpips")
SEVERAL = 4  # methods
_TRUNK = "alexnet"  # by the names of dmdnet.weights
Scores = list[list[float]]


@dataclass(frozen=True)
class Face:
    """A ground truth, and what each method made of it."""

    target: Path
    preds: tuple[Path, ...]


@dataclass(frozen=True)
class Extent:
    """How much is measured; `threads` of torch, None for one a core."""

    pictures: int = 200
    size: int = 512
    rounds: int = 3
    threads: int | None = None


def run_metrics_benchmark(extent: Extent, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures: `one_method` and `several_methods`, each with `loop_ms` and `ours_ms` (milliseconds a
    picture), `ratio` and `ratio_range` of the rounds; `each` metric alone, `largest_difference` of the numbers,
    `trunk`, what was measured, and `machine`.

    Args:
        extent: how many pictures of which size, in how many rounds.
        say: is told what is being measured.

    Raises:
        ConfigError: the lpips package is not installed.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _threads(extent.threads or cores()), tempfile.TemporaryDirectory(prefix="dmdnet_bench_") as folder:
        say(f"drawing {extent.pictures} pictures of {extent.size} pixels ...")
        faces = _make_faces(Path(folder), extent)
        pairs = [Face(face.target, (pred,)) for face in faces for pred in face.preds]
        network, trunk, drawn = _package_network(Path(folder), device)
        metrics = _our_metrics(trunk, device)
        say("comparing the numbers ...")
        loop, ours = Loop(network, device), Ours(metrics, device)
        differences = np.abs(np.array(loop(faces[:BATCH])) - np.array(ours(faces[:BATCH]))).max(axis=0)
        say(f"one method: the loop and ours, {extent.rounds} rounds that take turns ...")
        one = _take_turns(loop, ours, pairs, extent.rounds)
        say(f"{SEVERAL} methods ...")
        several = _take_turns(loop, ours, faces, extent.rounds)
        say("each metric alone ...")
        each = _time_each(loop, ours, pairs[:BATCH], extent.rounds)
    return {
        "pictures": len(pairs),
        "size": extent.size,
        "rounds": extent.rounds,
        "threads": extent.threads or cores(),
        "device": str(device),
        "trunk": "drawn" if drawn else "published",
        "one_method": one,
        "several_methods": {"methods": SEVERAL, **several},
        "each": each,
        "largest_difference": dict(zip(NAMES, differences.tolist(), strict=True)),
        "machine": machine(),
    }


def _take_turns(loop: Loop, ours: Ours, faces: Sequence[Face], rounds: int) -> dict[str, Any]:
    parts = [faces[start : start + 2 * BATCH] for start in range(0, len(faces), 2 * BATCH)]
    work = {"loop": [partial(loop, part) for part in parts], "ours": [partial(ours, part) for part in parts]}
    timings = take_turns(work, rounds)
    ratios = [a / b for a, b in zip(timings["loop"].seconds, timings["ours"].seconds, strict=True)]
    share = len(parts) / sum(len(face.preds) for face in faces)  # of a picture in what was timed
    return {
        "loop_ms": round(share * timings["loop"].ms, 3),
        "ours_ms": round(share * timings["ours"].ms, 3),
        "ratio": round(timings["loop"].median / timings["ours"].median, 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }


class Loop:
    """One pair after the other through the libraries' calls."""

    def __init__(self, network: torch.nn.Module, device: torch.device) -> None:
        self.network, self.device = network, device

    def __call__(self, faces: Sequence[Face]) -> Scores:
        """Return PSNR, SSIM and LPIPS of each pair of files: the methods of the first face, and so on."""
        pairs = ((_read_plainly(pred), _read_plainly(face.target)) for face in faces for pred in face.preds)
        return [[call(*pictures) for call in self.calls()] for pictures in pairs]

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
    """Batches through our metrics, as the benchmark runner has them."""

    def __init__(self, metrics: Sequence[Metric], device: torch.device) -> None:
        self.metrics, self.device = metrics, device

    def __call__(self, faces: Sequence[Face]) -> Scores:
        """Return PSNR, SSIM and LPIPS of each pair of files: the methods of the first face, and so on."""
        scores: Scores = []
        for start in range(0, len(faces), BATCH):
            by_method = [self.score(inputs) for inputs in self.read(faces[start : start + BATCH])]
            scores += [row for rows in zip(*by_method, strict=True) for row in rows]
        return scores

    def read(self, faces: Sequence[Face]) -> list[MetricInput]:
        """Return each method's batch on the device; what is found out about the ground truth is kept for the next."""
        paths = [path for face in faces for path in (face.target, *face.preds)]
        pictures = torch.stack(on_all_cores(lambda path: from_hwc(read_image(path)), paths)).to(self.device)
        target, *preds = pictures.unflatten(0, (len(faces), -1)).unbind(dim=1)
        memo: dict[Hashable, Any] = {}
        return [MetricInput(pred, target, target_memo=memo) for pred in preds]

    def score(self, inputs: MetricInput) -> Scores:
        """Return a row for each picture."""
        columns = [metric(inputs) for metric in self.metrics]
        rows: Scores = torch.stack(columns, dim=1).tolist()
        return rows


def report(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    computer = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in computer["versions"].items())
    drawn = (
        "AlexNet's weights are drawn, since the published ones are not in the weights folder: the arithmetic and "
        "its time are the same, the numbers mean nothing."
    )
    lines = [
        f"{computer['cpu']}, {computer['cores']} cores, GPU {computer['gpu'] or 'none'}; {versions}",
        "",
        f"PSNR, SSIM and LPIPS (AlexNet) of {result['pictures']} PNG files of {result['size']} px and their ground "
        f"truth, on {result['device']} with {result['threads']} threads; median of {result['rounds']} rounds in which "
        "both ways take turns:",
        "",
        "| a picture | a loop over pictures: scikit-image, lpips | ours | ratio (rounds) |",
        "|---|---|---|---|",
        _row("one method", result["one_method"]),
        _row(f"{SEVERAL} methods for each ground truth", result["several_methods"]),
        "",
        "| metric alone, already read | the loop, ms | ours, ms | the numbers differ by |",
        "|---|---|---|---|",
        *(f"| {name} | {times['loop_ms']:.1f} | {times['ours_ms']:.1f} | {result['largest_difference'][name]:.1e} |"
          for name, times in result["each"].items()),
        "",
        *((drawn,) if result["trunk"] == "drawn" else ()),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, times: dict[str, Any]) -> str:
    low, high = times["ratio_range"]
    return (
        f"| {name} | {times['loop_ms']:.1f} ms | {times['ours_ms']:.1f} ms, {1e3 / times['ours_ms']:.1f}/s | "
        f"{times['ratio']:.2f} ({low:.2f} to {high:.2f}) |"
    )


def _time_each(loop: Loop, ours: Ours, faces: Sequence[Face], rounds: int) -> dict[str, dict[str, float]]:
    pictures = [(_read_plainly(face.preds[0]), _read_plainly(face.target)) for face in faces]
    inputs = ours.read(faces)[0]
    table = {}
    for name, call, metric in zip(NAMES, loop.calls(), ours.metrics, strict=True):

        def libraries(call: Callable[..., float] = call) -> list[float]:
            return [call(*pair) for pair in pictures]

        def mine(metric: Metric = metric) -> list[float]:
            fresh = MetricInput(inputs.pred_BCHW, inputs.target_BCHW)
            scores: list[float] = metric(fresh).tolist()
            return scores

        timings = take_turns({"loop": [libraries], "ours": [mine]}, rounds)
        table[name] = {f"{way}_ms": round(timing.ms / len(faces), 3) for way, timing in timings.items()}
    return table


def _make_faces(folder: Path, extent: Extent) -> list[Face]:
    """Write ground truths (a photograph and drawn faces), and the same with noise for each method."""
    photo = cv2.resize(skimage.data.astronaut(), (extent.size, extent.size), interpolation=cv2.INTER_AREA)
    faces = []
    for number in range(math.ceil(extent.pictures / SEVERAL)):
        drawn = draw_face(Identity.sample(0, number), Shot.sample(0, number, 1), extent.size).image
        target = photo if number % 10 == 0 else drawn
        face = Face(
            folder / f"{number}_target.png", tuple(folder / f"{number}_pred_{method}.png" for method in range(SEVERAL))
        )
        write_image(face.target, np.ascontiguousarray(target))
        for method, path in enumerate(face.preds):
            noise = np.random.Generator(np.random.Philox([number, method])).normal(0, 12, target.shape)
            pred = np.clip(cv2.GaussianBlur(target, (0, 0), 1.5) + noise, 0, 255).astype(np.uint8)
            write_image(path, np.ascontiguousarray(pred))
        faces.append(face)
    return faces


def _read_plainly(path: Path) -> np.ndarray:
    rgb = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert rgb is not None
    return rgb


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
