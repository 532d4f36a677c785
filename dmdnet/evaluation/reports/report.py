"""What an evaluation leaves behind: summary.json, CSV files of pictures and people, tables, comparison sheets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dmdnet.evaluation.naming import safe_name
from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports.csv_files import identities_csv, pictures_csv
from dmdnet.evaluation.reports.documents import DOCUMENTS
from dmdnet.evaluation.reports.sheet import comparison_sheet
from dmdnet.evaluation.reports.terminal import as_text
from dmdnet.evaluation.statistics.summary import SummarySettings, summarise
from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.files import write_bytes
from dmdnet.images import write_image

SUMMARY = "summary.json"
PICTURES = "pictures.csv"
IDENTITIES = "identities.csv"
SHEET = "sheet.png"
TABLE = "table.txt"


def write_report(
    evaluations: Sequence[Evaluation],
    out_dir: Path,
    settings: SummarySettings | None = None,
    *,
    also: Callable[[list[SummaryRecord]], object] | None = None,
) -> list[SummaryRecord]:
    """Write `summary.json`, `table.txt`, `tables.md`, `tables.tex` and, per set, CSV files and a sheet of pictures.

    The CSV files are `<set>_pictures.csv` and `<set>_identities.csv`, the sheet is `<set>_sheet.png`. Each file is
    written atomically. Files that are not named here are left alone.

    Args:
        settings: of intervals, tests and breakdown; left out, the usual ones.
        also: writes what else is made from the records, before the summary is written.

    Returns:
        The records of `summary.json`.
    """
    records = [record for evaluation in evaluations for record in summarise(evaluation, settings)]
    out_dir.mkdir(parents=True, exist_ok=True)
    for evaluation in evaluations:
        prefix = safe_name(evaluation.set_name)
        write_bytes(out_dir / f"{prefix}_{PICTURES}", _encoded(pictures_csv(evaluation)))
        write_bytes(out_dir / f"{prefix}_{IDENTITIES}", _encoded(identities_csv(evaluation)))
        if evaluation.samples:
            write_image(out_dir / f"{prefix}_{SHEET}", comparison_sheet(evaluation.samples, evaluation.metrics))
    for name, document in DOCUMENTS.items():
        write_bytes(out_dir / name, _encoded(document(records)))
    write_bytes(out_dir / TABLE, _encoded(as_text(records)))
    if also is not None:
        also(records)
    # last, so that a summary means that the rest is there
    write_bytes(out_dir / SUMMARY, _encoded(summary_json(records)))
    return records


def report_files(prefixes: Iterable[str]) -> list[str]:
    """Return the names of the files that `write_report` writes beside the summary, of sets by their safe names."""
    of_sets = [f"{prefix}_{name}" for prefix in prefixes for name in (PICTURES, IDENTITIES, SHEET)]
    return [*DOCUMENTS, TABLE, *of_sets]


def summary_json(records: Sequence[SummaryRecord]) -> str:
    """Return the records as a JSON list; what has no value is null."""
    return json.dumps([record.as_dict() for record in records], indent=1, allow_nan=False) + "\n"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # names of files need not be valid text
