"""How much each term of the objective pulls: the norm of its gradient alone, measured now and then beside the step.

A term has a forward and a backward of its own, with the batch, the weights and the singular vectors of the step that
follows: so much memory as a step, so many steps' time as there are terms, and nothing kept for a second backward, which
compiled networks and recomputed activations do not allow. The step itself does not notice: its weights stay the same to
the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dmdnet.models.means import Mean
from dmdnet.models.objective import Term, total


@contextmanager
def undisturbed(networks: Iterable[nn.Module], device: torch.device) -> Iterator[Callable[[], None]]:
    """Give a function that sets all buffers back; at the end they and torch's generators are as they were."""
    buffers = [buffer for network in networks for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]

    @torch.no_grad()
    def set_back() -> None:
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield set_back
        finally:
            set_back()


def term_gradient_norms(
    names: Iterable[str],
    terms: Callable[[str], Mapping[str, Term]],
    parameters: Sequence[Tensor],
    scale: Callable[[Tensor], Tensor],
) -> dict[str, Mean]:
    """Return `grad_norm_<term>` -> the norm of the gradient of the weighted term, as of this rank's samples.

    A norm that is not finite counts nothing: whether the step's numbers are is another's business.

    Args:
        names: of the terms.
        terms: computes terms, that of the name among them, with a graph of their own.
        parameters: of the network that the terms train.
        scale: float16's; it is taken out again.
    """
    found = {}
    for name in names:
        loss = total({name: terms(name)[name]})
        if not loss.requires_grad:
            found[f"grad_norm_{name}"] = Mean.scalar(0.0, loss.device)
            continue
        gradients = torch.autograd.grad(scale(loss), parameters, allow_unused=True)
        norm = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])
        norm = norm / scale(torch.ones_like(loss.detach()))
        finite = norm.isfinite()
        found[f"grad_norm_{name}"] = Mean(torch.where(finite, norm, torch.zeros_like(norm)).float(), finite.float())
    return found
