"""`python test.py -opt FILE`: evaluate a network on every test set of an option file and write the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmdnet.config import to_yaml
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.data.loading import FaceLoader, build_dataset, build_loader
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.evaluation.gather import rank, world_size
from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.report import SHEET, SUMMARY, print_report, write_report
from dmdnet.evaluation.runner import evaluate
from dmdnet.evaluation.summary_record import SummaryRecord
from dmdnet.files import check_writable, write_bytes
from dmdnet.models.base import Model, build_model
from dmdnet.registry import METRICS

SHEET_ROWS = 6


def run_test(options: Options, *, device: torch.device | str = "cpu") -> Path:
    """Evaluate `path.pretrain_network_g` and return the folder of the results, `<results_root>/<name>`.

    Every entry of `datasets` but those for training is a test set. Written are `summary.json`, `table.txt`,
    `options.yml` and, per set, `<set>_pictures.csv`, `<set>_sheet.png` and the restored pictures
    `<set>/<mode>/<identity>/<stem>.png`; other files in the folder are left alone. The first rank prints the tables.

    Args:
        options: of the run; `val` says which modes and metrics.
        device: of this process.

    Raises:
        WeightsError: no weights are named, or they are missing or do not fit.
        ConfigError: no test set, or two of one name.
        DataError: a set's files are missing or unusable, or the folder cannot be written.
    """
    entries = _test_entries(options)
    out_dir = _prepare(options)
    model = _model(options, torch.device(device))
    datasets = [build_dataset(entry, seed=options.manual_seed, phase="test") for entry in entries]
    _start_results(options, out_dir)
    evaluations = []
    for entry, dataset in zip(entries, datasets, strict=True):
        loader = build_loader(
            dataset,
            entry,
            phase="test",
            rank=rank(),
            world_size=world_size(),
            pin_memory=torch.device(device).type == "cuda",
        )
        evaluations.append(_evaluate(options, model, entry.name, loader, len(dataset), out_dir, device))
    if rank() == 0:
        records = write_report(evaluations, out_dir, seed=options.manual_seed)
        print_report(records)
        _print_places(out_dir, entries)
        _check_restored(records, out_dir)
    return out_dir


def _check_restored(records: Sequence[SummaryRecord], out_dir: Path) -> None:
    """Refuse to end as if all were well when a method restored nothing."""
    lost = sorted(
        {record.method for record in records if record.kind == "mean" and record.n_failed == record.n_pictures > 0}
    )
    if lost:
        raise WeightsError(
            f"{out_dir}: {', '.join(lost)} restored no picture at all; the reason stands beside each picture in the "
            "CSV. Look at the weights and the references first"
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


def _model(options: Options, device: torch.device) -> Model:
    if options.path.pretrain_network_g is None and set(options.val.modes) != {"input"}:
        raise WeightsError(
            f"{options.name}: path.pretrain_network_g names no weights to test; set it, for example to "
            "experiments/<name>/models/net_g_latest.pth, in the file or with --set path.pretrain_network_g=FILE"
        )
    return build_model(options, device, train=False)


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


def _evaluate(
    options: Options,
    model: Model,
    set_name: str,
    loader: FaceLoader,
    pictures: int,
    out_dir: Path,
    device: torch.device | str,
) -> Evaluation:
    with _progress(f"{set_name}", -(-pictures // world_size())) as advance:
        return evaluate(
            model.restore,
            loader,
            metrics={name: METRICS.build(metric) for name, metric in options.val.metrics.items()},
            modes=options.val.modes,
            set_name=set_name,
            out_dir=out_dir,
            save_images=options.val.save_img,
            device=device,
            sheet_rows=SHEET_ROWS,
            progress=advance,
        )


@contextmanager
def _progress(title: str, total: int) -> Iterator[Any]:
    """Show a bar on the first rank's terminal; yield what moves it on."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = rank() == 0 and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def _print_places(out_dir: Path, entries: list[DatasetOptions]) -> None:
    for entry in entries:
        sheet = out_dir / f"{safe_name(entry.name)}_{SHEET}"
        if sheet.exists():
            print(f"pictures  {sheet}")
    print(f"summary   {out_dir / SUMMARY}")
