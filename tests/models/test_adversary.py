"""What the discriminator is asked for, and when."""

import importlib.util

import pytest
import torch

from dmdnet.errors import ConfigError
from dmdnet.losses.judgement import Judge
from dmdnet.models.base import build_model
from dmdnet.registry import ARCHS, LOSSES

needs_basicsr = pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="basicsr is not installed")


@pytest.fixture
def adversarial(options):
    """Build options with these losses beside L1 and, maybe, another discriminator."""

    def build(*losses, network_d=None):
        settings = options(gan_start=0)
        recipe = settings.train.model_copy(update={"losses": (settings.train.losses[0], *losses)})
        changes = {"train": recipe} if network_d is None else {"train": recipe, "network_d": network_d}
        return settings.model_copy(update=changes)

    return build


def test_feature_matching_trains_the_generator_alone(adversarial, batch):
    matching = LOSSES.component("FeatureMatchingLoss")
    trained = build_model(adversarial(LOSSES.component("GANLoss"), matching), "cpu")
    first = trained.step(batch(), 1)
    assert {"l_g_feature_matching_generic", "l_g_feature_matching_specific", "l_d_real", "l_d_fake"} <= set(first)
    assert first["l_g_feature_matching_generic"].value() > 0
    for iteration in range(2, 6):
        last = trained.step(batch(), iteration)
    assert all(mean.total.isfinite() for mean in last.values())


def test_feature_matching_waits_for_the_adversarial_loss(adversarial, batch):
    losses = LOSSES.component("FeatureMatchingLoss"), LOSSES.component("GANLoss", start_iter=2)
    trained = build_model(adversarial(*losses), "cpu")
    assert not [name for name in trained.step(batch(), 1) if "feature" in name or "gan" in name]
    assert [name for name in trained.step(batch(), 2) if "feature" in name]


def test_feature_matching_alone_is_refused(adversarial, options):
    matching = LOSSES.component("FeatureMatchingLoss")
    with pytest.raises(ConfigError, match=r"have network_d and train\.optim_d but not an adversarial loss"):
        build_model(adversarial(matching), "cpu")
    with pytest.raises(ConfigError, match="have a loss that needs a discriminator but not network_d and"):
        build_model(options(losses=(matching,)), "cpu")


@needs_basicsr
def test_a_discriminator_without_features_is_refused_where_they_are_wanted(adversarial):
    losses = LOSSES.component("GANLoss"), LOSSES.component("FeatureMatchingLoss")
    net = ARCHS.component("basicsr.UNetDiscriminatorSN", num_in_ch=3, num_feat=4)
    with pytest.raises(ConfigError, match=r"network_d: UNetDiscriminatorSN does not give its features"):
        build_model(adversarial(*losses, network_d=net), "cpu")


@needs_basicsr
def test_a_discriminator_of_basicsr_trains(adversarial, batch):
    net = ARCHS.component("basicsr.UNetDiscriminatorSN", num_in_ch=3, num_feat=4)
    trained = build_model(adversarial(LOSSES.component("GANLoss"), network_d=net), "cpu")
    start = [item.detach().clone() for item in trained.adversary.net.parameters()]
    logs = [trained.step(batch(), iteration) for iteration in (1, 2)][-1]
    assert all(mean.total.isfinite() for mean in logs.values())
    moved = [not torch.equal(old, new) for old, new in zip(start, trained.adversary.net.parameters(), strict=True)]
    assert all(moved)


@needs_basicsr
def test_a_discriminator_of_basicsr_with_one_logit_a_picture():
    net = ARCHS.build(ARCHS.component("basicsr.VGGStyleDiscriminator", num_in_ch=3, num_feat=4))
    judgement = Judge(net.eval())(torch.zeros(2, 3, 128, 128))
    assert LOSSES.build(LOSSES.component("GANLoss")).real_loss(judgement.maps).shape == (2,)
