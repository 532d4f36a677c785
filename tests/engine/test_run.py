"""What all ranks do together between two steps, seen from one of them."""

from types import SimpleNamespace

import pytest

from dmdnet.engine.distributed import World
from dmdnet.engine.run import Run
from dmdnet.engine.signals import StopRequest
from dmdnet.engine.tracking import Trackers
from dmdnet.errors import CheckpointError


class Others(World):
    """A world whose other ranks say `value` whenever they are asked."""

    value = 0

    def highest(self, value):
        return max(value, self.value)


class Saving:
    """A saver that fails, or does not."""

    best = None

    def __init__(self, fails):
        self.failed = fails

    def save(self, *arguments):
        pass

    def wait(self):
        pass

    def check(self):
        if self.failed:
            raise CheckpointError("net_g_3.pth: the disk is full")


def run_of(rank=0, fails=False, others=0, settled=None):
    world = Others(rank=rank, size=2)
    object.__setattr__(world, "value", others)
    model = SimpleNamespace(settle=lambda: settled.append(rank) if settled is not None else None)
    validation = SimpleNamespace(run=lambda model, iteration: {}, samples={})
    return Run(None, world, model, Saving(fails), StopRequest(), validation, Trackers())


def test_every_rank_looks_at_its_steps_before_a_validation():
    """The first rank alone saves what has become one of the best: a look there would wait for the others in vain."""
    settled = []
    run_of(rank=1, settled=settled).judge(5, 40, saved=False)
    assert settled == [1]


def test_the_last_save_fails_on_all_ranks():
    with pytest.raises(CheckpointError, match="disk is full"):
        run_of(fails=True).finish()
    with pytest.raises(CheckpointError, match="rank 0 could not save"):
        run_of(rank=1, others=1).finish()
    run_of(rank=1).finish()


def test_a_save_that_fails_after_a_signal_is_no_stop_that_was_saved():
    """A batch script would queue the job again, for ever."""
    stopped = run_of(rank=1, others=15)
    with pytest.raises(CheckpointError, match="rank 0 could not save"):
        stopped.leave_if_stopped(3, 24, saved=False, unjudged=False)
