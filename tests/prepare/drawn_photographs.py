"""Photographs of drawn people, mixed up, with the exact landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmdnet.data.demo_faces import Identity, Shot, compose_photograph, draw_face
from dmdnet.images import write_image

SAME_PERSON_DISTANCE = 0.31  # of drawn faces, who are more alike than people


@dataclass(frozen=True)
class Photographs:
    """A folder of photographs; person and exact landmarks (68, 2) by the name of the file."""

    folder: Path
    person: dict[str, int]
    landmarks: dict[str, np.ndarray]
    corrupted: tuple[str, ...]


def write_photographs(folder: Path, people: range, shots: int, seed: int = 0) -> Photographs:
    """Paste drawn faces into larger backgrounds at random sizes and angles, under names that tell nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pairs = [(person, shot) for person in people for shot in range(1, shots + 1)]
    person_of, exact = {}, {}
    for number, place in enumerate(rng.permutation(len(pairs))):
        person, shot = pairs[place]
        face = draw_face(Identity.sample(0, person), Shot.sample(0, person, shot), 256)
        scale, angle = rng.uniform(0.6, 1.2), rng.uniform(-12, 12)
        rgb, landmarks = compose_photograph(face, 460, 420, scale, angle, seed=int(rng.integers(1 << 30)))
        name = f"DSC {number:04d}.{'jpg' if number % 2 else 'png'}"
        write_image(folder / name, rgb)
        person_of[name], exact[name] = person, landmarks
    names = sorted(person_of)
    whole = (folder / names[0]).read_bytes(), (folder / names[1]).read_bytes()
    (folder / "broken 1.png").write_bytes(whole[0][: len(whole[0]) // 2])
    (folder / "broken 2.jpg").write_bytes(whole[1][: len(whole[1]) // 3])
    return Photographs(folder, person_of, exact, ("broken 1.png", "broken 2.jpg"))


def purity_and_completeness(found: list[str], true: list[int]) -> tuple[float, float]:
    """Return the share of faces that are of their group's main person, and of those in their person's main group."""
    groups, persons = np.unique(found, return_inverse=True)[1], np.unique(true, return_inverse=True)[1]
    table = np.zeros((groups.max() + 1, persons.max() + 1), int)
    np.add.at(table, (groups, persons), 1)
    return table.max(axis=1).sum() / len(found), table.max(axis=0).sum() / len(found)
