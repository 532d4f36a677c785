"""Numbers that papers print of sets that this project can evaluate, each with its source, its set and its recipe.

They stand beside ours and never in one ranking: splits, degradations and recipes differ, and where a source does not
state its recipe, the recipe here says so. Rows that were traced to a mislabelled row, or to nothing, are not here.
"""

from dmdnet.evaluation.published.numbers import (
    PublishedNumber,
    PublishedSet,
    PublishedTable,
    check_published_set,
    published_numbers,
    published_sets,
    published_tables,
)

__all__ = [
    "PublishedNumber",
    "PublishedSet",
    "PublishedTable",
    "check_published_set",
    "published_numbers",
    "published_sets",
    "published_tables",
]
