"""Fifty steps of a recipe, small, on drawn faces: what `test_golden_losses` compares and what writes its files.

    python tests/models/golden_losses.py            write tests/golden/losses_*.json anew

A recipe's losses, optimisers, schedule and kind of networks are its own. Small are the pictures, the networks and the
batch; left out are losses whose weights may not be shipped, bfloat16 and JPEG, whose last bits are a machine's own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from dmdnet.config import load_options
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.models.base import build_model

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
STEPS, SIZE = 50, 64
NEED_WEIGHTS = {"VGG19PerceptualLoss", "StyleLoss", "IdentityLoss", "LPIPSLoss"}
PYRAMID = ["network_d.base_channels=4", "network_d.num_scales=2", "network_d.num_layers=2"]
JOINT = [
    "network_d.parts.picture.base_channels=4", "network_d.parts.picture.num_scales=2",
    "network_d.parts.picture.num_layers=2", "network_d.parts.components.base_channels=4",
    "network_d.parts.components.num_layers=2", "network_d.parts.components.patch_size=16",
]  # fmt: skip
# recipe -> what makes it small; adversarial training begins within the fifty steps, and a penalty comes often
RECIPES = {
    "train_dmdnet_stage1.yml": [],
    "train_dmdnet.yml": [*PYRAMID, "train.losses.1.start_iter=11"],
    # at the recipe's rates a rounding of another processor or number of threads grows to 2e-4 within forty steps
    "train_dmdnet_stage2.yml": [*JOINT, "train.optim_d.lr=2e-5", "train.optim_g.lr=5e-5"],
    "finetune_dmdnet.yml": [*PYRAMID, "train.losses.1.r1_every=4"],
}


def golden_file(recipe: str) -> Path:
    """Return where the series of a recipe are kept."""
    return GOLDEN / f"losses_{Path(recipe).stem}.json"


def make_faces(root: Path) -> None:
    """Draw four people with three pictures each."""
    make_demo_faces(root, identities=4, images_per_identity=3, size=SIZE)


def series(recipe: str, faces: Path) -> dict[str, list[float | None]]:
    """Return each logged loss of fifty steps; None where it is not there, or no sample counts for it."""
    path = ROOT / "options" / recipe
    losses = [loss.as_dict() for loss in load_options(path).train.losses if loss.type not in NEED_WEIGHTS]
    data = {
        "name": "drawn", "type": "ReferenceFaceDataset", "image_size": SIZE, "num_references": [1, 2],
        "layout": {"type": "CelebRefHQLayout", "dataroot_gt": str(faces / "images"),
                   "dataroot_landmarks": str(faces / "landmarks")},
        "no_reference_prob": 0.2, "use_hflip": True, "batch_size_per_gpu": 2,
        "degradation": [{"type": "Downsample", "scale": [4.0, 4.0], "modes": ["area"]},
                        {"type": "ResizeBack", "mode": "bicubic"}],
    }  # fmt: skip
    options = load_options(path, [
        "device=cpu", f"network_g.image_size={SIZE}", "network_g.base_channels=4", "network_g.dictionary_size=4",
        "datasets=~", f"datasets={json.dumps({'train': data})}", "val.val_freq=~", "path.pretrain_network_g=~",
        "train.amp=none", "train.warmup_iter=5", f"train.total_iter={STEPS}", f"train.losses={json.dumps(losses)}",
        *RECIPES[recipe],
    ])  # fmt: skip
    dataset = build_dataset(options.datasets["train"], seed=options.manual_seed, phase="train")
    model = build_model(options, "cpu")
    model.setup(dataset)
    batches = iter(build_loader(dataset, options.datasets["train"], phase="train"))
    found: dict[str, list[float | None]] = {}
    for iteration in range(1, STEPS + 1):
        for name, mean in model.step(next(batches), iteration).items():
            if name.startswith("l_"):
                row = found.setdefault(name, [None] * STEPS)
                row[iteration - 1] = float(f"{mean.value():.7g}") if mean.weight > 0 else None
    return found


def main() -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as folder:
        make_faces(Path(folder))
        for recipe in sys.argv[1:] or RECIPES:
            rows = series(recipe, Path(folder))
            body = ",\n".join(f" {json.dumps(name)}: {json.dumps(values)}" for name, values in sorted(rows.items()))
            golden_file(recipe).write_text("{\n" + body + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
