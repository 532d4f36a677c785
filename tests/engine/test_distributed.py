"""Finding this process's place; the rest is tested with two real ranks in test_two_ranks."""

import pytest
import torch

from dmdnet.config.options import DistOptions
from dmdnet.engine.distributed import World, _device, _place, first_host, processes
from dmdnet.errors import ConfigError
from dmdnet.models.means import Mean


def test_one_process_without_a_launcher(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with processes("cpu", DistOptions()) as world:
        assert (world.rank, world.size, world.main) == (0, 1, True)
        assert world.highest(7) == 7
        assert world.reduce({"a": Mean.of(torch.tensor([1.0, 3.0]))}) == {"a": 2.0}
        assert world.reduce({}) == {}
        nobody = Mean.of(torch.tensor([1.0, 3.0]), torch.zeros(2))
        assert world.reduce({"a": Mean.of(torch.tensor([1.0])), "b": nobody}) == {"a": 1.0}


def test_torchrun_is_found_by_its_variables():
    variables = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert _place("auto", variables) == _place("pytorch", variables) == (3, 4, 1)
    assert _place("none", variables) == (0, 1, 0)
    assert _place("auto", {}) == (0, 1, 0)


def test_a_launcher_that_did_not_launch_is_named():
    with pytest.raises(ConfigError, match=r"--launcher pytorch: LOCAL_RANK not set; start with torchrun"):
        _place("pytorch", {"RANK": "0", "WORLD_SIZE": "2"})


def test_slurm_variables_become_torchs(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")  # so that monkeypatch takes away what is set below
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=r"--launcher slurm: .*SLURM_PROCID.* start with srun"):
        _place("slurm", __import__("os").environ)
    values = {"PROCID": "5", "NTASKS": "8", "LOCALID": "1", "STEP_NODELIST": "gpu[07-09],cpu1", "JOB_ID": "123456"}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    environment = __import__("os").environ
    assert _place("slurm", environment) == (5, 8, 1)
    assert environment["MASTER_ADDR"] == "gpu07"
    assert 20000 <= int(environment["MASTER_PORT"]) < 40000


@pytest.mark.parametrize(
    ("nodelist", "host"),
    [
        ("node1", "node1"),
        ("gpu[003-007,9],other", "gpu003"),
        ("a-b.c[12]", "a-b.c12"),
        ("x1,x2", "x1"),
        ("rack[1-2]-eth", "rack1-eth"),
    ],
)
def test_first_host(nodelist, host):
    assert first_host(nodelist) == host


@pytest.mark.parametrize("nodelist", ["", "$(touch ran)", "a;b", "`x`", "a b"])
def test_a_node_list_is_never_more_than_names(nodelist):
    with pytest.raises(ConfigError, match="not a node list"):
        first_host(nodelist)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _device("auto", 0) == torch.device("cpu")
    with pytest.raises(ConfigError, match="finds no CUDA device"):
        _device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert _device("auto", 1) == torch.device("cuda", 1)
    assert _device("cpu", 1) == torch.device("cpu")
    with pytest.raises(ConfigError, match="local process 2 and the machine has 2 GPUs"):
        _device("cuda", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert _device("auto", 3, "slurm") == torch.device("cuda", 0)  # each task sees a GPU of its own
    with pytest.raises(ConfigError, match="local process 3 and the machine has 1 GPUs"):
        _device("auto", 3, "pytorch")


def test_nccl_without_gpus_is_refused_before_anyone_is_waited_for(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ConfigError, match=r"dist_params\.backend: nccl works between GPUs"),
        processes("cpu", DistOptions(backend="nccl"), "pytorch"),
    ):
        pass


def test_only_rank_zero_writes():
    assert World().main
    assert not World(rank=1, size=2).main
