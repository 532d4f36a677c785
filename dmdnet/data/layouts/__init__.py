"""How data sets lie on disk. A layout is one new file here that registers a class in LAYOUTS.

In an option file it is the `layout` of a data set:

    layout: {type: CelebRefHQLayout, dataroot_gt: datasets/CelebRef-HQ/CelebHQRefForRelease}
"""

from dmdnet.data.layouts.base import LAYOUTS, Layout

__all__ = ["LAYOUTS", "Layout"]
