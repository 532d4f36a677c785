"""The table that every data set is read from: one row a face, kept by column."""

from dmdnet.data.manifest.file import SUFFIX, read_manifest, read_metadata, write_manifest
from dmdnet.data.manifest.row import SPLITS, Row
from dmdnet.data.manifest.selection import select_rows
from dmdnet.data.manifest.splits import split_of
from dmdnet.data.manifest.strings import Strings
from dmdnet.data.manifest.table import Manifest

__all__ = [
    "SPLITS",
    "SUFFIX",
    "Manifest",
    "Row",
    "Strings",
    "read_manifest",
    "read_metadata",
    "select_rows",
    "split_of",
    "write_manifest",
]
