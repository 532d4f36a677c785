"""A benchmark on drawn people: two sets, a small network, results of another tool, an option file."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.config import Options, load_options
from dmdnet.data.demo_faces import make_demo_faces

SIZE = 64
NETWORK = {"image_size": SIZE, "base_channels": 4, "dictionary_size": 4}
TEXT = """
name: compared
device: cpu
model: {{type: DMDNetModel}}
network_g: {{type: DMDNet, image_size: 64, base_channels: 4, dictionary_size: 4}}
datasets:
  test_1:
    name: x4
    severity: 4
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/faces/images, dataroot_landmarks: {root}/faces/landmarks}}
    image_size: 64
    num_references: [2, 2]
    reference_order: given
    wrong_references: true
    degradation:
      - {{type: Downsample, scale: [4.0, 4.0], modes: [area]}}
      - {{type: ResizeBack, mode: bicubic}}
    batch_size_per_gpu: 4
  test_2:
    name: x8
    severity: 8
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/faces/images, dataroot_landmarks: {root}/faces/landmarks}}
    image_size: 64
    num_references: [2, 2]
    reference_order: given
    wrong_references: true
    degradation:
      - {{type: Downsample, scale: [8.0, 8.0], modes: [area]}}
      - {{type: ResizeBack, mode: bicubic}}
    batch_size_per_gpu: 4
methods:
  input: {{type: InputMethod}}
  ours: {{type: NetworkMethod, weights: {root}/net_g.pth, modes: [generic, specific, wrong_person], references: [1, 2]}}
  other: {{type: FolderMethod, dataroot: "{root}/other/{{set}}", sets: [x4]}}
path: {{results_root: {root}/results, weights: {root}/weights}}
val:
  metrics:
    psnr: {{type: PSNR}}
"""
COLUMNS = (
    "input", "ours_generic", "ours_specific@1", "ours_specific@2", "ours_wrong_person@1", "ours_wrong_person@2",
    "other",
)  # fmt: skip


def write_weights(path: Path, seed: int = 0) -> Path:
    """Write a small network with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = DMDNet(**NETWORK)
    torch.save({"params": net.state_dict(), "network": {"type": "DMDNet", **NETWORK}}, path)
    return path


def make_benchmark(root: Path, people: int = 3, pictures: int = 3) -> Path:
    """Write faces, weights, results of another tool and the option file; return the file.

    The other tool gives back the sharp pictures.
    """
    make_demo_faces(root / "faces", identities=people, images_per_identity=pictures, size=SIZE, seed=0)
    write_weights(root / "net_g.pth")
    shutil.copytree(root / "faces/images", root / "other/x4")
    (root / "test.yml").write_text(TEXT.format(root=root), encoding="utf-8")
    return root / "test.yml"


def options(root: Path, *overrides: str) -> Options:
    """Return the options of the benchmark in `root`."""
    return load_options(root / "test.yml", overrides)
