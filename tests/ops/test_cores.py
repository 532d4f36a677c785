"""Work shared out to the cores of a CPU."""

import threading

import pytest
import torch

from dmdnet.ops.cores import on_all_cores


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_order(three_threads, count):
    assert on_all_cores(lambda number: number * number, iter(range(count))) == [n * n for n in range(count)]


@pytest.mark.parametrize("count", [1, 6])
def test_each_sees_one_thread_and_afterwards_there_are_as_many_as_before(three_threads, count):
    assert on_all_cores(lambda _: torch.get_num_threads(), range(count)) == [1] * count
    assert torch.get_num_threads() == 3


def test_as_many_at_a_time_as_torch_has_threads(three_threads):
    all_there = threading.Barrier(3)  # breaks unless three wait at once
    assert on_all_cores(lambda _: all_there.wait(timeout=30) >= 0, range(3)) == [True] * 3


@pytest.mark.parametrize("count", [1, 6])
def test_no_gradients_are_kept(three_threads, count):
    weight = torch.ones(2, requires_grad=True)
    assert not any(result.requires_grad for result in on_all_cores(lambda number: weight * number, range(count)))
    assert torch.is_grad_enabled()


def test_an_error_comes_through_and_the_threads_are_given_back(three_threads):
    def fail(number):
        raise ValueError(f"no {number}")

    with pytest.raises(ValueError, match="no 0"):
        on_all_cores(fail, range(4))
    assert torch.get_num_threads() == 3


def test_the_number_of_threads_does_not_change_a_result(three_threads):
    picture = torch.rand(1, 8, 200, 200, generator=torch.Generator().manual_seed(0))
    kernel = torch.rand(8, 8, 5, 5, generator=torch.Generator().manual_seed(1))

    def convolve(_):
        return torch.nn.functional.conv2d(picture, kernel).mean()

    with_three = on_all_cores(convolve, range(4))
    torch.set_num_threads(1)
    assert all(torch.equal(result, convolve(0)) for result in with_three)
