"""A tree of drawn faces and the option file of a tiny run on it."""

import pytest
import yaml

from dmdnet.config import load_options
from dmdnet.data.demo_faces import make_demo_faces


@pytest.fixture(scope="session")
def faces(tmp_path_factory):
    """Three drawn people, three pictures each, 64 pixels."""
    root = tmp_path_factory.mktemp("faces")
    make_demo_faces(root, identities=3, images_per_identity=3, size=64)
    return root


@pytest.fixture
def option_file(faces, tmp_path):
    """Write the option file of a tiny run below tmp_path; adversarial training starts at `gan_start`."""

    def write(name="tiny", gan_start=None, **changes):
        data = {
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
        options = {
            "name": name,
            "model": {"type": "DMDNetModel"},
            "device": "cpu",
            "network_g": {"type": "DMDNet", "image_size": 64, "base_channels": 4, "dictionary_size": 4},
            "datasets": {"train": {"name": "train", "no_reference_prob": 0.3, "use_hflip": True, **data}},
            "path": {"experiments_root": str(tmp_path / "experiments")},
            "train": {
                "total_iter": 4,
                "ema_decay": 0.9,
                "grad_clip_norm": 5.0,
                "optim_g": {"type": "Adam", "lr": 1.0e-3, "betas": [0.5, 0.999]},
                "losses": [{"type": "L1Loss", "loss_weight": 10.0}],
            },
            "logger": {"print_freq": 2, "save_checkpoint_freq": 2, "use_tb_logger": False},
        }
        if gan_start is not None:
            options["network_d"] = {
                "type": "MultiScaleDiscriminator",
                "base_channels": 4,
                "num_scales": 2,
                "num_layers": 2,
            }
            options["train"]["optim_d"] = {"type": "Adam", "lr": 1.0e-3}
            options["train"]["losses"].append({"type": "GANLoss", "start_iter": gan_start})
        for key, value in changes.items():
            options[key] = {**options[key], **value} if isinstance(value, dict) and key in options else value
        path = tmp_path / f"{name}.yml"
        path.write_text(yaml.safe_dump(options))
        return path

    return write


@pytest.fixture
def tiny(option_file):
    """Load such a file."""
    return lambda **changes: load_options(option_file(**changes))
