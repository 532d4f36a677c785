"""Writes demo faces in CelebRef-HQ's layout, each file atomically and independent of all others."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from dmdnet.errors import DataError
from dmdnet.faces.landmarks import read_landmarks, write_landmarks
from dmdnet.files import write_bytes
from dmdnet.images import read_image, write_image

from .draw import check_size, draw_face
from .identity import Identity
from .shot import Shot

VERSION = 1  # of the drawing: another one draws other pictures
RECIPE_FILE = "demo_faces.json"
_LAST_IDENTITY = 99_999


@dataclass(frozen=True)
class Tree:
    """What `make_demo_faces` found and did."""

    root: Path
    pictures: int
    drawn: int


def _files(root: Path, number: int, index: int) -> tuple[Path, Path]:
    folder = f"{number:05d}"
    return root / "images" / folder / f"{index}.png", root / "landmarks" / folder / f"{index}.png.txt"


def _is_whole(image: Path, landmarks: Path, size: int) -> bool:
    if not (image.is_file() and landmarks.is_file()):
        return False
    try:
        read_landmarks(landmarks)
        return read_image(image).shape == (size, size, 3)
    except DataError:
        return False


def _make_one(task: tuple[int, int], root: Path, size: int, seed: int) -> bool:
    """Draw one picture unless it is there; return whether it was drawn."""
    number, index = task
    image, landmarks = _files(root, number, index)
    if _is_whole(image, landmarks, size):
        return False
    face = draw_face(Identity.sample(seed, number), Shot.sample(seed, number, index), size)
    for path in (image, landmarks):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_landmarks(landmarks, face.landmarks)
    write_image(image, face.image)
    return True


def _check_recipe(root: Path, size: int, seed: int) -> None:
    """Refuse to mix pictures of another seed, size or drawing in one tree."""
    recipe = {"size": size, "seed": seed, "version": VERSION}
    path = root / RECIPE_FILE
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); remove {root} and make it anew") from error
        if found != recipe:
            raise DataError(
                f"{root}: holds demo faces made with {found}, not {recipe}; choose another folder or remove it"
            )
        return
    write_bytes(path, (json.dumps(recipe) + "\n").encode())


def _check_numbers(identities: int, images_per_identity: int, first_identity: int, workers: int) -> None:
    for name, value in (("identities", identities), ("images_per_identity", images_per_identity), ("workers", workers)):
        if value < 1:
            raise DataError(f"{name} {value}: must be at least 1")
    if first_identity < 0 or first_identity + identities - 1 > _LAST_IDENTITY:
        last = first_identity + identities - 1
        raise DataError(
            f"identities {first_identity} to {last}: folder names have five digits, 00000 to {_LAST_IDENTITY}"
        )


def _single_thread() -> None:
    cv2.setNumThreads(1)


def _results(make: Callable[[tuple[int, int]], bool], tasks: list[tuple[int, int]], workers: int) -> Iterator[bool]:
    if workers == 1:
        yield from map(make, tasks)
        return
    # spawn: a forked copy of a process with running threads can hang.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_single_thread) as pool:
            yield from pool.map(make, tasks, chunksize=4)
    except BrokenProcessPool as error:
        raise DataError(
            f"workers {workers}: a drawing process ended early; call make_demo_faces in a file below "
            'if __name__ == "__main__", or with workers=1'
        ) from error


def make_demo_faces(
    root: str | os.PathLike[str],
    *,
    identities: int,
    images_per_identity: int,
    size: int = 512,
    seed: int = 0,
    first_identity: int = 1,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Tree:
    """Write drawn people to `root` in CelebRef-HQ's layout.

    `<root>/images/<5-digit identity>/<k>.png` with k from 1, RGB, `size` x `size`; beside it
    `<root>/landmarks/<identity>/<k>.png.txt`, 68 lines "x y" in pixels. A picture depends on (seed, identity, k) only;
    whole files are kept, so the same call continues a broken one.

    Args:
        root: the folder; made if it is missing.
        identities: number of people, `first_identity` and those that follow.
        images_per_identity: pictures of each.
        size: side of the pictures in pixels, 64..512.
        seed: of the whole world of people.
        first_identity: number of the first person; other numbers are other people.
        workers: processes that draw.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: a number out of range, a folder that cannot be written, or one with faces of another seed or size.
    """
    check_size(size)
    _check_numbers(identities, images_per_identity, first_identity, workers)
    root = Path(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{root}: cannot be made: {error.strerror or error}") from error
    _check_recipe(root, size, seed)
    numbers = range(first_identity, first_identity + identities)
    tasks = [(number, index) for number in numbers for index in range(1, images_per_identity + 1)]
    drawn = 0
    make = partial(_make_one, root=root, size=size, seed=seed)
    for done, new in enumerate(_results(make, tasks, min(workers, len(tasks))), start=1):
        drawn += new
        if progress is not None:
            progress(done, len(tasks))
    return Tree(root, len(tasks), drawn)
