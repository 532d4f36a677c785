"""The dictionary read is the plain formula, person by person, and silent where there is nothing to read."""

from __future__ import annotations

import pytest
import torch

from dmdnet.ops.masked_read import read_dictionary

B, S = 3, 5


def _tensors(people: int | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lead = () if people is None else (people,)
    query = torch.randn(B, 2, 4, 4, generator=generator)
    keys = torch.randn(*lead, S, 2, 4, 4, generator=generator)
    values = torch.randn(*lead, S, 6, 4, 4, generator=generator)
    return query, keys, values


def _plain(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Read one query from the slots that there are."""
    similarity = torch.stack([(query * key).sum() for key in keys])
    weights = torch.softmax(similarity / len(keys) ** 0.5, dim=0)
    return (weights[:, None, None, None] * values).sum(0), weights


def test_shared_dictionary() -> None:
    query, keys, values = _tensors(None)
    read = read_dictionary(query, keys, values)
    for row in range(B):
        expected, weights = _plain(query[row], keys, values)
        torch.testing.assert_close(read.values[row], expected)
        torch.testing.assert_close(read.weights[row], weights)


def test_own_dictionaries_with_different_numbers_of_slots() -> None:
    query, keys, values = _tensors(B)
    mask = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]]).bool()
    keys = keys.masked_fill(~mask[:, :, None, None, None], float("inf"))
    read = read_dictionary(query, keys, values, mask)
    for row in range(B):
        expected, weights = _plain(query[row], keys[row, mask[row]], values[row, mask[row]])
        torch.testing.assert_close(read.values[row], expected)
        torch.testing.assert_close(read.weights[row, mask[row]], weights)
        assert read.weights[row, ~mask[row]].eq(0).all()


def test_one_person_serves_the_batch() -> None:
    query, keys, values = _tensors(1)
    mask = torch.tensor([[1, 0, 1, 1, 0]]).bool()
    one = read_dictionary(query, keys, values, mask)
    each = read_dictionary(
        query, keys.expand(B, *keys.shape[1:]), values.expand(B, *values.shape[1:]), mask.expand(B, S)
    )
    torch.testing.assert_close(one.values, each.values)
    torch.testing.assert_close(one.weights, each.weights)


def test_a_row_without_slots_gives_zeros_and_finite_gradients() -> None:
    query, keys, values = (tensor.requires_grad_() for tensor in _tensors(B))
    mask = torch.ones(B, S).bool()
    mask[1] = False
    read = read_dictionary(query, keys, values, mask)
    assert read.values[1].eq(0).all()
    assert read.weights[1].eq(0).all()
    (read.values.square().sum() + read.weights.square().sum()).backward()
    for tensor in (query, keys, values):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad[1].eq(0).all()
        assert tensor.grad[0].ne(0).any()


def test_autocast_keeps_float32() -> None:
    query, keys, values = _tensors(B)
    expected = read_dictionary(query.bfloat16(), keys, values)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        read = read_dictionary(query.bfloat16(), keys, values)
    assert read.values.dtype == torch.float32
    assert torch.equal(read.values, expected.values)


@pytest.mark.parametrize("people", [None, B])
def test_gradients_are_those_of_the_numbers(people: int | None) -> None:
    tensors = [tensor.double().requires_grad_() for tensor in _tensors(people)]
    mask = None if people is None else torch.tensor([[1, 0, 1, 0, 1], [0] * S, [1] * S]).bool()
    assert torch.autograd.gradcheck(lambda q, k, v: read_dictionary(q, k, v, mask)[0], tensors)
