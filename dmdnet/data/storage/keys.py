"""What a key may look like: checked in one place, since keys come from lists and manifests of others."""

from __future__ import annotations

from dmdnet.errors import DataError

MAX_PART_BYTES = 255  # a name of a file is never longer on Linux, macOS and Windows
MAX_KEY_BYTES = 1024  # of a whole key


def check_key(key: str, place: object) -> str:
    """Return `key` when it is a relative name with slashes that stays below `place`.

    Raises:
        DataError: the key is empty, absolute, too long, no text that a file could be named by, or has `..` in it.
    """
    if not (fault := _fault(key)):
        return key
    shown = key if len(key) <= 80 else f"{key[:60]}... ({len(key)} characters)"
    raise DataError(f"{shown!r} is no name of a picture in {place}: {fault}; names are relative, such as 00001/1.png")


def _fault(key: str) -> str | None:
    if not key:
        return "it is empty"
    if "\0" in key or "\\" in key:
        return "it has a zero byte or a backslash in it"
    if key.startswith("/") or key[1:3] in (":", ":/"):
        return "it is absolute"
    parts = key.split("/")
    if ".." in parts:
        return "it leads out with '..'"
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "it is no valid Unicode"
    if max(lengths) > MAX_PART_BYTES or sum(lengths) + len(parts) > MAX_KEY_BYTES:
        return f"it is too long (at most {MAX_KEY_BYTES} bytes, {MAX_PART_BYTES} between slashes)"
    return None
