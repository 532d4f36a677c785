"""From finished photographs to OUTPUT: people, pictures in their folders, manifest, list of failures."""

from __future__ import annotations

import csv
import io
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dmdnet.data.manifest import Manifest, Row, write_manifest
from dmdnet.data.storage import DiskStorage
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError
from dmdnet.files import locked, make_folder, write_bytes
from dmdnet.prepare.options import FaceOptions, TableOptions
from dmdnet.prepare.people import assign_people, choose_people
from dmdnet.prepare.record import Finished, FoundFace
from dmdnet.prepare.scan import Failure
from dmdnet.prepare.table import IMAGES, make_rows
from dmdnet.prepare.workspace import Workspace

MANIFEST, FAILED = "faces.manifest", "failed.csv"
LARGE_FACE = 128  # pixels of the photograph: what options/train_prepared.yml asks of references (min_source_side)


@dataclass(frozen=True)
class Summary:
    """What came out: numbers of photographs, faces, people, and people by split.

    Args:
        size: of pictures written anew.
        loose: photographs in no folder, where these are why people were sorted in spite of folders.
        large_faces: people who train with a face of LARGE_FACE pixels or more.
    """

    size: int | None
    photographs: int
    loose: int
    faces: int
    people: int
    sorted_people: bool
    splits: dict[str, int]
    large_faces: int
    near_duplicates: int
    failures: tuple[Failure, ...]
    doubts: tuple[str, ...]
    manifest: Path | None
    failed: Path


def finish(
    root: Path,
    workspace: Workspace,
    finished: Sequence[Finished],
    passed_over: Sequence[Failure],
    faces: FaceOptions,
    table: TableOptions,
    same_person_distance: float,
) -> Summary:
    """Make OUTPUT's table and pictures anew; equal photographs and options give equal bytes.

    Raises:
        DataError: something cannot be written.
    """
    with locked(workspace.root / "finish.lock"):
        for half in workspace.output.glob(".*.tmp"):  # what a killed process was writing
            half.unlink(missing_ok=True)
        mode = choose_people([record.photograph for record in finished], table.people)
        found = [face for record in finished for face in record.faces]
        assigned = assign_people(found, mode, same_person_distance)
        rows = make_rows(assigned.people, table, same_person_distance, assigned.doubles)
        failures = [failure for record in finished for failure in record.failures]
        failures = sorted([*failures, *assigned.failures, *passed_over], key=_failure_key)
        failed = _write_failures(workspace.output / FAILED, failures)
        _place_pictures(root, workspace, rows, faces)
        manifest = None
        if rows:
            made = Manifest.from_rows(
                (row for row, _ in rows), storage=DiskStorage(workspace.output), origin=str(workspace.output / MANIFEST)
            )
            asked = {**faces.as_json(), **table.as_json(), "people": mode, "same_person_distance": same_person_distance}
            manifest = write_manifest(made, workspace.output / MANIFEST, options=asked)
        else:
            (workspace.output / MANIFEST).unlink(missing_ok=True)
    return Summary(
        size=None if faces.in_place else faces.size,
        photographs=len(finished),
        loose=_loose(finished) if table.people == "auto" else 0,
        faces=len(rows),
        people=len(assigned.people),
        sorted_people=mode == "sort",
        splits=Counter({row.identity: row.split for row, _ in rows}.values()),
        large_faces=len(
            {row.identity for row, face in rows if row.split == "train" and face.source_side >= LARGE_FACE}
        ),
        near_duplicates=sum(row.duplicate_of is not None for row, _ in rows),
        failures=tuple(failures),
        doubts=assigned.doubts,
        manifest=manifest,
        failed=failed,
    )


def _loose(finished: Sequence[Finished]) -> int:
    """Return how many photographs are in no folder where others are; 0 where all are, or none."""
    loose = sum("/" not in record.photograph for record in finished)
    return loose if loose < len(finished) else 0


def _failure_key(failure: Failure) -> tuple[object, int, str]:
    return natural_key(failure.photograph), failure.face or 0, failure.reason


def _write_failures(path: Path, failures: Sequence[Failure]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "face", "reason"))
    writer.writerows((failure.photograph, failure.face or "", failure.reason) for failure in failures)
    return write_bytes(path, text.getvalue().encode())


def _place_pictures(
    root: Path, workspace: Workspace, rows: Sequence[tuple[Row, FoundFace]], options: FaceOptions
) -> None:
    """Give each picture its place in a folder of its person; what else is in OUTPUT/images goes."""
    images = workspace.output / IMAGES
    if options.in_place:
        _link_folder(images, root)
        return
    wanted = {row.picture: workspace.faces / face.file for row, face in rows}
    make_folder(images)
    for folder in sorted({(workspace.output / picture).parent for picture in wanted}):
        make_folder(folder)
    for picture, source in wanted.items():
        _link(source, workspace.output / picture)
    for path, _, files in os.walk(images, topdown=False):
        for name in files:
            if Path(path, name).relative_to(workspace.output).as_posix() not in wanted:
                Path(path, name).unlink()
        if Path(path) != images and not os.listdir(path):
            os.rmdir(path)


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where links are not possible."""
    beside = target.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        if target.exists() and os.path.samefile(source, target):
            return
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)
        os.replace(beside, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written: {error.strerror or error}; make room and run it again"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _link_folder(link: Path, root: Path) -> None:
    """Make `link` lead to INPUT, by a relative path: a manifest names pictures below its own folder.

    So INPUT and OUTPUT can be moved together, as a manifest can with its pictures.
    """
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.path.relpath(root.resolve(), link.parent.resolve()), target_is_directory=True)
    except OSError as error:
        raise DataError(f"{link}: cannot be made a link to {root}: {error.strerror or error}") from error
