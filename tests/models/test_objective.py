"""Terms, their sum, their means, and the guard on them."""

import math

import pytest
import torch

from dmdnet.losses.base import build_losses
from dmdnet.models.means import Mean, RunningMeans
from dmdnet.models.objective import Objective, Output, total
from dmdnet.registry import LOSSES


def objective():
    return Objective(
        build_losses([LOSSES.component("L1Loss", loss_weight=2.0), LOSSES.component("MSELoss", start_iter=5)])
    )


def outputs():
    specific = Output(torch.full((2, 3, 4, 4), 0.5), torch.tensor([1.0, 0.0]))
    return {"generic": Output(torch.full((2, 3, 4, 4), -0.25), torch.ones(2)), "specific": specific}


def terms(iteration):
    return objective()(outputs(), torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int32), None, iteration)


def test_terms_are_named_and_start_at_their_iteration():
    assert set(terms(4)) == {"l_g_l1_generic", "l_g_l1_specific"}
    assert set(terms(5)) == {"l_g_l1_generic", "l_g_l1_specific", "l_g_mse_generic", "l_g_mse_specific"}


def test_total_by_hand():
    # L1, weight 2: generic 0.25 twice, specific 0.5 once of two. MSE, weight 1: 0.0625 twice, 0.25 once of two.
    assert total(terms(4)).item() == pytest.approx(2 * (0.25 + 0.5 / 2))
    assert total(terms(5)).item() == pytest.approx(2 * (0.25 + 0.5 / 2) + 0.0625 + 0.25 / 2)


def test_halves_of_a_batch_average_to_the_whole():
    values, weights = torch.rand(4), torch.tensor([1.0, 0.0, 0.0, 1.0])
    halves = [(values[rows] * weights[rows]).mean() for rows in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(sum(halves) / 2, (values * weights).mean())


def test_logged_means_are_over_the_samples_that_count():
    found = terms(4)["l_g_l1_specific"]
    assert Mean.of(found.value_B, found.weight_B).value() == pytest.approx(0.5)
    assert math.isnan(Mean.of(torch.ones(2), torch.zeros(2)).value())


def test_running_means_weigh_steps_by_their_samples():
    means = RunningMeans()
    means.add({"a": Mean.of(torch.tensor([1.0, 1.0, 1.0]))})
    means.add({"a": Mean.of(torch.tensor([5.0])), "late": Mean.scalar(2.0, torch.device("cpu"))})
    found = means.pop()
    assert found["a"].value() == pytest.approx(2.0)
    assert found["late"].value() == 2.0
    assert means.pop() == {}
