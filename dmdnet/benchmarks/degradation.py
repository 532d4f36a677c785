"""One GFPGAN-style sample at 512 pixels, the usual way and ours, and the single operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch

from dmdnet.benchmarks import usual_degradation as usual
from dmdnet.benchmarks.timing import take_turns
from dmdnet.degradations import apply_degradation, draw_degradation
from dmdnet.degradations.jpeg import JPEGDraw
from dmdnet.degradations.kernels import BlurDraw
from dmdnet.degradations.noise import NoiseDraw
from dmdnet.degradations.pipeline import Draws, build_degradation, degrade_batch
from dmdnet.degradations.resize import ResizeDraw
from dmdnet.images import from_hwc, to_hwc
from dmdnet.ops.degrade.noise import normal_field
from dmdnet.registry import DEGRADATIONS

# GFPGAN's ranges (dmdnet/degradations/preset_table.py)
SAMPLE: tuple[dict[str, Any], ...] = (
    {"type": "GaussianBlur", "sigma": (0.1, 10.0), "kernel_size": usual.KERNEL_SIZE, "isotropic_prob": 0.5},
    {"type": "Downsample", "scale": (0.8, 8.0)},
    {"type": "GaussianNoise", "sigma": (0.0, 20.0)},
    {"type": "JPEGCompression", "quality": (60, 100)},
    {"type": "ResizeBack"},
)
# further operations, each with ranges of Real-ESRGAN's size
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"type": "GaussianBlur", "sigma": (0.2, 10.0), "isotropic_prob": 1.0},
    {"type": "GaussianBlur", "sigma": (0.2, 10.0), "isotropic_prob": 0.0},
    {"type": "GeneralizedGaussianBlur", "sigma": (0.2, 3.0)},
    {"type": "PlateauBlur", "sigma": (0.2, 3.0)},
    {"type": "MotionBlur", "length": (3.0, 25.0)},
    {"type": "SincBlur"},
    {"type": "Downsample", "scale": (0.8, 8.0)},
    {"type": "GaussianNoise", "sigma": (1.0, 30.0)},
    {"type": "PoissonNoise", "scale": (0.05, 3.0)},
    {"type": "SpeckleNoise", "sigma": (0.01, 0.1)},
    {"type": "JPEGCompression", "quality": (30, 95)},
    {"type": "WebPCompression", "quality": (30, 95)},
    {"type": "ColorJitter"},
    {"type": "Grayscale"},
)
_LEAST_SIGMA = 1e-2  # a blur that is left out is for the usual way one that changes nothing


@dataclass(frozen=True)
class Sample:
    """A picture with its draws, for both ways."""

    rgb: np.ndarray
    bgr: np.ndarray
    draws: Draws
    usual: usual.UsualDraw
    noise_key: int | None

    def field(self) -> np.ndarray | None:
        """Return the noise that ours adds, for the usual way (blue first)."""
        if self.noise_key is None:
            return None
        return np.ascontiguousarray(normal_field(*self.usual.size, 3, self.noise_key)[..., ::-1])


def samples_of(pictures: Sequence[np.ndarray], count: int, seed: int = 0) -> list[Sample]:
    """Return `count` samples of the pictures (uint8 RGB), in turn."""
    ops = _build(SAMPLE)
    samples = []
    for number in range(count):
        rgb = pictures[number % len(pictures)]
        rng = np.random.Generator(np.random.Philox(key=[seed, number]))
        draws = draw_degradation(ops, rng, rgb.shape[:2])
        samples.append(_sample(rgb, draws))
    return samples


def _sample(rgb: np.ndarray, draws: Draws) -> Sample:
    blur, down, noise, jpeg, _ = draws
    assert isinstance(jpeg, JPEGDraw)  # its probability is 1
    size, sigma, key = rgb.shape[:2], 0.0, None
    sigma_x = sigma_y = _LEAST_SIGMA
    angle = 0.0
    if isinstance(blur, BlurDraw):
        sigma_x, sigma_y, angle = max(blur.sigma_x, sigma_x), max(blur.sigma_y, sigma_y), blur.angle
    if isinstance(down, ResizeDraw):
        size = down.height, down.width
    if isinstance(noise, NoiseDraw):
        sigma, key = noise.sigma, noise.key
    own = usual.UsualDraw(sigma_x, sigma_y, angle, (size[0], size[1]), sigma, jpeg.quality)
    return Sample(rgb, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), draws, own, key)


def compare(samples: Sequence[Sample], rounds: int) -> dict[str, Any]:
    """Time both ways on the same draws, and compare their pictures when the usual way is given the same noise."""
    ops = _build(SAMPLE)
    timings = take_turns(
        {
            "usual": [partial(usual.degrade_usually, sample.bgr, sample.usual) for sample in samples],
            "ours": [partial(apply_degradation, sample.rgb, ops, sample.draws) for sample in samples],
        },
        rounds,
    )
    ratios = [a / b for a, b in zip(timings["usual"].seconds, timings["ours"].seconds, strict=True)]
    differences = [_difference(sample) for sample in samples]
    return {
        "usual_samples_per_s": round(timings["usual"].per_s, 2),
        "ours_samples_per_s": round(timings["ours"].per_s, 2),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "usual_sample": timings["usual"].as_dict(),
        "ours_sample": timings["ours"].as_dict(),
        "mean_difference_levels": round(float(np.mean(differences)), 4),
        "worst_difference_levels": round(float(np.max(differences)), 4),
    }


def _difference(sample: Sample) -> float:
    """Return the mean difference of the two ways' pictures in grey levels, with one noise."""
    ours = apply_degradation(sample.rgb, _build(SAMPLE), sample.draws)
    theirs = usual.degrade_usually(sample.bgr, sample.usual, sample.field())
    return float(cv2.absdiff(ours, cv2.cvtColor(theirs, cv2.COLOR_BGR2RGB)).mean())


def time_steps(samples: Sequence[Sample], rounds: int) -> dict[str, dict[str, Any]]:
    """Return for each step of the sample its milliseconds the usual way and ours, on what the step before gives."""
    ops = _build(SAMPLE)
    work: dict[str, tuple[list[Callable[[], object]], list[Callable[[], object]]]] = {}
    for sample in samples:
        image = sample.rgb
        for op, params, spec in zip(ops, sample.draws, SAMPLE, strict=True):
            if params is None:
                continue
            theirs, ours = work.setdefault(_label(spec, params), ([], []))
            theirs.append(_usual_step(spec["type"], image, sample))
            ours.append(partial(op.apply, image, params))
            image = op.apply(image, params)
    table = {}
    for label, (theirs, ours) in work.items():
        timings = take_turns({"usual": theirs, "ours": ours}, rounds)
        table[label] = {f"{way}_ms": round(timing.ms, 3) for way, timing in timings.items()}
    return table


def _label(spec: dict[str, Any], params: Any) -> str:
    if spec["type"] != "GaussianBlur":
        return str(spec["type"])
    return "GaussianBlur round" if params.sigma_x == params.sigma_y else "GaussianBlur elongated"


def _usual_step(step: str, image: np.ndarray, sample: Sample) -> Callable[[], object]:
    """Return one step the usual way on `image` (grey levels), which it gets as float32 in 0..1."""
    levels = image.astype(np.float32) / 255.0
    draw = sample.usual

    def resize(size: Sequence[int]) -> np.ndarray:
        return cv2.resize(levels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)

    def blur() -> np.ndarray:
        return cv2.filter2D(levels, -1, usual.gaussian_kernel(draw.sigma_x, draw.sigma_y, draw.angle))

    steps: dict[str, Callable[[], object]] = {
        "GaussianBlur": blur,
        "Downsample": partial(resize, draw.size),
        "GaussianNoise": partial(usual.add_noise, levels, draw.noise_sigma),
        "JPEGCompression": partial(usual.through_jpeg, levels, draw.quality),
        "ResizeBack": partial(resize, sample.rgb.shape[:2]),
    }
    return steps[step]


def time_operations(pictures: Sequence[np.ndarray], count: int, rounds: int) -> dict[str, float]:
    """Return the milliseconds of each operation on whole pictures, `count` draws each."""
    table = {}
    for spec in OPERATIONS:
        (op,) = _build((spec,))
        calls: list[Callable[[], object]] = []
        for number in range(count):
            rgb = pictures[number % len(pictures)]
            params = op.draw(np.random.Generator(np.random.Philox(key=[1, number])), rgb.shape[:2])
            if params is not None:
                calls.append(partial(op.apply, rgb, params))
        options = ", ".join(f"{key} {_short(value)}" for key, value in spec.items() if key != "type")
        timing = take_turns({"op": calls}, rounds)["op"]
        table[f"{spec['type']}{f' ({options})' if options else ''}"] = round(timing.ms, 3)
    return table


def _short(value: Any) -> str:
    return "-".join(f"{item:g}" for item in value) if isinstance(value, tuple) else f"{value:g}"


def time_batch(samples: Sequence[Sample], rounds: int, ours_per_s: float) -> dict[str, Any]:
    """Time the batch path on the GPU if there is one, else on one core of the CPU, for information.

    `ratio_to_16_cores` compares with 16 times the single core's samples a second (no machine scales so well).
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ops = _build(SAMPLE)
    images = torch.stack([from_hwc(sample.rgb) for sample in samples]).to(device)
    draws = [sample.draws for sample in samples]
    results: list[torch.Tensor] = []

    def once() -> None:
        results[:] = [degrade_batch(images, ops, draws)]
        if device.type == "cuda":
            torch.cuda.synchronize()

    timing = take_turns({"batch": [once]}, rounds)["batch"]
    per_s = len(samples) * timing.per_s
    differences = [
        np.abs(to_hwc(image).astype(int) - apply_degradation(sample.rgb, ops, sample.draws)).mean()
        for image, sample in zip(results[0], samples, strict=True)
    ]
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "none (one core of the CPU)",
        "batch": len(samples),
        "samples_per_s": round(per_s, 2),
        "ms_per_batch": timing.as_dict()["ms"],
        "ratio_to_16_cores": round(per_s / (16 * ours_per_s), 3),
        "mean_difference_levels": round(float(np.mean(differences)), 4),
        "worst_difference_levels": round(float(np.max(differences)), 4),
    }


def _build(specs: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    return build_degradation(
        [
            DEGRADATIONS.component(spec["type"], **{key: value for key, value in spec.items() if key != "type"})
            for spec in specs
        ]
    )
