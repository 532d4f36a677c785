"""A small DMDNet with everything that trains it, and batches of drawn noise."""

import numpy as np
import pytest
import torch

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch, References
from dmdnet.models.base import build_model
from dmdnet.registry import ARCHS, DATASETS, LOSSES, MODELS, OPTIMIZERS

SIZE = 64
BOXES = torch.tensor([[10, 16, 28, 34], [36, 16, 54, 34], [24, 26, 40, 44], [20, 42, 44, 60]], dtype=torch.int32)


@pytest.fixture
def options():
    """Build options of a small run; `gan_start` None leaves the discriminator out."""

    def build(gan_start=None, dictionary_init="random", **train):
        losses = [LOSSES.component("L1Loss", loss_weight=10.0)]
        networks = {"network_g": ARCHS.component("DMDNet", image_size=SIZE, base_channels=4, dictionary_size=4)}
        recipe = {"total_iter": 10, "ema_decay": 0.9, "optim_g": OPTIMIZERS.component("Adam", lr=1e-3)}
        if gan_start is not None:
            losses.append(LOSSES.component("GANLoss", start_iter=gan_start))
            networks["network_d"] = ARCHS.component(
                "MultiScaleDiscriminator", base_channels=4, num_scales=2, num_layers=2
            )
            recipe["optim_d"] = OPTIMIZERS.component("Adam", lr=1e-3)
        layout = {"type": "CelebRefHQLayout", "dataroot_gt": "nowhere"}
        return Options(
            name="small",
            device="cpu",
            model=MODELS.component("DMDNetModel", dictionary_init=dictionary_init),
            datasets={"train": {"name": "none", "dataset": DATASETS.component("ReferenceFaceDataset", layout=layout)}},
            train={**recipe, "losses": tuple(losses), **train},
            **networks,
        )

    return build


@pytest.fixture
def model(options):
    """Build the model of `options`."""
    return lambda **kwargs: build_model(options(**kwargs), "cpu")


@pytest.fixture
def batch():
    """Build a batch; `counts` says how many references each face has, None: a set without references."""

    def build(counts=(2, 0, 1), seed=0):
        rng = np.random.Generator(np.random.Philox(seed))

        def pictures(*shape):
            return torch.from_numpy(rng.integers(0, 256, (*shape, 3, SIZE, SIZE), dtype=np.uint8))

        size = 3 if counts is None else len(counts)
        references = None
        if counts is not None:
            rows = max(1, *counts)
            mask = torch.tensor([[row < count for row in range(rows)] for count in counts])
            references = References(pictures(size, rows), BOXES.repeat(size, rows, 1, 1), mask)
        return FaceBatch(
            lq_BCHW=pictures(size),
            lq_boxes_B44=BOXES.repeat(size, 1, 1),
            names=tuple(f"face{index}" for index in range(size)),
            identities=tuple(f"person{index}" for index in range(size)),
            gt_BCHW=pictures(size),
            gt_boxes_B44=BOXES.repeat(size, 1, 1),
            references=references,
            wrong_references=references,
        )

    return build


@pytest.fixture
def optimizer():
    """Return the part of a recipe that names Adam's implementation."""

    def build(implementation):
        adam = OPTIMIZERS.component("Adam", lr=1e-3, implementation=implementation)
        return {"optim_g": adam, "optim_d": adam}

    return build
