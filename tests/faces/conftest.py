from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data

from dmdnet.faces.backend import get_backend

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


@pytest.fixture(scope="session")
def backend():
    return get_backend("dlib")


@pytest.fixture(scope="session")
def astronaut():
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def astronaut_face(backend, astronaut):
    return backend.detect(astronaut)[0]


@pytest.fixture(scope="session")
def photos():
    if not PHOTOS.is_dir():
        pytest.skip("the folder of real photographs is not here")
    return PHOTOS
