"""From the `datasets` of an option file to batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from dmdnet.config.options import DatasetOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.faults import UnusableSample, fault_of
from dmdnet.data.reference_face_dataset import Phase
from dmdnet.data.samples import FaceSample, collate, collate_test
from dmdnet.data.sampling import Draw, TestBatches, TrainSampler
from dmdnet.data.skips import SkipLog
from dmdnet.errors import DataError, DMDNetError
from dmdnet.registry import DATASETS


def build_dataset(options: DatasetOptions, *, seed: int, phase: Phase) -> Any:
    """Return the data set of one entry of `datasets`.

    Raises:
        DataError: its files are missing.
        ConfigError: its options contradict each other.
    """
    return DATASETS.build(options.dataset, seed=seed, phase=phase)


class FaceLoader:
    """Batches of a data set, loaded by worker processes.

    What a user can cause (a damaged picture) is raised here, in the main process, as the error that the data set
    raised: torch would wrap it in the worker's traceback and bury the message. Pictures that a batch had to do without
    go into the log, which stops the run when there are too many. In tests a damaged picture is no error: it is in the
    batch's `unusable`.
    """

    def __init__(self, loader: DataLoader[Any], skip_log: SkipLog | None = None) -> None:
        self.loader = loader
        self.skip_log = skip_log

    def __iter__(self) -> Iterator[FaceBatch]:
        for batch in _handed_over(self.loader) if self.loader.num_workers else self.loader:
            if isinstance(batch, DMDNetError):
                raise batch
            if self.skip_log is not None:
                self.skip_log.add(batch.skipped)
            yield batch

    def __len__(self) -> int:
        """Number of batches; a training loader is endless and has none."""
        return len(self.loader)


def build_loader(
    dataset: Any,
    options: DatasetOptions,
    *,
    phase: Phase,
    rank: int = 0,
    world_size: int = 1,
    start_draw: int = 0,
    pin_memory: bool = False,
    multiprocessing_context: str | None = None,
    skip_log: SkipLog | None = None,
    only: Sequence[int] | None = None,
) -> FaceLoader:
    """Return the batches of one rank: endless and shuffled in training, every record once in testing.

    Args:
        dataset: from `build_dataset`; its `seed` also decides the order.
        options: batch size and workers.
        start_draw: draws that the whole run has used up, over all ranks (training): iterations * batch size * ranks.
        pin_memory: True when batches go to a GPU.
        multiprocessing_context: how workers start (`fork`, `spawn`, ...), the system's default when None.
        skip_log: where the names of pictures go that could not be used and that others stand in for.
        only: numbers of the test batches that are wanted, of all ranks together; None: all.
    """
    batches: dict[str, Any]
    if phase == "train":
        sampler = TrainSampler(len(dataset), seed=dataset.seed, rank=rank, world_size=world_size, start_draw=start_draw)
        batches = {"sampler": sampler, "batch_size": options.batch_size_per_gpu, "collate_fn": _collate}
    else:
        size = options.batch_size_per_gpu
        shares = TestBatches(len(dataset), size, rank=rank, world_size=world_size, only=only)
        batches = {"batch_sampler": shares, "collate_fn": partial(_collate_test, image_size=dataset.image_size)}
    workers = options.num_worker_per_gpu
    loader: DataLoader[Any] = DataLoader(
        _ErrorsAsValues(dataset, unusable=phase == "test"),
        **batches,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        prefetch_factor=options.prefetch_factor if workers else None,
        multiprocessing_context=multiprocessing_context if workers else None,
        generator=torch.Generator(),  # its own, so that loading takes nothing from the training's generator
    )
    return FaceLoader(loader, skip_log)


class _ErrorsAsValues(Dataset[Any]):
    """Gives the error of a sample in its place, so that it crosses to the main process unchanged.

    Args:
        unusable: a picture that cannot be read is no error but a thing to count.
    """

    def __init__(self, dataset: Any, unusable: bool) -> None:
        self.dataset = dataset
        self.unusable = unusable

    def __getitem__(self, index: Draw) -> FaceSample | UnusableSample | DMDNetError:
        try:
            sample: FaceSample = self.dataset[index]
            return sample
        except DMDNetError as error:
            if self.unusable and isinstance(error, DataError):
                identity, name = self.dataset.key(index.record)
                return UnusableSample(identity, name, fault_of(error))
            return error

    def __len__(self) -> int:
        return len(self.dataset)


def _handed_over(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield the batches of workers; of one that is killed while it hands a batch over, a broken connection is left.

    Raises:
        DataError: that has happened; torch itself notices a worker that ends at any other time.
    """
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError, RuntimeError) as error:
            # a RuntimeError where torch's own thread, which pins memory, found the connection broken
            if isinstance(error, RuntimeError) and "Pin memory thread exited" not in str(error):
                raise
            raise DataError(
                f"a DataLoader worker was killed by signal or ended while it handed over a batch ({error}); where the "
                "system was short of memory, lower num_worker_per_gpu or prefetch_factor. The same command goes on"
            ) from error
        yield batch


def _collate(samples: Sequence[FaceSample | DMDNetError]) -> FaceBatch | DMDNetError:
    whole = []
    for sample in samples:
        if isinstance(sample, DMDNetError):
            return sample
        whole.append(sample)
    return collate(whole)


def _collate_test(
    samples: Sequence[FaceSample | UnusableSample | DMDNetError], image_size: int
) -> FaceBatch | DMDNetError:
    loaded = []
    for sample in samples:
        if isinstance(sample, DMDNetError):
            return sample
        loaded.append(sample)
    return collate_test(loaded, image_size)


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)  # one process per core already; torch sets its own threads to one
