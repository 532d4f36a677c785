"""A test set of a thousand pictures of which some are missing, some damaged, and some show no face."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dmdnet.config import load_options
from dmdnet.data.batch import FaceBatch
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.layouts import LAYOUTS
from dmdnet.data.loading import build_dataset
from dmdnet.data.made_landmarks import miss_marker
from dmdnet.data.manifest import write_manifest
from dmdnet.evaluation.methods.outputs import OutputsMethod
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.report import summary_json
from dmdnet.evaluation.set_run import SetRun
from dmdnet.evaluation.statistics.summary import SummarySettings, summarise
from dmdnet.images import to_float, write_image
from dmdnet.metrics import MetricInput, SetMetric, SetValue
from dmdnet.metrics.psnr import PSNR
from dmdnet.registry import Component

PEOPLE, EACH, SIZE, BATCH = 100, 10, 64, 50
MISSING = [number for number in range(1000) if number % 20 == 0]
DAMAGED = [number for number in range(1000) if number % 50 == 7]
FACELESS = [number for number in range(1000) if number % 50 == 9 or number % 100 == 13]
SEARCHED = 3  # in so many of them a face is looked for, at half a second each; in the others one has been before
TEXT = """
name: thousand
device: cpu
model: {{type: DMDNetModel}}
network_g: {{type: DMDNet, image_size: 64, base_channels: 4, dictionary_size: 4}}
datasets:
  test:
    name: thousand
    type: ReferenceFaceDataset
    layout: {{type: ManifestLayout, manifest: {root}/faces.manifest}}
    image_size: 64
    num_references: 0
    batch_size_per_gpu: {batch}
path: {{results_root: {root}/results}}
val: {{save_img: false, modes: [input, generic], metrics: {{psnr: {{type: PSNR}}}}}}
benchmark: {{bootstrap: 50, permutations: 50}}
"""


class MeanColours(SetMetric):
    """How far the mean colour of a set is from that of the ground truth: a FID that needs no network."""

    recipe = "mean_colours@test/gt"
    higher_is_better = False

    def forward(self, inputs: MetricInput) -> Tensor:
        """Return the mean colour of each picture."""
        return inputs.pred_BCHW.float().mean(dim=(2, 3))

    def compare(self, pred_ND: np.ndarray, target_ND: np.ndarray | None, *, seed: int) -> SetValue:
        """Return the distance of the means."""
        assert target_ND is not None
        assert len(target_ND) >= len(pred_ND)
        return SetValue(float(np.abs(pred_ND.mean(axis=0) - target_ND.mean(axis=0)).sum()))


def make_thousand(root: Path) -> None:
    """Write the pictures, their table, and the option file; then damage some of the pictures."""
    make_demo_faces(root / "drawn", identities=2, images_per_identity=5, size=SIZE, seed=0)
    drawn = sorted((root / "drawn/images").rglob("*.png"))
    for number in range(PEOPLE * EACH):
        source = drawn[number % len(drawn)]
        for kind, suffix in (("images", ""), ("landmarks", ".txt")):
            path = root / kind / f"{number // EACH:05}" / f"{number % EACH}.png{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(source).replace("drawn/images", f"drawn/{kind}") + suffix, path)
    layout = LAYOUTS.component("CelebRefHQLayout", dataroot_gt=str(root / "images"))
    write_manifest(LAYOUTS.build(layout).manifest(), root / "faces.manifest")
    noise = np.random.Generator(np.random.Philox(1)).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    for number in range(PEOPLE * EACH):
        path = root / "images" / f"{number // EACH:05}" / f"{number % EACH}.png"
        if number in MISSING:
            path.unlink()
        elif number in DAMAGED:
            path.write_bytes(path.read_bytes()[:200])
        elif number in FACELESS:
            write_image(path, noise)
            place = root / "landmarks" / f"{number // EACH:05}" / f"{number % EACH}.png.txt"
            place.unlink()
            if number not in FACELESS[:SEARCHED]:
                mark = f"dlib {zlib.crc32(path.read_bytes()):08x}\n"
                Path(miss_marker(str(place))).write_text(mark, encoding="utf-8")
    (root / "thousand.yml").write_text(TEXT.format(root=root, batch=BATCH), encoding="utf-8")


def restore(batch: FaceBatch, modes: tuple[str, ...]) -> dict[str, Tensor]:
    """Make everything a little darker."""
    return {mode: to_float(batch.lq_BCHW) * 0.9 for mode in modes}


def evaluate_thousand(
    root: Path, name: str, after_batch: Callable[[int], None] | None = None, *overrides: str
) -> tuple[Evaluation, int]:
    """Return the evaluation, and how many pictures the network was asked for; `after_batch` is told of each batch."""
    options = load_options(root / "thousand.yml", [f"name={name}", *overrides])
    metrics = {"psnr": PSNR(), "colours": MeanColours()}
    named = {**options.val.metrics, "colours": Component("MeanColours")}
    options = options.model_copy(update={"val": options.val.model_copy(update={"metrics": named})})
    entry = options.datasets["test"]
    asked: list[int] = []

    def counting(batch: FaceBatch, modes: tuple[str, ...]) -> dict[str, Tensor]:
        if after_batch is not None:
            after_batch(len(asked))
        asked.append(len(batch))
        return restore(batch, modes)

    dataset = build_dataset(entry, seed=options.manual_seed, phase="test")
    out_dir = Path(options.path.results_root) / name
    method = OutputsMethod(counting, options.val.modes)
    run = SetRun(options, entry, dataset, [method], metrics, {}, out_dir, torch.device("cpu"))
    run.start()
    return run.evaluate(), sum(asked)


def summary_of(evaluation: Evaluation) -> str:
    """Return the text of `summary.json` of one set."""
    return summary_json(summarise(evaluation, SummarySettings(seed=0, resamples=50, permutations=50)))
