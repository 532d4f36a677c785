"""What the discriminator is asked for, and when."""

import copy
import importlib.util

import pytest
import torch

from dmdnet.errors import ConfigError
from dmdnet.losses.base import LossInput
from dmdnet.losses.component import box_masks
from dmdnet.losses.judgement import Judge
from dmdnet.models.base import build_model
from dmdnet.registry import ARCHS, LOSSES

BOXES = torch.tensor([[10, 16, 28, 34], [36, 16, 54, 34], [24, 26, 40, 44], [20, 42, 44, 60]]).repeat(3, 1, 1)
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
    judgement = Judge(net.eval())(torch.zeros(2, 3, 128, 128), BOXES[:2])
    assert LOSSES.build(LOSSES.component("GANLoss")).real_loss(judgement.maps(), judgement.maps()).shape == (2,)


def test_the_penalty_comes_at_its_iterations_and_reaches_the_discriminator_alone(adversarial, batch):
    plain = build_model(adversarial(LOSSES.component("GANLoss")), "cpu")
    trained = build_model(adversarial(LOSSES.component("GANLoss", r1_gamma=1e4, r1_every=2)), "cpu")
    assert [["l_d_r1" in model.step(batch(), n) for n in (1, 2, 3)] for model in (plain, trained)] == [
        [False, False, False],
        [False, True, False],
    ]
    first = build_model(adversarial(LOSSES.component("GANLoss")), "cpu")
    other = build_model(adversarial(LOSSES.component("GANLoss", r1_gamma=1e4, r1_every=1)), "cpu")
    logs = [model.step(batch(), 1) for model in (first, other)]
    assert logs[1]["grad_norm_net_g"].value() == logs[0]["grad_norm_net_g"].value()
    assert logs[1]["grad_norm_net_d"].value() > 2 * logs[0]["grad_norm_net_d"].value()


@pytest.mark.parametrize("gan_type", ["hinge", "vanilla", "lsgan"])
def test_relativistic_training_step(adversarial, batch, gan_type):
    settings = adversarial(LOSSES.component("GANLoss", gan_type=gan_type, relativistic=True))
    logs = build_model(settings, "cpu").step(batch(), 1)
    assert all(mean.total.isfinite() for mean in logs.values())
    assert logs["grad_norm_net_g"].value() > 0


def test_the_terms_of_a_sample_are_means_over_the_outputs_that_count(adversarial):
    from dmdnet.models.objective import Output

    trained = build_model(adversarial(LOSSES.component("GANLoss", gan_type="lsgan")), "cpu")
    adversary = trained.adversary
    adversary.net.eval()
    generator = torch.Generator().manual_seed(0)
    real, one, other = (torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(3))
    outputs = {"generic": Output(one, torch.ones(2)), "specific": Output(other, torch.tensor([1.0, 0.0]))}
    terms = adversary.terms(real, BOXES[:2], outputs, trained.objective.adversarial(1), 1)
    loss, judge = trained.objective.adversarial(1)[0], Judge(adversary.net)
    fakes = [loss.fake_loss(judge(item, BOXES[:2]).maps(), ()) for item in (one, other)]
    expected = torch.stack([(fakes[0][0] + fakes[1][0]) / 2, fakes[0][1]])
    torch.testing.assert_close(terms["l_d_fake"].value_B, expected)
    torch.testing.assert_close(terms["l_d_real"].value_B, loss.real_loss(judge(real, BOXES[:2]).maps(), ()))


SMALL = {"base_channels": 4, "num_layers": 2}
JOINT = {
    "picture": {"type": "UNetDiscriminator", **SMALL},
    "components": {"type": "ComponentDiscriminator", "patch_size": 16, **SMALL},
}


def test_picture_and_components_have_losses_of_their_own(adversarial, batch):
    losses = (
        LOSSES.component("GANLoss", part="picture", r1_gamma=1.0, r1_every=1),
        LOSSES.component("GANLoss", part="components", gan_type="vanilla", loss_weight=0.02, r1_gamma=1.0, r1_every=2),
        LOSSES.component("FeatureMatchingLoss"),
    )
    settings = adversarial(*losses, network_d=ARCHS.component("JointDiscriminator", parts=JOINT))
    trained = build_model(settings, "cpu")
    start = {name: item.detach().clone() for name, item in trained.adversary.net.named_parameters()}
    logs = [trained.step(batch(), iteration) for iteration in (1, 2)]
    names = {"l_g_gan_picture_generic", "l_g_gan_components_specific", "l_g_feature_matching_generic", "l_d_real"}
    assert names | {"l_d_r1"} <= set(logs[0])
    assert {"l_d_r1", "l_d_r1_2"} <= set(logs[1])
    assert [name for name, item in trained.adversary.net.named_parameters() if torch.equal(item, start[name])] == []


def test_a_component_discriminators_gradient_lies_in_the_boxes(adversarial, batch):
    losses = (LOSSES.component("GANLoss", part="components"), LOSSES.component("GANLoss", part="picture"))
    settings = adversarial(*losses, network_d=ARCHS.component("JointDiscriminator", parts=JOINT))
    trained = build_model(settings, "cpu")
    faces = batch()
    pred = torch.zeros(3, 3, 64, 64, requires_grad=True)
    inputs = LossInput(pred, torch.ones(3, 3, 64, 64), faces.gt_boxes_B44, trained.adversary.freeze())
    trained.objective.adversarial(1)[0](inputs).sum().backward()
    inside = box_masks(faces.gt_boxes_B44[:, [0, 1, 3]], 64, 64).any(dim=1)
    assert (pred.grad[:, 0][~inside] == 0).all()
    assert (pred.grad[:, 0][inside] != 0).any()


def test_parts_and_losses_that_do_not_fit_are_refused(adversarial):
    joint = ARCHS.component("JointDiscriminator", parts=JOINT)
    picture, components = (LOSSES.component("GANLoss", part=part) for part in JOINT)
    with pytest.raises(ConfigError, match=r"GANLoss has part 'nose'; network_d has picture, components"):
        build_model(adversarial(picture, LOSSES.component("GANLoss", part="nose"), network_d=joint), "cpu")
    with pytest.raises(ConfigError, match=r"GANLoss has part 'picture'; network_d has none: take a Joint"):
        build_model(adversarial(picture), "cpu")
    with pytest.raises(ConfigError, match=r"no loss trains its part components"):
        build_model(adversarial(picture, network_d=joint), "cpu")
    late = LOSSES.component("GANLoss", part="components", start_iter=9)
    with pytest.raises(ConfigError, match=r"different iterations \(picture from 0, components from 9\)"):
        build_model(adversarial(picture, late, network_d=joint), "cpu")
    build_model(adversarial(picture, components, network_d=joint), "cpu")


def test_a_joint_discriminator_goes_on_bit_for_bit_after_a_restart(adversarial, batch):
    losses = [LOSSES.component("GANLoss", part=part, relativistic=True, r1_gamma=1.0, r1_every=2) for part in JOINT]
    settings = adversarial(*losses, network_d=ARCHS.component("JointDiscriminator", parts=JOINT))
    one, two = build_model(settings, "cpu"), build_model(settings, "cpu")
    for iteration in (1, 2, 3):
        one.step(batch(seed=iteration), iteration)
    two.load_weights(copy.deepcopy(one.weights()))
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for trained in (one, two):
        trained.step(batch(seed=4), 4)
    for name, network in one.networks().items():
        other = two.networks()[name].state_dict()
        assert all(torch.equal(item, other[key]) for key, item in network.state_dict().items())


@needs_basicsr
def test_a_part_of_basicsr(adversarial, batch):
    parts = {**JOINT, "picture": {"type": "basicsr.UNetDiscriminatorSN", "num_in_ch": 3, "num_feat": 4}}
    settings = adversarial(LOSSES.component("GANLoss"), network_d=ARCHS.component("JointDiscriminator", parts=parts))
    logs = build_model(settings, "cpu").step(batch(), 1)
    assert all(mean.total.isfinite() for mean in logs.values())


@pytest.mark.slow
def test_penalties_go_with_compiled_networks_and_parts_of_a_batch(adversarial, batch, monkeypatch):
    from dmdnet.models import compiling

    monkeypatch.setattr(compiling, "_BACKEND", "aot_eager")  # differentiates as inductor does, and compiles nothing
    losses = [LOSSES.component("GANLoss", part=part, r1_gamma=1.0, r1_every=1) for part in JOINT]
    plain = adversarial(*losses, network_d=ARCHS.component("JointDiscriminator", parts=JOINT))
    expected = build_model(plain, "cpu").step(batch((1, 2, 1, 1)), 1)
    for changes in ({"compile": True}, {"accumulate": 2}):
        settings = plain.model_copy(update={"train": plain.train.model_copy(update=changes)})
        found = build_model(settings, "cpu").step(batch((1, 2, 1, 1)), 1)
        for name, mean in expected.items():
            assert found[name].value() == pytest.approx(mean.value(), rel=1e-3, abs=1e-5), (name, changes)
