from __future__ import annotations

import hashlib

import pytest

from dmdnet.errors import WeightsError
from dmdnet.weights import WEIGHTS, WeightsFile, describe_weights, find_weights, read_state


@pytest.fixture
def known(monkeypatch):
    digest = hashlib.sha256(b"weights").hexdigest()
    entry = WeightsFile("some.pth", "https://example.org/some.pth", digest[:8], "MIT", "tests")
    monkeypatch.setitem(WEIGHTS, "some", entry)


def test_every_entry_says_all():
    for name, entry in WEIGHTS.items():
        assert name == name.lower()
        assert entry.url.startswith("https://")
        assert entry.url.endswith(".zip" if entry.in_archive else "/" + entry.file)
        assert entry.file in entry.source
        assert entry.licence
        assert entry.needed_by
        assert entry.sha256 is None or len(entry.sha256) >= 8
        # torchvision's names end in the first eight digits of the digest
        assert "pytorch.org" not in entry.url or entry.sha256[:8] in entry.file


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_a_missing_file_says_what_from_where_to_where_and_the_licence(tmp_path, name):
    entry = WEIGHTS[name]
    with pytest.raises(WeightsError) as caught:
        find_weights(name, tmp_path)
    for word in (entry.file, entry.url, str(tmp_path), entry.licence, entry.needed_by, "DMDNET_WEIGHTS"):
        assert word in str(caught.value)


def test_the_folder_is_the_argument_or_the_environments(tmp_path, monkeypatch, known):
    (tmp_path / "some.pth").write_bytes(b"weights")
    assert find_weights("some", tmp_path) == tmp_path / "some.pth"
    monkeypatch.setenv("DMDNET_WEIGHTS", str(tmp_path))
    assert find_weights("some") == tmp_path / "some.pth"


def test_another_file_under_the_name_is_refused(tmp_path, known):
    (tmp_path / "some.pth").write_bytes(b"a web page")
    with pytest.raises(WeightsError, match=r"some\.pth is not the published file.*Delete it"):
        find_weights("some", tmp_path)
    (tmp_path / "some.pth").write_bytes(b"weights")
    assert find_weights("some", tmp_path).is_file(), "the digest is not remembered for a changed file"


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(WeightsError, match=r"unknown weights 'vgg'; known: .*vgg19"):
        find_weights("vgg", tmp_path)


def test_the_table_as_text(tmp_path, known):
    (tmp_path / "some.pth").write_bytes(b"weights")
    text = describe_weights(tmp_path)
    assert "some: present" in text
    assert "vgg19: missing" in text
    assert "not published; the file is not verified" in text


def test_a_path_that_cannot_be_opened_is_not_called_damaged(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot be opened: .*; it has to be a file that may be read"):
        read_state(tmp_path)
