"""One set of a benchmark: what is left to do of it is done, and written down as it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dmdnet.config.options import DatasetOptions, Options
from dmdnet.data.loading import FaceLoader, build_loader
from dmdnet.data.sampling import Draw, batches_of
from dmdnet.errors import DataError
from dmdnet.evaluation.exhibits import Exhibit, choose, make_exhibits
from dmdnet.evaluation.findings import Findings, Key, twice
from dmdnet.evaluation.fingerprint import files_stamp, fingerprint, set_content
from dmdnet.evaluation.gather import from_first, rank, world_size
from dmdnet.evaluation.journal import Prints, SetJournal, plan, read_journal
from dmdnet.evaluation.methods.base import Method, TestSet
from dmdnet.evaluation.naming import picture_path, safe_name
from dmdnet.evaluation.progress import set_progress
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.runner import Before, SetOptions, evaluate_methods
from dmdnet.evaluation.samples import make_samples
from dmdnet.metrics import Metric, SetMetric
from dmdnet.metrics.base import Unavailable

JOURNAL = "journal"


@dataclass
class SetRun:
    """One set with the methods that apply to it.

    Args:
        entry: the set's entry in the option file.
        dataset: built from it.
        methods: those that have something to give for it.
        metrics, unavailable: from `build_metrics`.
        out_dir: the folder of the results.
        device: of this process.

    Raises:
        DataError: two pictures have one name, or their results would.
    """

    options: Options
    entry: DatasetOptions
    dataset: Any
    methods: Sequence[Method]
    metrics: Mapping[str, Metric]
    unavailable: Mapping[str, Unavailable]
    out_dir: Path
    device: torch.device

    def __post_init__(self) -> None:
        self.keys: tuple[Key, ...] = tuple(self.dataset.key(record) for record in range(len(self.dataset)))
        self.records = {key: record for record, key in enumerate(self.keys)}
        if len(self.records) < len(self.keys):
            doubled = next(key for number, key in enumerate(self.keys) if self.records[key] != number)
            raise twice(self.entry.name, doubled)
        if self.options.val.save_img:
            self._check_paths()
        self.columns = tuple(info.name for method in self.methods for info in method.columns)
        self._stamped: tuple[Key | None, str] = None, ""
        self._of_column = {info.name: method for method in self.methods for info in method.columns}

    def _check_paths(self) -> None:
        """Refuse pictures whose results would replace each other, such as `1.jpg` and `1.png` of one person."""
        owner: dict[Path, Key] = {}
        for key in self.keys:
            path = picture_path(Path("."), self.entry.name, "method", *key)
            if owner.setdefault(path, key) != key:
                raise DataError(
                    f"set {self.entry.name!r}: the restored pictures of {owner[path][1]} and {key[1]} would both be "
                    f"{path.parent.name}/{path.name}; rename one of the two, or set val.save_img: false"
                )

    def start(self) -> list[str]:
        """Let the methods get ready; return what does not fit the set, a line each.

        Raises:
            DataError, ConfigError: as `Method.start`.
        """
        return [line for method in self.methods for line in method.start(self.test_set())]

    def test_set(self) -> TestSet:
        """Return what methods hear of the set."""
        return TestSet(
            name=self.entry.name,
            keys=self.keys,
            image_size=self.dataset.image_size,
            most_references=self.dataset.most_references,
            has_wrong_references=self.dataset.has_wrong_references,
        )

    def evaluate(self) -> Evaluation:
        """Restore and score what no run before has, and return the evaluation of the whole set.

        Raises:
            DataError: as `evaluate_methods`, or the journal cannot be read or written.
        """
        prints = self._prints()
        folder = self.out_dir / JOURNAL / safe_name(self.entry.name)
        # The first rank reads and tells the others what to do: each for itself, they might see different files.
        kept, left = Findings(), list[tuple[int, tuple[str, ...]]]()
        if rank() == 0:
            if self.options.benchmark.resume:
                kept = read_journal(folder, self.keys, prints, self._has_picture)
                self._look_again(kept)
            else:
                shutil.rmtree(folder, ignore_errors=True)
            self._stamped = None, ""
            left = plan(self.keys, self.entry.batch_size_per_gpu, self.columns, kept, self._wants_targets())
        left = from_first(left)
        mine = left[rank() :: world_size()]
        batches = batches_of(len(self.dataset), self.entry.batch_size_per_gpu)
        undone = sum(len(batches[number]) for number, _ in mine)
        total = max(undone, round(len(self.dataset) / world_size()))
        with (
            closing(SetJournal(folder, rank(), prints)) as journal,
            set_progress(self.entry.name, total, total - undone) as advance,
        ):
            return evaluate_methods(
                self.methods,
                self._loader([number for number, _ in left]),
                metrics=self.metrics,
                unavailable=self.unavailable,
                about=SetOptions(
                    self.entry.name, self.entry.severity, self.entry.published, self.options.benchmark.failed
                ),
                out_dir=self.out_dir,
                save_images=self.options.val.save_img,
                device=self.device,
                seed=self.options.manual_seed,
                progress=advance,
                journal=journal,
                before=Before(kept, [columns for _, columns in mine]),
            )

    def _look_again(self, kept: Findings) -> None:
        """Forget of pictures that could not be read before that they could not, where they can now: a disk that did not
        answer once, with files that have not changed."""
        for key in list(kept.unusable):
            records = [(key, column) for column in self.columns if (key, column) in kept.records]
            if len(records) < len(self.columns) and not self._can_read(key):
                for place in records:  # of no use without those of the other methods
                    del kept.records[place]
                continue
            del kept.unusable[key]

    def _can_read(self, key: Key) -> bool:
        record = self.records[key]
        try:
            self.dataset[Draw(record, record)]
        except DataError:
            return False
        return True

    def sheet(self, evaluation: Evaluation, people: int) -> Evaluation:
        """Return the evaluation with the first picture of each of the first few people. Call it on one rank."""
        first: dict[str, Key] = {}
        for record in evaluation.pictures:
            first.setdefault(record.identity, record.key)
        keys = list(first.values())[:people]
        return replace(evaluation, samples=make_samples(keys, evaluation, self.dataset, self.methods, self.device))

    def exhibits(self, evaluation: Evaluation, each: int) -> tuple[Exhibit, ...]:
        """Return the pictures that a page shows, up to `each` of every kind. Call it on one rank."""
        return make_exhibits(choose(evaluation, each), evaluation, self.dataset, self.methods, self.device)

    def _loader(self, only: Sequence[int]) -> FaceLoader:
        pin = self.device.type == "cuda"
        return build_loader(
            self.dataset, self.entry, phase="test", rank=rank(), world_size=world_size(), pin_memory=pin, only=only
        )

    def _wants_targets(self) -> bool:
        of_set = [metric for metric in self.metrics.values() if isinstance(metric, SetMetric)]
        return bool(self.dataset.has_gt and any("target" in metric.needs for metric in of_set))

    def _prints(self) -> Prints:
        recipes = {name: metric.recipe for name, metric in self.metrics.items()}
        common = set_content(self.options, self.entry, recipes, self.device)
        columns = {
            column: fingerprint({"set": common, "kind": type(method).__name__, "method": dict(method.settings(column))})
            for column, method in self._of_column.items()
        }
        return Prints(columns, fingerprint(common), self._stamp)

    def _stamp(self, key: Key, column: str) -> str:
        """Say which versions of files a picture of a column, or the ground truth, is made from."""
        if self._stamped[0] != key:  # what is asked for in a row, once for each column
            self._stamped = key, files_stamp(self.dataset.files(self.records[key]))
        return self._stamped[1] + (self._of_column[column].stamp(key) if column else "")

    def _has_picture(self, key: Key, column: str) -> bool:
        path = picture_path(self.out_dir, self.entry.name, column, *key)
        return not self.options.val.save_img or path.is_file()
