"""Everything that a run depends on, as one frozen, printable tree. The names are BasicSR's where it has one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dmdnet.errors import ConfigError
from dmdnet.registry import (
    ARCHS,
    DATASETS,
    LOSSES,
    METHODS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    SCHEDULERS,
    TRACKERS,
    Component,
    plain,
)
from dmdnet.typed import FrozenDict, Named, Strict, nearest, with_known_names

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
_NOT_IN_NAMES = '/\\:*?"<>|'


def _folder_name(name: str) -> str:
    """Names become folders under experiments/ and results/."""
    if not name.strip() or name != name.strip() or name.startswith(".") or len(name) > 128:
        problem = "is empty, starts with a dot, has spaces around it or more than 128 characters"
    elif any(letter in _NOT_IN_NAMES or ord(letter) < 32 for letter in name):
        problem = f"has one of {_NOT_IN_NAMES} or a control character"
    else:
        return name
    raise PydanticCustomError("folder_name", "{text}", {"text": f"{name!r} {problem}; it becomes the name of a folder"})


FolderName = Annotated[str, AfterValidator(_folder_name)]
PHASES = ("train", "val", "test")


def _entry_name(key: str) -> str:
    if re.fullmatch(rf"({'|'.join(PHASES)})(_\w+)?", key):
        return key
    text = f"unknown entry {key!r}; {nearest(key, PHASES)} (a suffix may follow: test_1)"
    raise PydanticCustomError("entry_name", "{text}", {"text": text})


EntryName = Annotated[str, AfterValidator(_entry_name)]


class DatasetOptions(Strict):
    """One entry of `datasets`: a data set (`type` and its keywords) and how it is loaded, in one flat mapping.

    For test.py: `severity` says how hard a set is, in any unit (4 for 4 times smaller): sets that have one are points
    of a curve. `published` is the set's name among the published numbers, which the report then shows beside ours.
    """

    name: FolderName
    batch_size_per_gpu: Positive = 1
    num_worker_per_gpu: NonNegative = 0
    prefetch_factor: Positive = 2
    severity: float | None = None
    published: str | None = None
    dataset: Annotated[Component, DATASETS]

    @classmethod
    def loading_names(cls) -> list[str]:
        """Return the keys of the entry itself; every other key belongs to the data set."""
        return [name for name in cls.model_fields if name != "dataset"]

    def as_dict(self) -> dict[str, Any]:
        """Return the flat mapping that an option file would hold."""
        own = {name: plain(getattr(self, name)) for name in self.loading_names()}
        return {"name": own.pop("name"), **self.dataset.as_dict(), **own}

    @model_validator(mode="wrap")
    @classmethod
    def _split_flat_mapping(cls, value: Any, handler: Any) -> Any:
        if not isinstance(value, Mapping) or isinstance(value.get("dataset"), Component):
            return handler(value)
        loading = {key: item for key, item in value.items() if key in cls.loading_names()}
        try:
            return handler({**loading, "dataset": {key: value[key] for key in value if key not in loading}})
        except ValidationError as error:
            raise with_known_names(error, cls._known(value), below="dataset") from None

    @classmethod
    def _known(cls, value: Mapping[str, Any]) -> list[str]:
        try:
            return [*cls.loading_names(), "type", *DATASETS.schema(str(value.get("type"))).model_fields]
        except ConfigError:
            return cls.loading_names()


class PathOptions(Strict):
    """Where weights come from and where results go. Paths are relative to the working directory."""

    pretrain_network_g: str | None = None
    pretrain_network_d: str | None = None
    strict_load_g: bool = True
    resume_state: str | None = None
    experiments_root: str = "experiments"
    results_root: str = "results"
    weights: str = "weights"

    @property
    def given_weights(self) -> str | None:
        """The folder of weights that the option file names; None: the usual one."""
        return self.weights if "weights" in self.model_fields_set else None


class TrainOptions(Strict):
    """The optimisation: losses, optimisers, schedule, EMA.

    `amp`: the type of convolutions; bf16 needs no loss scale, fp16 has one that adapts. `matmul_precision`:
    "high" lets a GPU take TF32 (11 bits) for float32 convolutions and products. `accumulate`: batches of
    `batch_size_per_gpu` that one iteration adds up before its update, as if they were one.
    `activation_checkpointing`: network_g computes activations again for the backward pass, for less memory.
    `compile`: torch.compile for both networks, true or a mode of torch's (not those with CUDA graphs: the
    discriminator runs several times a step, and a graph's output is gone with its next run). `prefetch`: copy batches
    to a GPU beside the step before. `freeze`: names of parts and parameters of network_g, with wildcards, that are
    not trained. `lr_multipliers`: such names to factors of the learning rate; the first that fits counts.
    `non_finite`: a step with a loss or a gradient that is NaN or infinite, on any rank, updates nothing; then the run
    stops, or skips it, up to `max_non_finite` in a row. `loss_spike`: a step whose loss is so many times the median
    of the 200 before is logged with its samples.
    """

    total_iter: Positive
    warmup_iter: NonNegative = 0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    amp: Literal["none", "bf16", "fp16"] = "none"
    matmul_precision: Literal["highest", "high"] = "highest"
    accumulate: Positive = 1
    activation_checkpointing: bool = False
    compile: bool | Literal["default", "max-autotune-no-cudagraphs"] = False
    prefetch: bool = True
    freeze: tuple[str, ...] = ()
    lr_multipliers: Named[Annotated[float, Field(gt=0)]] = Field(default_factory=FrozenDict)
    grad_clip_norm: Annotated[float, Field(gt=0)] | None = None
    non_finite: Literal["stop", "skip"] = "stop"
    max_non_finite: Positive = 10
    loss_spike: Annotated[float, Field(gt=1)] | None = 5.0
    optim_g: Annotated[Component, OPTIMIZERS]
    optim_d: Annotated[Component, OPTIMIZERS] | None = None
    scheduler: Annotated[Component, SCHEDULERS] | None = None
    losses: Annotated[tuple[Annotated[Component, LOSSES], ...], Field(min_length=1)]

    @classmethod
    def moved_names(cls) -> Mapping[str, str]:
        """Return hints for BasicSR's names of what is an entry of `losses` here."""
        entry = "it is an entry of train.losses, for example {type: L1Loss, loss_weight: 10}"
        names = ("pixel_opt", "perceptual_opt", "gan_opt", "cri_pix_opt")
        return {
            **dict.fromkeys(names, entry),
            "net_d_init_iters": "it is start_iter of the adversarial loss",
            "net_d_iters": "every iteration trains both networks here; train.optim_d.lr sets their balance",
        }


class ValOptions(Strict):
    """Evaluation, during training every `val_freq` iterations and by test.py: which outputs, which metrics.

    `save_img` writes the restored pictures, in training to `visualization` in the run's folder (the newest only).
    """

    val_freq: Positive | None = None
    save_img: bool = True
    modes: Annotated[tuple[str, ...], Field(min_length=1)] = ("input", "generic", "specific", "wrong_person")
    metrics: Named[Annotated[Component, METRICS]] = Field(default_factory=FrozenDict)


class BenchmarkOptions(Strict):
    """How test.py counts, and where it goes on.

    `failed`: a picture on which a method fails is scored as the degraded input, or dropped from that method's means;
    the report says which, and how many. `resume`: take over from the results' journal what a run before (a killed one,
    or one with fewer methods) has finished and that would come out the same; false measures everything anew.
    `bootstrap` resamples of people give each interval, `permutations` sign flips of people each test of a difference
    (0: none); both are drawn from manual_seed. `pairs` are differences of columns to take beside the usual ones.
    `difficulty` is the metric of the degraded input by which a set is divided in quarters; null: the first of
    val.metrics that has values.
    """

    failed: Literal["input", "drop"] = "input"
    resume: bool = True
    bootstrap: NonNegative = 2000
    permutations: NonNegative = 10_000
    pairs: tuple[tuple[str, str], ...] = ()
    difficulty: str | None = None


class KeepBestOptions(Strict):
    """The checkpoints that `logger.keep_last` spares for their validation, named as the log of a validation does.

    `metric` is `<set>/<mode>_<metric>`, for example `celebref_val/specific_psnr`; `mode` auto takes the metric's own
    direction; `count` is how many stay.
    """

    metric: str
    mode: Literal["auto", "max", "min"] = "auto"
    count: Positive = 1


class WandbOptions(Strict):
    """Weights & Biases (`pip install wandb`).

    `mode: auto` is online where a key is known and the server answers, else offline, in `experiments/<name>/wandb`.
    `resume_id` goes on with a run of that id; a run that is continued keeps its own without it.
    """

    project: Annotated[str, Field(min_length=1)] = "dmdnet"
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    mode: Literal["auto", "online", "offline"] = "auto"
    resume_id: str | None = None


class LoggerOptions(Strict):
    """What is written while training, and how often (in iterations).

    `keep_last` is the number of newest checkpoints that stay (all, when null); `save_safetensors` writes the averaged
    weights as `net_g_<iter>.safetensors` as well; `async_save` writes from a thread while training goes on.
    `grad_norm_freq` is how often the gradient of each term of the objective is measured alone, in the time of as many
    steps as there are terms.
    `use_tb_logger` and `wandb` turn on these two trackers, `trackers` lists any others; training goes on without one
    that fails.
    """

    print_freq: Positive = 100
    save_checkpoint_freq: Positive = 5000
    keep_last: Annotated[int, Field(ge=2)] | None = None
    keep_best: KeepBestOptions | None = None
    save_safetensors: bool = False
    async_save: bool = False
    image_freq: Positive | None = None
    grad_norm_freq: Positive | None = None
    use_tb_logger: bool = True
    wandb: WandbOptions | None = None
    trackers: tuple[Annotated[Component, TRACKERS], ...] = ()


class DistOptions(Strict):
    """torch.distributed: `auto` takes nccl on GPUs and gloo on CPUs.

    `timeout_s` is the longest wait in a collective; `hang_timeout_s` how long a rank may give no sign of life before
    it is named and all processes end.
    """

    backend: Literal["auto", "nccl", "gloo"] = "auto"
    timeout_s: Positive = 600
    hang_timeout_s: Positive = 100


class Options(Strict):
    """The whole option file of a training or a test run.

    `methods`: what test.py compares, by names of your own; left out, it is network_g with the outputs of `val.modes`.
    """

    name: FolderName
    model: Annotated[Component, MODELS]
    device: Literal["auto", "cuda", "cpu"] = "auto"
    manual_seed: NonNegative = 0
    deterministic: bool = False
    datasets: Annotated[dict[EntryName, DatasetOptions], AfterValidator(FrozenDict)]
    network_g: Annotated[Component, ARCHS]
    network_d: Annotated[Component, ARCHS] | None = None
    path: PathOptions = PathOptions()
    train: TrainOptions | None = None
    val: ValOptions = ValOptions()
    methods: Named[Annotated[Component, METHODS]] = Field(default_factory=FrozenDict)
    benchmark: BenchmarkOptions = BenchmarkOptions()
    logger: LoggerOptions = LoggerOptions()
    dist_params: DistOptions = DistOptions()

    @classmethod
    def moved_names(cls) -> Mapping[str, str]:
        """Return hints for top-level keys of BasicSR that have another form here."""
        return {
            "num_gpu": "processes decide: torchrun --nproc_per_node=N train.py -opt FILE --launcher pytorch",
            "scale": "it belongs to the network or to the degradation",
            "is_train": "it follows from the command: train.py or test.py",
            "ema": "it is train.ema_decay",
            "launcher": "it is a flag: --launcher none, pytorch or slurm",
        }
