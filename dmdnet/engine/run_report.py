"""`experiments/<name>/report.html`: one page of a run, made from what the run has left in its folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from dmdnet import html
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.distributed import World
from dmdnet.engine.history import SCALARS, read_scalars, read_validations
from dmdnet.engine.pictures import read_samples
from dmdnet.engine.run_charts import split_name, training_charts, validation_charts
from dmdnet.engine.run_list import RunSummary, State, read_options, run_logs, summarise_run
from dmdnet.errors import DataError
from dmdnet.files import write_bytes
from dmdnet.html import Html, Page
from dmdnet.images import to_hwc

NAME = "report.html"
_QUICK = 30_000_000  # bytes of scalars.jsonl that are read within a second or two
_WIDEST = 1600  # pixels of a grid of samples
_LINES = 40  # of warnings, of skipped pictures
_GIB = 2**30
logger = logging.getLogger(__name__)


@contextmanager
def reported(folder: Path, world: World) -> Iterator[None]:
    """Write the run's page when training ends, however it ends; what goes wrong with that is a warning."""
    state: State = "failed"
    try:
        yield
        state = "finished"
    except SystemExit:
        state = "stopped"
        raise
    finally:
        if world.main:
            _write_at_the_end(folder, state)


def _write_at_the_end(folder: Path, state: State) -> None:
    try:
        if state == "stopped" and (folder / SCALARS).is_file() and (folder / SCALARS).stat().st_size > _QUICK:
            logger.info("report: left out, the machine is wanted back; python -m dmdnet runs --report makes it")
            return
        logger.info("report: %s", write_run_report(folder, state))
    except Exception as error:  # the run itself is done, or its own error is on its way
        logger.warning("report: not written: %s: %s", type(error).__name__, error)


def write_run_report(folder: Path, state: State | None = None) -> Path:
    """Write the page of a run and return its path.

    Args:
        folder: `experiments/<name>`.
        state: of the run; None: what the folder says.

    Raises:
        DataError: there is no run in the folder, or the page cannot be written.
    """
    if not run_logs(folder) and not (folder / "training_states").is_dir():
        raise DataError(f"{folder}: there is no run here; name one that `python -m dmdnet runs` lists")
    return write_bytes(folder / NAME, run_report(folder, state).encode())


def run_report(folder: Path, state: State | None = None) -> str:
    """Return the page; arguments as of `write_run_report`."""
    summary = summarise_run(folder)
    if state is not None:
        summary = replace(summary, state=state)
    scalars, validations = read_scalars(folder), read_validations(folder)
    page = Page(
        summary.name,
        subtitle=f"Training run, {summary.state} at iteration {summary.iteration:,}"
        + (f" of {summary.total:,}" if summary.total else ""),
        footer=f"Made {time.strftime('%Y-%m-%d %H:%M')} from {folder}",
    )
    page.add("The run", html.definitions(_facts(folder, summary)))
    if validations:
        page.add("Validation", _values(validations), html.grid(*validation_charts(validations)))
    samples = _samples(folder)
    if samples:
        page.add("Samples", *samples)
    for title, charts in training_charts(scalars):
        page.add(title, html.grid(*charts))
    page.add("Checkpoints", _checkpoints(folder, summary))
    skipped = _skipped(folder)
    if skipped:
        page.add("Skipped pictures", *skipped)
    complaints = _complaints(folder)
    if complaints:
        page.add("Warnings of the last start", html.preformatted("\n".join(complaints)))
    page.add("Options", _file(folder / "options.yml", "all options, resolved"))
    page.add("Environment", _environment(folder))
    return page.render()


def _facts(folder: Path, summary: RunSummary) -> dict[str, object]:
    facts: dict[str, object] = {"state": summary.state}
    if summary.total:
        share = summary.iteration / summary.total
        facts["iterations"] = f"{summary.iteration:,} of {summary.total:,} ({share:.0%})"
    if summary.best is not None:
        metric, value, iteration = summary.best
        facts["best"] = f"{metric} {value:.4g} at iteration {iteration:,}"
    logs = run_logs(folder)
    facts["starts"] = len(logs)
    if logs:
        facts["last log"] = html.code(logs[-1].name)
    facts["last change"] = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.changed))
    options = read_options(folder)
    if options is not None:
        facts["network"] = options.network_g.type
        facts["seed"] = options.manual_seed
        facts["data"] = ", ".join(f"{key}: {entry.name}" for key, entry in options.datasets.items())
    return facts


def _values(validations: Mapping[int, Mapping[str, float]]) -> Html:
    """Return the last values and how far they have come."""
    (first, before), (last, now) = (list(validations.items())[place] for place in (0, -1))
    rows = []
    for name, value in now.items():
        place, mode, metric = split_name(name)
        rows.append([f"{place}, {mode}" if mode else place, metric, value, before.get(name)])
    values = [html.Column(f"at {iteration:,}", align="right") for iteration in (last, first)]
    if first == last:
        return html.table(["set", "metric", *values[:1]], [row[:3] for row in rows], label="last validation")
    return html.table(["set", "metric", *values], rows, label="last and first validation")


def _samples(folder: Path) -> list[Html]:
    return [
        html.picture(
            to_hwc(samples.grid_CHW),
            f"the first faces of {name}, a row each: {', '.join(samples.columns)}",
            width=_WIDEST,
            caption=f"{name} after iteration {iteration:,}: {' | '.join(samples.columns)}",
        )
        for name, (samples, iteration) in read_samples(folder).items()
    ]


def _checkpoints(folder: Path, summary: RunSummary) -> Html:
    checkpoints = CheckpointFolder(folder)
    iterations = checkpoints.iterations()
    if not iterations:
        return html.paragraph("None was saved.")
    best = summary.best[2] if summary.best else None
    rows = []
    for iteration in iterations:
        parts = [*checkpoints.models.glob(f"*_{iteration}.*"), *checkpoints.states.glob(f"{iteration}.*")]
        size = sum(path.stat().st_size for path in parts) / _GIB
        notes = [word for word, holds in (("newest", iteration == iterations[0]), ("best", iteration == best)) if holds]
        names = ", ".join(sorted(path.name for path in parts))
        rows.append([f"{iteration:,}", html.Cell(f"{size:.3f}", sort=size), ", ".join(notes), html.code(names)])
    columns: list[str | html.Column] = ["iteration", html.Column("size", align="right", below="GiB"), "", "files"]
    return html.table(columns, rows, label="checkpoints")


def _skipped(folder: Path) -> list[Html]:
    """Return the pictures that could not be read, of all ranks."""
    files = sorted(folder.glob("skipped_pictures*.txt"))
    lines = list(dict.fromkeys(chain.from_iterable(_lines(path) for path in files)))
    if not lines:
        return []
    named = ", ".join(path.name for path in files)
    more = f", the first {_LINES}" if len(lines) > _LINES else ""
    about = html.paragraph(f"{len(lines):,} pictures had to be done without{more}; all are in {named}.")
    return [about, html.preformatted("\n".join(lines[:_LINES]))]


def _complaints(folder: Path) -> list[str]:
    lines = _lines(run_logs(folder)[-1]) if run_logs(folder) else []
    return [line for line in lines if " WARNING: " in line or " ERROR: " in line][-_LINES:]


def _environment(folder: Path) -> Html:
    try:
        found = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        packages = found.pop("packages", {})
        entries = {str(name): _in_words(value) for name, value in (*found.items(), *packages.items())}
    except (OSError, ValueError, AttributeError):
        return html.paragraph("Nothing is known of it.")
    return html.definitions(entries)


def _in_words(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _file(path: Path, summary: str) -> Html:
    text = "\n".join(_lines(path))
    return html.details(summary, html.preformatted(text)) if text else html.paragraph(f"{path.name} is not there.")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
