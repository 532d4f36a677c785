"""FID and KID against scipy, torchmetrics and torch-fidelity; files of statistics; the command that writes them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from skimage.data import astronaut

from dmdnet.cli.main import main
from dmdnet.errors import DataError, WeightsError
from dmdnet.features.inception import InceptionFeatures, clean_resize, load_inception
from dmdnet.images import from_hwc, write_image
from dmdnet.metrics import MetricInput, build_metrics
from dmdnet.metrics.fid import FID, distance_of_features, frechet_distance
from dmdnet.metrics.inception_set import parts_of
from dmdnet.metrics.kid import KID, KernelSums
from dmdnet.metrics.set_statistics import SetStatistics, evenly, read_statistics, write_statistics
from dmdnet.registry import METRICS
from dmdnet.weights import WEIGHTS


def features(count, width, seed, shift=0.0):
    generator = np.random.Generator(np.random.Philox(seed))
    mix = generator.normal(size=(width, width)) / width**0.5
    return (generator.normal(size=(count, width)) @ mix + shift).astype(np.float32)


def photographs(count, size=96, seed=0):
    """Parts of a photograph (NASA, public domain), uint8 (N,3,S,S)."""
    photo, generator = astronaut(), np.random.Generator(np.random.Philox(seed))
    corners = generator.integers(0, 512 - size, (count, 2))
    return torch.stack([from_hwc(np.ascontiguousarray(photo[y : y + size, x : x + size])) for y, x in corners])


@pytest.fixture
def network(weights_folder):
    return load_inception(str(weights_folder))


@pytest.mark.parametrize("size", [64, 299, 512])
def test_the_resize_is_pillows_on_floats(size):
    photo = np.ascontiguousarray(astronaut()[:size, :size])
    channels = [Image.fromarray(photo[..., index].astype(np.float32)) for index in range(3)]
    pillow = np.stack([np.asarray(channel.resize((299, 299), Image.Resampling.BICUBIC)) for channel in channels])
    ours = clean_resize(from_hwc(photo)[None])[0].numpy()
    np.testing.assert_allclose(ours, pillow, atol=0.01)
    if size == 512:
        assert ours.min() < 0 < 255 < ours.max()  # neither limited nor rounded


def test_the_network_is_torch_fidelitys(network, weights_folder):
    library = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    path = weights_folder / WEIGHTS["inception_fid"].file
    theirs = library("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)).eval()
    pictures = photographs(2, size=299)
    with torch.no_grad():
        (expected,) = theirs(pictures)
    found = network(pictures)
    assert found.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("one", "two"), [(60, 80), (12, 9), (9, 80)])
def test_the_frechet_distance_is_scipys(one, two):
    first, second = features(one, 24, 0), features(two, 24, 1, shift=0.2)
    mean1, mean2 = first.mean(axis=0, dtype=float), second.mean(axis=0, dtype=float)
    cov1, cov2 = np.cov(first.astype(float), rowvar=False), np.cov(second.astype(float), rowvar=False)
    trace = np.trace(sqrtm(cov1 @ cov2).real)
    expected = ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * trace
    assert distance_of_features(first, second) == pytest.approx(expected, rel=1e-5)
    statistics = SetStatistics.of_features(second)
    against = frechet_distance(mean2, statistics.root_RD, mean1, SetStatistics.of_features(first).root_RD)
    assert against == pytest.approx(expected, rel=1e-5)
    saved = SetStatistics(mean2, two, None, cov2)
    own = SetStatistics.of_features(first)
    found = frechet_distance(own.mean_D, own.root_RD, saved.mean_D, saved.root_RD)
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_frechet_distance_is_torchmetrics():
    library = pytest.importorskip("torchmetrics.image.fid").FrechetInceptionDistance

    class Given(torch.nn.Module):
        num_features = 16

        def forward(self, picture):
            return picture

    first, second = features(50, 16, 0), features(70, 16, 1, shift=0.1)
    theirs = library(feature=Given(), input_img_size=(1, 1, 16), normalize=True).set_dtype(torch.float64)
    theirs.inception.forward = lambda rows: rows
    theirs.update(torch.from_numpy(second), real=True), theirs.update(torch.from_numpy(first), real=False)
    assert distance_of_features(first, second) == pytest.approx(theirs.compute().item(), rel=1e-4)


def test_one_gaussian_by_hand():
    """Means 3 apart, variances 4 and 9: 9 + (2 - 3)^2."""
    base = np.array([-1.0, 1.0]) / 2**0.5
    assert distance_of_features(2 * base[:, None], 3 * base[:, None] + 3) == pytest.approx(10)


def unbiased_mmd(first, second):
    first, second = first.astype(float), second.astype(float)
    width, n, m = first.shape[1], len(first), len(second)
    own1, own2, cross = ((a @ b.T / width + 1) ** 3 for a, b in ((first, first), (second, second), (first, second)))
    inside = (own1.sum() - np.trace(own1)) / (n * (n - 1)) + (own2.sum() - np.trace(own2)) / (m * (m - 1))
    return inside - 2 * cross.mean()


@pytest.mark.parametrize(("one", "two", "paired"), [(41, 41, True), (30, 55, False), (7, 3, False)])
def test_kid_is_the_unbiased_distance_and_so_is_what_is_left_without_a_part(one, two, paired):
    first, second = features(one, 12, 2), features(two, 12, 3, shift=0.3)
    sums = KernelSums(first, second, paired=paired)
    assert sums.distance() == pytest.approx(unbiased_mmd(first, second), rel=1e-9)
    part = parts_of(one)[2]
    left = np.delete(second, part, axis=0) if paired else second
    assert sums.distance(2) == pytest.approx(unbiased_mmd(np.delete(first, part, axis=0), left), rel=1e-9)


def test_kid_is_torch_fidelitys_on_one_subset():
    library = pytest.importorskip("torch_fidelity.metric_kid")
    first, second = features(40, 12, 4), features(40, 12, 5, shift=0.2)
    found = library.kid_features_to_metric(
        torch.from_numpy(first), torch.from_numpy(second), kid_subsets=1, kid_subset_size=40, verbose=False
    )
    expected = found["kernel_inception_distance_mean"]
    assert KernelSums(first, second, paired=False).distance() == pytest.approx(expected, rel=1e-4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Means of KID over many draws: the true distance of two equal distributions is 0."""
    covered = 0
    for seed in range(60):
        both = features(80, 8, 100 + seed)
        sums = KernelSums(both[:40], both[40:], paired=True)
        left = np.array([sums.distance(part) for part in range(sums.parts)])
        error = math.sqrt((len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum())
        covered += abs(sums.distance()) <= 1.96 * error
    assert 50 <= covered <= 60


def test_recipes_name_the_other_set():
    def recipe(against):
        return FID(against=against).recipe

    assert recipe("gt") == "fid@clean/gt"
    assert recipe("some/celeba/gt") == "fid@clean/celeba-gt"  # another set than each set's own ground truth
    assert recipe("some/ffhq70k-512/") == recipe("other/ffhq70k-512.npz") == "fid@clean/ffhq70k-512"
    assert recipe("some/ffhq/..") == "fid@clean/some"


def inputs(count=6, amount=25.0):
    target = photographs(count)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0)) * amount
    return MetricInput((target + noise).clamp(0, 255).to(torch.uint8), target)


def test_a_folder_its_file_and_pairs_agree(network, weights_folder, tmp_path, capsys):
    both = inputs(count=4)
    folder = tmp_path / "faces"
    (folder / "more").mkdir(parents=True)
    for index, picture in enumerate(both.target_BCHW):
        place = folder / "more" if index % 2 else folder
        write_image(place / f"{index}.png", np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    file = tmp_path / "mine-4.safetensors"
    assert main(["fid-statistics", str(folder), "-o", str(file), "--weights", str(weights_folder)]) == 0
    assert "4 pictures" in capsys.readouterr().out
    labels = {"gt": "gt", str(folder): "faces", str(file): "mine-4"}
    for name in ("FID", "KID"):
        ways = {label: METRICS.component(name, against=against) for against, label in labels.items()}
        ready, unavailable = build_metrics(ways, str(weights_folder))
        assert not unavailable
        assert [metric.recipe for metric in ready.values()] == [f"{name.lower()}@clean/{label}" for label in ready]
        pred = ready["gt"](both).numpy()
        paired = ready["gt"].compare(pred, ready["gt"].target_features(both).numpy(), seed=0)
        unpaired = [ready[label].compare(pred, None, seed=0) for label in ("faces", "mine-4")]
        assert [each.value for each in unpaired] == pytest.approx([paired.value] * 2, rel=1e-4)
        assert "4 pictures" in unpaired[1].note
        assert paired.low < paired.value < paired.high


def test_what_a_method_is_compared_with_decides_what_it_needs():
    assert FID().needs == {"target"}
    assert FID(against="somewhere").needs == frozenset()


def test_fid_and_kid_look_once(network, weights_folder, monkeypatch):
    runs, forward = [], InceptionFeatures.forward
    components = {name: METRICS.component(name) for name in ("FID", "KID")}
    ready, _ = build_metrics(components, str(weights_folder))
    monkeypatch.setattr(InceptionFeatures, "forward", lambda self, image: runs.append(1) or forward(self, image))
    both = inputs(count=2)
    for metric in ready.values():
        metric(both), metric.target_features(both)
    assert len(runs) == 2


def test_saved_statistics_come_back(tmp_path):
    statistics = SetStatistics.of_features(features(5, 2048, 0))
    found = read_statistics(write_statistics(tmp_path / "set.safetensors", statistics))
    assert found.count == 5
    for name in ("mean_D", "covariance_DD", "features_ND"):
        assert np.array_equal(getattr(found, name), getattr(statistics, name))


def test_clean_fids_files_are_read_but_kid_wants_features(tmp_path, weights_folder):
    statistics = SetStatistics.of_features(features(5, 2048, 0))
    path = tmp_path / "ffhq_clean_1024_trainval70k.npz"
    np.savez(path, mu=statistics.mean_D, sigma=statistics.covariance_DD)
    metric = FID(against=str(path))
    metric.prepare(str(weights_folder))
    assert metric.recipe == "fid@clean/ffhq_clean_1024_trainval70k"
    assert np.array_equal(read_statistics(path).covariance_DD, statistics.covariance_DD)
    with pytest.raises(DataError, match="has no features, which KID needs"):
        KID(against=str(path)).prepare(str(weights_folder))
    np.savez(path, feats=features(5, 2048, 0))
    assert read_statistics(path).features_ND.shape == (5, 2048)


def test_files_that_are_no_statistics_are_named(tmp_path):
    with pytest.raises(DataError, match="fid-statistics FOLDER"):
        read_statistics(tmp_path / "missing.safetensors")
    for name in ("noise.npz", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(DataError, match=rf"{name}: not a readable"):
            read_statistics(tmp_path / name)
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(DataError, match="no mean and covariance"):
        read_statistics(tmp_path / "other.npz")
    np.savez(tmp_path / "narrow.npz", mu=np.zeros(64), sigma=np.zeros((64, 64)))
    with pytest.raises(DataError, match=r"wants finite numbers 2048, found float64 \(64,\)"):
        read_statistics(tmp_path / "narrow.npz")
    np.savez(tmp_path / "pickled.npz", mu=np.array([object()]), sigma=np.zeros(3))
    with pytest.raises(DataError, match="not a readable"):
        read_statistics(tmp_path / "pickled.npz")


def test_an_empty_folder_and_missing_pairs_are_named(tmp_path, weights_folder):
    with pytest.raises(DataError, match="has 0 pictures"):
        FID(against=str(tmp_path)).prepare(str(weights_folder))
    with pytest.raises(DataError, match="3 predictions and 2 targets"):
        FID().compare(features(3, 8, 0), features(2, 8, 0), seed=0)


def test_missing_and_wrong_weights_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"pt_inception-2015-12-05-6726825d.pth is missing; .*https://"):
        FID().prepare(str(tmp_path))
    from dataclasses import replace

    monkeypatch.setitem(WEIGHTS, "inception_fid", replace(WEIGHTS["inception_fid"], sha256=None))
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / WEIGHTS["inception_fid"].file)
    with pytest.raises(WeightsError, match="not the weights of FID's Inception network"):
        FID().prepare(str(tmp_path))


def test_large_sets_are_thinned_evenly():
    rows = np.arange(25_001)[:, None]
    kept = evenly(rows)
    assert len(kept) == 10_000
    assert (kept[0], kept[-1]) == (0, 25_000)
    assert set(np.diff(kept[:, 0])) == {2, 3}
