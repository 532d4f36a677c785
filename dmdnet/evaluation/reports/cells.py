"""How numbers of a summary are written in tables: one way in the terminal, in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from dmdnet.evaluation.statistics.summary_record import SummaryRecord
from dmdnet.wording import counted

NOTHING = "-"
SIGNIFICANT = 0.05
MAYBE = "maybe"
MAYBE_MEANS = "the interval excludes zero, the corrected test does not"


def number(value: float | None) -> str:
    """Return three decimals, two from 10 on; a dash for nothing."""
    return NOTHING if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def signed(value: float | None) -> str:
    """Return three decimals with the sign; one digit and its power where three decimals show nothing."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0.000"
    return f"{value:+.0e}" if abs(value) < 0.0005 else f"{value:+.3f}"


def p_value(value: float | None) -> str:
    """Return a p-value; what is below one in a thousand is said to be so."""
    return NOTHING if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(record: SummaryRecord, *, sign: bool = False) -> str:
    """Return `[low, high]`, empty where there is none."""
    if record.ci_low is None or record.ci_high is None:
        return ""
    write = signed if sign else number
    return f"[{write(record.ci_low)}, {write(record.ci_high)}]"


def with_interval(record: SummaryRecord, *, sign: bool = False) -> str:
    """Return the number and its interval."""
    written = signed(record.mean) if sign else number(record.mean)
    return f"{written} {interval(record, sign=sign)}".rstrip()


def heading(record: SummaryRecord) -> str:
    """Return the metric with an arrow that points to the better side."""
    return f"{record.metric} {'↑' if record.higher_is_better else '↓'}"


def mark(record: SummaryRecord) -> str:
    """Return what stands behind a difference: `*` where it is significant after correction, for better or worse."""
    return "*" if record.p_adjusted is not None and record.p_adjusted <= SIGNIFICANT else ""


def verdict(record: SummaryRecord) -> str:
    """Return whether a difference is beyond noise; "maybe": the interval says so, the corrected test does not."""
    if record.ci_low is None:
        return "unknown"
    if not record.beyond_noise:
        return "no"
    return "yes" if record.p_adjusted is None or record.p_adjusted <= SIGNIFICANT else MAYBE


def restored(records: Sequence[SummaryRecord]) -> str:
    """Return how many of the set's pictures the method of these records restored itself."""
    first = records[0]
    lost = max(record.n_failed + record.n_no_references + record.n_unusable for record in records)
    return f"{first.n_pictures - lost}/{first.n_pictures}"


def best(records: Sequence[SummaryRecord]) -> SummaryRecord | None:
    """Return the best of the records of one metric; None where they are of different pictures."""
    scored = [record for record in records if record.mean is not None]
    if len({(record.n, record.pictures) for record in scored}) > 1:
        return None
    return max(scored, key=lambda r: (r.mean or 0.0) * (1 if r.higher_is_better else -1), default=None)


def computed(records: Sequence[SummaryRecord]) -> list[str]:
    """Return the metrics that at least one of the records has a number of."""
    return list(dict.fromkeys(record.metric for record in records if record.mean is not None))


def failures(record: SummaryRecord) -> str:
    """Return the failed pictures by reason, such as `3 no_face, 1 missing`."""
    return ", ".join(f"{count} {reason}" for reason, count in record.failures.items()) or "none"


def size(records: Sequence[SummaryRecord], people: str) -> str:
    """Return how many pictures the set of these means has, and of how many people those are that are scored.

    Args:
        people: what stands between the two.
    """
    pictures = max((record.n_pictures for record in records), default=0)
    scored = max((record.n_identities for record in records), default=0)
    return counted(pictures, "picture") + (
        f"{people}{counted(scored, 'person')}" if scored else ", none of them scored"
    )


def footnotes(means: Sequence[SummaryRecord], *, recipes: bool = True) -> list[str]:
    """Return what has to be said below a table of these means: recipes, cautions, failures, what is missing and why."""
    first_of = {record.metric: record for record in reversed(means)}
    notes = [f"{metric}: {first_of[metric].recipe}" for metric in _in_order(means)] if recipes else []
    missing = set(_in_order(means)) - set(computed(means))
    for metric in _in_order(means):
        said = {record.method: record.note for record in means if record.metric == metric and record.note}
        for text in dict.fromkeys(said.values()):
            methods = [method for method, note in said.items() if note == text]
            everyone = len(methods) == len({record.method for record in means})
            gone = "not computed: " if metric in missing else ""
            notes.append(f"{metric}{'' if everyone else ' of ' + ', '.join(methods)}: {gone}{text}")
    notes = _merged(notes)
    failed = {record.method: record for record in means if record.n_failed}
    for method, record in failed.items():
        how = "scored as the degraded input" if record.scored_as == "input" else "left out of its means"
        notes.append(f"{method}: {record.n_failed} failed ({failures(record)}), {how}; the CSV says why")
    unusable = max((record.n_unusable for record in means), default=0)
    if unusable:
        notes.append(f"{counted(unusable, 'picture')} of the set could not be read: no method is scored there")
    if any(0 < record.n < record.n_pictures - record.n_unusable for record in means):
        notes.append("not every picture could be scored by every metric; n in summary.json")
    if any(best(of_metric) is None and any(r.mean is not None for r in of_metric) for of_metric in _by_metric(means)):
        notes.append("methods that are scored on different pictures are not ranked: no best value is marked")
    return notes


def _in_order(records: Sequence[SummaryRecord]) -> list[str]:
    return list(dict.fromkeys(record.metric for record in records))


def _by_metric(records: Sequence[SummaryRecord]) -> list[list[SummaryRecord]]:
    return [[record for record in records if record.metric == metric] for metric in _in_order(records)]


def _merged(notes: Sequence[str]) -> list[str]:
    """Say what holds for several metrics once."""
    heads: dict[str, list[str]] = {}
    for note in notes:
        head, _, text = note.partition(": ")
        heads.setdefault(text, []).append(head)
    return [f"{', '.join(names)}: {text}" for text, names in heads.items()]
