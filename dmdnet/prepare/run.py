"""`prepare`: a folder of photographs becomes a training set."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dmdnet.errors import ConfigError, DataError
from dmdnet.faces.backend import get_backend
from dmdnet.prepare.finish import Summary, finish
from dmdnet.prepare.journal import open_journal, read_journals
from dmdnet.prepare.options import FaceOptions, TableOptions
from dmdnet.prepare.pool import run_tasks
from dmdnet.prepare.record import Finished
from dmdnet.prepare.scan import Failure, Photograph, Scan, scan
from dmdnet.prepare.worker import FaceFinder
from dmdnet.prepare.workspace import Workspace


def prepare(
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    faces: FaceOptions | None = None,
    table: TableOptions | None = None,
    workers: int | None = None,
    shard: tuple[int, int] = (1, 1),
    only_finish: bool = False,
    show_progress: bool = False,
) -> Summary | None:
    """Make a training set in `output` of the photographs below `root`.

    The same call goes on where an earlier one was stopped, and takes in photographs that have come since. Several
    machines share the work with `shard`; the one that finds all photographs done makes the table.

    Args:
        root: INPUT. output: OUTPUT; neither is inside the other.
        faces: how faces are cut out. table: how the table is made of them.
        workers: processes; None: as many as there are cores; 0: this process.
        shard: (i, n), i from 1: do only the photographs of part i of n.
        only_finish: make the table of what is done, whatever other shards are still doing.
        show_progress: a bar on standard error.

    Returns:
        What came out; None when photographs of other shards are not done yet.

    Raises:
        ConfigError: an option is out of range.
        DataError: a folder is missing or cannot be written, or OUTPUT was begun with other options.
        FaceError: the back end is missing.
    """
    root, workspace = Path(root), Workspace(Path(output))
    faces, table = faces or FaceOptions(), table or TableOptions()
    _check_shard(shard, workers)
    _check_places(root, workspace.output)
    backend = get_backend(faces.face_backend)
    found = _scanned(root)
    workspace.begin(faces.as_json())
    if not only_finish:
        _work(root, workspace, found, faces, _processes(workers), shard, show_progress)
    finished = read_journals(workspace, found.photographs)
    missing = [photograph for photograph in found.photographs if photograph.name not in finished]
    if missing and not only_finish:
        return None
    passed_over = [*found.failures, *(Failure(item.name, "is not done yet") for item in missing)]
    if not missing:
        workspace.sweep({face.file for record in finished.values() for face in record.faces})
    distance = table.same_person_distance or backend.same_person_distance
    done = [finished[item.name] for item in found.photographs if item.name in finished]
    return finish(root, workspace, done, passed_over, faces, table, distance)


def _work(
    root: Path,
    workspace: Workspace,
    found: Scan,
    options: FaceOptions,
    workers: int,
    shard: tuple[int, int],
    show_progress: bool,
) -> None:
    """Do what is not done of a shard, and write it down."""
    index, shards = shard[0] - 1, shard[1]
    mine = [photograph for photograph in found.photographs if photograph.shard(shards) == index]
    with open_journal(workspace, index, shards) as journal:
        finished = read_journals(workspace, found.photographs)
        done = {record.photograph for record in finished.values() if not record.passing}
        waiting = [photograph for photograph in mine if photograph.name not in done]
        arguments = (root, workspace.output, options)
        results = run_tasks(FaceFinder, arguments, waiting, workers, _died)
        with closing(results), _progress(show_progress, len(mine), len(mine) - len(waiting)) as advance:
            for result in results:
                journal.append(result)
                advance()


def _died(photograph: Photograph, how: str) -> Finished:
    reason = f"the process that worked on it died twice ({how}): out of memory, or a picture that a library cannot bear"
    return Finished(photograph.name, photograph.stamp, (), (Failure(photograph.name, reason),), passing=True)


def _scanned(root: Path) -> Scan:
    found = scan(root)
    if not found.photographs:
        raise DataError(f"{root}: there is no picture in it or below it; PNG, JPEG, WebP, BMP, TIFF and GIF are read")
    return found


def _check_places(root: Path, output: Path) -> None:
    inside, outside = output.resolve(), root.resolve()
    if inside == outside or outside in inside.parents:
        raise DataError(
            f"{output}: lies inside of INPUT ({root}), so its pictures would be photographs; choose another"
        )
    if inside in outside.parents:
        raise DataError(f"{root}: lies inside of OUTPUT ({output}); choose another OUTPUT")


def _check_shard(shard: Sequence[int], workers: int | None) -> None:
    number, shards = shard
    if not 1 <= number <= shards:
        raise ConfigError(f"shard {number}/{shards}: i/n with i from 1 to n is needed, for example 1/4")
    if workers is not None and workers < 0:
        raise ConfigError(f"workers {workers}: 0 (this process) or more")


def _processes(workers: int | None) -> int:
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _progress(shown: bool, total: int, done: int) -> Iterator[Callable[[], None]]:
    """Give a function to call after each photograph; where nobody watches a terminal, a line is printed at times."""
    if not (shown and sys.stderr.isatty()):
        yield _Lines(shown, total, done)
        return
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(TextColumn("photographs"), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda: bar.advance(task)


class _Lines:
    """Prints how far it is, twenty times in all."""

    def __init__(self, shown: bool, total: int, done: int) -> None:
        self._shown, self._total, self._done = shown, total, done

    def __call__(self) -> None:
        self._done += 1
        if self._shown and self._done * 20 // self._total > (self._done - 1) * 20 // self._total:
            print(f"{self._done} of {self._total} photographs", file=sys.stderr, flush=True)
