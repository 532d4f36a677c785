"""Drawn people with exact landmarks, in place of face photographs that may not be shipped."""

from __future__ import annotations

from .draw import MAX_SIZE, MIN_SIZE, DemoFace, draw_face
from .identity import Identity
from .photograph import compose_photograph
from .shot import Background, Expression, Light, Pose, Shot
from .tree import Tree, make_demo_faces

__all__ = [
    "MAX_SIZE",
    "MIN_SIZE",
    "Background",
    "DemoFace",
    "Expression",
    "Identity",
    "Light",
    "Pose",
    "Shot",
    "Tree",
    "compose_photograph",
    "draw_face",
    "make_demo_faces",
]
