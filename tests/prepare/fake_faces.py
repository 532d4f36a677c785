"""A face back end that needs no model, and workers that misbehave: all importable by a spawned process."""

from __future__ import annotations

import os
import signal
from multiprocessing import current_process
from pathlib import Path

import cv2
import numpy as np

from dmdnet.faces.backend import Face
from dmdnet.faces.template import template_face_box, template_landmarks
from dmdnet.images import write_image
from dmdnet.prepare.record import Finished
from dmdnet.prepare.scan import Photograph
from dmdnet.prepare.worker import FaceFinder
from dmdnet.registry import FACE_BACKENDS

NAME = "colours"


class ColourBackend:
    """Everything is a face in FFHQ's frame; its mean colour is its identity. Black pictures hold none."""

    same_person_distance = 0.2

    def detect(self, rgb: np.ndarray) -> list[Face]:
        if rgb.mean() < 10:
            return []
        side = min(rgb.shape[:2])
        return [Face(template_face_box(side), template_landmarks(side), 1.0)]

    def landmarks_in(self, rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        return template_landmarks(rgb.shape[0])

    def embed(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return np.asarray(rgb.mean(axis=(0, 1)) / 255.0, dtype=np.float64)


if current_process().name != "MainProcess":  # a spawned worker; in pytest's own process a fixture does it for each test
    FACE_BACKENDS.register(NAME)(ColourBackend)


def write_person(folder: Path, colour: tuple[int, int, int], pictures: int, size: int = 64, seed: int = 0) -> None:
    """Write grainy pictures about one colour."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((seed, *colour))
    for number in range(1, pictures + 1):
        low = cv2.resize(rng.normal(0, 25, (6, 6, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        rgb = np.clip(np.array(colour) + low - low.mean(axis=(0, 1)), 0, 255).astype(np.uint8)
        write_image(folder / f"{number}.png", rgb)


def write_people(root: Path, pictures: int = 4, size: int = 64) -> Path:
    """Write four people of different colours, a folder each."""
    colours = {"Ann": (200, 60, 60), "Bea Ö": (60, 200, 60), "Cléo": (60, 60, 200), "Данил": (180, 180, 60)}
    for name, colour in colours.items():
        write_person(root / name, colour, pictures, size)
    return root


def everything(output: Path) -> dict[str, bytes]:
    """Return the bytes of all that `prepare` made but for its workshop."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.relative_to(output).parts[0] != "work"
    }


class FragileFinder(FaceFinder):
    """Dies on photographs whose name says so."""

    def __call__(self, photograph: Photograph) -> Finished:
        if "deadly" in photograph.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(photograph)
