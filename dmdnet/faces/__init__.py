"""Faces: detection, alignment, 68 landmarks, component boxes, identity."""

from dmdnet.faces.component_boxes import component_boxes

__all__ = ["component_boxes"]
