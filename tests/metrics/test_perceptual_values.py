"""LPIPS, DISTS and MS-SSIM against the packages that have them, with drawn trunks and the published heads."""

import gc
import importlib.util
import warnings
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut
from skimage.metrics import structural_similarity
from torchvision.models.vgg import cfgs, make_layers

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features.dists import DISTSFeatures
from dmdnet.features.lpips import LPIPSFeatures
from dmdnet.images import from_hwc
from dmdnet.metrics import MetricInput, build_metrics, parts
from dmdnet.metrics.dists import DISTS
from dmdnet.metrics.lpips import LPIPS
from dmdnet.metrics.ms_ssim import EXPONENTS, MSSSIM
from dmdnet.registry import METRICS
from dmdnet.weights import WEIGHTS, read_state

BOXES = torch.tensor([[[12, 16, 28, 30], [36, 16, 52, 30], [26, 26, 38, 40], [20, 40, 44, 56]]], dtype=torch.int32)


def picture_pair(size=64, count=2, amount=25.0, seed=0):
    """Parts of a photograph (NASA, public domain) and the same with noise."""
    target = torch.stack([from_hwc(np.ascontiguousarray(astronaut()[s : s + size, 100 : 100 + size]))
                          for s in range(0, 90 * count, 90)])  # fmt: skip
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed)) * amount
    return (target + noise).clamp(0, 255).to(torch.uint8), target


def packages_lpips(trunk, folder, **options):
    lpips = pytest.importorskip("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = lpips.LPIPS(pretrained=True, pnet_rand=True, net=trunk, verbose=False, **options)
    state = read_state(folder / WEIGHTS["alexnet" if trunk == "alex" else "vgg16"].file)
    for key, value in net.net.state_dict().items():
        value.copy_(state["features." + key.split(".", 1)[1]])
    return net


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_lpips_is_the_packages_on_pictures_from_minus_one_to_one(trunk, weights_folder):
    pred, target = picture_pair()
    metric = LPIPS(net=trunk)
    metric.prepare(str(weights_folder))
    net = packages_lpips(trunk, weights_folder)
    with torch.no_grad():
        expected = net(pred / 127.5 - 1, target / 127.5 - 1).flatten()
        unscaled = net(pred / 255, target / 255).flatten()
    found = metric(MetricInput(pred, target))
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=1e-6)
    assert ((found - unscaled).abs() > 0.01 * found).all()  # the usual mistake would show


def test_lpips_of_a_region_is_the_packages_map_inside_it(weights_folder):
    pred, target = picture_pair(count=1)
    metric = LPIPS(net="alex", region="components")
    metric.prepare(str(weights_folder))
    net = packages_lpips("alex", weights_folder, spatial=True)
    with torch.no_grad():
        places = net(pred / 127.5 - 1, target / 127.5 - 1)[0, 0]
    mask = torch.zeros(64, 64, dtype=torch.bool)
    for row in (0, 1, 3):
        x0, y0, x1, y1 = BOXES[0, row].tolist()
        mask[y0:y1, x0:x1] = True
    found = metric(MetricInput(pred, target, BOXES)).item()
    assert found == pytest.approx(places[mask].mean().item(), rel=1e-4)
    assert np.isnan(metric(MetricInput(pred, target, torch.zeros_like(BOXES))).item())


def test_all_lpips_metrics_with_one_trunk_look_once(weights_folder, monkeypatch):
    components = {region: METRICS.component("LPIPS", region=region) for region in ("image", "components", "mouth")}
    ready, _ = build_metrics(components, str(weights_folder))
    assert len({id(metric.features) for metric in ready.values()}) == 1
    runs, forward = [], LPIPSFeatures.forward
    monkeypatch.setattr(LPIPSFeatures, "forward", lambda self, image: runs.append(1) or forward(self, image))
    pred, target = picture_pair(count=1)
    first = MetricInput(pred, target, BOXES)
    second = MetricInput(target, target, BOXES, target_memo=first.target_memo)
    for inputs in (first, second):
        for metric in ready.values():
            metric(inputs)
    assert len(runs) == 3  # two answers and one target


def test_targets_that_are_too_large_to_keep_are_looked_at_again(weights_folder, monkeypatch):
    metric = LPIPS()
    metric.prepare(str(weights_folder))
    pred, target = picture_pair()
    expected = metric(MetricInput(pred, target))
    monkeypatch.setattr(parts, "KEPT_BYTES", 0)
    inputs = MetricInput(pred, target)
    assert torch.equal(metric(inputs), expected)
    assert inputs.target_memo == {metric.features: {}}


def test_networks_are_let_go_when_nobody_holds_them(weights_folder, tmp_path):
    file = WEIGHTS["alexnet"].file
    (tmp_path / file).write_bytes((weights_folder / file).read_bytes())  # other tests hold that of the common folder
    one, two = LPIPS(), LPIPS()
    one.prepare(str(tmp_path)), two.prepare(str(tmp_path))
    assert one.features is two.features
    assert not any(parameter.requires_grad for parameter in one.parameters())
    network = weakref.ref(one.features)
    del one, two
    gc.collect()
    assert network() is None


def test_dists_is_torchmetrics(weights_folder, monkeypatch):
    library = pytest.importorskip("torchmetrics.functional.image.dists")
    state = read_state(weights_folder / WEIGHTS["vgg16"].file)
    trunk = make_layers(cfgs["D"])
    trunk.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    monkeypatch.setattr(library, "vgg16", lambda **_: SimpleNamespace(features=trunk))
    theirs = library.DISTSNetwork(load_weights=True).eval()
    for pred, target in (picture_pair(), picture_pair(size=71), picture_pair(amount=0.0)):
        metric = DISTS()
        metric.prepare(str(weights_folder))
        with torch.no_grad():
            expected = theirs(pred / 255, target / 255).flatten()
        found = metric(MetricInput(pred, target))
        torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=2e-6)
    assert metric(MetricInput(*picture_pair())).min() > 0.01


def test_what_dists_lacks_is_named(tmp_path, weights_folder, monkeypatch):
    with pytest.raises(WeightsError, match=r"vgg16-397923af.pth is missing; .*https://"):
        DISTS().prepare(str(tmp_path))
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / WEIGHTS["vgg16"].file)
    with pytest.raises(WeightsError, match=r"has no features.0.weight of shape \(64, 3, 3, 3\)"):
        DISTSFeatures(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install 'torchmetrics"):
        DISTSFeatures(str(weights_folder))


def ms_ssim_by_scipy(first, second):
    """The definition, with scikit-image's SSIM at the coarsest scale and scipy's Gaussian."""
    c2, factors = (0.03 * 255) ** 2, []
    for scale, exponent in enumerate(EXPONENTS):
        if scale:
            first, second = (x.reshape(x.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) for x in (first, second))
        if scale == len(EXPONENTS) - 1:
            options = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
            factors.append(structural_similarity(first, second, **options) ** exponent)
            continue

        def blur(plane):
            return gaussian_filter(plane, 1.5, radius=5)[5:-5, 5:-5]

        means = blur(first), blur(second)
        variances = blur(first**2) - means[0] ** 2 + blur(second**2) - means[1] ** 2
        covariance = blur(first * second) - means[0] * means[1]
        factors.append(((2 * covariance + c2) / (variances + c2)).mean() ** exponent)
    return np.prod(factors)


def test_ms_ssim_is_the_definition():
    pred, target = picture_pair(size=192)
    expected = [
        np.mean([ms_ssim_by_scipy(p.astype(float), t.astype(float)) for p, t in zip(one, other, strict=True)])
        for one, other in zip(pred.numpy(), target.numpy(), strict=True)
    ]
    assert MSSSIM()(MetricInput(pred, target)).tolist() == pytest.approx(expected, abs=1e-6)


def test_ms_ssim_of_another_package():
    """0.8758896 is what pytorch-msssim 1.0.0 gives for this photograph and this noise."""
    noise = np.random.default_rng(0).normal(0, 20, (512, 512, 3))
    noisy = np.clip(astronaut() + noise, 0, 255).astype(np.uint8)
    found = MSSSIM()(MetricInput(from_hwc(noisy)[None], from_hwc(astronaut())[None])).item()
    assert found == pytest.approx(0.8758896, abs=1e-6)


def test_ms_ssim_of_opposite_pictures_is_a_number():
    target = picture_pair(size=192)[1]
    assert MSSSIM()(MetricInput(255 - target, target)).tolist() == [0.0, 0.0]
