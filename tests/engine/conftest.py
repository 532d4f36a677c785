"""A tree of drawn faces and the option file of a tiny run on it."""

import pytest
import yaml
from tiny_run import tiny_options

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
        options = tiny_options(faces, name)
        options["datasets"]["train"]["use_hflip"] = True
        options["path"] = {"experiments_root": str(tmp_path / "experiments")}
        options["logger"] = {"print_freq": 2, "save_checkpoint_freq": 2, "use_tb_logger": False}
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
