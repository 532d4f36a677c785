"""`dmdnet restore`: one photograph from file to file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dmdnet.archs.loading import load_network
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.faces.backend import DEFAULT_BACKEND, get_backend
from dmdnet.images import check_image_target, read_image, write_image
from dmdnet.restore.choose_face import parse_choice
from dmdnet.restore.references import ReferenceSet, Skipped, read_references
from dmdnet.restore.restorer import OUTPUTS, Output, Restored, RestoredFace, Restorer
from dmdnet.restore.sheet import face_sheet

_Path = str | os.PathLike[str]


@dataclass(frozen=True)
class RestoreSummary:
    """What was done to a photograph, and the files that were written (the restored photograph first)."""

    photo: Path
    files: tuple[Path, ...]
    faces: tuple[RestoredFace, ...]
    faces_found: int
    references: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.photo}: {len(self.faces)} of {self.faces_found} faces restored"]
        lines += [f"  {note}" for note in self.notes]
        if self.references:
            lines.append(f"  references: {', '.join(path.name for path in self.references)}")
        lines += [f"  skipped reference {item.path.name}: {item.reason}" for item in self.skipped]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  wrote {path}" for path in self.files]
        return "\n".join(lines)


def restore_photograph(
    photo_path: _Path,
    weights: _Path,
    out: _Path,
    references: _Path | None = None,
    face: str | int = "only",
    output: Output = "auto",
    device: str = "auto",
    backend: str = DEFAULT_BACKEND,
    save_faces: _Path | None = None,
) -> RestoreSummary:
    """Restore the faces of a photograph and write it; nothing is written before all of it is computed.

    Args:
        photo_path: the photograph. weights: of a DMDNet, the project's own or the published file.
        out: the restored photograph; the suffix gives the format.
        references: a folder of photographs of the person.
        face: "only", "largest", "all", or a face's number from 1 (the largest).
        output: "specific" with references, "generic" without, or "auto".
        device: "auto", "cpu", "cuda" or "cuda:N". backend: the face library.
        save_faces: a folder for each face's aligned input, restored picture and a sheet beside the references.

    Raises:
        DataError, FaceError, WeightsError, ConfigError: what a user can put right; nothing has been written.
    """
    _check_request(photo_path, out, face, output, save_faces)
    photo = read_image(photo_path)
    chosen_device = choose_device(device)
    network, face_backend = load_network(weights), get_backend(backend)
    with _named(weights):
        restorer = Restorer(network, face_backend, chosen_device)
    people = None
    if references is not None:
        people = read_references(references, restorer.backend, restorer.image_size, exclude=photo_path)
    with _named(weights):
        restored = restorer.restore(photo, people, face, output, name=photo_path)
    files = [write_image(out, restored.photo)]
    if save_faces is not None:
        files += _write_faces(Path(save_faces), Path(photo_path).stem, restored, people)
    return RestoreSummary(
        photo=Path(photo_path),
        files=tuple(files),
        faces=restored.faces,
        faces_found=restored.faces_found,
        references=tuple(item.path for item in people.references) if people else (),
        skipped=people.skipped if people else (),
        notes=restored.notes,
        warnings=restored.warnings,
    )


@contextmanager
def _named(weights: _Path) -> Iterator[None]:
    """Name the file in an error about weights from a part that does not know where they came from."""
    try:
        yield
    except WeightsError as error:
        if str(weights) in str(error):
            raise
        raise WeightsError(f"{weights}: {error}") from error


def choose_device(name: str) -> torch.device:
    """Return the device `name`; "auto" is the GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: there are {torch.cuda.device_count()} GPUs here; take auto or cpu")
    return device


def _check_request(photo: _Path, out: _Path, face: str | int, output: str, save_faces: _Path | None) -> None:
    """Refuse, before anything is loaded, what cannot end well."""
    check_image_target(out)
    parse_choice(face)
    if output not in OUTPUTS:
        raise ConfigError(f"output {output!r}: expected one of {', '.join(OUTPUTS)}")
    if Path(out).exists() and Path(photo).exists() and os.path.samefile(photo, out):
        raise DataError(f"{out}: is the photograph itself, which would be lost; choose another name")
    if save_faces is not None and not Path(save_faces).is_dir():
        if Path(save_faces).exists():
            raise DataError(f"{save_faces}: is a file, a folder for the faces was expected")
        if not Path(save_faces).absolute().parent.is_dir():
            raise DataError(f"{save_faces}: its folder {Path(save_faces).absolute().parent} does not exist")


def _write_faces(folder: Path, stem: str, restored: Restored, people: ReferenceSet | None) -> list[Path]:
    folder.mkdir(exist_ok=True)
    references: list[np.ndarray] = [item.image for item in people.references] if people else []
    files = []
    for item in restored.faces:
        name = f"{stem}_face{item.number}"
        shown = references if item.output == "specific" else []
        files += [
            write_image(folder / f"{name}_input.png", item.aligned.image),
            write_image(folder / f"{name}_restored.png", item.image),
            write_image(folder / f"{name}_sheet.png", face_sheet(item.aligned.image, item.image, shown)),
        ]
    return files
