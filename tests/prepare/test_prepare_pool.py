from __future__ import annotations

import pytest
from pool_tasks import Doubling, cannot_start

from dmdnet.errors import DataError
from dmdnet.prepare.pool import run_tasks


def died(task: int, how: str) -> tuple[int, str]:
    return task, how


def test_this_process_can_do_it(tmp_path):
    assert list(run_tasks(Doubling, (tmp_path,), range(5), 0, died)) == [0, 2, 4, 6, 8]


@pytest.mark.slow  # each process imports torch
def test_a_task_that_kills_its_process_is_tried_again_and_then_reported(tmp_path):
    found = list(run_tasks(Doubling, (tmp_path,), [*range(12), 13, 17, *range(20, 25)], 2, died))
    doubled = [2 * number for number in (*range(12), 17, *range(20, 25))]
    assert sorted(item for item in found if isinstance(item, int)) == doubled
    assert [item for item in found if not isinstance(item, int)] == [(13, "exit code 7")]


@pytest.mark.slow
def test_an_error_of_the_output_ends_everything(tmp_path):
    with pytest.raises(DataError, match="the disk is full"):
        list(run_tasks(Doubling, (tmp_path,), [1, 99, *range(20, 40)], 1, died))


@pytest.mark.slow
def test_processes_that_cannot_start_are_an_error_and_no_endless_respawn():
    with pytest.raises(DataError, match=r"ended at its start \(exit code 3\)"):
        list(run_tasks(cannot_start, (), range(5), 2, died))
