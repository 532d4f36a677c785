"""Evaluations with drawn faces and made-up values, large enough for every part of a report."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from dmdnet.data.demo_faces import Identity, Shot, draw_face
from dmdnet.evaluation.exhibits import Exhibit, choose
from dmdnet.evaluation.records import (
    Evaluation,
    MethodInfo,
    MetricInfo,
    PictureRecord,
    Sample,
    UnusablePicture,
)
from dmdnet.evaluation.reports.html_report import Facts, SetFacts
from dmdnet.evaluation.reports.html_report.contents import Contents
from dmdnet.metrics import SetValue

INFOS = (
    MethodInfo("input", "input"),
    MethodInfo("ours_generic", "network", "ours", "generic", None, "experiments/ours/net_g_latest.pth", "a1" * 32),
    MethodInfo("ours_specific@1", "network", "ours", "specific", 1, "experiments/ours/net_g_latest.pth", "a1" * 32),
    MethodInfo("ours_specific@4", "network", "ours", "specific", 4, "experiments/ours/net_g_latest.pth", "a1" * 32),
    MethodInfo("ours_wrong@4", "network", "ours", "wrong_person", 4, "experiments/ours/net_g_latest.pth", "a1" * 32),
    MethodInfo("other_tool", "folder", "other_tool", source="results/other_tool"),
)
METRICS = (
    MetricInfo("psnr", "psnr@rgb/uint8", True),
    MetricInfo("ssim", "ssim@y/uint8", True),
    MetricInfo("lpips", "lpips@vgg/[-1,1]/rgb", False, undefined="no landmarks"),
    MetricInfo("fid", "fid@clean/gt", False, of_set=True),
    MetricInfo("musiq", "musiq@pyiqa", True, unavailable="pyiqa is not installed; pip install pyiqa"),
)
# by method: the mean PSNR, and what blurs its picture
QUALITY = dict(zip((info.name for info in INFOS), (21.4, 23.6, 24.1, 24.9, 23.3, 23.9), strict=True))


def evaluation(
    name: str = "demo_faces",
    *,
    people: int = 16,
    severity: float | None = 2.0,
    published: str | None = "celebref_hq",
    prefix: str = "person ",
    note: str = "no face was found in the degraded picture",
) -> Evaluation:
    """Return a set of three pictures a person; the other tool fails on every seventh, and one cannot be read."""
    rng = np.random.Generator(np.random.Philox(7))
    records = []
    for number in range(people * 3):
        identity = f"{prefix}{number // 3:02d}"
        hard = rng.normal(0, 1.2)
        for info in INFOS:
            failed = info.kind == "folder" and number % 7 == 3
            base = QUALITY["input" if failed else info.name] + hard + rng.normal(0, 0.4) - (severity or 0)
            values = {"psnr": base, "ssim": base / 30, "lpips": np.nan if number == 5 else 0.9 - base / 40}
            records.append(
                PictureRecord(
                    info.name,
                    identity,
                    f"{identity}/{number % 3}.png",
                    (info.references or 0),
                    "failed" if failed else "ok",
                    note if failed else "",
                    values,
                    "missing" if failed else "",
                )
            )
    return Evaluation(
        set_name=name,
        methods=tuple(info.name for info in INFOS),
        metrics=METRICS,
        pictures=tuple(sorted(records, key=lambda record: record.key)),
        infos=INFOS,
        unusable=(UnusablePicture(f"{prefix}00", "broken.png", "unreadable", "the file ends in the middle"),),
        set_values={
            (info.name, "fid"): SetValue(90.0 - 2 * QUALITY[info.name], note="fewer than 2048 pictures")
            for info in INFOS
        },
        severity=severity,
        published=published,
    )


@cache
def face(person: int, shot: int, size: int = 128) -> np.ndarray:
    """Return a drawn face, uint8 RGB (size, size, 3)."""
    return draw_face(Identity.sample(3, person), Shot.sample(3, person, shot), size).image


def blurred(rgb: np.ndarray, method: str) -> np.ndarray:
    """Return the picture as a method of some quality might restore it."""
    sigma = max(0.3, (26 - QUALITY[method]) * 0.8)
    return cv2.GaussianBlur(rgb, (0, 0), sigma)


def exhibits(found: Evaluation, each: int = 2, size: int = 128) -> tuple[Exhibit, ...]:
    """Return the chosen pictures of `evaluation`, drawn."""
    shown = []
    for number, choice in enumerate(choose(found, each)):
        target = face(number % 3, 0, size)
        values = {record.method: record.values for record in found.pictures if record.name == choice.name}
        sample = Sample(
            choice.identity,
            choice.name,
            {method: blurred(target, method) for method in found.methods},
            target,
            np.zeros((4, 4), np.int32),
            np.stack([face(number % 3, shot, size) for shot in (1, 2)]),
            np.zeros((2, 4, 4), np.int32),
            values,
        )
        shown.append(Exhibit(choice, sample))
    return tuple(shown)


FACTS = Facts(
    options="name: demo\nmanual_seed: 0\n",
    seed=0,
    environment={"python": "3.11", "packages": {"dmdnet": "0.5", "torch": "2.11"}, "gpus": [], "threads": 2},
    data={"demo_faces": SetFacts("datasets/demo_faces", Contents(98, 2_500_000, "b2" * 32))},
    when="2026-01-01",
    device="cpu",
)
