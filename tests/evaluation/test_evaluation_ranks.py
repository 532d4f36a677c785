"""Two processes find what one finds, however the pictures are divided between them."""

import time
from datetime import timedelta

import torch
from fake_sets import batches, restore

from dmdnet.evaluation import evaluate, summarise
from dmdnet.evaluation.gather import from_first, gather_all, gather_first
from dmdnet.evaluation.reports.csv_files import pictures_csv
from dmdnet.evaluation.reports.report import summary_json
from dmdnet.metrics.psnr import PSNR
from dmdnet.metrics.ssim import SSIM


def found(numbers, size):
    metrics = {"psnr": PSNR(), "ssim_components": SSIM(region="components")}
    evaluation = evaluate(restore, batches(numbers, size), metrics=metrics, set_name="faces", sheet_rows=3)
    samples = [(sample.identity, sample.name, int(sample.target.sum())) for sample in evaluation.samples]
    return summary_json(summarise(evaluation)), pictures_csv(evaluation), str(samples)


def worker(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # 11 pictures: picture 0 is on both ranks, as with a sampler that pads
    share = [0, 2, 4, 6, 8, 10] if rank == 0 else [1, 3, 5, 7, 9, 0]
    torch.save(found(share, size=4), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_find_what_one_does(tmp_path):
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    alone = found(range(11), size=3)
    assert torch.load(tmp_path / "0.pt", weights_only=True) == alone
    assert torch.load(tmp_path / "1.pt", weights_only=True) == alone


def slow_first_rank(rank, folder):
    torch.set_num_threads(1)
    patience = timedelta(seconds=3)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=patience
    )
    if rank == 0:
        time.sleep(5)
    found = [gather_all(rank)]
    if rank == 0:
        time.sleep(5)
    torch.save([*found, gather_first(rank), from_first(rank)], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_ranks_wait_longer_for_results_than_for_a_step_of_training(tmp_path):
    torch.multiprocessing.spawn(slow_first_rank, (str(tmp_path),), nprocs=2)
    assert torch.load(tmp_path / "0.pt", weights_only=True) == [[0, 1], [0, 1], 0]
    assert torch.load(tmp_path / "1.pt", weights_only=True) == [[0, 1], [], 0]
