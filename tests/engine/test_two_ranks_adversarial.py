"""Two processes with everything adversarial at once, against one process with the whole batch."""

import pytest
import torch
import yaml
from test_two_ranks import launch

SMALL = {"base_channels": 4, "num_layers": 2}
PARTS = {
    "picture": {"type": "UNetDiscriminator", "encoder_logits": True, **SMALL},
    "components": {"type": "ComponentDiscriminator", "patch_size": 16, **SMALL},
}
LOSSES = [
    {"type": "L1Loss", "loss_weight": 10.0},
    {"type": "GANLoss", "part": "picture", "gan_type": "vanilla", "relativistic": True, "r1_gamma": 1.0, "r1_every": 1},
    {"type": "GANLoss", "part": "components", "loss_weight": 0.02, "r1_gamma": 1.0, "r1_every": 2},
    {"type": "FeatureMatchingLoss", "loss_weight": 1.0},
]


@pytest.fixture
def write(option_file):
    """Write the option file of a run of two iterations."""

    def build(name, batch):
        path = option_file(name, gan_start=1)
        content = yaml.safe_load(path.read_text())
        content["network_d"] = {"type": "JointDiscriminator", "parts": PARTS}
        content["train"] |= {"total_iter": 2, "losses": LOSSES}
        content["datasets"]["train"]["batch_size_per_gpu"] = batch
        path.write_text(yaml.safe_dump(content))
        return path

    return build


@pytest.mark.slow
def test_parts_penalties_and_relativistic_losses_over_two_ranks(write, tmp_path):
    (first, second), _ = launch(write("pair", 2), tmp_path / "pair_out", 2)
    (alone,), _ = launch(write("alone", 4), tmp_path / "alone_out", 1)
    for kind, state in first["state"].items():
        for key, value in state.items():
            assert torch.isfinite(value).all()
            assert torch.equal(value, second["state"][kind][key]), key
    assert any(key.startswith("net_d.parts.components") for key in alone["gradients"])
    for key, expected in alone["gradients"].items():
        # second derivatives, and differences of logits that are nearly equal: more rounding than elsewhere (the bias
        # of relativistic logits has no gradient but rounding)
        scale = expected.abs().max().clamp(min=1e-2)
        assert (first["gradients"][key] - expected).abs().max() <= 1e-3 * scale, key
