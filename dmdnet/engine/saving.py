"""When and how checkpoints are written: at once, or by a background thread from a copy in the host's memory."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch

from dmdnet.config.options import LoggerOptions
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.retention import Best, doomed

Pairs = list[tuple[torch.Tensor, torch.Tensor]]
logger = logging.getLogger(__name__)


class Saver:
    """Writes the checkpoints of a run; used as a context, it waits for the last one at the end.

    With `logger.async_save` a thread copies, hashes, writes and flushes. The training waits for the copy of what the
    next forward changes, and before its next update for the copy of the rest (`await_copy`); with a GPU, for all at
    once. One save is under way at a time: the next waits for it. A failure, of either kind, is kept until the engine
    asks at the end of the step, so that all ranks leave at the same one.
    """

    def __init__(self, checkpoints: CheckpointFolder, options: LoggerOptions, best: Best | None = None) -> None:
        self.checkpoints = checkpoints
        self.best = best
        self.blocked_s = 0.0  # how long the last save kept the training waiting
        self.saved_s = 0.0  # how long the last save took in all
        self._options = options
        self._thread: threading.Thread | None = None
        self._copy: Any = None
        self._copied = threading.Event()
        self._copied.set()
        self._failure: Exception | None = None

    @property
    def failed(self) -> bool:
        """Whether a save has failed."""
        return self._failure is not None

    def prepare(self, weights: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Get the memory for the copies from the system, in the background: a first save would wait for it."""
        if self._options.async_save and self._copy is None and self._thread is None:
            with contextlib.suppress(RuntimeError, MemoryError):  # the save itself asks for it, too, and says so
                self._begin(partial(self._make_room, (weights, state)), "checkpoint-room")

    def save(
        self,
        iteration: int,
        weights: Mapping[str, Any],
        state: Mapping[str, Any],
        last: bool = False,
        later: Sequence[torch.Tensor] = (),
    ) -> None:
        """Write a checkpoint, then take away what `logger.keep_last` and `keep_best` do not keep.

        Args:
            later: tensors of it that do not change before somebody calls `await_copy`.
        """
        began = time.perf_counter()
        self.wait()
        write = partial(self._write, iteration, last, began, self.best.iterations() if self.best else ())
        if self._options.async_save:
            try:
                self._copy, rest = host_copy((weights, state), self._copy, later)
                self._copied.clear()
                self._begin(partial(self._copy_and_write, rest, write), "checkpoint")
            except Exception as error:  # no memory, no thread: raised by `check`, when the other ranks hear of it, too
                self._copied.set()
                self._failure = error
        else:
            write(weights, state)
        self.blocked_s = time.perf_counter() - began

    def await_copy(self) -> None:
        """Wait until the state of the save that is under way has been copied; nothing of it may change before."""
        if not self._copied.is_set():
            began = time.perf_counter()
            self._copied.wait()
            self.blocked_s += time.perf_counter() - began

    def wait(self) -> None:
        """Wait for the save that is under way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def check(self) -> None:
        """Raise the failure of a save.

        Raises:
            CheckpointError: what `CheckpointFolder.save` raised; whatever else went wrong in it goes its way as it is.
        """
        if self._failure is not None:
            raise self._failure

    def _begin(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name)
        thread.start()
        self._thread = thread

    def _copy_and_write(self, rest: Pairs, write: Callable[..., None]) -> None:
        try:
            copy_pairs(rest)
        except Exception as error:
            self._failure = error
            return
        finally:
            self._copied.set()
        write(*self._copy)

    def _make_room(self, value: Any) -> None:
        with contextlib.suppress(RuntimeError, MemoryError):  # as above
            self._copy = _room_for(value)

    def _write(self, iteration: int, last: bool, began: float, best: tuple[int, ...], weights: Any, state: Any) -> None:
        try:
            safetensors = self._options.save_safetensors
            path = self.checkpoints.save(iteration, weights, state, safetensors=safetensors)
            if last:
                self.checkpoints.publish_latest(iteration)
            self.saved_s = time.perf_counter() - began
            logger.info("checkpoint: %s", path)
            whole = [one for one in self.checkpoints.iterations() if one not in self.checkpoints.damaged]
            self.checkpoints.purge(doomed(whole, iteration, self._options.keep_last, best))
        except Exception as error:  # a thread would end with it unheard: `check` raises it where the run can end
            self._failure = error

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait()
        if error is None:
            self.check()
        elif self._failure is not None and error is not self._failure:
            logger.error("%s", self._failure)  # the error that ends the run goes its way


def host_copy(value: Any, old: Any = None, later: Sequence[torch.Tensor] = ()) -> tuple[Any, Pairs]:
    """Return nested mappings and lists with every tensor copied to the host: later steps do not change it.

    Args:
        old: an earlier copy that nobody needs any more; its memory is used again, which is several times faster.
        later: tensors whose copy may wait, where they are on the host: `copy_pairs` takes them as the second value.
    """
    pairs: Pairs = []
    copied = _places(value, old, pairs)
    waiting = {tensor.data_ptr() for tensor in later if tensor.device.type == "cpu"}
    rest = [pair for pair in pairs if pair[1].data_ptr() in waiting]
    copy_pairs([pair for pair in pairs if pair[1].data_ptr() not in waiting])
    return copied, rest


def copy_pairs(pairs: Pairs) -> None:
    """Copy each second tensor into the first; thousands of small ones cost more in calls than in bytes."""
    if not pairs:
        return
    torch._foreach_copy_([place for place, _ in pairs], [tensor for _, tensor in pairs], non_blocking=True)
    if any(tensor.is_cuda for _, tensor in pairs):  # else a thread with nothing to copy would wait for the next step
        torch.cuda.synchronize()  # the copies of all tensors are under way together


def _places(value: Any, old: Any, pairs: Pairs) -> Any:
    """Return where the copy of a value goes; add (place, tensor) of each tensor to `pairs`."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if not (isinstance(old, torch.Tensor) and _alike(old, value)):
            old = torch.empty_like(value, device="cpu", pin_memory=value.device.type == "cuda")
        pairs.append((old, value))
        return old
    if isinstance(value, Mapping):
        known = old if isinstance(old, Mapping) else {}
        return {key: _places(item, known.get(key), pairs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        row = old if isinstance(old, list | tuple) and len(old) == len(value) else [None] * len(value)
        return type(value)(_places(item, one, pairs) for item, one in zip(value, row, strict=True))
    return value


def _room_for(value: Any) -> Any:
    """Return an old copy for `host_copy`: tensors of the same shapes, written to, so that their memory is there."""
    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="cpu", pin_memory=value.device.type == "cuda").fill_(0)
    if isinstance(value, Mapping):
        return {key: _room_for(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_room_for(item) for item in value]
    return None


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.stride() == other.stride()
