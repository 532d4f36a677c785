"""A bad number on one of two ranks: both leave the step out, both name the rank and its samples."""

import json

import torch
from torch import multiprocessing

from dmdnet.errors import NonFiniteLossError
from dmdnet.models.finite import StepNumbers, Watch


def judge(rank, folder):
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    found = {}
    for policy in ("skip", "stop"):
        watch = Watch(policy, 3, None, torch.device("cpu"))
        verdicts = []
        for iteration, bad in enumerate((False, True, False), 1):
            value = torch.tensor([1.0, torch.nan if bad and rank == 1 else 1.0])
            names = (f"a{rank}.png", f"b{rank}.png")
            norms = {"net_g": torch.tensor(1.0)}  # the gradient of a clamped loss may well be finite
            verdicts.append(float(watch.judge(StepNumbers({"l": value}, value.sum(), norms, names, iteration))))
        try:
            watch.settle()
            message = ""
        except NonFiniteLossError as error:
            message = str(error)
        found[policy] = [verdicts, message]
    (folder / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def test_all_ranks_leave_the_step_out_and_name_the_one_at_fault(tmp_path):
    multiprocessing.spawn(judge, (tmp_path,), nprocs=2)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["skip"] == [[0, 1, 0], ""]
        verdicts, message = found["stop"]
        assert verdicts == [0, 1, 1]
        assert message.startswith("iteration 2: l is nan for b1.png (rank 1). No weights were changed")
