"""The records of `summary.json`: one number each, with everything that it takes to judge and to cite it.

`docs/benchmark.md` documents the fields for readers of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["mean", "set", "difference"]
# What the difference of two methods answers; the reports put differences under these headings.
Question = Literal["", "restoring", "references", "more_references", "right_person", "robustness", "methods", "asked"]
GroupBy = Literal["", "input_quality"]

QUESTIONS: dict[Question, str] = {
    "restoring": "what restoring is worth: against the degraded input",
    "references": "what references are worth: against the same network without",
    "more_references": "what more references are worth",
    "right_person": "how much of that is the right person's: against references of somebody else",
    "robustness": "what wrong references cost: against the same network without",
    "methods": "methods against each other",
    "asked": "pairs that the option file asks for",
}


@dataclass(frozen=True)
class SummaryRecord:
    """One number of an evaluation.

    Attributes:
        kind: "mean" of a metric over pictures; "set": a metric of all pictures together (FID); "difference": the mean
            over pictures of one method's value less another's, and `method` reads "specific - generic".
        set, method, metric, recipe, higher_is_better: what the number is of. Numbers of different recipes are not
            comparable.
        mean: the number, of a set metric too; None where there is nothing to average, and `note` says why.
        ci_low, ci_high: None where there is no interval; `interval` says how it was made, or why there is none.
        n: pictures that the number is taken over.
        pictures: which pictures those are, as the first characters of a SHA-256 of their identities and names: numbers
            that are equal in it are of the same pictures.
        n_identities: people among them, which is what the interval and the test resample.
        n_pictures: pictures of the set (in a group: of the group), those that nobody could be scored on included.
        n_failed: pictures that the method failed on (for a difference: that either did).
        failures: why, reason -> count; a reason is a word of `PictureRecord.reason`, "other" where none is given.
        scored_as: what a failed picture was scored as: the degraded input, or not at all.
        n_no_references: pictures that the method was not asked for, because it needs references and they have none.
        n_undefined: pictures that the method answered and the metric has no value for.
        n_unusable: pictures of the set that cannot be read, whatever the method.
        coverage: share of `n_pictures` that the method restored itself and that were scored.
        pair: of a difference: (first, second).
        question: of a difference: what it answers, a key of `QUESTIONS`.
        p_value: two-sided, of the paired permutation test over people; None where there is none.
        p_adjusted: the same, corrected for the number of pairs.
        test: how the test was made.
        entry, mode, references: of the method: its name in the option file, which output of a network, and how many
            references it is given at most; None: none, or all that there are.
        references_given: mean number of references that it was given; None for methods without.
        severity: how hard the set is, where its options say so.
        published: the name of the set among the published numbers, where its options say so.
        group_by, group: which part of the set: "" for all of it, else what it was divided by and the part's name.
        group_metric: the metric of the degraded input that it was divided by.
        group_low, group_high: the part's range of that.
        weights: SHA-256 of the files that the number hangs on, by `<entry>/<file>` for the method's network and
            `<metric>/<file>` for the metric's.
        seed: of the generators behind interval and test.
        note: for the reader: a caution, or why there is no number and what to do about it.
    """

    kind: Kind
    set: str
    method: str
    metric: str
    recipe: str
    higher_is_better: bool
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_identities: int
    n_pictures: int
    n_failed: int
    coverage: float
    interval: str = ""
    failures: Mapping[str, int] = field(default_factory=dict)
    scored_as: Literal["input", "drop"] = "input"
    n_no_references: int = 0
    n_undefined: int = 0
    n_unusable: int = 0
    pair: tuple[str, str] | None = None
    question: Question = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    test: str = ""
    entry: str = ""
    mode: str = ""
    references: int | None = None
    references_given: float | None = None
    severity: float | None = None
    published: str | None = None
    group_by: GroupBy = ""
    group: str = ""
    group_metric: str = ""
    group_low: float | None = None
    group_high: float | None = None
    pictures: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return asdict(self)

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval excludes zero (for a difference)."""
        return self.ci_low is not None and self.ci_high is not None and (self.ci_low > 0 or self.ci_high < 0)

    @property
    def of_whole_set(self) -> bool:
        """Whether the number is of all pictures of the set and not of a group of them."""
        return not self.group_by
