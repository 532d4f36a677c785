"""Keep a checkpoint as this version of the project writes it, for test_older_checkpoints: run it once for each release.

usage: keep_checkpoint.py tests/engine/checkpoints/VERSION.tar.xz

Two iterations of a tiny run with a discriminator. Its numbers are replaced by a simple pattern before it is written, so
that the archive is small; names, types, shapes and files are what the version made of them.
"""

import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
import yaml

ITERATION = 2


def options(faces: Path, experiments: Path) -> dict:
    """Return options that every version so far reads."""
    return {
        "name": "kept",
        "model": {"type": "DMDNetModel"},
        "device": "cpu",
        "network_g": {"type": "DMDNet", "image_size": 64, "base_channels": 4, "dictionary_size": 4},
        "network_d": {"type": "MultiScaleDiscriminator", "base_channels": 4, "num_scales": 2, "num_layers": 2},
        "datasets": {
            "train": {
                "name": "train",
                "type": "ReferenceFaceDataset",
                "layout": {
                    "type": "CelebRefHQLayout",
                    "dataroot_gt": str(faces / "images"),
                    "dataroot_landmarks": str(faces / "landmarks"),
                },
                "image_size": 64,
                "num_references": [1, 2],
                "batch_size_per_gpu": 2,
            }
        },
        "path": {"experiments_root": str(experiments)},
        "train": {
            "total_iter": ITERATION,
            "ema_decay": 0.9,
            "optim_g": {"type": "Adam", "lr": 1.0e-3},
            "optim_d": {"type": "Adam", "lr": 1.0e-3},
            "losses": [{"type": "L1Loss", "loss_weight": 10.0}, {"type": "GANLoss", "start_iter": 1}],
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": ITERATION, "use_tb_logger": False},
    }


def pattern(name: str, shape: torch.Size) -> torch.Tensor:
    """Return what a tensor holds in a kept checkpoint: one of two numbers, the same for all tensors of its size."""
    if name == "exp_avg_sq":
        return torch.full(shape, 1 / 64)
    bits = np.random.Generator(np.random.Philox(shape.numel())).integers(0, 2, shape.numel())
    return torch.from_numpy(bits).float().sub(0.5).div(8).view(shape)


def tensors(value, name=""):
    """Yield all floating-point tensors of nested mappings and lists that are no single numbers, with their keys."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.dim():
            yield name, value
    elif isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(item, key)


def main() -> None:
    """Train, replace the numbers, pack."""
    from dmdnet.config import load_options
    from dmdnet.data.demo_faces import make_demo_faces
    from dmdnet.engine.checkpoint import CheckpointFolder
    from dmdnet.engine.train import train

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_demo_faces(root / "faces", identities=3, images_per_identity=3, size=64)
        file = root / "kept.yml"
        file.write_text(yaml.safe_dump(options(root / "faces", root / "experiments")))
        train(load_options(file))
        run = CheckpointFolder(root / "experiments" / "kept")
        weights, state = run.load(ITERATION)
        for name, tensor in tensors([weights, state["model"]]):
            tensor.copy_(pattern(name, tensor.shape))
        state["options"] = yaml.safe_load(yaml.safe_dump(state["options"]).replace(place, "somewhere"))
        run.save(ITERATION, weights, state)
        with tarfile.open(sys.argv[1], "w:xz", preset=9) as archive:
            for path in [*run.models.glob(f"*_{ITERATION}.*"), *run.states.iterdir()]:
                archive.add(path, path.relative_to(run.root), filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
