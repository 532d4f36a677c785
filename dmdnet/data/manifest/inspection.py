"""A table for people: what is in it in a few lines, its first rows, and all of it as a CSV file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dmdnet.data.manifest.row import SPLITS, Row
from dmdnet.data.manifest.table import ARRAY_COLUMNS, Manifest
from dmdnet.files import write_chunks
from dmdnet.wording import counted

_ROWS_AT_ONCE = 1000
_CSV_COLUMNS = (
    "name", "identity", "split", "is_target", "picture", "degraded", "landmark_file", "source", "checksum",
    "degraded_checksum", "num_bytes", "width", "height", "yaw", "pitch", "roll", "sharpness", "source_side",
    "fingerprint", "duplicate_of", "references",
)  # fmt: skip


def describe_manifest(manifest: Manifest, metadata: Mapping[str, Any], rows: int = 0) -> str:
    """Return counts by split, people, what is known, where it is from, and the first `rows` faces."""
    parts = [
        f"{manifest.origin}: {counted(len(manifest), 'face')} of {counted(len(manifest.identities), 'person')}",
        *_origin(metadata),
        "",
        *_splits(manifest),
        "",
        *_people(manifest),
        *_known(manifest),
        *_references(manifest),
    ]
    if rows > 0:
        parts += ["", *(_line(manifest[number]) for number in range(min(rows, len(manifest))))]
    return "\n".join(parts)


def write_csv(manifest: Manifest, path: str | os.PathLike[str]) -> Path:
    """Write all columns but landmarks and embeddings as a CSV file (UTF-8, references as a JSON list).

    Raises:
        DataError: it cannot be written.
    """
    return write_chunks(path, _csv_chunks(manifest))


def _origin(metadata: Mapping[str, Any]) -> Iterator[str]:
    roots = metadata.get("dataroot", {})
    places = ", ".join(f"{name or 'pictures'} in {root}" for name, root in roots.items())
    yield f"written by {metadata.get('made_by', 'an unknown program')}; {places} (from the file's folder)"
    if metadata.get("options"):
        yield f"made with {json.dumps(metadata['options'], ensure_ascii=False)}"


def _splits(manifest: Manifest) -> Iterator[str]:
    yield f"{'split':8}{'faces':>12}{'targets':>12}{'people':>12}"
    for code, split in enumerate(SPLITS):
        rows = manifest.split == code
        if rows.any():
            people = len(np.unique(manifest.identity[rows]))
            yield f"{split or 'none':8}{rows.sum():>12,}{(rows & manifest.is_target).sum():>12,}{people:>12,}"


def _people(manifest: Manifest) -> Iterator[str]:
    counts = np.bincount(manifest.identity, minlength=len(manifest.identities))
    if len(counts):
        alone = int((counts == 1).sum())
        yield f"pictures per person: {counts.min():,} to {counts.max():,}, median {np.median(counts):g}; " \
              f"{alone:,} people have one"  # fmt: skip


def _known(manifest: Manifest) -> Iterator[str]:
    columns = []
    for name, values in manifest.arrays.items():
        unknown = ARRAY_COLUMNS[name].unknown
        first = values.reshape(len(values), -1)[:, 0] if len(values) else values
        known = ~np.isnan(first) if np.isnan(unknown) else first != unknown
        columns.append(f"{name} ({_share(int(known.sum()), len(manifest))})")
    for name, strings in manifest.text.items():
        if name != "name":
            columns.append(f"{name} ({_share(int((strings.lengths() > 0).sum()), len(manifest))})")
    yield f"known: {', '.join(columns) or 'names only'}"


def _references(manifest: Manifest) -> Iterator[str]:
    if manifest.reference_ends is not None:
        counts = np.diff(manifest.reference_ends, prepend=0)
        listed = counts[counts > 0]
        mean = f", {listed.mean():.1f} each" if len(listed) else ""
        yield f"references: listed for {len(listed):,} faces{mean}"
    if manifest.duplicate_of is not None:
        yield f"near-duplicates of an earlier face: {int((manifest.duplicate_of >= 0).sum()):,}"


def _share(count: int, total: int) -> str:
    return "all" if count == total else f"{count:,}"


def _line(row: Row) -> str:
    size = "{}x{}".format(*row.size) if row.size else "?"
    sharpness = "" if row.sharpness is None else f"  sharpness {row.sharpness:.3g}"
    references = "" if row.references is None else f"  {len(row.references)} references"
    kind = "" if row.is_target else "  reference only"
    return f"{row.name}  [{row.identity}]  {row.split or 'no split'}  {size}{sharpness}{references}{kind}"


def _csv_chunks(manifest: Manifest) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for number, row in enumerate(manifest, 1):
        writer.writerow(_csv_row(row))
        if number % _ROWS_AT_ONCE == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _csv_row(row: Row) -> list[Any]:
    pose = ("", "", "") if row.pose is None else tuple(f"{angle:.2f}" for angle in row.pose)
    return [
        row.name, row.identity, row.split, int(row.is_target), row.picture, row.degraded, row.landmark_file, row.source,
        _hex(row.checksum, 8), _hex(row.degraded_checksum, 8), row.num_bytes, *(row.size or ("", "")),
        *pose, _number(row.sharpness),
        _number(row.source_side), _hex(row.fingerprint, 16), row.duplicate_of,
        None if row.references is None else json.dumps(row.references, ensure_ascii=False),
    ]  # fmt: skip


def _hex(value: int | None, digits: int) -> str:
    return "" if value is None else f"{value:0{digits}x}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
