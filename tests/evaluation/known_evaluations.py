"""Evaluations with drawn values whose truth is known, without a picture or a network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dmdnet.evaluation.records import Evaluation, MethodInfo, MetricInfo, PictureRecord, UnusablePicture
from dmdnet.metrics import SetValue

INFOS = (
    MethodInfo("input", "input", entry="input"),
    MethodInfo("ours_generic", "network", entry="ours", mode="generic"),
    MethodInfo("ours_specific@1", "network", entry="ours", mode="specific", references=1),
    MethodInfo("ours_specific@3", "network", entry="ours", mode="specific", references=3),
    MethodInfo("ours_wrong_person@3", "network", entry="ours", mode="wrong_person", references=3),
    MethodInfo("theirs", "folder", entry="theirs"),
)
# true means of psnr; lpips is 1 - psnr / 40
TRUTH = {
    "input": 20.0, "ours_generic": 22.0, "ours_specific@1": 23.0, "ours_specific@3": 23.5,
    "ours_wrong_person@3": 21.5, "theirs": 22.5,
}  # fmt: skip
METRICS = (
    MetricInfo("psnr", "psnr@rgb/uint8", True),
    MetricInfo("lpips", "lpips@vgg/[-1,1]/rgb", False),
    MetricInfo("fid", "fid@clean/gt", False, of_set=True),
    MetricInfo("ids", "ids@w600k_r50/5pt", True, unavailable="w600k_r50.pth is missing; put it into weights/"),
)


def made_evaluation(people: int = 12, each: int = 4, *, infos=INFOS, metrics=METRICS, **changes) -> Evaluation:
    """Return an evaluation: a person's pictures are alike, and a picture is as hard for one method as for another.

    Picture 0 of person 0 has no references, picture 1 failed with "theirs", and one picture of the set is unusable.
    """
    rng = np.random.default_rng(0)
    pictures = []
    for person in range(people):
        of_person = rng.normal(0, 1)
        for number in range(each):
            hard = of_person + rng.normal(0, 0.5)
            for info in infos:
                psnr = TRUTH.get(info.name, 22.0) + hard + rng.normal(0, 0.1)
                values = {"psnr": psnr, "lpips": 1 - psnr / 40}
                values |= {metric.name: psnr for metric in metrics if metric.name not in values and not metric.of_set}
                record = PictureRecord(
                    info.name, f"{person:03d}", f"{person:03d}/{number}.png", info.references or 0, "ok", "", values
                )
                if (person, number, info.name) == (0, 1, "theirs"):
                    record = replace(record, status="failed", note="no such file", reason="missing")
                if (person, number) == (0, 0) and info.references:
                    nothing = dict.fromkeys(values, math.nan)
                    record = replace(record, status="no_references", references=0, values=nothing)
                pictures.append(record)
    return replace(
        Evaluation("made", tuple(info.name for info in infos), tuple(metrics), tuple(pictures), infos=tuple(infos)),
        **{
            "unusable": (UnusablePicture("000", "000/9.png", "unreadable", "cannot be decoded"),),
            "set_values": {(info.name, "fid"): SetValue(30.0, note="fewer pictures than features") for info in infos},
            "severity": 4.0,
            **changes,
        },
    )
