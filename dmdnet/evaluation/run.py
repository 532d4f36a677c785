"""`python test.py -opt FILE`: every method on every test set of an option file, and what they leave in the results."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from dmdnet.config import to_yaml
from dmdnet.config.options import DatasetOptions, Options
from dmdnet.data.loading import build_dataset
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.evaluation.exhibits import Exhibit
from dmdnet.evaluation.gather import rank
from dmdnet.evaluation.methods.base import Method
from dmdnet.evaluation.methods.building import build_methods
from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.published import check_published_set
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.html_report import REPORT, facts_of, write_html_report
from dmdnet.evaluation.reports.report import SHEET, SUMMARY, report_files, write_report
from dmdnet.evaluation.reports.terminal import print_report
from dmdnet.evaluation.set_run import JOURNAL, SetRun
from dmdnet.evaluation.statistics.summary import SummarySettings
from dmdnet.files import check_writable, locked, make_folder, write_bytes
from dmdnet.metrics import Metric, build_metrics
from dmdnet.metrics.base import Unavailable, picture_metrics
from dmdnet.ops.determinism import use_deterministic

SHEET_ROWS = 6
MANY_SETS = 3  # with more, the page shows one picture of each kind instead of two
MISMATCHES = "mismatches.txt"
OPTIONS = "options.yml"
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
    use_deterministic(options.deterministic, warn_only=True)  # a metric that has no such way is still worth its number
    entries = test_entries(options)
    out_dir = _results_folder(options, entries)
    methods = build_methods(options, device)
    settings = SummarySettings.of_options(options.benchmark, options.manual_seed)
    settings.check([info.name for method in methods for info in method.columns], picture_metrics(options.val.metrics))
    for entry in entries:
        if entry.published is not None:
            check_published_set(entry.published, f"datasets.{entry.name}.published")
    metrics = build_metrics(options.val.metrics, options.path.given_weights)
    for name, metric in metrics[1].items():
        logger.warning("%s is not computed: %s", name, metric.reason)
    sets = [set_run_of(options, entry, methods, metrics, out_dir, device) for entry in entries]
    for one in sets:
        one.start()  # what is wrong with any of them is said before the first one has cost hours
    evaluations = []
    exhibits: dict[str, Sequence[Exhibit]] = {}
    with _alone(out_dir):
        _start_results(options, out_dir)
        for one in sets:
            mismatches = one.start()
            if rank() == 0:
                _tell_mismatches(one.entry.name, mismatches, out_dir)
            evaluation = one.evaluate()
            if rank() == 0:
                _tell_unusable(evaluation)
                evaluation = one.sheet(evaluation, SHEET_ROWS)
                exhibits[evaluation.set_name] = one.exhibits(evaluation, 2 if len(sets) <= MANY_SETS else 1)
            evaluations.append(evaluation)
        if rank() == 0:
            datasets = {one.entry.name: one.dataset for one in sets}
            facts = facts_of(to_yaml(options), seed=options.manual_seed, datasets=datasets, device=device)
            page = partial(
                write_html_report, evaluations, out_dir=out_dir, name=options.name, facts=facts, exhibits=exhibits
            )
            print_report(write_report(evaluations, out_dir, settings, also=page))
            _print_places(out_dir, entries)
            _check_restored(evaluations, out_dir)
    return out_dir


@contextmanager
def _alone(out_dir: Path) -> Iterator[None]:
    """Keep a second run out of the results while this one fills them."""
    if rank() != 0:
        yield
        return
    folder = make_folder(out_dir / JOURNAL)
    busy = f"{out_dir}: another process is filling these results; let it end, or give this run another name"
    with locked(folder / "lock", busy):
        yield


def set_run_of(
    options: Options,
    entry: DatasetOptions,
    methods: Sequence[Method],
    metrics: tuple[Mapping[str, Metric], Mapping[str, Unavailable]],
    out_dir: Path,
    device: torch.device,
) -> SetRun:
    """Return a set with its data and the methods that apply to it."""
    dataset = build_dataset(entry, seed=options.manual_seed, phase="test")
    mine = tuple(method for method in methods if method.applies_to(entry.name))
    if not mine:
        raise ConfigError(f"methods: none of them has anything for the set {entry.name!r}; look at their `sets`")
    return SetRun(options, entry, dataset, mine, *metrics, out_dir, device)


def _tell_mismatches(set_name: str, lines: Sequence[str], out_dir: Path) -> None:
    """Log what does not fit a set, and list it in a file."""
    path = out_dir / f"{safe_name(set_name)}_{MISMATCHES}"
    path.unlink(missing_ok=True)
    if lines:
        write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    for line in lines[:_SHOWN]:
        logger.warning("%s: %s", set_name, line)
    if len(lines) > _SHOWN:
        logger.warning("%s: %d more are listed in %s", set_name, len(lines) - _SHOWN, path)


def _tell_unusable(evaluation: Evaluation) -> None:
    """Log which pictures of a set could not be read; they count as not covered."""
    if evaluation.unusable:
        logger.warning(
            "%s: %d of %d pictures cannot be used by any method, the first is %s: %s",
            evaluation.set_name,
            len(evaluation.unusable),
            evaluation.n_pictures,
            evaluation.unusable[0].name,
            evaluation.unusable[0].note,
        )


def _check_restored(evaluations: Sequence[Evaluation], out_dir: Path) -> None:
    """Refuse to end as if all were well when a method restored nothing of a set."""
    lost: dict[str, str] = {}
    for evaluation in evaluations:
        kinds = {info.name: info.kind for info in evaluation.infos}
        for column in evaluation.methods:
            if all(record.status != "ok" for record in evaluation.of_method(column)):
                lost.setdefault(column, kinds.get(column, "network"))
    if not lost:
        return
    told = f"{out_dir}: {', '.join(sorted(lost))} restored no picture at all"
    where = "; the reason stands beside each picture in the CSV"
    if set(lost.values()) == {"folder"}:
        raise DataError(f"{told}{where}. Look at the files in its dataroot and at their size first")
    folders = " and, for results of other tools, at their files" if "folder" in lost.values() else ""
    raise WeightsError(f"{told}{where}. Look at the weights, the landmarks and the references first{folders}")


def test_entries(options: Options) -> list[DatasetOptions]:
    """Return the test sets of an option file: every entry of `datasets` but those for training."""
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


def _results_folder(options: Options, entries: Sequence[DatasetOptions]) -> Path:
    """Return the folder of the results, which can be written to. It is not made yet: a mistake leaves none behind."""
    out_dir = Path(options.path.results_root) / options.name
    if rank() != 0:
        return out_dir
    if out_dir.is_dir():
        for name in (SUMMARY, REPORT, OPTIONS, *report_files(safe_name(entry.name) for entry in entries)):
            check_writable(out_dir / name)
        return out_dir
    there = next(folder for folder in (out_dir, *out_dir.absolute().parents) if os.path.lexists(folder))
    why = "is not a folder" if not there.is_dir() else "" if os.access(there, os.W_OK | os.X_OK) else "is not writable"
    if why:
        raise DataError(
            f"{out_dir}: the folder for the results cannot be made: {there} {why}; "
            "set path.results_root to a writable folder"
        )
    return out_dir


def _start_results(options: Options, out_dir: Path) -> None:
    """Take away an old summary, whose pictures are replaced from here on; not sooner, so that a mistake costs none."""
    if rank() == 0:
        for name in (SUMMARY, REPORT):
            (out_dir / name).unlink(missing_ok=True)
        write_bytes(out_dir / OPTIONS, to_yaml(options).encode())


def _print_places(out_dir: Path, entries: list[DatasetOptions]) -> None:
    for entry in entries:
        sheet = out_dir / f"{safe_name(entry.name)}_{SHEET}"
        if sheet.exists():
            print(f"pictures  {sheet}")
    print(f"summary   {out_dir / SUMMARY}")
    print(f"report    {out_dir / REPORT}")
