from __future__ import annotations

from pathlib import Path

import pytest
from drawn_photographs import write_photographs
from fake_faces import NAME, ColourBackend, write_people

from dmdnet.prepare import FaceOptions
from dmdnet.registry import FACE_BACKENDS

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


@pytest.fixture(autouse=True)
def _colours(monkeypatch):
    FACE_BACKENDS.names()  # loads the real ones
    monkeypatch.setitem(FACE_BACKENDS._components, NAME, ColourBackend)


@pytest.fixture
def people(tmp_path):
    """Four people of four aligned pictures each, a folder per person."""
    return write_people(tmp_path / "people")


@pytest.fixture
def aligned():
    return FaceOptions(size=64, face_backend=NAME, min_face=0, aligned=True)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """18 photographs of 6 drawn people, mixed up, and two broken files."""
    return write_photographs(tmp_path_factory.mktemp("drawn") / "photographs", range(1, 7), 3)


@pytest.fixture(scope="session")
def photos():
    if not PHOTOS.is_dir():
        pytest.skip("the folder of real photographs is not here")
    return PHOTOS
