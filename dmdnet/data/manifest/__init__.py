"""The table that every data set is read from: one row a face, kept by column."""

from dmdnet.data.manifest.row import SPLITS, Row
from dmdnet.data.manifest.selection import select_rows
from dmdnet.data.manifest.strings import Strings
from dmdnet.data.manifest.table import Manifest

__all__ = ["SPLITS", "Manifest", "Row", "Strings", "select_rows"]
