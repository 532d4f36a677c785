"""Work on many small things of a CPU: each on one core, since torch's threads wait for each other at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_all_cores(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return `function(item)` of each, in order, without gradients; as many at a time as torch has threads.

    Torch sees one thread in each, so that results do not depend on how many items or cores there are. The function runs
    in threads: it helps where the time goes to torch, OpenCV or NumPy, which let go of the interpreter.

    Raises:
        The first error that `function` raises.
    """
    items, count = list(items), torch.get_num_threads()
    torch.set_num_threads(1)  # what the new threads below take over
    try:
        if min(count, len(items)) < 2:
            return [_without_gradients(function, item) for item in items]
        with ThreadPoolExecutor(min(count, len(items))) as pool:
            return list(pool.map(lambda item: _without_gradients(function, item), items))
    finally:
        torch.set_num_threads(count)


def _without_gradients(function: Callable[[Item], Result], item: Item) -> Result:
    with torch.no_grad():  # which is of the thread
        return function(item)
