"""How long a manifest of a million faces takes to open, and how much memory.

    python scripts/bench/manifest_open.py [--rows N] [--folder FOLDER] [--json]

The table is made with all that preparing gives: names, people, sizes, checksums, 68 landmarks, 128 numbers of
identity, pose, quality, and nine references for each face; about a gigabyte on the disk. It is opened and every value
checked in a process of its own, once; the file is then in the memory of the operating system, as after copying it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dmdnet.data.manifest import SUFFIX, Manifest, Strings, read_manifest, write_manifest
from dmdnet.data.storage import DiskStorage

PICTURES = 10  # of each person


def make_manifest(path: Path, rows: int, *, identity_numbers: int = 128) -> Path:
    """Write a table of `rows` faces that are not there; return its path."""
    rng = np.random.default_rng(0)
    people = -(-rows // PICTURES)
    numbers = np.arange(rows)
    first = numbers // PICTURES * PICTURES
    offsets = np.arange(PICTURES)
    candidates = first[:, None] + offsets
    valid = (candidates != numbers[:, None]) & (candidates < rows)
    names = Strings.of(f"{number // PICTURES:06}/{number % PICTURES}.png" for number in range(rows))
    face = rng.uniform(100, 400, (68, 2)).astype(np.float32)
    table = Manifest(
        text={"name": names, "picture": names},
        identities=Strings.of(f"{person:06}" for person in range(people)),
        identity=(numbers // PICTURES).astype(np.int32),
        split=np.where(first % 100 == 0, 3, 1).astype(np.uint8),
        is_target=np.ones(rows, bool),
        storage=DiskStorage(path.parent),
        origin="made",
        arrays={
            "checksum": rng.integers(0, 2**32, rows),
            "num_bytes": rng.integers(100_000, 600_000, rows),
            "size": np.full((rows, 2), 512, np.int32),
            "landmarks": face + rng.standard_normal((rows, 1, 2), dtype=np.float32),
            "embedding": rng.standard_normal((rows, identity_numbers), dtype=np.float32).astype(np.float16),
            "pose": rng.standard_normal((rows, 3), dtype=np.float32),
            "sharpness": rng.random(rows, dtype=np.float32),
            "source_side": rng.uniform(200, 2000, rows).astype(np.float32),
            "fingerprint": rng.integers(0, 2**63, rows).astype(np.uint64),
        },
        duplicate_of=np.full(rows, -1, np.int64),
        reference_ends=np.cumsum(valid.sum(axis=1), dtype=np.int64),
        reference_rows=candidates[valid],
    )
    return write_manifest(table, path)


def open_manifest(path: Path) -> dict[str, float]:
    """Return how long opening took, and this process's memory before and at the most, in GB."""
    before = _peak_gb()
    start = time.perf_counter()
    manifest = read_manifest(path)
    seconds = time.perf_counter() - start
    last = manifest[len(manifest) - 1]
    return {
        "rows": len(manifest),
        "seconds": round(seconds, 2),
        "peak_rss_gb": round(_peak_gb(), 2),
        "rss_before_gb": round(before, 2),
        "file_gb": round(path.stat().st_size / 1e9, 2),
        "references_of_the_last": len(last.references or ()),
    }


def _peak_gb() -> float:
    """Return the most memory that this process has had; on Linux without what its parent had when it began."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    """Make, open, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the file is made for the moment")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = make_manifest(Path(folder) / f"made{SUFFIX}", arguments.rows)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures = pool.apply(open_manifest, (path,))
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):24}{value:>12,}")


if __name__ == "__main__":
    main()
