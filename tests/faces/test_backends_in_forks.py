"""A face library on a GPU is not taken along into a forked process, one on the CPU is."""

import os

import pytest
import torch

from dmdnet.faces.backend import get_backend
from dmdnet.registry import FACE_BACKENDS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(("device", "kept"), [("meta", False), ("cpu", True)])
def test_only_a_backend_of_the_cpu_is_inherited(monkeypatch, device, kept):
    class Placed:
        def __init__(self):
            self.device = torch.device(device)

    hooks = []
    monkeypatch.setattr(os, "register_at_fork", lambda after_in_child: hooks.append(after_in_child))
    monkeypatch.setitem(FACE_BACKENDS._components, "placed", Placed)
    get_backend.cache_clear()
    try:
        here = get_backend("placed")
        for hook in hooks:  # what a fork would do in the child
            hook()
        assert (get_backend("placed") is here) == kept
    finally:
        get_backend.cache_clear()
