"""Between the training loop and its trackers: nothing that a tracker does wrong, or slowly, reaches the loop."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from dmdnet.config.options import LoggerOptions, Options
from dmdnet.engine.distributed import World
from dmdnet.engine.history import ScalarHistory
from dmdnet.engine.trackers.base import RunInfo, Tracker
from dmdnet.engine.trackers.tensorboard import TensorBoardTracker
from dmdnet.engine.trackers.weights_and_biases import WandbTracker
from dmdnet.errors import ConfigError
from dmdnet.registry import TRACKERS

Maker = Callable[[RunInfo], Tracker]
_WAITING = 1000  # calls that a slow tracker may be behind; numbers of a thousand reports fit in the memory
_WAITING_PICTURES = 16  # calls that it may be behind when a picture comes: a grid of large faces has 20 MB and more
_PATIENCE = 60.0  # seconds for all trackers together to finish
_PATIENCE_OF_A_STOP = 5.0  # of the 30 that a scheduler leaves
logger = logging.getLogger(__name__)


class Feed:
    """One tracker with the thread that calls it. Its first failure is one warning; after that it is left alone.

    Args:
        name: what it is called in the warning.
        tracker: what the thread calls.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker = tracker
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._failed = False
        self._late = False
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    @property
    def shows_pictures(self) -> bool:
        """Whether a picture that is sent now would be seen."""
        return self._tracker.shows_pictures and not self._failed

    def send(self, call: Callable[[Tracker], None], room: int = _WAITING) -> None:
        """Have the thread call the tracker, soon; the call is left out where `room` or more wait already."""
        if self._failed:
            return
        if self._calls.qsize() < room:  # one thread sends
            self._calls.put_nowait(lambda: call(self._tracker))
        elif not self._late:
            self._late = True
            logger.warning("tracker %s: does not keep up; some values are left out", self._name)

    def close(self, deadline: float) -> None:
        """Close the tracker, and wait for that until the `time.monotonic()` of the deadline."""
        self.send(lambda tracker: tracker.close())
        with contextlib.suppress(queue.Full):  # the thread is stuck; said below
            self._calls.put(None, timeout=max(deadline - time.monotonic(), 0.01))
        self._thread.join(max(deadline - time.monotonic(), 0.01))
        if self._thread.is_alive():
            logger.warning("tracker %s: has not finished in time; its last values may be lost", self._name)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._failed:
                continue
            try:
                call()
            except Exception as error:  # another library's, of any kind: no reason to end a training
                self._failed = True
                _warn(self._name, error)


class Trackers:
    """All trackers of a run, as the loop sees them; none on ranks other than 0."""

    def __init__(self, feeds: Sequence[Feed] = ()) -> None:
        self._feeds = feeds

    @property
    def show_pictures(self) -> bool:
        """Whether it is worth making pictures."""
        return any(feed.shows_pictures for feed in self._feeds)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Give numbers by `group/name` to all."""
        for feed in self._feeds:
            feed.send(lambda tracker: tracker.scalars(values, iteration))

    def picture(self, name: str, image_CHW: Tensor, iteration: int) -> None:
        """Give one uint8 RGB picture in host memory to those that show any."""
        image_HWC = image_CHW.permute(1, 2, 0).numpy()
        for feed in self._feeds:
            if feed.shows_pictures:
                feed.send(lambda tracker: tracker.picture(name, image_HWC, iteration), _WAITING_PICTURES)

    def close(self, patience_s: float) -> None:
        """Close all; wait no longer than this."""
        deadline = time.monotonic() + patience_s
        for feed in self._feeds:
            feed.close(deadline)
        self._feeds = ()


def wanted_trackers(options: LoggerOptions) -> dict[str, tuple[Sequence[str], Maker]]:
    """Return what an option file asks for: name -> the modules that it needs, and how it is made."""
    wanted: dict[str, tuple[Sequence[str], Maker]] = {"history": ((), ScalarHistory)}
    if options.use_tb_logger:
        wanted["tensorboard"] = ((), lambda run: TensorBoardTracker(run=run))
    if options.wandb is not None:
        settings = options.wandb
        wanted["wandb"] = (WandbTracker.packages, lambda run: WandbTracker(run, settings))
    for number, component in enumerate(options.trackers):
        kind: type[Tracker] = TRACKERS.get(component.type)  # type: ignore[assignment]
        build: Maker = lambda run, one=component: TRACKERS.build(one, run=run)  # type: ignore[misc]  # noqa: E731
        wanted[f"{component.type} (logger.trackers.{number})"] = (kind.packages, build)
    return wanted


def check_trackers(options: LoggerOptions) -> None:
    """Look for the packages of the trackers before anything else begins, on all ranks alike.

    Raises:
        ConfigError: one is not installed.
    """
    for name, (packages, _) in wanted_trackers(options).items():
        for package in packages:
            if importlib.util.find_spec(package) is None:
                raise ConfigError(
                    f"logger: the tracker {name} needs the package {package}, which is not installed; "
                    f"pip install {package}, or take the tracker out"
                )


@contextlib.contextmanager
def tracked(folder: Path, iteration: int, options: Options, world: World) -> Iterator[Trackers]:
    """Give the trackers of a run, none on ranks other than 0; one that does not start is a warning.

    Args:
        folder: `experiments/<name>`.
        iteration: the one that the run continues from.
        options: of the run.
        world: the processes of the run.
    """
    if not world.main:
        yield Trackers()
        return
    trackers = Trackers(_started(RunInfo(folder, iteration, options)))
    patience = _PATIENCE_OF_A_STOP
    try:
        yield trackers
        patience = _PATIENCE
    finally:
        trackers.close(patience)


def _started(run: RunInfo) -> list[Feed]:
    feeds = []
    for name, (_, make) in wanted_trackers(run.options.logger).items():
        try:
            feeds.append(Feed(name, make(run)))
        except Exception as error:  # as above
            _warn(name, error)
    return feeds


def _warn(name: str, error: Exception) -> None:
    text = str(error).strip().splitlines() or ["no message"]
    logger.warning("tracker %s: %s: %s; training goes on without it", name, type(error).__name__, text[0])
