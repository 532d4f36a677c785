"""The options of a run that takes a second: a small DMDNet on 64-pixel faces drawn beforehand."""

from pathlib import Path


def tiny_options(faces, name="tiny"):
    """Return the option file of such a run on the CPU, as nested dicts, on the tree of `make_demo_faces` at `faces`."""
    layout = {
        "type": "CelebRefHQLayout",
        "dataroot_gt": str(Path(faces) / "images"),
        "dataroot_landmarks": str(Path(faces) / "landmarks"),
    }
    return {
        "name": name,
        "model": {"type": "DMDNetModel"},
        "device": "cpu",
        "network_g": {"type": "DMDNet", "image_size": 64, "base_channels": 4, "dictionary_size": 4},
        "datasets": {
            "train": {
                "name": "train",
                "type": "ReferenceFaceDataset",
                "layout": layout,
                "image_size": 64,
                "num_references": [1, 2],
                "no_reference_prob": 0.3,
                "batch_size_per_gpu": 2,
            }
        },
        "train": {
            "total_iter": 4,
            "ema_decay": 0.9,
            "grad_clip_norm": 5.0,
            "optim_g": {"type": "Adam", "lr": 1.0e-3, "betas": [0.5, 0.999]},
            "losses": [{"type": "L1Loss", "loss_weight": 10.0}],
        },
    }
