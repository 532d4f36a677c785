"""The benchmark runs and tells the truth about the pictures; how fast a test machine is, is no test."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch

from dmdnet.benchmarks import usual_degradation as usual
from dmdnet.benchmarks.degradation import SAMPLE, samples_of
from dmdnet.benchmarks.timing import one_core, take_turns
from dmdnet.cli.main import main


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    files = folder / "bench.json", folder / "bench.md"
    assert main(["bench", "data", "--quick", "--json", str(files[0]), "--out", str(files[1])]) == 0
    return json.loads(files[0].read_text()), files[1].read_text()


def test_all_figures_are_there(quick):
    figures, _ = quick
    for key in ("usual_samples_per_s", "ours_samples_per_s", "ratio"):
        assert figures[key] > 0
        assert math.isfinite(figures[key])
    for way in ("disk", "lmdb", "opencv"):
        for picture in ("photo_png", "photo_jpg", "face_png", "face_jpg"):
            assert figures[f"decode_{picture}_{way}"]["per_s"] > 0
    assert {"Downsample", "GaussianNoise", "JPEGCompression", "ResizeBack"} <= set(figures["steps"])
    assert all(step["usual_ms"] > 0 < step["ours_ms"] for step in figures["steps"].values())
    assert all(ms > 0 for ms in figures["ops"].values())
    assert {name.split(",")[0] for name in figures["loader_samples_per_s"]} == {"disk", "lmdb"}
    assert figures["batch_path"]["samples_per_s"] > 0
    assert figures["machine"]["cores"] >= 1
    assert set(figures["machine"]["versions"]) >= {"numpy", "opencv", "torch"}


def test_both_ways_give_one_picture(quick):
    figures, _ = quick
    assert 0 <= figures["mean_difference_levels"] <= figures["worst_difference_levels"] < 1
    assert figures["batch_path"]["mean_difference_levels"] < 1


def test_the_table_has_the_figures(quick):
    figures, table = quick
    assert f"{figures['ratio']:.2f} times the usual way" in table
    assert f"| ours | {figures['ours_samples_per_s']:.1f} |" in table
    assert "| disk, 0 workers |" in table


def test_the_usual_kernel_is_a_turned_gaussian():
    kernel = usual.gaussian_kernel(4.0, 2.0, math.pi / 2)
    taps = np.arange(41) - 20
    assert kernel.shape == (41, 41)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert np.sqrt((kernel.sum(axis=0) * taps**2).sum()) == pytest.approx(2, rel=1e-2)
    assert np.sqrt((kernel.sum(axis=1) * taps**2).sum()) == pytest.approx(4, rel=1e-2)
    diagonal = usual.gaussian_kernel(5.0, 1.0, math.pi / 4)
    assert diagonal[30, 30] > 100 * diagonal[30, 10], "x towards y, as OpenCV counts"


def test_the_usual_way_does_every_step():
    photo = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 2)
    plain = usual.UsualDraw(0.01, 0.01, 0.0, (96, 96), 0.0, 100)
    whole = np.abs(usual.degrade_usually(photo, plain).astype(int) - photo)
    assert whole.mean() < 1.5
    for changes in ({"sigma_x": 6.0, "sigma_y": 6.0}, {"size": (24, 24)}, {"noise_sigma": 20.0}, {"quality": 20}):
        draw = usual.UsualDraw(**{**vars(plain), **changes})
        assert np.abs(usual.degrade_usually(photo, draw).astype(int) - photo).mean() > 2 * whole.mean(), changes


def test_the_same_draws_go_to_both_ways():
    photo = np.zeros((64, 64, 3), np.uint8)
    samples = samples_of([photo], 6)
    assert len(samples) == 6
    assert len({sample.usual for sample in samples}) == 6
    assert all(len(sample.draws) == len(SAMPLE) for sample in samples)
    again = samples_of([photo], 6)
    assert [sample.draws for sample in again] == [sample.draws for sample in samples]


def test_ways_take_turns():
    calls = []
    timings = take_turns({way: [lambda way=way: calls.append(way)] * 2 for way in ("a", "b")}, rounds=3)
    assert calls == ["a", "b"] * 2 * 4, "one round is not counted"
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]


def test_threads_are_as_before():
    before = cv2.getNumThreads(), torch.get_num_threads()
    with one_core():
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
    assert (cv2.getNumThreads(), torch.get_num_threads()) == before


def test_a_place_that_cannot_be_written_is_known_at_once(tmp_path, capsys):
    assert main(["bench", "data", "--json", str(tmp_path / "missing" / "bench.json")]) == 2
    assert "make it first" in capsys.readouterr().err
