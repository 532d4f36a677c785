"""Loading the weights of a training state: all of them, or an error that lists what differs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dmdnet.archs.state_fit import misfit
from dmdnet.errors import CheckpointError


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load `state` into `network`.

    Raises:
        CheckpointError: keys or shapes differ; the message lists them.
    """
    defects = misfit(network.state_dict(), state)
    if defects:
        raise CheckpointError(
            f"{name}: the saved network differs from the one in the options ({defects}). Put the old network options "
            "back, or start a new run under another name (with path.pretrain_network_g to begin from these weights)"
        )
    network.load_state_dict(state)
