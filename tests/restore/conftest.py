from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.faces.backend import get_backend
from dmdnet.images import write_image
from dmdnet.restore.demo_photo import demo_photograph, write_demo_photograph

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"
SIZE = {"image_size": 128, "base_channels": 8, "dictionary_size": 8}


@pytest.fixture(scope="session")
def backend():
    return get_backend("dlib")


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(5)
    return DMDNet(**SIZE).eval()


@pytest.fixture(scope="session")
def weights(tmp_path_factory, network):
    """A file as training writes it, of an untrained network."""
    path = tmp_path_factory.mktemp("weights") / "net_g_10.pth"
    torch.save({"params": network.state_dict(), "network": {"type": "DMDNet", **SIZE}, "iteration": 10}, path)
    return path


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """The degraded astronaut."""
    return write_demo_photograph(tmp_path_factory.mktemp("photo") / "astronaut.png")


@pytest.fixture(scope="session")
def two_faces(tmp_path_factory):
    """The astronaut twice, once smaller."""
    small = np.full((512, 400, 3), 90, np.uint8)
    small[100:484, 8:392] = demo_photograph()[::4, ::4].repeat(3, 0).repeat(3, 1)
    return write_image(tmp_path_factory.mktemp("two") / "two.png", np.hstack([demo_photograph(), small]))


@pytest.fixture(scope="session")
def reference_folder(tmp_path_factory):
    """Three usable photographs of the astronaut, and two that are none."""
    folder = tmp_path_factory.mktemp("references")
    sharp = demo_photograph()
    write_image(folder / "1.png", sharp)
    write_image(folder / "2.jpg", np.ascontiguousarray(sharp[:, ::-1]))
    write_image(folder / "3.png", (sharp * 0.7).astype(np.uint8))
    write_image(folder / "blank.png", np.full((24, 24, 3), 128, np.uint8))
    (folder / "broken.jpg").write_bytes(b"<html>not found</html>")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def photos():
    if not PHOTOS.is_dir():
        pytest.skip("the folder of real photographs is not here")
    return PHOTOS
