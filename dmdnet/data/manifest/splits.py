"""Splits by identity that anybody can reproduce from the identities alone."""

from __future__ import annotations

import hashlib


def split_of(identity: str, *, seed: int | str = 0, test: float = 0.1, val: float = 0.05) -> str:
    """Return `train`, `val` or `test` for a person; all pictures of one person come together.

    The first 64 bits of SHA-256 of "<seed>/<identity>" are a number in [0, 1): below `test` the person is in the test
    split, below `test + val` in the validation split. So a person's split does not depend on who else is there, on
    the order of the list, or on a library's random numbers.

    Args:
        identity: the person.
        seed: another one gives another split.
        test, val: shares of the people.
    """
    digest = hashlib.sha256(f"{seed}/{identity}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "test" if place < test else "val" if place < test + val else "train"
