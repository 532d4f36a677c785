"""LPIPS with a drawn trunk and the published heads, against the lpips package."""

import sys
import warnings

import pytest
import torch

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.lpips import LPIPSFeatures
from dmdnet.losses.base import LossInput, build_losses
from dmdnet.registry import LOSSES

lpips = pytest.importorskip("lpips")


def packages_value(trunk, folder, pred, target):
    """The package's own network with the same trunk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = lpips.LPIPS(pretrained=True, pnet_rand=True, net=trunk, verbose=False)
    (path,) = folder.glob("alexnet*" if trunk == "alex" else "vgg16*")
    state = torch.load(path, weights_only=True)
    for key, value in net.net.state_dict().items():
        value.copy_(state["features." + key.split(".", 1)[1]])
    return net(pred, target).flatten()


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_the_value_is_the_packages(trunk, lpips_folder, loss_input):
    inputs = loss_input()
    (loss,) = build_losses([LOSSES.component("LPIPSLoss", net=trunk)], str(lpips_folder))
    expected = packages_value(trunk, lpips_folder, inputs.pred_BCHW, inputs.target_BCHW)
    torch.testing.assert_close(loss(inputs), expected, rtol=1e-4, atol=1e-6)
    assert loss(inputs).min() > 0.01


def test_equal_and_black_pictures_have_no_distance_and_a_finite_gradient(lpips_folder):
    (loss,) = build_losses([LOSSES.component("LPIPSLoss", net="alex")], str(lpips_folder))
    loss.features.trunk.slice1[0].bias.fill_(-100.0)  # no feature lives
    pred = torch.zeros(2, 3, 64, 64, requires_grad=True)
    value = loss(LossInput(pred, torch.zeros(2, 3, 64, 64), torch.zeros(2, 4, 4)))
    assert value.tolist() == [0, 0]
    value.sum().backward()
    assert pred.grad.isfinite().all()


def test_one_network_serves_all_losses_and_sees_the_target_once(lpips_folder, loss_input, monkeypatch):
    components = [LOSSES.component("LPIPSLoss", net="alex"), LOSSES.component("LPIPSLoss", net="alex", loss_weight=2)]
    one, two = build_losses(components, str(lpips_folder))
    assert one.features is two.features
    runs = []
    forward = LPIPSFeatures.forward
    monkeypatch.setattr(LPIPSFeatures, "forward", lambda self, image: runs.append(1) or forward(self, image))
    inputs = loss_input()
    one(inputs), two(inputs)
    assert len(runs) == 3
    assert not any(parameter.requires_grad for parameter in one.parameters())


def test_building_it_leaves_torchs_generator_alone(lpips_folder):
    state = torch.random.get_rng_state()
    build_losses([LOSSES.component("LPIPSLoss")], str(lpips_folder))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_missing_weights_say_which_file_and_where(tmp_path):
    with pytest.raises(WeightsError, match=r"alexnet-owt-7be5be79.pth is missing; .*https://"):
        build_losses([LOSSES.component("LPIPSLoss", net="alex")], str(tmp_path))


def test_the_weights_of_another_network_are_refused(lpips_folder):
    (vgg,) = lpips_folder.glob("vgg16*")
    (alex,) = lpips_folder.glob("alexnet*")
    alex.write_bytes(vgg.read_bytes())
    with pytest.raises(WeightsError, match=r"alexnet.*has no features\.0\.weight of the trunk's shape"):
        build_losses([LOSSES.component("LPIPSLoss", net="alex")], str(lpips_folder))


def test_a_missing_package_is_named(lpips_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ConfigError, match="pip install lpips"):
        build_losses([LOSSES.component("LPIPSLoss")], str(lpips_folder))
