from __future__ import annotations

import numpy as np
import pytest

from dmdnet.errors import DataError
from dmdnet.faces.landmarks import FLIP_68, flip_landmarks, read_landmarks, write_landmarks


def test_the_permutation_is_its_own_inverse_and_swaps_the_eyes():
    assert sorted(FLIP_68) == list(range(68))
    assert (FLIP_68[FLIP_68] == np.arange(68)).all()
    assert sorted(FLIP_68[36:42]) == list(range(42, 48))
    assert sorted(FLIP_68[17:22]) == list(range(22, 27))
    assert (np.flatnonzero(np.arange(68) == FLIP_68) == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]).all()


def test_landmarks_of_a_mirrored_photograph_are_the_flipped_landmarks(backend, astronaut, astronaut_face):
    mirrored = backend.detect(np.ascontiguousarray(astronaut[:, ::-1]))[0].landmarks
    flipped = flip_landmarks(astronaut_face.landmarks, astronaut.shape[1])
    distances = np.linalg.norm(mirrored - flipped, axis=1)
    assert distances.mean() < 2.0  # the face is 90 pixels wide; a wrong pair of points is ten pixels off
    assert distances[17:].max() < 5.0


def test_flip_twice_is_nothing():
    landmarks = np.random.Generator(np.random.Philox(1)).uniform(0, 100, (3, 68, 2))
    twice = flip_landmarks(flip_landmarks(landmarks, 100), 100)
    np.testing.assert_allclose(twice, landmarks)


def test_file_round_trip(tmp_path):
    landmarks = np.random.Generator(np.random.Philox(2)).uniform(-5, 600, (68, 2))
    path = write_landmarks(tmp_path / "00001.png.txt", landmarks)
    assert len(path.read_text().splitlines()) == 68
    np.testing.assert_allclose(read_landmarks(path), landmarks, atol=5.1e-4)


def test_whitespace_and_line_ends_are_no_matter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\r\n".join(b" 1.5\t2 " for _ in range(68)) + b"\r\n\r\n")
    assert (read_landmarks(path) == [1.5, 2.0]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:67], "67 landmarks, 68 lines"),
        (lambda lines: [*lines, "1 2"], "69 landmarks, 68 lines"),
        (lambda lines: [], "0 landmarks"),
        (lambda lines: [*lines[:3], "1 nan", *lines[4:]], "line 4: '1 nan' is not finite"),
        (lambda lines: [*lines[:3], "1 inf", *lines[4:]], "line 4: '1 inf' is not finite"),
        (lambda lines: [*lines[:67], "1 two"], "line 68: '1 two' is not 'x y'"),
        (lambda lines: ["1 2 3", *lines[1:]], "line 1: '1 2 3' is not 'x y'"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, change, message):
    path = tmp_path / "face.txt"
    path.write_text("\n".join(change(["1 2"] * 68)))
    with pytest.raises(DataError, match=message) as caught:
        read_landmarks(path)
    assert str(path) in str(caught.value)


def test_missing_binary_and_unwritable(tmp_path):
    with pytest.raises(DataError, match="no such landmark file"):
        read_landmarks(tmp_path / "missing.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as a landmark file"):
        read_landmarks(tmp_path / "binary.txt")
    with pytest.raises(DataError, match=r"shape \(67, 2\)"):
        write_landmarks(tmp_path / "new.txt", np.zeros((67, 2)))
    bad = np.zeros((68, 2))
    bad[7, 1] = np.nan
    with pytest.raises(DataError, match="landmark 7 is not finite"):
        write_landmarks(tmp_path / "new.txt", bad)
    assert not (tmp_path / "new.txt").exists()
