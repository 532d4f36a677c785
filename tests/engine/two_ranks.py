"""Run, by torchrun or alone, in test_two_ranks: train, then write what this rank holds.

usage: two_ranks.py OPTION_FILE OUTPUT_FOLDER
"""

import os
import sys
from pathlib import Path

import torch

from dmdnet.config import load_options
from dmdnet.engine import train as engine


def main() -> None:
    """Keep the model that the engine builds, and its gradients of the first step."""
    held = {}
    build = engine.build_model

    def keep(*args, **keywords):
        model = held["model"] = build(*args, **keywords)
        step = model.step

        def watched(batch, iteration):
            logs = step(batch, iteration)
            if iteration == 1:
                held["gradients"] = {
                    f"{name}.{key}": item.grad.clone()
                    for name, network in model.networks().items()
                    for key, item in network.named_parameters()
                }
                held["names"] = batch.names
            return logs

        model.step = watched
        return model

    engine.build_model = keep
    engine.train(load_options(sys.argv[1]))
    weights = held["model"].weights().items()
    state = {
        f"{name}.{kind}": part[kind] for name, part in weights for kind in ("params", "params_ema") if kind in part
    }
    out = Path(sys.argv[2]) / f"{os.environ.get('RANK', '0')}.pt"
    torch.save({"state": state, "gradients": held["gradients"], "names": held["names"]}, out)


if __name__ == "__main__":
    main()
