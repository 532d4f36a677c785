"""`python test.py -opt FILE`: every method on every test set of an option file, and what they leave in the results."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dmdnet.config import to_yaml
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.evaluation.gather import rank, world_size
from dmdnet.evaluation.methods.base import Method, TestSet, build_methods
from dmdnet.evaluation.methods.network import sha256_of
from dmdnet.evaluation.methods.outputs import OutputsMethod
from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.progress import set_progress
from dmdnet.evaluation.published import check_published_set
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.report import SHEET, SUMMARY, write_report
from dmdnet.evaluation.runner import SetOptions, evaluate_methods
from dmdnet.evaluation.summary import SummarySettings
from dmdnet.evaluation.terminal import print_report
from dmdnet.files import check_writable, write_bytes
from dmdnet.metrics import build_metrics
from dmdnet.models.base import build_model
from dmdnet.registry import plain

SHEET_ROWS = 6
MISMATCHES = "mismatches.txt"
_SHOWN = 3
logger = logging.getLogger(__name__)


def run_test(options: Options, *, device: torch.device | str = "cpu") -> Path:
    """Evaluate all methods on all test sets and return the folder of the results, `<results_root>/<name>`.

    Every entry of `datasets` but those for training is a test set. The methods are those of `methods`, or the outputs
    `val.modes` of `path.pretrain_network_g`. Written are the reports, `options.yml` and, per set, the restored pictures
    `<set>/<column>/<identity>/<stem>.png` (`val.save_img`), and `<set>_mismatches.txt` where a folder of results and
    the set do not fit each other; other files in the folder are left alone. The first rank prints the tables.

    Args:
        options: of the run; `val` says which metrics.
        device: of this process.

    Raises:
        WeightsError: no weights are named, or they are missing or do not fit; or a method restored no picture.
        ConfigError: no test set, two of one name, or methods that do not go together.
        DataError: a set has no usable picture, or the folder cannot be written.
    """
    device = torch.device(device)
    entries = _test_entries(options)
    out_dir = _prepare(options)
    methods = _methods(options, device)
    settings = SummarySettings.of_options(options.benchmark, options.manual_seed)
    settings.check([info.name for method in methods for info in method.columns], options.val.metrics)
    for entry in entries:
        if entry.published is not None:
            check_published_set(entry.published, f"datasets.{entry.name}.published")
    metrics, unavailable = build_metrics(options.val.metrics, _weights_folder(options))
    for name, metric in unavailable.items():
        logger.warning("%s is not computed: %s", name, metric.reason)
    datasets = [build_dataset(entry, seed=options.manual_seed, phase="test") for entry in entries]
    sets = [_test_set(entry, dataset) for entry, dataset in zip(entries, datasets, strict=True)]
    chosen = [tuple(method for method in methods if method.applies_to(one.name)) for one in sets]
    _start_results(options, out_dir)
    evaluations = []
    for entry, dataset, test_set, mine in zip(entries, datasets, sets, chosen, strict=True):
        _start_methods(mine, test_set, out_dir)
        loader = build_loader(
            dataset, entry, phase="test", rank=rank(), world_size=world_size(), pin_memory=device.type == "cuda"
        )
        with set_progress(entry.name, -(-len(dataset) // world_size())) as advance:
            evaluations.append(
                evaluate_methods(
                    mine,
                    loader,
                    metrics=metrics,
                    unavailable=unavailable,
                    about=SetOptions(entry.name, entry.severity, entry.published, options.benchmark.failed),
                    out_dir=out_dir,
                    save_images=options.val.save_img,
                    device=device,
                    sheet_rows=SHEET_ROWS,
                    seed=options.manual_seed,
                    progress=advance,
                )
            )
    if rank() == 0:
        print_report(write_report(evaluations, out_dir, settings))
        _print_places(out_dir, entries)
        _check_restored(evaluations, out_dir)
    return out_dir


def _methods(options: Options, device: torch.device) -> tuple[Method, ...]:
    methods = build_methods(options, device) if options.methods else (_outputs(options, device),)
    names = [info.name for method in methods for info in method.columns]
    # names become folders, some of them on file systems that know no upper case
    doubled = [name for name, count in Counter(safe_name(name).casefold() for name in names).items() if count > 1]
    if doubled:
        raise ConfigError(f"methods: two of them give a column {doubled[0]!r}; rename one of the entries")
    return methods


def _outputs(options: Options, device: torch.device) -> Method:
    """Return the outputs of network_g, for option files without `methods`."""
    path = options.path.pretrain_network_g
    if path is None and set(options.val.modes) != {"input"}:
        raise WeightsError(
            f"{options.name}: path.pretrain_network_g names no weights to test; set it, for example to "
            "experiments/<name>/models/net_g_latest.pth, in the file or with --set path.pretrain_network_g=FILE"
        )
    model = build_model(options, device, train=False)
    return OutputsMethod(
        model.restore,
        options.val.modes,
        source=path or "",
        sha256=sha256_of(path) if path else "",
        decides={"model": plain(options.model), "network": plain(options.network_g)},
    )


def _weights_folder(options: Options) -> str | None:
    return options.path.weights if "weights" in options.path.model_fields_set else None


def _test_set(entry: DatasetOptions, dataset: Any) -> TestSet:
    return TestSet(
        name=entry.name,
        keys=tuple(dataset.key(record) for record in range(len(dataset))),
        image_size=dataset.image_size,
        most_references=dataset.most_references,
        has_wrong_references=dataset.has_wrong_references,
    )


def _start_methods(methods: Sequence[Method], test_set: TestSet, out_dir: Path) -> None:
    """Let the methods get ready for a set; what does not fit is logged, and listed in a file."""
    lines = [line for method in methods for line in method.start(test_set)]
    if rank() != 0:
        return
    path = out_dir / f"{safe_name(test_set.name)}_{MISMATCHES}"
    path.unlink(missing_ok=True)
    if lines:
        write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    for line in lines[:_SHOWN]:
        logger.warning("%s: %s", test_set.name, line)
    if len(lines) > _SHOWN:
        logger.warning("%s: %d more are listed in %s", test_set.name, len(lines) - _SHOWN, path)


def _check_restored(evaluations: Sequence[Evaluation], out_dir: Path) -> None:
    """Refuse to end as if all were well when a method restored nothing."""
    lost = sorted(
        {
            column
            for evaluation in evaluations
            for column in evaluation.methods
            if all(record.status != "ok" for record in evaluation.of_method(column))
        }
    )
    if lost:
        raise WeightsError(
            f"{out_dir}: {', '.join(lost)} restored no picture at all; the reason stands beside each picture in the "
            "CSV. Look at the weights, the landmarks and the references first"
        )


def _test_entries(options: Options) -> list[DatasetOptions]:
    entries = [entry for key, entry in options.datasets.items() if not key.startswith("train")]
    if not entries:
        raise ConfigError(
            f"{options.name}: datasets has no set to test on (it has {', '.join(options.datasets) or 'none'}); "
            "add an entry 'test'"
        )
    names = [safe_name(entry.name).casefold() for entry in entries]
    doubled = next((entry.name for entry, name in zip(entries, names, strict=True) if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"datasets: two test sets are named {doubled!r}; results are kept by name: rename one")
    return entries


def _prepare(options: Options) -> Path:
    """Return the folder of the results, made and writable."""
    out_dir = Path(options.path.results_root) / options.name
    if rank() != 0:
        return out_dir
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{out_dir}: the folder for the results cannot be made: {error.strerror or error}; "
            "set path.results_root to a writable folder"
        ) from error
    check_writable(out_dir / SUMMARY)
    return out_dir


def _start_results(options: Options, out_dir: Path) -> None:
    """Take away an old summary, whose pictures are replaced from here on; not sooner, so that a mistake costs none."""
    if rank() == 0:
        (out_dir / SUMMARY).unlink(missing_ok=True)
        write_bytes(out_dir / "options.yml", to_yaml(options).encode())


def _print_places(out_dir: Path, entries: list[DatasetOptions]) -> None:
    for entry in entries:
        sheet = out_dir / f"{safe_name(entry.name)}_{SHEET}"
        if sheet.exists():
            print(f"pictures  {sheet}")
    print(f"summary   {out_dir / SUMMARY}")
