"""No name, however made, puts a file outside its folder or on top of another."""

from pathlib import Path

import pytest

from dmdnet.evaluation.naming import MAX_LENGTH, picture_path, safe_name

NASTY = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a\0b",
    "x" * 5000,
    "é" * 300,
    "~/x",
    "a/../../b",
    "C:\\windows\\system32",
    "\\\\server\\share",
    "con",
    "AUX.txt",
    "line\nbreak",
    ".hidden",
    "\udcff",
    "name\u202egnp.exe",
    " space ",
]


@pytest.mark.parametrize("name", ["00005", "0.png", "Ana_2-b", "名前", "a+b=c@d"])
def test_plain_names_stay(name):
    assert safe_name(name) == name


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_nasty_names_become_one_harmless_component(name):
    safe = safe_name(name)
    assert safe
    assert safe != name
    assert not set(safe) & set('/\\\0\n:"<>|?*')
    assert not safe.startswith(".")
    assert len(safe.encode()) <= MAX_LENGTH


def test_different_names_stay_different():
    names = [*NASTY, "a/b", "a_b", "a:b", "x" * 4999, "..x", ".x", "x"]
    assert len({safe_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("identity", NASTY, ids=ascii)
@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_pictures_stay_in_the_folder_and_can_be_written(tmp_path, identity, name):
    path = picture_path(tmp_path, "../set", "../mode", identity, name)
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert path.relative_to(tmp_path).parts[0].startswith("_set-")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")


def test_the_usual_picture_has_a_plain_path():
    path = picture_path(Path("results/demo"), "celeb", "specific", "00005", "00005/3.png")
    assert path == Path("results/demo/celeb/specific/00005/3.png")
    assert picture_path(Path("r"), "s", "m", "7", "photo.of.me").name == "photo.of.me.png"


def test_pictures_of_one_stem_in_two_folders_are_kept_apart():
    first, second = (picture_path(Path("r"), "s", "m", "7", name) for name in ("a/1.png", "b/1.png"))
    assert first != second
