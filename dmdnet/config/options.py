"""Everything that a run depends on, as one frozen, printable tree. The names are BasicSR's where it has one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dmdnet.registry import ARCHS, DATASETS, LOSSES, METRICS, MODELS, OPTIMIZERS, SCHEDULERS, Component

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
ComponentOf = Component  # for readers: `Annotated[Component, REGISTRY]` is "type: Name plus keywords"


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class DatasetOptions(_Options):
    """One entry of `datasets`: a data set (`type` and its keywords) and how it is loaded, in one flat mapping."""

    name: str
    batch_size_per_gpu: Positive = 1
    num_worker_per_gpu: NonNegative = 0
    prefetch_factor: Positive = 2
    dataset: Annotated[Component, DATASETS]

    @model_validator(mode="before")
    @classmethod
    def _split_flat_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "dataset" in value:
            return value
        loading = {key: item for key, item in value.items() if key in cls.model_fields}
        loading["dataset"] = {key: item for key, item in value.items() if key not in cls.model_fields}
        return loading


class PathOptions(_Options):
    """Where weights come from and where results go. Paths are relative to the working directory."""

    pretrain_network_g: str | None = None
    pretrain_network_d: str | None = None
    strict_load_g: bool = True
    resume_state: str | None = None
    experiments_root: str = "experiments"
    results_root: str = "results"
    weights: str = "weights"


class TrainOptions(_Options):
    """The optimisation: losses, optimisers, schedule, EMA."""

    total_iter: Positive
    warmup_iter: NonNegative = 0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    amp: Literal["none", "bf16"] = "none"
    grad_clip_norm: Annotated[float, Field(gt=0)] | None = None
    optim_g: Annotated[Component, OPTIMIZERS]
    optim_d: Annotated[Component, OPTIMIZERS] | None = None
    scheduler: Annotated[Component, SCHEDULERS] | None = None
    net_d_iters: Positive = 1
    losses: tuple[Annotated[Component, LOSSES], ...]


class ValOptions(_Options):
    """Evaluation, during training every `val_freq` iterations and by test.py: which outputs, which metrics."""

    val_freq: Positive | None = None
    save_img: bool = True
    modes: tuple[str, ...] = ("input", "generic", "specific", "wrong_person")
    metrics: dict[str, Annotated[Component, METRICS]] = Field(default_factory=dict)


class LoggerOptions(_Options):
    """What is written while training, and how often (in iterations)."""

    print_freq: Positive = 100
    save_checkpoint_freq: Positive = 5000
    image_freq: Positive | None = None
    use_tb_logger: bool = True


class DistOptions(_Options):
    """torch.distributed: `auto` takes nccl on GPUs and gloo on CPUs."""

    backend: Literal["auto", "nccl", "gloo"] = "auto"
    timeout_s: Positive = 600


class Options(_Options):
    """The whole option file of a training or a test run."""

    name: str
    model: Annotated[Component, MODELS]
    device: Literal["auto", "cuda", "cpu"] = "auto"
    manual_seed: NonNegative = 0
    deterministic: bool = False
    datasets: dict[str, DatasetOptions]
    network_g: Annotated[Component, ARCHS]
    network_d: Annotated[Component, ARCHS] | None = None
    path: PathOptions = PathOptions()
    train: TrainOptions | None = None
    val: ValOptions = ValOptions()
    logger: LoggerOptions = LoggerOptions()
    dist_params: DistOptions = DistOptions()
