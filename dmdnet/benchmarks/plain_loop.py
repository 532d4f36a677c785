"""What a training loop looks like without this project's: the same network, losses and data, by hand in forty lines.

The measure of what the machinery costs (`bench train`), and of whether it computes anything else (tests).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.losses.base import LossInput, build_losses
from dmdnet.models.base import build_network
from dmdnet.models.memory_format import convolutions_channels_last, pictures_channels_last


def plain_loop(options: Options, device: torch.device) -> tuple[Any, Any, Callable[[FaceBatch, int], None]]:
    """Return network, average, and the step of a run in float32 with channels-last convolutions and no adversary."""
    recipe = options.train
    assert recipe is not None
    net: Any = build_network(options.network_g, options.manual_seed, device).train()
    convolutions_channels_last(net)
    losses = [loss.to(device) for loss in build_losses(recipe.losses, options.path.given_weights)]
    adam = recipe.optim_g.options
    optimizer = torch.optim.Adam(net.parameters(), lr=adam["lr"], betas=adam["betas"], fused=True)
    ema = copy.deepcopy(net).requires_grad_(False)

    def step(batch: FaceBatch, iteration: int) -> None:
        assert batch.references is not None
        mask = batch.references.mask_BR
        batch = batch.to(device, non_blocking=True)
        assert batch.references is not None
        assert batch.gt_BCHW is not None
        assert batch.gt_boxes_B44 is not None
        lq, gt, refs = (
            pictures_channels_last(images.float().div_(127.5).sub_(1.0))
            for images in (batch.lq_BCHW, batch.gt_BCHW, batch.references.images_BRCHW)
        )
        dictionary = net.enrol(refs, batch.references.boxes_BR44, mask)
        output = net(lq, batch.lq_boxes_B44, dictionary)
        has_references = mask.any(dim=1).float().to(device, non_blocking=True)
        terms = []
        for image, weight in ((output.generic, torch.ones_like(has_references)), (output.specific, has_references)):
            for loss in losses:
                value = loss(LossInput(image, gt, batch.gt_boxes_B44))
                terms.append(loss.loss_weight * (value * weight).mean())
        optimizer.zero_grad(set_to_none=True)
        torch.stack(terms).sum().backward()
        if recipe.grad_clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), recipe.grad_clip_norm)
        optimizer.step()
        decay = min(recipe.ema_decay, (1 + iteration) / (10 + iteration))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
            torch._foreach_copy_(list(ema.buffers()), list(net.buffers()))

    return net, ema, step
