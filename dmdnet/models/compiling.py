"""torch.compile in place: state dicts keep their names, and data-parallel wrappers come afterwards."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

import torch
from torch import nn

CompileOption = bool | str
_BACKEND = "inductor"
_VARIANTS = 8  # of one compiled block: shapes, precisions
logger = logging.getLogger(__name__)


def compile_networks(
    networks: Iterable[nn.Module], mode: CompileOption, device: torch.device, recomputed: Collection[nn.Module] = ()
) -> bool:
    """Compile networks for `device`; return whether that is possible here. If not, one warning says why.

    A network that names parts (`compile_regions()`) has these compiled, each by itself: what lies between them reads
    masks on the host, or is as fast without.

    Args:
        mode: True or "default", or another of torch's modes; False does nothing.
        recomputed: blocks that will compute their activations again. Each is compiled by itself, so that a graph lies
            within what is computed again and not around it.
    """
    if not mode:
        return False
    problem = _compiler_problem(device)
    if problem is not None:
        logger.warning("train.compile: no compiler works here (%s); the networks run as they are", problem)
        return False
    mode = "default" if mode is True else mode
    for network in networks:
        regions = getattr(network, "compile_regions", lambda whole=network: [whole])
        for region in regions():
            inside = set(region.modules()) & set(recomputed)
            for block in inside:
                block.forward = torch.compile(block.forward, mode=mode, backend=_BACKEND)
            if not inside:
                region.compile(mode=mode, backend=_BACKEND)
    # torch counts variants by code, which blocks of one class share; past its limit it goes on uncompiled.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS * (1 + len(recomputed)))
    return True


def _compiler_problem(device: torch.device) -> str | None:
    """Compile one line and run it; return what goes wrong."""
    try:
        torch.compile(_one_line, backend=_BACKEND)(torch.ones(8, device=device))
    except (RuntimeError, OSError, ImportError) as error:  # no C++ compiler, no Triton, a cache that is not writable
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0] if lines else type(error).__name__
    return None


def _one_line(x: torch.Tensor) -> torch.Tensor:
    return 2 * x + 1
