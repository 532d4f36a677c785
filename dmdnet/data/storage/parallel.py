"""Many pictures at a time, in order, with few of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of pictures that are done, and of all."""


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `function` of each item in the order of the items; threads compute a few of them ahead.

    Reading, decoding and checksums let go of Python's lock, so that threads are enough.
    """
    left = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(left, 4 * workers))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(function, item) for item in islice(left, 1))
        finally:
            for future in ahead:
                future.cancel()
