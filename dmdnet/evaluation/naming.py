"""Where a restored picture is written. Names come from data and may say anything; results stay in their folder."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

MAX_LENGTH = 100
_UNSAFE = re.compile(r"[^\w.+=@-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return `name` as one component of a path: no separators, no leading dot, at most 100 bytes.

    A name that has to change ends in a hash of what it was, so that two names stay two names.
    """
    clean = _UNSAFE.sub("_", name).strip(".")
    clean = clean.encode("utf-8", "ignore").decode("utf-8")
    if clean == name and len(clean.encode()) <= MAX_LENGTH and not _RESERVED.fullmatch(clean) and clean:
        return clean
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    head = clean.encode()[: MAX_LENGTH - len(digest) - 1].decode("utf-8", "ignore").strip(".")
    return f"{head}-{digest}" if head else digest


def picture_path(folder: Path, set_name: str, method: str, identity: str, name: str) -> Path:
    """Return `<folder>/<set>/<method>/<identity>/<stem>.png`, each part made safe.

    The stem is the picture's name without its suffix, and without its identity's folder where it begins with that.
    """
    stem = name.removeprefix(f"{identity}/")
    stem = str(PurePosixPath(stem).with_suffix("")) if PurePosixPath(stem).suffix.lower() in _SUFFIXES else stem
    parts = (set_name, method, identity or "unknown", stem)
    return folder.joinpath(*(safe_name(part) for part in parts[:-1]), safe_name(stem) + ".png")


_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
