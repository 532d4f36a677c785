"""Names of files made from names that people gave: any script, no separators, never the same for two pictures."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_NOT_KEPT = re.compile(r"[^\w.-]+")
_MOST_BYTES = 80  # of a name, so that it fits a file system's 255 with digest, suffix and a temporary name's tail


def digest(name: str, length: int = 10) -> str:
    """Return `length` hexadecimal digits that stand for `name`, the same on every machine."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()[:length]


def readable(name: str) -> str:
    """Return what can be kept of `name` in the name of a file: letters and digits of any script, `.`, `-`, `_`."""
    kept = _NOT_KEPT.sub("_", unicodedata.normalize("NFC", name)).strip("._ ")
    return kept.encode()[:_MOST_BYTES].decode(errors="ignore")


def folder_name(person: str) -> str:
    """Return the folder of a person: the name itself where it can be one, else what is readable and a digest."""
    kept = readable(person)
    return kept if kept == person else f"{kept}-{digest(person)}".lstrip("-")


def face_stem(photograph: str, number: int) -> str:
    """Return the name, without suffix, of face `number` (from 1) of a photograph, given by its path below INPUT.

    The digest is of the whole path: `2019/1.jpg` and `2020/1.jpg` of one person stay apart.
    """
    stem = readable(photograph.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    return f"{stem}-{digest(photograph)}-{number}".lstrip("-")
