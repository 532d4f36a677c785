"""`python test.py -opt FILE --dry-run`: build all that the benchmark builds, and name everything wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from dmdnet.config import to_yaml
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.engine.dry_run import count, describe_batch, first_batch
from dmdnet.errors import ConfigError, DMDNetError
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.methods.building import build_method, build_methods, check_columns
from dmdnet.evaluation.published import check_published_set
from dmdnet.evaluation.run import set_run_of, test_entries
from dmdnet.evaluation.set_run import SetRun
from dmdnet.evaluation.statistics.summary import SummarySettings
from dmdnet.metrics import Metric, build_metrics
from dmdnet.metrics.base import Unavailable, picture_metrics
from dmdnet.wording import counted

T = TypeVar("T")
_SHOWN = 3


def dry_run_benchmark(options: Options) -> None:
    """Print the resolved options, the methods, the metrics and the sets; write nothing.

    A metric that cannot be computed is said to be so, and is no mistake: the benchmark reports it as not computed.

    Raises:
        ConfigError: something would stop the benchmark; everything of that kind is printed, under `# problems`.
    """
    print("# resolved options")
    print(to_yaml(options))
    problems: list[str] = []
    entries = test_entries(options)
    methods = _methods(options, problems)
    metrics = _metrics(options, problems)
    settings = SummarySettings.of_options(options.benchmark, options.manual_seed)
    columns = [info.name for method in methods for info in method.columns]
    if not problems:  # else a column may be missing for a reason that is named already
        _tried(problems, lambda: settings.check(columns, picture_metrics(options.val.metrics)))
    sets = [_set(options, entry, methods, metrics, problems) for entry in entries]
    _print_plan(options, [one for one in sets if one is not None])
    if problems:
        print("\n# problems")
        for line in problems:
            print(f"- {line}")
        number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{options.name}: {number}: {'; '.join(problems)}")


def _tried(problems: list[str], work: Callable[[], T]) -> T | None:
    """Do it; what would stop the benchmark becomes a line."""
    try:
        return work()
    except DMDNetError as error:
        problems.append(str(error))
        return None


def _methods(options: Options, problems: list[str]) -> list[Method]:
    print("# methods")
    device = torch.device("cpu")
    found: list[Method] = []
    for entry in options.methods:
        method = _tried(problems, lambda entry=entry: build_method(options, entry, device))  # type: ignore[misc]
        if method is None:
            problems[-1] = problems[-1] if f"methods.{entry}" in problems[-1] else f"methods.{entry}: {problems[-1]}"
            print(problems[-1])
        else:
            found.append(method)
    if not options.methods:
        found += _tried(problems, lambda: build_methods(options, device)) or ()
    if not problems:
        _tried(problems, lambda: check_columns(found))
    for method in found:
        for info in method.columns:
            source = f", {info.source}" if info.source else ""
            weights = f", sha256 {info.sha256}" if info.sha256 else ""
            print(f"{info.name}: {type(method).__name__}{source}{weights}")
        for name, network in method.networks().items():
            print(f"  {name}: {type(network).__name__}, {count(network):,} parameters")
    return found


def _metrics(options: Options, problems: list[str]) -> tuple[dict[str, Metric], dict[str, Unavailable]]:
    print("\n# metrics")
    ready: dict[str, Metric] = {}
    unavailable: dict[str, Unavailable] = {}
    for name, component in options.val.metrics.items():
        built = _tried(
            problems,
            lambda one={name: component}: build_metrics(one, options.path.given_weights),  # type: ignore[misc]
        )
        if built is None:
            print(f"{name}: cannot be built: {problems[-1]}")
            continue
        ready |= built[0]
        unavailable |= built[1]
        for metric in built[0].values():
            print(f"{name}: {metric.recipe}")
        for lacking in built[1].values():
            print(f"{name}: {lacking.recipe} is not computed: {lacking.reason}")
    return ready, unavailable


def _set(
    options: Options,
    entry: DatasetOptions,
    methods: Sequence[Method],
    metrics: tuple[Mapping[str, Metric], Mapping[str, Unavailable]],
    problems: list[str],
) -> SetRun | None:
    print(f"\n# set {entry.name}")
    if entry.published is not None:
        published = entry.published
        _tried(problems, lambda: check_published_set(published, f"datasets.{entry.name}.published"))
    out_dir = Path(options.path.results_root) / options.name
    before = len(problems)
    one = _tried(problems, lambda: set_run_of(options, entry, methods, metrics, out_dir, torch.device("cpu")))
    if one is None:
        print(f"cannot be built: {problems[before]}")
        return None
    people = len({identity for identity, _ in one.keys})
    print(f"{counted(len(one.keys), 'picture')} of {counted(people, 'person')}, {one.dataset.image_size} px")
    key = next(key for key, theirs in options.datasets.items() if theirs is entry)
    batch = _tried(problems, lambda: first_batch(options, key, one.dataset))
    for line in () if batch is None else describe_batch(batch):
        print(line)
    for method in one.methods:
        lines = _tried(problems, lambda method=method: method.start(one.test_set())) or ()  # type: ignore[misc]
        for line in lines[:_SHOWN]:
            print(line)
        if len(lines) > _SHOWN:
            print(f"{method.entry}: and {len(lines) - _SHOWN} more lines like these")
    for name, metric in one.metrics.items():
        why = _lacks(one.dataset, metric)
        if why:
            print(f"{name}: not computed on this set: {why}")
    return one


def _lacks(dataset: Any, metric: Metric) -> str:
    """Return what keeps a metric from scoring any picture of a set, as far as that is known beforehand."""
    if "target" in metric.needs and not dataset.has_gt:
        return "it needs the ground truth"
    if "references" in metric.needs and dataset.most_references == 0:
        return "it needs references; see num_references"
    if metric.smallest_side > dataset.image_size:
        return f"it needs pictures of {metric.smallest_side} pixels or more"
    return ""


def _print_plan(options: Options, sets: Sequence[SetRun]) -> None:
    print("\n# plan")
    for one in sets:
        size = f"{counted(len(one.keys), 'picture')} x {counted(len(one.columns), 'column')}"
        print(f"{one.entry.name}: {size} ({', '.join(one.columns)})")
    print(f"results go to {Path(options.path.results_root) / options.name}")
