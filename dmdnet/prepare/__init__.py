"""A folder of anybody's photographs becomes a training set: faces found, aligned, measured, sorted into people."""

from dmdnet.prepare.options import FaceOptions, TableOptions
from dmdnet.prepare.run import prepare

__all__ = ["FaceOptions", "TableOptions", "prepare"]
